package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/verify"
)

// receipt builds the receipt of a work whose cohort is published. It runs in
// the caller's goroutine.
func (l *Ledger) receipt(w *work) (*Receipt, error) {
	c := w.result.cohort
	if c.checkpoint == nil {
		return nil, &ShutError{l.shutReason() + "; the batch is durable but not signed"}
	}
	lo := w.result.first
	hi := lo + uint64(len(w.result.places))
	proof, err := verify.ProveRange(lo, hi, c.next.Size, l.tiles.nodes())
	if err != nil {
		return nil, fmt.Errorf("proving [%d,%d) of %d: %w", lo, hi, c.next.Size, err)
	}
	heads := make([][]byte, len(w.result.places))
	for i, s := range w.result.places {
		heads[i] = c.place(s)
	}
	return &Receipt{Checkpoint: c.checkpoint, Size: c.next.Size,
		Groups: []ReceiptGroup{{FirstIndex: lo, BatchHead: w.result.headBytes, EntryHeads: heads, Proof: proof}}}, nil
}

// rangeReceipt is the receipt of entries [lo, hi) of one append, at the newest
// head, as a repeat.
func (l *Ledger) rangeReceipt(lo, hi uint64) (*Receipt, error) {
	h := l.Head()
	if h.Checkpoint == nil {
		return nil, &ShutError{l.shutReason()}
	}
	g, err := l.group(lo, hi, h.Size)
	if err != nil {
		return nil, err
	}
	return &Receipt{Checkpoint: h.Checkpoint, Size: h.Size, Groups: []ReceiptGroup{g}}, nil
}

func (l *Ledger) group(lo, hi, size uint64) (ReceiptGroup, error) {
	g := ReceiptGroup{FirstIndex: lo, Repeat: true}
	for i := lo; i < hi; i++ {
		raw, err := l.frames.entry(i)
		if err != nil {
			return g, err
		}
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return g, &FaultError{i, err.Error()}
		}
		g.BatchHead = e.HeadBytes
		g.EntryHeads = append(g.EntryHeads, e.PlaceBytes)
	}
	proof, err := verify.ProveRange(lo, hi, size, l.tiles.nodes())
	g.Proof = proof
	return g, err
}

// repeat answers a batch that begins below the run's next number: what is there
// is compared and answered with its original place; the rest is appended.
func (l *Ledger) repeat(ctx context.Context, w *work, r *errRepeat) (*Receipt, error) {
	if err := l.waitFollowed(ctx, r.upto); err != nil {
		return nil, err
	}
	old := 0
	for old < len(w.items) && w.items[old].number < r.next {
		old++
	}
	select {
	case l.lookups <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	indexes, err := l.findItems(w, w.items[:old], r.upto)
	<-l.lookups
	if err != nil {
		return nil, err
	}
	var fresh *Receipt
	if old < len(w.items) {
		if fresh, err = l.appendRest(ctx, w, old); err != nil {
			return nil, err
		}
	}
	return l.repeatReceipt(indexes, fresh)
}

// appendRest appends the part of a batch that is new.
func (l *Ledger) appendRest(ctx context.Context, w *work, old int) (*Receipt, error) {
	rest := &work{op: opAppend, producer: w.producer, run: w.run, epoch: w.epoch, first: w.items[old].number, items: w.items[old:]}
	for i := range rest.items {
		rest.bytes += int64(len(rest.items[i].body))
	}
	if err := l.queue.push(rest); err != nil {
		return nil, err
	}
	return (&Pending{l, rest}).Wait(ctx)
}

// repeatReceipt groups the indexes of repeats by original append and puts the
// groups of what is new behind them.
func (l *Ledger) repeatReceipt(indexes []uint64, fresh *Receipt) (*Receipt, error) {
	h := l.Head()
	out := &Receipt{Checkpoint: h.Checkpoint, Size: h.Size}
	if fresh != nil {
		out = &Receipt{Checkpoint: fresh.Checkpoint, Size: fresh.Size}
	}
	if out.Checkpoint == nil {
		return nil, &ShutError{l.shutReason()}
	}
	for len(indexes) > 0 {
		n, err := l.contiguous(indexes)
		if err != nil {
			return nil, err
		}
		g, err := l.group(indexes[0], indexes[0]+uint64(n), out.Size)
		if err != nil {
			return nil, err
		}
		out.Groups = append(out.Groups, g)
		indexes = indexes[n:]
	}
	if fresh != nil {
		out.Groups = append(out.Groups, fresh.Groups...)
	}
	return out, nil
}

// contiguous is how many of the indexes follow each other under one batch head.
func (l *Ledger) contiguous(indexes []uint64) (int, error) {
	var head []byte
	for n, i := range indexes {
		if i != indexes[0]+uint64(n) {
			return n, nil
		}
		raw, err := l.frames.entry(i)
		if err != nil {
			return 0, err
		}
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return 0, &FaultError{i, err.Error()}
		}
		if n > 0 && !bytes.Equal(head, e.HeadBytes) {
			return n, nil
		}
		head = e.HeadBytes
	}
	return len(indexes), nil
}

