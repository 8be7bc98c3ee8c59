package ledger

import (
	"context"
	"errors"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// unlisted says that the values of the index's tables were not all counted.
const unlisted = ^uint64(0)

// An indexCheck compares the tables of the search index with the entries, one
// table at a time. Owned by one goroutine.
type indexCheck struct {
	index  *index.Index
	engine store.Engine
	next   uint64 // first entry of the next table
	listed uint64 // values that the tables before brought to the dictionary
	// pace is told of each bundle of entries that was read; its error ends the
	// check.
	pace func(entries uint64) error
}

// step compares the table that next is in, and after the last of those that hold
// an entry below size the dictionary; then more is false. Errors are as table's.
func (c *indexCheck) step(ctx context.Context, size uint64) (more bool, err error) {
	if at := c.next; at < size {
		if err := c.table(ctx, verify.MaxSize); err != nil || c.next > at {
			return true, err
		}
	}
	return false, c.dictionary(ctx)
}

// table compares the table that next is in, and moves next after it; not where
// there is no such table. The chunks before until count for the dictionary. The
// error is pace's or ctx's, or a FaultError: one in the index names the first
// entry of the table, and the check may go on after it.
func (c *indexCheck) table(ctx context.Context, until uint64) error {
	var reading error
	checked, err := c.index.Check(ctx, c.next, until, func(lo, hi uint64, add func(*verify.Entry, *verify.EventFields) error) error {
		reading = c.read(lo, hi, add)
		return reading
	})
	c.next = checked.Next
	if err != nil {
		c.listed = unlisted
		return c.fault(ctx, checked.First, err, reading)
	}
	if c.listed != unlisted {
		c.listed += checked.Listed
	}
	return nil
}

// dictionary compares the dictionary with the tables before next.
func (c *indexCheck) dictionary(ctx context.Context) error {
	if c.listed == unlisted {
		return nil
	}
	if err := c.index.CheckDictionary(ctx, c.next, c.listed); err != nil {
		return c.fault(ctx, 0, err, nil)
	}
	return nil
}

// read reads the entries bundle by bundle: no scan stays open while pace waits.
func (c *indexCheck) read(lo, hi uint64, add func(*verify.Entry, *verify.EventFields) error) error {
	frames := newFrameCache(c.engine)
	for at := lo; at < hi; at += bundleWidth {
		end := min(hi, at+bundleWidth)
		if err := frames.scan(at, end, func(i uint64, raw []byte) error {
			e, ev, _, err := parseAt(i, raw)
			if err != nil {
				return err
			}
			return add(&e, &ev)
		}); err != nil {
			var fault *FaultError
			if !errors.As(err, &fault) {
				err = &FaultError{at, err.Error()}
			}
			return err
		}
		if err := c.pace(end - at); err != nil {
			return err
		}
	}
	return nil
}

// fault says what an error of the index's check means: that of reading the
// entries stands for itself.
func (c *indexCheck) fault(ctx context.Context, first uint64, err, reading error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case reading != nil:
		return reading
	}
	return faultIn(store.Index, first, "%v", err)
}
