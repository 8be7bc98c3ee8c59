package pebblestore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// retainedBatch is how much memory a batch keeps for its next use.
const retainedBatch = 8 << 20

var errBusy = errors.New("batch is in flight")

// batch implements store.Batch.
type batch struct {
	b        *pebble.Batch
	main     bool        // wrote a table that is not derived
	inFlight atomic.Bool // from Commit until its ticket resolved
}

// NewBatch implements store.Engine.
func (s *Store) NewBatch() store.Batch {
	return &batch{b: s.db.NewBatch(pebble.WithInitialSizeBytes(16<<10), pebble.WithMaxRetainedSizeBytes(retainedBatch))}
}

// Set implements store.Batch.
func (b *batch) Set(key, value []byte) error {
	if err := errors.Join(store.CheckKey(key), store.CheckValue(value), b.note(key)); err != nil {
		return err
	}
	return b.b.Set(key, value, nil)
}

// Delete implements store.Batch. A growing frame that was written once and is
// deleted while still in memory vanishes with its deletion, so that neither
// reaches a file: they are removed with single deletes.
func (b *batch) Delete(key []byte) error {
	if err := errors.Join(store.CheckKey(key), b.note(key)); err != nil {
		return err
	}
	if len(key) > 0 && store.Table(key[0]) == store.Growing {
		return b.b.SingleDelete(key, nil)
	}
	return b.b.Delete(key, nil)
}

func (b *batch) note(key []byte) error {
	if b.inFlight.Load() {
		return errBusy
	}
	if len(key) == 0 || !store.Table(key[0]).Derived() {
		b.main = true
	}
	return nil
}

// Len implements store.Batch.
func (b *batch) Len() int {
	if b.b.Empty() {
		return 0
	}
	return b.b.Len()
}

// reset makes the batch empty and free for its next use.
func (b *batch) reset() {
	b.b.Reset()
	b.main = false
	b.inFlight.Store(false)
}

// ticket implements store.Ticket. It holds on to the one before it until it has
// resolved, so that they resolve in order.
type ticket struct {
	s     *Store
	once  sync.Once
	prev  *ticket
	batch *batch
	err   error // set by once
}

// Wait implements store.Ticket.
func (t *ticket) Wait() error {
	t.once.Do(t.resolve)
	return t.err
}

func (t *ticket) resolve() {
	if t.prev != nil {
		t.err = t.prev.Wait()
		t.prev = nil
	}
	if err := t.batch.b.SyncWait(); err != nil {
		err = t.s.poison(fmt.Errorf("syncing a commit: %w", err))
		if t.err == nil {
			t.err = err
		}
	}
	if t.err == nil {
		t.batch.reset()
	}
	t.batch = nil
}

// InFlight implements store.Engine.
func (s *Store) InFlight() int { return inFlight }

// Commit implements store.Engine. Crash: all of the batch with its head is
// there, or nothing of it; nothing submitted after it is there without it.
func (s *Store) Commit(prev, next store.Head, b store.Batch) (store.Ticket, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	pb, err := s.checkCommit(prev, next, b)
	if err != nil {
		return nil, err
	}
	if err := s.makeRoom(); err != nil {
		return nil, err
	}
	if err := pb.b.Set(store.HeadKey(), next.AppendTo(nil), nil); err != nil {
		return nil, s.poison(err)
	}
	pb.inFlight.Store(true)
	t := &ticket{s: s, batch: pb}
	if n := len(s.tail); n > 0 {
		t.prev = s.tail[n-1]
	}
	err = s.guard(func() error { return s.db.ApplyNoSyncWait(pb.b, pebble.Sync) })
	if err != nil {
		return nil, s.poison(fmt.Errorf("submitting a commit: %w", err))
	}
	s.tail = append(s.tail, t)
	s.last, s.hasHead = next, true
	return t, nil
}

func (s *Store) checkCommit(prev, next store.Head, b store.Batch) (*batch, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	if prev != s.last {
		return nil, fmt.Errorf("%w: size %d of term %d, not %d of %d", store.ErrNotLast, prev.Size, prev.Term, s.last.Size, s.last.Term)
	}
	if err := prev.CheckNext(next); err != nil {
		return nil, err
	}
	if b == nil {
		b = s.NewBatch()
	}
	pb, ok := b.(*batch)
	if !ok {
		return nil, fmt.Errorf("batch of another engine: %T", b)
	}
	if pb.inFlight.Load() {
		return nil, errBusy
	}
	return pb, nil
}

// makeRoom forgets resolved tickets and waits for the oldest while as many as
// may be are in flight. The caller holds mu.
func (s *Store) makeRoom() error {
	for len(s.tail) >= inFlight {
		oldest := s.tail[0]
		s.tail = append(s.tail[:0], s.tail[1:]...)
		if err := oldest.Wait(); err != nil {
			return err
		}
	}
	return nil
}
