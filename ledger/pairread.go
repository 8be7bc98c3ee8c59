package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// A pairReader finds the rows of a pair in tables of streams. One goroutine uses
// it.
type pairReader struct {
	engine store.Engine
	prefix []byte
}

// pairRows are the rows of a pair in one table: how many rows are before them,
// and what they count.
type pairRows struct {
	before uint64
	counts SideCounts
}

// counts reads what each close counts; the closes are in order. Streams stay in
// every later table: so what two closes have in common, those between have, and
// where two closes find the rows narrows the search in those between.
func (r *pairReader) counts(ctx context.Context, closes []closeStep) ([]SideCounts, error) {
	found, n := make([]pairRows, len(closes)), len(closes)-1
	var err error
	if found[n], err = r.find(closes[n], 0, closes[n].rows); err != nil {
		return nil, err
	}
	if n > 0 {
		hi := found[n].before
		if found[0], err = r.find(closes[0], hi-min(hi, closes[n].rows-closes[0].rows), min(hi, closes[0].rows)); err != nil {
			return nil, err
		}
	}
	if err := r.between(ctx, closes, found); err != nil {
		return nil, err
	}
	counts := make([]SideCounts, len(closes))
	for i := range found {
		counts[i] = found[i].counts
	}
	return counts, nil
}

// between finds the rows of all closes but the first and the last, which are
// found.
func (r *pairReader) between(ctx context.Context, closes []closeStep, found []pairRows) error {
	n := len(closes) - 1
	if n < 2 {
		return nil
	}
	if found[0].counts == found[n].counts {
		for i := range found[1:n] {
			found[1+i].counts = found[0].counts
		}
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	mid := n / 2
	grown, toGrow := closes[mid].rows-closes[0].rows, closes[n].rows-closes[mid].rows
	lo := max(found[0].before, found[n].before-min(found[n].before, toGrow))
	hi := min(found[n].before, found[0].before+grown)
	var err error
	if found[mid], err = r.find(closes[mid], lo, hi); err != nil {
		return err
	}
	if err := r.between(ctx, closes[:mid+1], found[:mid+1]); err != nil {
		return err
	}
	return r.between(ctx, closes[mid:], found[mid:])
}

// find finds the rows of the pair in the table of a close: lo to hi rows are
// before them.
func (r *pairReader) find(c closeStep, lo, hi uint64) (pairRows, error) {
	if c.rows == 0 {
		return pairRows{}, nil
	}
	if lo > hi || hi > c.rows {
		return pairRows{}, fmt.Errorf("%w: rows are missing in that until %d", errTables, c.end)
	}
	pages := (c.rows + pageRows - 1) / pageRows
	n, err := r.firstPage(c, min(lo/pageRows, pages-1), min(hi/pageRows, pages-1))
	if err != nil {
		return pairRows{}, err
	}
	found, past := pairRows{before: n * pageRows}, false
	err = r.engine.Scan(closeKey(c.end, partStreams, uint32(n)), closeKey(c.end, partStreams, uint32(pages)), func(key, page []byte) error {
		if !bytes.Equal(key, closeKey(c.end, partStreams, uint32(n))) {
			return missingPage(n)
		}
		rows, end, err := found.add(page, r.prefix)
		switch want := min(pageRows, c.rows-n*pageRows); {
		case err != nil:
			return fmt.Errorf("%w: page %d: %w", errTables, n, err)
		case end:
			past = true
			return store.ErrStop
		case rows != want:
			return fmt.Errorf("%w: page %d has %d rows, not %d", errTables, n, rows, want)
		}
		n++
		return nil
	})
	switch {
	case err != nil:
	case !past && n != pages:
		err = missingPage(n)
	case found.before < lo || found.before > hi:
		err = fmt.Errorf("%w: rows are out of their order in that until %d", errTables, c.end)
	}
	return found, err
}

func missingPage(n uint64) error {
	return fmt.Errorf("%w: part %d, page %d is missing", errTables, partStreams, n)
}

// firstPage returns the last page, from first to last, that begins before the
// pair; first if none does.
func (r *pairReader) firstPage(c closeStep, first, last uint64) (uint64, error) {
	for first < last {
		mid := first + (last-first+1)/2
		page, err := r.engine.Get(closeKey(c.end, partStreams, uint32(mid)))
		if errors.Is(err, store.ErrNotFound) {
			err = missingPage(mid)
		}
		if err != nil {
			return 0, err
		}
		row, _, err := verify.CutRow(page)
		if err != nil {
			return 0, fmt.Errorf("%w: page %d: %w", errTables, mid, err)
		}
		if bytes.Compare(row.Key, r.prefix) < 0 {
			first = mid
		} else {
			last = mid - 1
		}
	}
	return first, nil
}

// add takes the rows of a page, and says how many it has, unless it is past: one
// is after the pair's.
func (p *pairRows) add(page, prefix []byte) (rows uint64, past bool, err error) {
	for ; len(page) > 0; rows++ {
		row, rest, err := verify.CutRow(page)
		if err != nil {
			return rows, false, err
		}
		page = rest
		own := bytes.HasPrefix(row.Key, prefix)
		switch {
		case !own && bytes.Compare(row.Key, prefix) > 0:
			return rows, true, nil
		case !own:
			p.before++
			continue
		}
		_, _, _, side, late, err := verify.ParseStreamKey(row.Key)
		if err != nil {
			return rows, false, err
		}
		if late {
			p.counts[side][1] = row.Count
		} else {
			p.counts[side][0] = row.Count
		}
	}
	return rows, false, nil
}
