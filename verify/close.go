package verify

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

const (
	// Day is a UTC day in nanoseconds: log times know no leap seconds.
	Day = int64(24 * time.Hour)
	// MaxMissedDays is how many days one after the other get a close of their own
	// where they were missed; more get one close for all.
	MaxMissedDays = 31
)

// DayStart returns the UTC midnight at or before a time, in nanoseconds since
// the Unix epoch.
func DayStart(ns int64) int64 {
	start := ns - ns%Day
	if start > ns {
		start -= Day // before 1970
	}
	return start
}

// Midnights returns how many UTC midnights lie in (from, to].
func Midnights(from, to int64) int64 {
	if to <= from {
		return 0
	}
	return (DayStart(to) - DayStart(from)) / Day
}

// ParseClose reads the body of a close and checks all that it says about itself;
// see CheckClose. The body must have the wire grammar.
func ParseClose(body []byte) (*daybookv1.Close, error) {
	if err := CheckBody(daybookv1.Kind_KIND_CLOSE, body); err != nil {
		return nil, err
	}
	c := new(daybookv1.Close)
	if err := proto.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("close: %w", err)
	}
	return c, CheckClose(c)
}

// CheckClose checks what a close says about itself. The format:
//
//   - The period [start, end) is not empty. It ends a UTC day, or a part of one:
//     at most one midnight lies in (start, end], and then it is end. Only a
//     period with more than 31 of them, whose end is one, spans several days: it
//     closes days on which the log was not open.
//   - cut is the index of the first entry whose log time is at or after end: the
//     entries below it are those before end. It is at least 1, and at least the
//     previous cut; entries [previous cut, cut) are the entries of the period.
//   - The first close has previous_close 0, previous cut 0, and starts at the UTC
//     midnight at or before the log time of entry 0.
//   - root is the root of the log at cut.
//   - Both tables have the empty root where they have no rows. The counts of the
//     streams sum to cut: every entry is in a row, nothing hides under another
//     kind.
//   - kinds sum to the entries of the period, verdicts to its accesses, alerts to
//     its alerts.
//
// [TableBuilder] specifies the tables, [CheckCloseEntry] and [CheckCloseChain]
// where a close stands. For example the close of 2026-11-24 after another one,
// with 7 entries before its end, 4 of them of that day, 4 streams and one run, has
// the body
//
//	090000e38917d2ea18110000321bac20eb1818072003280432203c06f9a65725
//	af605261f636672c9620d409731d89a451d7455fe9c4ae1678293a2608041220
//	6e3c82c5fcf3522630c0ddc08ba7798601d818cede7a6666fe8d15f88d049cce
//	1807422608011220d56245dfa6eec864da2afe94f0806e0bc85d5abf64b425cc
//	72b7c432b14d871e18034a04080210034a04080d100152040802100252040804
//	1001
func CheckClose(c *daybookv1.Close) error {
	if err := checkPeriod(c); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	switch {
	case c.Cut < 1 || c.Cut > MaxSize || c.PreviousCut > c.Cut:
		return fmt.Errorf("close: cut %d after cut %d", c.Cut, c.PreviousCut)
	case len(c.Root) != len(Hash{}):
		return errors.New("close: root is no hash")
	case c.PreviousClose == 0 && (c.PreviousCut != 0 || DayStart(c.PeriodStartNs) != c.PeriodStartNs):
		return errors.New("close: the first one starts at a midnight and has previous cut 0")
	case c.PreviousClose != 0 && (c.PreviousClose <= c.PreviousCut || c.PreviousCut == 0):
		return fmt.Errorf("close: the one before, at %d, is below its own cut %d", c.PreviousClose-1, c.PreviousCut)
	case c.Streams.GetSum() != c.Cut:
		return fmt.Errorf("close: streams sum to %d, the cut is %d", c.Streams.GetSum(), c.Cut)
	}
	for _, t := range []*daybookv1.CloseTable{c.Streams, c.Runs} {
		if len(t.GetRoot()) != len(Hash{}) || (t.Rows == 0) != (Hash(t.Root) == EmptyRoot()) || t.Rows == 0 && t.Sum != 0 {
			return errors.New("close: a table's root is no hash, or does not go with its number of rows")
		}
	}
	if c.Streams.Rows > c.Cut {
		return fmt.Errorf("close: %d streams of %d entries", c.Streams.Rows, c.Cut)
	}
	return checkCounts(c)
}

