package pebblestore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Store is a store.Engine in a directory. It is safe for concurrent use.
type Store struct {
	o             Options
	fs            vfs.FS
	pebbleOptions *pebble.Options
	dirLock       *pebble.Lock
	db            *pebble.DB

	counters
	gate     gate
	poisoned atomic.Pointer[error]
	broken   atomic.Bool // Pebble gave up inside: it cannot even be closed
	phase    atomic.Int32
	ending   chan struct{} // closed by Close

	mu      sync.Mutex // held over one submission
	last    store.Head // last submitted head; guarded by mu
	hasHead bool       // guarded by mu
	tail    []*ticket  // unresolved, oldest first, at most inFlight; guarded by mu

	loading [len(loadNames)]sync.Mutex // each held over a Load under its names
}

var _ store.Engine = (*Store)(nil)

// Head implements store.Engine.
func (s *Store) Head() (store.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasHead {
		return store.Head{}, fmt.Errorf("head: %w", store.ErrNotFound)
	}
	return s.last, nil
}

// Get implements store.Engine.
func (s *Store) Get(key []byte) ([]byte, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading key %x: %w", key, damaged(err))
	}
	return slices.Clone(v), closer.Close()
}

// Scan implements store.Engine.
func (s *Store) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	return s.scan(lo, hi, fn, (*pebble.Iterator).First, (*pebble.Iterator).Next)
}

// ScanReverse implements store.Engine.
func (s *Store) ScanReverse(lo, hi []byte, fn func(key, value []byte) error) error {
	return s.scan(lo, hi, fn, (*pebble.Iterator).Last, (*pebble.Iterator).Prev)
}

func (s *Store) scan(lo, hi []byte, fn func(key, value []byte) error, first, next func(*pebble.Iterator) bool) (err error) {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return fmt.Errorf("scanning from key %x: %w", lo, damaged(err))
	}
	defer func() {
		if closeErr := it.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("scanning from key %x: %w", lo, damaged(closeErr))
		}
	}()
	for ok := first(it); ok; ok = next(it) {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("reading key %x: %w", it.Key(), damaged(err))
		}
		if err := fn(it.Key(), value); err != nil {
			if errors.Is(err, store.ErrStop) {
				return nil
			}
			return err
		}
	}
	return damaged(it.Error())
}

// Close implements store.Engine. A store whose database gave up inside is left
// as it is, lock included: only the end of the process releases it.
func (s *Store) Close() error {
	if !s.gate.shut() {
		return store.ErrClosed
	}
	if s.broken.Load() {
		return fmt.Errorf("closing store %s: %w", s.o.Dir, *s.poisoned.Load())
	}
	s.mu.Lock()
	tail := slices.Clone(s.tail)
	s.mu.Unlock()
	var err error
	for _, t := range tail {
		err = errors.Join(err, t.Wait())
	}
	if p := s.poisoned.Load(); p != nil && err == nil {
		err = *p
	}
	s.phase.Store(closing)
	close(s.ending)
	err = errors.Join(err, s.guard(s.db.Close), s.unlock())
	if err != nil {
		return fmt.Errorf("closing store %s: %w", s.o.Dir, err)
	}
	return nil
}

// writable is checked at the start of each write.
func (s *Store) writable() error {
	if p := s.poisoned.Load(); p != nil {
		return *p
	}
	if s.o.ReadOnly {
		return store.ErrReadOnly
	}
	return nil
}

// guard runs one call into the database's write path. A panic there leaves its
// locks held: the store is poisoned and never touches the database again.
func (s *Store) guard(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.poison(fmt.Errorf("pebble gave up: %v", r))
			s.broken.Store(true)
		}
	}()
	return call()
}

// gate lets users in until it is shut, and shut waits until the last has left.
// The zero value is open.
type gate struct {
	mu   sync.Mutex
	n    int           // users inside; guarded by mu
	idle chan struct{} // made by shut, closed when n is 0; guarded by mu
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle != nil {
		return store.ErrClosed
	}
	g.n++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.idle != nil {
		close(g.idle)
	}
}

// shut returns false if it was shut before.
func (g *gate) shut() bool {
	g.mu.Lock()
	if g.idle != nil {
		g.mu.Unlock()
		return false
	}
	g.idle = make(chan struct{})
	idle := g.idle
	if g.n == 0 {
		close(idle)
	}
	g.mu.Unlock()
	<-idle
	return true
}
