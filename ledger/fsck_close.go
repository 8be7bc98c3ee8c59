package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// checkCloses runs the check with every close of the log announced, so that each
// is computed again at its cut, and compared when it is met. Where the closes are
// is learnt from the log itself, beginning with a snapshot as a hint; a hint that
// misleads costs a second pass.
func (c *fsck) checkCloses(ctx context.Context) error {
	refs, err := hintedCloses(c.engine, c.head.Size)
	if err != nil {
		refs = nil // the check itself says what is wrong
	}
	c.announce(refs)
	err = c.check(ctx)
	var unknown *unannouncedError
	if !errors.As(err, &unknown) {
		return err
	}
	again := newFsck(c.engine, c.head, c.workers)
	again.snapshots, again.progress, again.openIndex = c.snapshots, c.progress, c.openIndex
	if c.snapshots {
		if err := again.compareAtPosition(); err != nil {
			return err
		}
	}
	*c = *again
	refs, err = scanCloses(newFrameCache(c.engine), 0, c.head.Size)
	if err != nil {
		return err
	}
	c.announce(refs)
	err = c.check(ctx)
	if errors.As(err, &unknown) {
		return &FaultError{unknown.index, fmt.Sprintf("close at cut %d: the log times contradict its cut or its place", unknown.close.Cut)}
	}
	return err
}

// announce has the replay compute the closes given, and then those that the days
// call for.
func (c *fsck) announce(refs []closeRef) {
	cl := newClosing()
	cl.ahead = refs
	cl.setNext()
	if c.snapshots {
		inLog := map[int64]bool{}
		for _, r := range refs {
			inLog[r.end] = true
		}
		cl.store = func(end int64, pages iter.Seq2[[]byte, []byte]) error { return c.compareTables(inLog[end], pages) }
	}
	c.replay.closing = cl
}

// compareTables compares the stored pages of a close's tables with what the
// entries give.
func (c *fsck) compareTables(must bool, pages iter.Seq2[[]byte, []byte]) error {
	at := c.replay.size()
	var fault error
	for key, value := range pages { // to the end: the pages make the close
		if fault != nil {
			continue
		}
		stored, err := c.engine.Get(key)
		switch {
		case errors.Is(err, store.ErrNotFound) && !must:
		case err != nil:
			fault = &FaultError{at, fmt.Sprintf("stored table of the close with cut %d: %v", at, err)}
		case !bytes.Equal(stored, value):
			fault = &FaultError{at, fmt.Sprintf("stored table of the close with cut %d differs from the entries", at)}
		}
	}
	return fault
}

// compareTally compares the snapshot of the period's tally with the entries.
func (c *fsck) compareTally(at uint64) error {
	if err := c.replay.closing.save(comparison{c.engine, at}); err != nil {
		return err
	}
	return c.replay.detecting.compare(c.engine, at)
}

// A comparison is a batch that compares what is set with what is stored.
type comparison struct {
	engine store.Engine
	at     uint64
}

// Set implements store.Batch.
func (c comparison) Set(key, value []byte) error {
	stored, err := c.engine.Get(key)
	if err != nil {
		return &FaultError{c.at, fmt.Sprintf("tally %x: %v", key, err)}
	}
	if !bytes.Equal(stored, value) {
		return &FaultError{c.at, fmt.Sprintf("tally %x differs from the entries", key)}
	}
	return nil
}

// Delete implements store.Batch.
func (comparison) Delete([]byte) error { return nil }

// Len implements store.Batch.
func (comparison) Len() int { return 0 }

// hintedCloses returns the closes below size, oldest first: those after the
// snapshots are looked for, those before are linked from the one that the
// snapshot names.
func hintedCloses(engine store.Engine, size uint64) ([]closeRef, error) {
	frames := newFrameCache(engine)
	position, newest := uint64(0), uint64(0)
	if row, err := engine.Get([]byte{byte(store.Position)}); err == nil && len(row) >= 8 {
		position = min(size, binary.BigEndian.Uint64(row))
	}
	if row, err := engine.Get(streamRowKey(closeStream)); err == nil && len(row) >= 8 {
		newest = binary.BigEndian.Uint64(row)
	}
	if newest > position {
		position, newest = 0, 0
	}
	var refs []closeRef
	for newest != 0 {
		raw, err := frames.entry(newest - 1)
		if err != nil {
			return nil, err
		}
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return nil, err
		}
		m, err := verify.CheckCloseEntry(&e)
		if err != nil {
			return nil, err
		}
		refs = append(refs, closeRef{m.Cut, m.PeriodEndNs})
		newest = min(m.PreviousClose, newest-1)
	}
	slices.Reverse(refs)
	tail, err := scanCloses(frames, position, size)
	return append(refs, tail...), err
}