func checkPeriod(c *daybookv1.Close) error {
	start, end := c.PeriodStartNs, c.PeriodEndNs
	if end <= start {
		return fmt.Errorf("period ends at %d, before its start %d", end, start)
	}
	n := Midnights(start, end)
	if n > 0 && end != DayStart(end) || n > 1 && n <= MaxMissedDays {
		return fmt.Errorf("period [%d, %d) holds %d midnights", start, end, n)
	}
	return nil
}

func checkCounts(c *daybookv1.Close) error {
	of := map[daybookv1.Kind]uint64{}
	for _, k := range c.Kinds {
		of[daybookv1.Kind(k.Value)] = k.Count
	}
	for _, list := range []struct {
		name   string
		counts []*daybookv1.CloseCount
		sum    uint64
	}{
		{"kinds", c.Kinds, c.Cut - c.PreviousCut},
		{"verdicts", c.Verdicts, of[daybookv1.Kind_KIND_ACCESS]},
		{"alerts", c.Alerts, of[daybookv1.Kind_KIND_ALERT]},
	} {
		left := list.sum
		for _, n := range list.counts {
			if n.Count > left {
				return fmt.Errorf("close: %s sum to more than %d", list.name, list.sum)
			}
			left -= n.Count
		}
		if left != 0 {
			return fmt.Errorf("close: %s sum to %d, not %d", list.name, list.sum-left, list.sum)
		}
	}
	return nil
}

// CheckCloseEntry parses an entry that must be a close and checks that it stands
// where it may: at an index that is at least its cut, with a log time at or after
// the end of its period, in the one stream of all closes, behind the close it
// names.
func CheckCloseEntry(e *Entry) (*daybookv1.Close, error) {
	if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
		return nil, fmt.Errorf("entry %d is of kind %v, no close", e.Place.Index, e.Place.Kind)
	}
	c, err := ParseClose(e.Body)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Place.Index < c.Cut || e.Head.LogTimeNS < c.PeriodEndNs:
		return nil, fmt.Errorf("close %d stands before its cut %d or the end of its period", e.Place.Index, c.Cut)
	case e.Place.PreviousInStream != c.PreviousClose:
		return nil, fmt.Errorf("close %d names close %d-1, in its stream the one before is %d-1", e.Place.Index, c.PreviousClose, e.Place.PreviousInStream)
	case e.Place.Source != "" || e.Place.Target != "":
		return nil, fmt.Errorf("close %d is in the stream of a pair", e.Place.Index)
	}
	return c, nil
}

// CheckCloseChain checks that next is the close right after previous, the close
// at entry previousIndex: no time and no entry lies between their periods. Both
// have passed CheckClose. From the first close on, closes that chain cover every
// entry below the last cut, once.
func CheckCloseChain(previous *daybookv1.Close, previousIndex uint64, next *daybookv1.Close) error {
	switch {
	case next.PreviousClose != previousIndex+1:
		return fmt.Errorf("close follows close %d-1, not %d", next.PreviousClose, previousIndex)
	case next.PeriodStartNs != previous.PeriodEndNs:
		return fmt.Errorf("period starts at %d, the one before ends at %d", next.PeriodStartNs, previous.PeriodEndNs)
	case next.PreviousCut != previous.Cut:
		return fmt.Errorf("close continues from cut %d, the one before cuts at %d", next.PreviousCut, previous.Cut)
	case next.Streams.GetRows() < previous.Streams.GetRows():
		return fmt.Errorf("%d streams, %d in the close before: streams do not end", next.Streams.GetRows(), previous.Streams.GetRows())
	}
	return nil
}
