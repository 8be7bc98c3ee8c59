package report

import (
	"cmp"
	"slices"

	"github.com/daybook-ledger/daybook/verify/domains"
)

// listed is a list of sentences: the first maxListed, and how many there are.
type listed struct {
	total   uint64
	entries []scope
}

func (l *listed) add(r *row, sentence string, alarm bool) {
	l.total++
	if len(l.entries) < maxListed {
		f := fields{"sentence": sentence, "alarm": alarm}
		for _, name := range []string{"index", "complete"} {
			if v := r.lookup(name); v != nil {
				f[name] = v
			}
		}
		l.entries = append(l.entries, f)
	}
}

// left is how many are not in the list.
func (l *listed) left() fields { return count(l.total - uint64(len(l.entries))) }

type pairKey struct{ source, target string }

type pairCount struct{ accesses, unauthorized, denied uint64 }

type flowKey struct {
	id string
	in uint64 // index of the map
}

// tally is what a writer remembers of the entries that passed.
type tally struct {
	words *words

	total, unauthorized, denied uint64
	verdicts                    map[string]uint64
	pairs                       map[pairKey]*pairCount
	flows                       map[flowKey]uint64

	lists                           map[string]*listed // of accesses, by id
	alerts, closes, approvals, runs listed
	numbered                        uint64 // runs that are proved
}

func (t *tally) init(w *words) {
	*t = tally{words: w, verdicts: map[string]uint64{}, pairs: map[pairKey]*pairCount{}, flows: map[flowKey]uint64{}, lists: map[string]*listed{}}
	for _, l := range w.Lists {
		t.lists[l.ID] = &listed{}
	}
}

// access counts an access and puts it into its lists.
func (t *tally) access(a *Answer, r *row, sentence string) {
	verdict := domains.Word(a.Entry.Place.Verdict)
	group := t.words.groups[verdict]
	alarm := group != "authorized" && group != "denied"
	t.total++
	t.verdicts[verdict]++
	key := pairKey{a.Entry.Place.Source, a.Entry.Place.Target}
	pair := t.pairs[key]
	if pair == nil {
		pair = &pairCount{}
		t.pairs[pairKey{string([]byte(key.source)), string([]byte(key.target))}] = pair
	}
	pair.accesses++
	if alarm {
		t.unauthorized++
		pair.unauthorized++
		t.lists["unauthorized"].add(r, sentence, alarm)
	}
	if group == "denied" {
		t.denied++
		pair.denied++
	}
	if f := a.Grounds.Flow; f != nil {
		t.flows[flowKey{f.GetId(), a.Entry.Head.MapIndex}]++
	}
	if l := t.lists[a.Section.String()]; l != nil && (a.Section != SectionFirstHand || !alarm) {
		l.add(r, sentence, alarm)
	}
}

// sortedPairs returns the pairs by source, then target.
func (t *tally) sortedPairs() []pairKey {
	keys := make([]pairKey, 0, len(t.pairs))
	for k := range t.pairs {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b pairKey) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.target, b.target))
	})
	return keys
}
