package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A Cut says where a close cuts the log, and when its period ends.
type Cut struct {
	Size  uint64 // entries below it
	EndNS int64
}

// An UnannouncedError is a close whose cut was passed without knowing of it.
type UnannouncedError struct{ Cut Cut }

// Error implements error.
func (e *UnannouncedError) Error() string {
	return fmt.Sprintf("close with cut %d: the log times contradict its cut or its place", e.Cut.Size)
}

// A closing computes the closes of a log on the way. Before an entry is applied,
// streams and runs stand exactly at its index: where that is a cut, the tables are
// made there, and compared when the close itself is met, later in the log.
type closing struct {
	cuts    []Cut              // still ahead
	drafts  []*daybookv1.Close // computed, not met yet
	start   int64              // of the period under way
	cut     uint64             // where it begins
	period  uint64             // counts them, from 1
	newest  *daybookv1.Close   // met last; nil: none
	newest1 uint64             // its index

	kinds, verdicts, alerts tally
	touched                 []*run             // with an entry in the period
	oneOffs                 map[string]*oneOff // by producer, since entry 0
	lines                   []line             // streams in order, as of the newest table
	fresh                   []line             // streams since
}

// A line is a stream that a table has a row of.
type line struct {
	key verify.StreamKey
	*stream
}

// A oneOff is where the events of a producer stand that were sent without a run,
// as if they were one.
type oneOff struct {
	producer string
	count    uint64
	hash     verify.Hash
	period   uint64 // of the newest
}

func newClosing(cuts []Cut) closing {
	return closing{cuts: cuts, oneOffs: map[string]*oneOff{}}
}

// begin notes a stream that begins.
func (c *closing) begin(key verify.StreamKey, st *stream) { c.fresh = append(c.fresh, line{key, st}) }

// open begins a period.
func (c *closing) open(start int64, cut uint64) {
	c.start, c.cut = start, cut
	c.period++
	c.kinds, c.verdicts, c.alerts = nil, nil, nil
	c.touched = c.touched[:0]
}

// reach computes the closes whose cut is the next entry, which has log time now.
func (c *closing) reach(s *State, now int64) error {
	if s.size == 0 {
		c.open(verify.DayStart(now), 0)
		return nil
	}
	for len(c.cuts) > 0 && c.cuts[0].Size <= s.size {
		next := c.cuts[0]
		c.cuts = c.cuts[1:]
		if next.Size < s.size || now < next.EndNS || s.time >= next.EndNS || next.EndNS <= c.start {
			continue // it will be unannounced where it is met
		}
		d, err := c.draft(s, next)
		if err != nil {
			return err
		}
		c.drafts = append(c.drafts, d)
		c.open(next.EndNS, next.Size)
	}
	return nil
}

// draft computes a close but for the one before it.
func (c *closing) draft(s *State, at Cut) (*daybookv1.Close, error) {
	root := s.Root()
	d := &daybookv1.Close{PeriodStartNs: c.start, PeriodEndNs: at.EndNS, Cut: at.Size, PreviousCut: c.cut, Root: root[:],
		Kinds: c.kinds.counts(), Verdicts: c.verdicts.counts(), Alerts: c.alerts.counts()}
	var err error
	if d.Streams, err = c.streamTable(); err == nil {
		d.Runs, err = c.runTable()
	}
	return d, err
}

func (c *closing) streamTable() (*daybookv1.CloseTable, error) {
	if len(c.fresh) > 0 {
		c.lines = append(c.lines, c.fresh...)
		c.fresh = c.fresh[:0]
		slices.SortFunc(c.lines, func(a, b line) int { return strings.Compare(string(a.key), string(b.key)) })
	}
	var b verify.TableBuilder
	var key []byte
	for _, l := range c.lines {
		if l.count == 0 {
			continue // its first entry is the one at the cut
		}
		key = append(key[:0], l.key...)
		if _, err := b.Add(verify.Row{Key: key, Count: l.count, Root: l.tree.Root()}); err != nil {
			return nil, err
		}
	}
	return b.Table(), nil
}