// repeatAt answers a one-off that is in the log at index.
func (l *Ledger) repeatAt(_ context.Context, w *work, index uint64) (*Receipt, error) {
	raw, err := l.frames.entry(index)
	if err != nil {
		return nil, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, &FaultError{index, err.Error()}
	}
	if !bytes.Equal(e.Body, w.items[0].body) {
		return nil, l.conflict(w, 1, index)
	}
	return l.rangeReceipt(index, index+1)
}

// findItems returns where the items stand in the log, or *ConflictError where
// other bytes stand under a number. Entries below upto are looked through.
func (l *Ledger) findItems(w *work, items []admitted, upto uint64) ([]uint64, error) {
	out := make([]uint64, 0, len(items))
	for i := range items {
		at, found := uint64(0), false
		if i > 0 {
			at, found = out[i-1]+1, true
		}
		e, err := l.numbered(w, &items[i], at, found && at < upto)
		if errors.Is(err, ErrNotFound) {
			at, found, err = l.findNumber(w.producer.ID, w.run, items[i].number, upto)
			if err == nil && !found {
				return nil, l.conflict(w, items[i].number, at)
			}
			if err == nil {
				e, err = l.numbered(w, &items[i], at, true)
			}
		}
		if err != nil {
			return nil, err
		}
		if e.Place.Kind != items[i].kind || !bytes.Equal(e.Body, items[i].body) {
			return nil, l.conflict(w, items[i].number, at)
		}
		out = append(out, at)
	}
	return out, nil
}

// numbered returns the entry at index if it has the item's run and number, else
// ErrNotFound.
func (l *Ledger) numbered(w *work, a *admitted, index uint64, look bool) (verify.Entry, error) {
	if !look {
		return verify.Entry{}, ErrNotFound
	}
	raw, err := l.frames.entry(index)
	if err != nil {
		return verify.Entry{}, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return e, &FaultError{index, err.Error()}
	}
	if e.Head.Producer != w.producer.ID || e.Head.Run != w.run || e.Place.Number != a.number {
		return e, ErrNotFound
	}
	return e, nil
}

func (l *Ledger) conflict(w *work, number, index uint64) error {
	l.conflictAlert(w.producer.ID, w.run, number, index)
	return &ConflictError{number}
}

// findNumber finds the entry of a run that has the number, among entries below
// upto that the index knows: numbers of a run ascend with the index, so it is a
// binary search over its postings.
func (l *Ledger) findNumber(producer string, run verify.Hash, number, upto uint64) (at uint64, found bool, err error) {
	lo, hi := uint64(0), upto
	for lo < hi {
		mid := lo + (hi-lo)/2
		next, have, n, err := l.firstOfRun(producer, run, mid, hi)
		switch {
		case err != nil:
			return 0, false, err
		case !have || n > number:
			hi = mid
		case n == number:
			return next, true, nil
		default:
			lo = next + 1
		}
	}
	return 0, false, nil
}

// firstOfRun returns the first numbered entry of the run in [lo, hi).
func (l *Ledger) firstOfRun(producer string, run verify.Hash, lo, hi uint64) (at uint64, have bool, number uint64, err error) {
	err = l.scanRun(l.frames.entry, producer, run, lo, hi, func(i uint64, e *verify.Entry) bool {
		at, have, number = i, true, e.Place.Number
		return false
	})
	return at, have, number, err
}

// scanRun calls fn for the numbered entries of a run in [lo, hi), ascending, until
// it returns false. read gives the bytes of an entry.
func (l *Ledger) scanRun(read func(index uint64) ([]byte, error), producer string, run verify.Hash, lo, hi uint64, fn func(index uint64, e *verify.Entry) bool) error {
	var inner error
	err := l.index.Candidates([]index.Term{index.RunTerm(run)}, lo, hi, false, func(i uint64) bool {
		raw, err := read(i)
		if err != nil {
			inner = err
			return false
		}
		e, err := verify.ParseEntry(raw)
		if err != nil {
			inner = &FaultError{i, err.Error()}
			return false
		}
		if e.Head.Producer != producer || e.Head.Run != run || e.Place.Number == 0 {
			return true
		}
		return fn(i, &e)
	})
	return errors.Join(err, inner)
}
