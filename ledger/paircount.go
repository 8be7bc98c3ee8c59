package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// SideCounts are numbers of accesses by who reported them, as daybookv1.Side has
// it; of each those in time, then those that came late.
type SideCounts [daybookv1.Side_SIDE_COLLECTOR + 1][2]uint64

// Sum is the number of all.
func (c *SideCounts) Sum() (n uint64) {
	for _, side := range c {
		n += side[0] + side[1]
	}
	return n
}

// minus is what c counts and an older count does not.
func (c *SideCounts) minus(old *SideCounts) (d SideCounts) {
	for side := range c {
		for late := range c[side] {
			d[side][late] = c[side][late] - old[side][late]
		}
	}
	return d
}

// A PairPeriod is how many accesses of a pair were logged in the period of one
// close, or since the newest.
type PairPeriod struct {
	Close    uint64 // index of the close; 0: the period is not closed yet
	Previous uint64 // index of the close before; 0: there is none
	Start    int64  // log time, UTC nanoseconds
	End      int64  // exclusive; 0: not closed yet
	Counts   SideCounts
}

// PairCounts are the periods of a pair, oldest first, each beginning where the one
// before ends; accesses at or after index Size are not counted.
type PairCounts struct {
	Periods []PairPeriod
	Size    uint64
}

// ErrManyPeriods: more closes lie in the time that was asked for than there may be
// in one answer.
var ErrManyPeriods = errors.New("too many closes lie in that time: ask for less of it")

// PairCounts counts the accesses from source to target that were logged in [from,
// until), UTC nanoseconds (until 0: no end), by the periods of the closes that
// this time touches, whole, and by the part since the newest close where until is
// after it. Ids are those that entries have, at most verify.MaxDomain bytes.
//
// Each number of a closed period is the difference of the counts that two
// neighbouring closes have of a stream, which CloseRow proves. More than limit
// periods: ErrManyPeriods.
func (l *Ledger) PairCounts(ctx context.Context, source, target string, from, until int64, limit int) (*PairCounts, error) {
	if until == 0 {
		until = math.MaxInt64
	}
	if len(source) > verify.MaxDomain || len(target) > verify.MaxDomain {
		return nil, fmt.Errorf("domain ids have at most %d bytes", verify.MaxDomain)
	}
	now, err := l.pairNow(ctx, source, target)
	if err != nil {
		return nil, err
	}
	out := &PairCounts{Size: now.size}
	closes, err := l.closesWithin(ctx, now, from, until, limit)
	if err != nil {
		return nil, err
	}
	r := pairReader{engine: l.engine, prefix: pairPrefix(source, target)}
	counts, err := r.counts(ctx, closes)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(closes); i++ {
		c := closes[i]
		out.Periods = append(out.Periods, PairPeriod{c.index, closes[i-1].index, c.start, c.end, counts[i].minus(&counts[i-1])})
	}
	if until <= now.start {
		return out, nil
	}
	if len(out.Periods) == limit {
		return nil, ErrManyPeriods
	}
	out.Periods = append(out.Periods, PairPeriod{Previous: now.newest, Start: now.start, Counts: now.counts.minus(&counts[len(counts)-1])})
	return out, nil
}

// pairPrefix is what the keys of a pair's streams of accesses begin with: they
// differ in side and late alone, and stand together in a table.
func pairPrefix(source, target string) []byte {
	key := verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, source, target, 0, false)
	return []byte(key[:len(key)-2])
}

// A pairNow is a pair as of the entries that the follower has taken.
type pairNow struct {
	size   uint64
	newest uint64 // index of the newest close; 0: none
	start  int64  // of the period under way
	counts SideCounts
}

// pairNow asks the follower once it has taken all that is published now.
func (l *Ledger) pairNow(ctx context.Context, source, target string) (*pairNow, error) {
	if err := l.waitFollowed(ctx, l.Head().Size); err != nil {
		return nil, err
	}
	now := new(pairNow)
	ask := &runQuestion{done: make(chan struct{}), pair: now, prefix: pairPrefix(source, target)}
	select {
	case l.questions <- ask:
		<-ask.done
		return now, nil
	case <-l.stopping:
		return nil, errClosing
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// answerPair says what the pair's streams hold.
func (f *follower) answerPair(prefix []byte, now *pairNow) {
	now.size = f.replay.frontier.Size
	key := append(slices.Clip(prefix), 0, 0)
	for side := range now.counts {
		for late := range now.counts[side] {
			key[len(prefix)], key[len(prefix)+1] = byte(side), byte(late)
			if s := f.replay.state.streams[verify.StreamKey(key)]; s != nil {
				now.counts[side][late] = s.count
			}
		}
	}
	c := f.replay.closing
	if now.start = c.start; len(c.drafts) > 0 { // not met in the log yet
		now.start = c.drafts[0].close.PeriodStartNs
	}
	if newest := f.l.closes.newest.Load(); newest != nil {
		now.newest = newest.Index
	}
}

// A closeStep is what counting needs of a close. The zero one stands for the time
// before the first close.
type closeStep struct {
	index, previous uint64 // of the close and the one before; 0: none
	start, end      int64
	rows            uint64 // of the table of streams
}

const (
	stepBytes      = 4 << 20 // of the steps kept in memory
	stepBytesOfOne = 160     // with its slot and key
)

func (l *Ledger) closeStep(at uint64) (closeStep, error) {
	if s, ok := l.closes.steps.get(at); ok {
		return s, nil
	}
	c, err := l.closeAt(at)
	if err != nil {
		return closeStep{}, err
	}
	s := closeStep{index: at, start: c.Close.PeriodStartNs, end: c.Close.PeriodEndNs, rows: c.Close.Streams.Rows}
	if c.Close.PreviousClose != 0 {
		s.previous = c.Close.PreviousClose - 1
	}
	l.closes.steps.put(at, s, stepBytesOfOne)
	return s, nil
}

// closesWithin returns the closes whose periods touch [from, until), oldest first
// and after the one before them: at most limit and that one. Where none does it is
// the newest close before that time.
func (l *Ledger) closesWithin(ctx context.Context, now *pairNow, from, until int64, limit int) ([]closeStep, error) {
	at, err := l.lastStarted(ctx, now, until)
	if err != nil {
		return nil, err
	}
	var closes []closeStep
	for at != 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, err := l.closeStep(at)
		if err != nil {
			return nil, err
		}
		closes, at = append(closes, c), c.previous
		if c.end <= from {
			break
		}
		if len(closes) > limit {
			return nil, ErrManyPeriods
		}
	}
	if n := len(closes); n == 0 || closes[n-1].end > from {
		closes = append(closes, closeStep{})
	}
	slices.Reverse(closes)
	return closes, nil
}

// lastStarted returns the index of the newest close whose period started before a
// time; 0: none.
func (l *Ledger) lastStarted(ctx context.Context, now *pairNow, until int64) (uint64, error) {
	if until > now.start || now.newest == 0 {
		return now.newest, nil
	}
	// A close is logged after its period, so that one that starts at until or later
	// is logged later: the first of those follows the one that is asked for.
	f := ListFilter{Kind: daybookv1.Kind_KIND_CLOSE, LoggedFrom: until, Ascending: true}
	for from := uint64(0); ; {
		page, err := l.List(ctx, f, now.size, from, verify.MaxMissedDays)
		if err != nil {
			return 0, err
		}
		for _, at := range page.Indexes {
			c, err := l.closeStep(at)
			if err != nil || c.start >= until {
				return c.previous, err
			}
		}
		if from = page.Next; !page.More {
			return now.newest, nil
		}
	}
}
