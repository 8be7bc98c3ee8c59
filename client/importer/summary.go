package importer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/mapping"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Summary says what became of the records of one or more files.
type Summary struct {
	// Accepted records became events that are new in the log.
	Accepted uint64 `json:"accepted"`
	// Duplicates are records whose events were in the log already; each has a
	// checked receipt.
	Duplicates uint64 `json:"duplicates"`
	// Skipped records became no event; the log holds a Declined for each.
	Skipped uint64 `json:"skipped"`
	// Pairs counts the events by source and target, most first.
	Pairs []Pair `json:"pairs"`
	// Verdicts counts the events by the ledger's judgement, most first.
	Verdicts []Verdict `json:"verdicts"`
	// Reasons counts the skipped records by reason, most first.
	Reasons []Reason `json:"reasons"`

	pairs    map[pairKey]*Pair
	verdicts map[daybookv1.Verdict]uint64
	reasons  map[reasonKey]*Reason
}

// Pair counts the events of one source and target, by the ids the log gave.
type Pair struct {
	Source  string `json:"source"`
	Target  string `json:"target"`
	Entries uint64 `json:"entries"`
	// Denied of them have that verdict.
	Denied uint64 `json:"denied"`
}

// Verdict counts the events of one verdict.
type Verdict struct {
	// Verdict in lower-case words, such as `undeclared`.
	Verdict string `json:"verdict"`
	Entries uint64 `json:"entries"`
}

// Reason counts the records that were skipped for one reason.
type Reason struct {
	Code    mapping.Code `json:"code"`
	Field   string       `json:"field,omitempty"`
	Records uint64       `json:"records"`
	// First of them: its number in its file, and what exactly was wrong.
	First   uint64 `json:"first_record"`
	Example string `json:"example"`
}

type pairKey struct{ source, target string }

type reasonKey struct {
	code  mapping.Code
	field string
}

// skip counts a skipped record.
func (s *Summary) skip(number uint64, why *mapping.Reason) {
	s.Skipped++
	if s.reasons == nil {
		s.reasons = map[reasonKey]*Reason{}
	}
	key := reasonKey{why.Code, why.Field}
	if s.reasons[key] == nil {
		s.reasons[key] = &Reason{Code: why.Code, Field: why.Field, First: number, Example: why.Error()}
	}
	s.reasons[key].Records++
}

// receive counts what a receipt proves to be in the log. Declined records were
// counted when they were mapped.
func (s *Summary) receive(r *client.Receipt) error {
	if s.pairs == nil {
		s.pairs, s.verdicts = map[pairKey]*Pair{}, map[daybookv1.Verdict]uint64{}
	}
	for i := range r.Len() {
		if r.Kind(i) != daybookv1.Kind_KIND_ACCESS {
			continue
		}
		entry, err := verify.ParseEntry(r.Entry(i))
		if err != nil {
			return fmt.Errorf("entry %d: %w", r.Index(i), err)
		}
		if r.Repeat(i) {
			s.Duplicates++
		} else {
			s.Accepted++
		}
		key := pairKey{entry.Place.Source, entry.Place.Target}
		if s.pairs[key] == nil {
			s.pairs[key] = &Pair{Source: key.source, Target: key.target}
		}
		s.pairs[key].Entries++
		if entry.Place.Verdict == daybookv1.Verdict_VERDICT_DENIED {
			s.pairs[key].Denied++
		}
		s.verdicts[entry.Place.Verdict]++
	}
	return nil
}

// Add adds what became of another file.
func (s *Summary) Add(o *Summary) {
	s.Accepted += o.Accepted
	s.Duplicates += o.Duplicates
	s.Skipped += o.Skipped
	for _, p := range o.Pairs {
		s.Pairs = addTo(s.Pairs, p, func(q Pair) bool { return q.Source == p.Source && q.Target == p.Target }, func(q *Pair) { q.Entries += p.Entries; q.Denied += p.Denied })
	}
	for _, v := range o.Verdicts {
		s.Verdicts = addTo(s.Verdicts, v, func(q Verdict) bool { return q.Verdict == v.Verdict }, func(q *Verdict) { q.Entries += v.Entries })
	}
	for _, r := range o.Reasons {
		s.Reasons = addTo(s.Reasons, r, func(q Reason) bool { return q.Code == r.Code && q.Field == r.Field }, func(q *Reason) { q.Records += r.Records })
	}
	s.sort()
}

// addTo adds to the row that is the same, or appends a new one.
func addTo[T any](rows []T, row T, same func(T) bool, add func(*T)) []T {
	if i := slices.IndexFunc(rows, same); i >= 0 {
		add(&rows[i])
		return rows
	}
	return append(rows, row)
}

// finish makes the tables of the counts.
func (s *Summary) finish() {
	s.Pairs, s.Verdicts, s.Reasons = []Pair{}, []Verdict{}, []Reason{}
	for _, p := range s.pairs {
		s.Pairs = append(s.Pairs, *p)
	}
	for v, n := range s.verdicts {
		s.Verdicts = append(s.Verdicts, Verdict{VerdictWord(v), n})
	}
	for _, r := range s.reasons {
		s.Reasons = append(s.Reasons, *r)
	}
	s.sort()
}

// sort puts the most frequent first, and equals in the order of their names.
func (s *Summary) sort() {
	slices.SortFunc(s.Pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target))
	})
	slices.SortFunc(s.Verdicts, func(a, b Verdict) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Verdict, b.Verdict))
	})
	slices.SortFunc(s.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Field, b.Field))
	})
}
