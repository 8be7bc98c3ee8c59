package bundle

import (
	"encoding/hex"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Bounds of what an exporter does to show that runs are whole.
const (
	// maxLook is how many heartbeats or ends of a domain are looked at before the
	// window, and how many after it.
	maxLook = 8192
	// maxHidden is how many numbers between the answers of a run are hashed: 32
	// bytes each.
	maxHidden = 1 << 20
)

// A wanted run is one of which there are answers.
type wantedRun struct {
	id          runID
	hash        verify.Hash
	domain      string
	first, last uint64 // numbers of its answers
	answers     uint64
	opened      uint64 // index of its opening, plus 1; 0: not seen
	before      bool   // an anchor before the window is found, or not needed
	after       bool   // a signature after its last answer is found
}

// findRuns finds the runs and domains of the answers, and the window of entries
// about runs in which signatures show their numbers.
func (b *builder) findRuns() error {
	w := &b.window
	w.runsFirst, w.runsEnd = w.first, w.end
	b.answer.RunsFirst, b.answer.RunsEnd = &w.runsFirst, &w.runsEnd
	runs, err := b.answered()
	if err != nil {
		return err
	}
	if len(b.answer.Domains) == 0 {
		w.runsFirst, w.runsEnd = 0, 0
		return nil
	}
	if b.namesRuns() {
		return nil
	}
	for _, domain := range b.answer.Domains {
		var of []*wantedRun
		for _, r := range runs {
			if r.domain == domain {
				of = append(of, r)
			}
		}
		if len(of) == 0 {
			continue
		}
		for _, look := range []func(string, []*wantedRun) error{b.lookOpened, b.lookBefore, b.lookAfter} {
			if err := look(domain, of); err != nil {
				return err
			}
		}
	}
	for _, r := range runs {
		if r.opened != 0 && !r.before {
			w.runsFirst = min(w.runsFirst, r.opened-1)
		}
	}
	return nil
}

// namesRuns tells whether the question itself names streams about runs: those are
// known in the window alone.
func (b *builder) namesRuns() bool {
	for _, s := range b.question.Streams {
		key, _ := s.Key()
		if isRun(daybookv1.Kind(key[0])) {
			return true
		}
	}
	return false
}

// answered reads the answers: of which runs and domains they are.
func (b *builder) answered() ([]*wantedRun, error) {
	domains, runs := map[string]bool{}, map[string]*wantedRun{}
	err := b.each(b.ctx, b.window.first, b.window.end, func(e *verify.Entry) error {
		if e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
			return nil
		}
		ev, err := verify.ParseEvent(e.Body)
		if err != nil {
			return err
		}
		if !b.question.Occurred(ev.OccurredAtNS) {
			return nil
		}
		domain := producerDomain(e.Head.Producer)
		domains[domain] = true
		if e.Place.Number == 1 && e.Head.Run == verify.OneOffRunID(e.Head.Producer, ev.EventID) {
			return nil
		}
		key := e.Head.Producer + string(e.Head.Run[:])
		r := runs[key]
		if r == nil {
			r = &wantedRun{id: runID{strings.Clone(e.Head.Producer), hex.EncodeToString(e.Head.Run[:])}, hash: e.Head.Run, domain: domain, first: e.Place.Number}
			runs[key] = r
		}
		r.first, r.last = min(r.first, e.Place.Number), max(r.last, e.Place.Number)
		r.answers++
		return nil
	})
	if err != nil {
		return nil, err
	}
	for d := range domains {
		b.answer.Domains = append(b.answer.Domains, d)
	}
	slices.Sort(b.answer.Domains)
	var out []*wantedRun
	for _, r := range runs {
		if r.last-r.first-r.answers < maxHidden || r.last-r.first < r.answers {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y *wantedRun) int { return x.id.compare(y.id) })
	for _, r := range out {
		b.answer.Runs = append(b.answer.Runs, r.id)
	}
	return out, nil
}

// of returns the run of an entry; nil: none of these.
func runOf(runs []*wantedRun, e *verify.Entry) *wantedRun {
	for _, r := range runs {
		if r.hash == e.Head.Run && r.id.Producer == e.Head.Producer {
			return r
		}
	}
	return nil
}

// span returns the key of a domain's stream about runs, the first position at or
// after an index, and its number of entries; ok is false where there is no such
// stream.
func (b *builder) span(kind daybookv1.Kind, domain string, index uint64) (key verify.StreamKey, at, count uint64, ok bool, err error) {
	key = verify.MakeStreamKey(kind, domain, "", 0, false)
	rows, err := interval(b.ctx, b.src, b.close.Streams.Rows, []byte(key))
	if err != nil {
		return key, 0, 0, false, err
	}
	for _, r := range rows {
		if string(r.Key) == string(key) {
			at, err = b.src.PositionFrom(b.ctx, key, index)
			return key, at, r.Count, true, err
		}
	}
	return key, 0, 0, false, nil
}

