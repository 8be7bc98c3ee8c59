package audit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// cutsAtOnce is how many bundles are searched for the newest close.
const cutsAtOnce = 256

var errLinks = errors.New("the links of the closes lead nowhere")

// linkedCuts returns the closes of the log by their links: the newest is looked for
// where it should be, and names the one before it. Nothing is believed: a close that
// they leave out is found out by the pass.
func (c *check) linkedCuts(ctx context.Context) ([]Cut, error) {
	at, found, err := c.newestClose(ctx)
	if err != nil {
		return nil, err
	}
	var cuts []Cut
	for found {
		e, err := c.entry(at)
		if err != nil {
			return nil, err
		}
		if e.Place.Kind != daybookv1.Kind_KIND_CLOSE || e.Place.PreviousInStream > at {
			return nil, errLinks
		}
		m, err := verify.ParseClose(e.Body)
		if err != nil {
			return nil, err
		}
		cuts = append(cuts, Cut{m.Cut, m.PeriodEndNs})
		if found = e.Place.PreviousInStream > 0; found {
			at = e.Place.PreviousInStream - 1
		}
	}
	slices.Reverse(cuts)
	return cuts, ctx.Err()
}

// newestClose looks for the newest close: at the end of the log, and else where its
// newest day begins, which closes the day before. One on demand between the two is
// not found.
func (c *check) newestClose(ctx context.Context) (at uint64, found bool, err error) {
	bundles := (c.size + verify.TileWidth - 1) / verify.TileWidth
	tail := bundles - min(bundles, c.o.atOnce)
	list, err := c.closesIn(ctx, tail, bundles)
	if err == nil && len(list) == 0 && tail > 0 {
		var from uint64
		if from, err = c.dayOf(bundles - 1); err == nil {
			list, err = c.closesIn(ctx, from, min(tail, from+c.o.atOnce))
		}
	}
	if err != nil || len(list) == 0 {
		return 0, false, err
	}
	return list[len(list)-1].index, true, nil
}

// dayOf returns the bundle in which the day of the first entry of a bundle begins: a
// binary search, for log times never go back.
func (c *check) dayOf(bundle uint64) (uint64, error) {
	last, err := c.entry(bundle * verify.TileWidth)
	if err != nil {
		return 0, err
	}
	lo, hi := uint64(0), bundle // the first bundle that begins on that day is in (lo, hi], or lo is 0
	for day := verify.DayStart(last.Head.LogTimeNS); hi-lo > 1; {
		mid := lo + (hi-lo)/2
		e, err := c.entry(mid * verify.TileWidth)
		if err != nil {
			return 0, err
		}
		if e.Head.LogTimeNS < day {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// entry reads one entry.
func (c *check) entry(index uint64) (verify.Entry, error) {
	n := index / verify.TileWidth
	width := verify.TileWidthAt(0, n, c.size)
	raw, err := c.tile(verify.Tile{Entries: true, N: n, Width: width}, nil)
	if err != nil {
		return verify.Entry{}, err
	}
	list, err := verify.ParseBundle(nil, raw, width)
	if err != nil {
		return verify.Entry{}, err
	}
	return verify.ParseEntry(list[index%verify.TileWidth])
}

// allCuts returns the closes among the entries [lo, hi), whatever is wrong with
// others: the pass says what is.
func (c *check) allCuts(ctx context.Context, lo, hi uint64) ([]Cut, error) {
	list, err := c.closesIn(ctx, lo/verify.TileWidth, (hi+verify.TileWidth-1)/verify.TileWidth)
	var cuts []Cut
	for _, f := range list {
		cuts = append(cuts, f.cut)
	}
	return cuts, err
}

// A foundClose is a close in the log, as it says itself.
type foundClose struct {
	index uint64
	cut   Cut
}

// closesIn looks for closes in bundles [lo, hi), on every core. Bundles that cannot
// be read have none.
func (c *check) closesIn(ctx context.Context, lo, hi uint64) ([]foundClose, error) {
	next := make(chan uint64)
	found := make([][]foundClose, c.o.Workers)
	var wg sync.WaitGroup
	for w := range c.o.Workers {
		wg.Go(func() {
			var raw []byte
			var list [][]byte
			for n := range next {
				width := verify.TileWidthAt(0, n, c.size)
				var err error
				if raw, err = c.tile(verify.Tile{Entries: true, N: n, Width: width}, raw); err != nil {
					continue
				}
				list, _ = verify.ParseBundle(list, raw, width)
				found[w] = appendCloses(found[w], n*verify.TileWidth, list)
			}
		})
	}
	for n := lo; n < hi && ctx.Err() == nil; n++ {
		next <- n
	}
	close(next)
	wg.Wait()
	all := slices.Concat(found...)
	slices.SortFunc(all, func(a, b foundClose) int { return cmp.Compare(a.index, b.index) })
	return all, ctx.Err()
}

// appendCloses appends the closes among entries that begin at first.
func appendCloses(found []foundClose, first uint64, entries [][]byte) []foundClose {
	var both [2]verify.Entry
	var before *verify.Entry
	for i, raw := range entries {
		e := &both[i%2]
		if e.ParseAfter(before, raw) != nil {
			before = nil
			continue
		}
		before = e
		if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
			continue
		}
		if m, err := verify.ParseClose(e.Body); err == nil {
			found = append(found, foundClose{first + uint64(i), Cut{m.Cut, m.PeriodEndNs}})
		}
	}
	return found
}