func (c *closing) runTable() (*daybookv1.CloseTable, error) {
	var rows []verify.Row
	for _, r := range c.touched {
		rows = append(rows, verify.Row{Key: verify.RunRowKey(r.name.producer, r.name.id), Count: r.last, Root: r.hash})
	}
	for _, o := range c.oneOffs {
		if o.period == c.period {
			rows = append(rows, verify.Row{Key: verify.OneOffRowKey(o.producer), Count: o.count, Root: o.hash})
		}
	}
	slices.SortFunc(rows, func(a, b verify.Row) int { return bytes.Compare(a.Key, b.Key) })
	var b verify.TableBuilder
	for _, r := range rows {
		if _, err := b.Add(r); err != nil {
			return nil, err
		}
	}
	return b.Table(), nil
}

// take counts an entry, which is in its stream and run already.
func (c *closing) take(s *State, e *Entry, r *run) error {
	c.kinds.add(uint32(e.Place.Kind))
	switch {
	case r != nil:
		if r.period != c.period {
			r.period = c.period
			c.touched = append(c.touched, r)
		}
	case e.Place.Kind == daybookv1.Kind_KIND_ACCESS:
		c.takeOneOff(e)
	}
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ACCESS:
		c.verdicts.add(uint32(e.Place.Verdict))
	case daybookv1.Kind_KIND_ALERT:
		m := new(daybookv1.Alert)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		c.alerts.add(uint32(m.Type))
	case daybookv1.Kind_KIND_CLOSE:
		return c.meet(s, e)
	}
	return nil
}

func (c *closing) takeOneOff(e *Entry) {
	o := c.oneOffs[e.Head.Producer]
	if o == nil {
		producer := strings.Clone(e.Head.Producer)
		o = &oneOff{producer: producer, hash: verify.RunStart(producer, verify.Hash{})}
		c.oneOffs[producer] = o
	}
	o.count++
	o.hash, o.period = verify.RunNext(o.hash, o.count, e.body), c.period
}

// meet compares a close in the log with the one that was computed at its cut, and
// with the close before it.
func (c *closing) meet(s *State, e *Entry) error {
	got, err := verify.CheckCloseEntry(&e.Entry)
	if err != nil {
		return err
	}
	if len(c.drafts) == 0 || c.drafts[0].PeriodEndNs != got.PeriodEndNs || c.drafts[0].Cut != got.Cut {
		return &UnannouncedError{Cut{got.Cut, got.PeriodEndNs}}
	}
	want := c.drafts[0]
	c.drafts = c.drafts[1:]
	if err := differs(want, got); err != nil {
		return err
	}
	if c.newest != nil {
		err = verify.CheckCloseChain(c.newest, c.newest1, got)
	} else if got.PreviousClose != 0 {
		err = errors.New("the first close names one before it")
	}
	c.newest, c.newest1 = got, e.Place.Index
	s.counts.Closes++
	s.counts.ClosedNS, s.counts.Cut = got.PeriodEndNs, got.Cut
	return err
}

// differs names what differs in two closes beside the close before them.
func differs(want, got *daybookv1.Close) error {
	want.PreviousClose = got.PreviousClose
	if proto.Equal(want, got) {
		return nil
	}
	what := "counts"
	switch {
	case want.PeriodStartNs != got.PeriodStartNs || want.PreviousCut != got.PreviousCut:
		what = "period or cut"
	case !bytes.Equal(want.Root, got.Root):
		what = "root"
	case !proto.Equal(want.Streams, got.Streams):
		what = "table of streams"
	case !proto.Equal(want.Runs, got.Runs):
		what = "table of runs"
	}
	return fmt.Errorf("close differs from the entries in its %s", what)
}

// A tally counts by an enum's number.
type tally []uint64

func (t *tally) add(value uint32) {
	for uint32(len(*t)) <= value {
		*t = append(*t, 0)
	}
	(*t)[value]++
}

func (t tally) counts() (out []*daybookv1.CloseCount) {
	for value, n := range t {
		if n > 0 {
			out = append(out, &daybookv1.CloseCount{Value: uint32(value), Count: n})
		}
	}
	return out
}