// at reads the entry at a position of a stream.
func (b *builder) at(key verify.StreamKey, position uint64) (*verify.Entry, error) {
	index, err := b.src.IndexAt(b.ctx, key, position)
	if err != nil {
		return nil, err
	}
	return b.entry(b.ctx, index)
}

// lookOpened finds where the runs were opened. All openings of a domain are in the
// bundle.
func (b *builder) lookOpened(domain string, runs []*wantedRun) error {
	key, _, count, ok, err := b.span(daybookv1.Kind_KIND_RUN_OPENED, domain, 0)
	if err != nil || !ok {
		return err
	}
	for position := range count {
		e, err := b.at(key, position)
		if err != nil {
			return err
		}
		if r := runOf(runs, e); r != nil {
			r.opened = e.Place.Index + 1
			r.before = e.Place.Index >= b.window.first
		}
	}
	return nil
}

// statement returns up to which number an entry is signed by its producer.
func statement(e *verify.Entry) (last uint64, signed bool) {
	if e.Place.Kind == daybookv1.Kind_KIND_RUN_ENDED {
		var m daybookv1.RunEnded
		err := proto.Unmarshal(e.Body, &m)
		return m.Last, err == nil && len(m.Signature) > 0
	}
	var m daybookv1.RunHeartbeat
	err := proto.Unmarshal(e.Body, &m)
	return m.Last, err == nil && len(m.Signature) > 0
}

// lookBefore finds for each run that was opened before the window the newest
// heartbeat there that its producer signed. A run without one is shown from its
// opening on.
func (b *builder) lookBefore(domain string, runs []*wantedRun) error {
	key, at, _, ok, err := b.span(daybookv1.Kind_KIND_RUN_HEARTBEAT, domain, b.window.first)
	if err != nil || !ok {
		return err
	}
	open := 0
	for _, r := range runs {
		if !r.before && r.opened != 0 {
			open++
		}
	}
	for looked := 0; open > 0 && at > 0; looked++ {
		if looked == maxLook {
			for _, r := range runs {
				r.before = true // too far away: they are not shown to be whole
			}
			return nil
		}
		at--
		e, err := b.at(key, at)
		if err != nil {
			return err
		}
		r := runOf(runs, e)
		if r == nil || r.before {
			continue
		}
		if _, signed := statement(e); signed {
			r.before = true
			b.window.runsFirst = min(b.window.runsFirst, e.Place.Index)
			open--
		}
	}
	return nil
}

// lookAfter finds for each run the first heartbeat or end that its producer signed
// after the last answer: in the window, else after it.
func (b *builder) lookAfter(domain string, runs []*wantedRun) error {
	for _, look := range []func(daybookv1.Kind, string, []*wantedRun) error{b.lookBack, b.lookOn} {
		for _, kind := range []daybookv1.Kind{daybookv1.Kind_KIND_RUN_ENDED, daybookv1.Kind_KIND_RUN_HEARTBEAT} {
			if err := look(kind, domain, runs); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookBack looks in the window, from its end back.
func (b *builder) lookBack(kind daybookv1.Kind, domain string, runs []*wantedRun) error {
	key, at, _, ok, err := b.span(kind, domain, b.window.end)
	if err != nil || !ok {
		return err
	}
	for looked := 0; at > 0 && looked < maxLook && waits(runs); looked++ {
		at--
		e, err := b.at(key, at)
		if err != nil || e.Place.Index < b.window.first {
			return err
		}
		covers(runs, e)
	}
	return nil
}

// lookOn looks after the window.
func (b *builder) lookOn(kind daybookv1.Kind, domain string, runs []*wantedRun) error {
	key, at, count, ok, err := b.span(kind, domain, b.window.end)
	if err != nil || !ok {
		return err
	}
	for looked := 0; at < count && looked < maxLook && waits(runs); looked++ {
		e, err := b.at(key, at)
		if err != nil {
			return err
		}
		at++
		if covers(runs, e) {
			b.window.runsEnd = max(b.window.runsEnd, e.Place.Index+1)
		}
	}
	return nil
}

// waits tells whether the last answer of a run is not covered yet.
func waits(runs []*wantedRun) bool {
	return slices.ContainsFunc(runs, func(r *wantedRun) bool { return !r.after })
}

// covers takes a statement; it tells whether it is the first that covers the last
// answer of its run.
func covers(runs []*wantedRun, e *verify.Entry) bool {
	r := runOf(runs, e)
	if r == nil || r.after {
		return false
	}
	last, signed := statement(e)
	r.after = signed && last >= r.last
	return r.after
}
