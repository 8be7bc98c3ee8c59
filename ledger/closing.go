package ledger

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A closing computes the closes of a log while a replay goes over its entries:
// before an entry is applied, streams and runs stand exactly at that index, so
// tables can be made there. The follower has one, whose closes are then appended;
// a check has another, whose closes are compared with those in the log. Owned by
// the goroutine of its replay.
//
// Which closes there are follows from the log times, but for those on demand and
// for missed days, which depend on when the log was open: what is known to be a
// close goes into ahead, and until ahead is empty nothing else is closed.
type closing struct {
	tally
	start int64  // start of the period under way: end of the newest close
	cut   uint64 // cut of the newest close
	due   int64  // the next midnight
	round uint64 // counts the periods, from 1

	ahead   []closeRef // to be computed at their cuts, in order
	dropped []closeRef // were ahead and are none
	marks   []*mark    // of the sequencer, in order; none while there is something ahead
	next    uint64     // least cut of ahead and marks
	drafts  []*draft   // computed, not yet met in the log, in order

	sorted []streamLine // all streams by key, as of the newest table
	fresh  []streamLine // streams that began since

	// store takes the pages of a close's tables, all at once; nil: nobody does.
	store func(end int64, pages iter.Seq2[[]byte, []byte]) error
	// drafted is told of each close that is to be appended; nil: nobody is.
	drafted func(*draft)
	// met is told of each close in the log; nil: nobody is.
	met func(index uint64, c *daybookv1.Close)
	// wrong is told of each close in the log that differs from the entries, and what
	// is computed is believed; nil: such a close is an error.
	wrong func(index uint64, err error)
}

// A closeRef names a close before it is computed.
type closeRef struct {
	cut uint64
	end int64
}

// A draft is a close that was computed. All but previous_close is set, which the
// index of the close before gives.
type draft struct {
	close *daybookv1.Close // not modified any more
	mark  *mark            // of who asked for it; nil: a day ended
}

// unannouncedError: a close was met in the log whose cut was passed without
// knowing that it is one.
type unannouncedError struct {
	index uint64
	close *daybookv1.Close
}

func (e *unannouncedError) Error() string {
	return fmt.Sprintf("close of %d entries that no rule calls for", e.close.Cut)
}

// Unwrap says where the log is then at fault.
func (e *unannouncedError) Unwrap() error { return &FaultError{e.index, e.Error()} }

func newClosing() *closing { return &closing{next: math.MaxUint64, tally: newTally()} }

// begin starts a period.
func (c *closing) begin(start int64, cut uint64) {
	c.start, c.cut, c.due = start, cut, verify.DayStart(start)+verify.Day
	c.round++
	c.tally.reset()
}

// before looks at the log time of the next entry of the replay, which is checked
// but not applied, and computes the closes whose cut it is. The entries of one
// cohort have one time and no cut between them: one call does for all.
func (c *closing) before(p *replay, now int64) error {
	index := p.size()
	if index == 0 {
		c.begin(verify.DayStart(now), 0)
		return nil
	}
	if now < c.due && index < c.next {
		return nil
	}
	if err := c.reachAhead(p, index, now); err != nil {
		return err
	}
	if len(c.ahead) > 0 {
		return nil
	}
	if err := c.reachMarks(p); err != nil {
		return err
	}
	return c.passDays(p, now, nil)
}

// addMarks takes marks of the sequencer, which come in order.
func (c *closing) addMarks(marks []*mark) {
	c.marks = append(c.marks, marks...)
	c.setNext()
}

func (c *closing) setNext() {
	c.next = math.MaxUint64
	if len(c.marks) > 0 {
		c.next = c.marks[0].cut
	}
	if len(c.ahead) > 0 {
		c.next = c.ahead[0].cut
	}
}

// reachAhead computes the closes ahead whose cut this is. One that the log times
// contradict was never written: the process ended before.
func (c *closing) reachAhead(p *replay, index uint64, now int64) error {
	for len(c.ahead) > 0 && c.ahead[0].cut <= index {
		a := c.ahead[0]
		c.ahead = c.ahead[1:]
		if a.cut < index || now < a.end || p.time >= a.end || a.end <= c.start {
			c.dropped = append(c.dropped, a)
			continue
		}
		if err := c.compute(p, a.end, nil); err != nil {
			return err
		}
	}
	c.setNext()
	return nil
}

// reachMarks computes what the sequencer marked at this size of the log: no
// entry from there on is logged before a mark's time.
func (c *closing) reachMarks(p *replay) error {
	for len(c.marks) > 0 && c.marks[0].cut <= p.size() {
		m := c.marks[0]
		c.marks = c.marks[1:]
		if err := c.passDays(p, m.time, m); err != nil {
			return err
		}
		if m.demand && m.time > c.start {
			if err := c.compute(p, m.time, m); err != nil {
				return err
			}
		}
	}
	c.setNext()
	return nil
}

// passDays closes the days that end by now: each, or all at once where they are
// more than 31. m is the mark of that time, nil where it is an entry's.
func (c *closing) passDays(p *replay, now int64, m *mark) error {
	if verify.Midnights(c.start, now) > verify.MaxMissedDays {
		return c.compute(p, verify.DayStart(now), m)
	}
	for c.due <= now {
		if err := c.compute(p, c.due, m); err != nil {
			return err
		}
	}
	return nil
}

// compute makes the close of the period that ends at end; its cut is where the
// replay stands. m asked for it where its time is end.
func (c *closing) compute(p *replay, end int64, m *mark) error {
	root := p.root()
	d := &draft{close: &daybookv1.Close{PeriodStartNs: c.start, PeriodEndNs: end, Cut: p.size(), PreviousCut: c.cut,
		Root: root[:], Kinds: counts(c.kinds), Verdicts: counts(c.verdicts), Alerts: counts(c.alerts)}}
	t := &tables{close: d.close, streams: c.lines()}
	var err error
	if t.runs, err = c.runRows(p.state, c.cut); err != nil {
		return fmt.Errorf("runs of the close at %d: %w", p.size(), err)
	}
	if c.store == nil {
		for range t.pages() {
			continue
		}
	} else if err := c.store(end, t.pages()); err != nil {
		return fmt.Errorf("tables of the close at %d: %w", p.size(), err)
	}
	if t.err != nil {
		return fmt.Errorf("tables of the close at %d: %w", p.size(), t.err)
	}
	if m != nil && m.demand && m.time == end {
		d.mark = m
	}
	c.drafts = append(c.drafts, d)
	c.begin(end, p.size())
	if c.drafted != nil {
		c.drafted(d)
	}
	return nil
}

// lines returns all streams in the order of their keys. The order is kept from
// one close to the next; only what began since is sorted.
func (c *closing) lines() []streamLine {
	if len(c.fresh) == 0 {
		return c.sorted
	}
	slices.SortFunc(c.fresh, compareLines)
	merged := make([]streamLine, 0, len(c.sorted)+len(c.fresh))
	old, fresh := c.sorted, c.fresh
	for len(old) > 0 && len(fresh) > 0 {
		if compareLines(old[0], fresh[0]) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
	}
	c.sorted = append(append(merged, old...), fresh...)
	c.fresh = nil
	return c.sorted
}

func compareLines(a, b streamLine) int { return bytes.Compare(a.key, b.key) }

// resume takes over the streams that a snapshot holds.
func (c *closing) resume(s *state) {
	c.sorted, c.fresh = nil, make([]streamLine, 0, len(s.streams))
	for key, st := range s.streams {
		c.fresh = append(c.fresh, streamLine{key: []byte(key), stream: st})
	}
}

// after counts the entry that was applied, and compares it with the draft where
// it is a close.
func (c *closing) after(p *replay, index uint64) error {
	if err := c.afterOne(p.stream, &p.entry, index); err != nil {
		return err
	}
	c.afterRun(p.run, p.oneOff, &p.entry, index)
	return nil
}

// afterRun notes the run of the newest entries of an append, or its one-off.
func (c *closing) afterRun(r *run, oneOff bool, e *verify.Entry, index uint64) {
	if oneOff {
		c.addOneOff(e.Head.Producer, e.Body, index)
	} else if r != nil {
		c.touch(r, c.round)
	}
}

// afterOne counts one entry, in its stream already.
func (c *closing) afterOne(st *stream, e *verify.Entry, index uint64) error {
	if st.count == 1 {
		c.fresh = append(c.fresh, streamLine{key: []byte(verify.StreamKeyOf(&e.Place)), stream: st})
	}
	if err := c.tally.add(e); err != nil {
		return err
	}
	if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
		return nil
	}
	got, err := verify.CheckCloseEntry(e)
	if err != nil {
		return &FaultError{index, err.Error()}
	}
	if err := c.compare(index, got); err != nil && c.wrong == nil {
		return err
	} else if err != nil {
		c.wrong(index, err)
	}
	for len(c.drafts) > 0 && c.drafts[0].close.PeriodEndNs <= got.PeriodEndNs {
		c.drafts = c.drafts[1:]
	}
	if c.met != nil {
		c.met(index, got)
	}
	return nil
}

// compare compares a close in the log with the next one that was computed.
func (c *closing) compare(index uint64, got *daybookv1.Close) error {
	if len(c.drafts) == 0 || c.drafts[0].close.PeriodEndNs != got.PeriodEndNs {
		return &unannouncedError{index, got}
	}
	if differs := closeDiffers(c.drafts[0].close, got); differs != "" {
		return &FaultError{index, "close differs from the entries in its " + differs}
	}
	return nil
}

// closeDiffers names what differs in two closes beside the close before them;
// empty: nothing.
func closeDiffers(want, got *daybookv1.Close) string {
	for _, part := range []struct {
		name string
		same bool
	}{
		{"period", want.PeriodStartNs == got.PeriodStartNs && want.PeriodEndNs == got.PeriodEndNs},
		{"cut", want.Cut == got.Cut && want.PreviousCut == got.PreviousCut},
		{"root", bytes.Equal(want.Root, got.Root)},
		{"table of streams", proto.Equal(want.Streams, got.Streams)},
		{"table of runs", proto.Equal(want.Runs, got.Runs)},
		{"counts of kinds", slices.EqualFunc(want.Kinds, got.Kinds, sameCount)},
		{"counts of verdicts", slices.EqualFunc(want.Verdicts, got.Verdicts, sameCount)},
		{"counts of alerts", slices.EqualFunc(want.Alerts, got.Alerts, sameCount)},
	} {
		if !part.same {
			return part.name
		}
	}
	return ""
}

func sameCount(a, b *daybookv1.CloseCount) bool { return a.Value == b.Value && a.Count == b.Count }
