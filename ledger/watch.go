package ledger

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// A watched is the store as the ledger sees it: what it writes is held against
// the room on the disk, its commits against the time they take, and a read that
// the disk fails gets a type of its own.
type watched struct {
	store.Engine
	clock     Clock
	log       *slog.Logger
	disk      disk
	flight    flight
	unread    atomic.Uint64 // failed reads
	told      atomic.Int64  // monotonic time of the last line about one
	unindexed atomic.Bool   // the index waits for room
}

func watch(cfg *Config) *watched {
	return &watched{Engine: cfg.Store, clock: cfg.Clock, log: cfg.Logger,
		disk:   disk{measure: cfg.Disk, mark: cfg.DiskLowBytes, dev: cfg.Dev, log: cfg.Logger},
		flight: flight{clock: cfg.Clock, log: cfg.Logger}}
}

// run looks at disk and commits until ctx ends.
func (s *watched) run(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.disk.look()
			s.flight.state()
		case <-ctx.Done():
			return
		}
	}
}

// Commit implements store.Engine.
func (s *watched) Commit(prev, next store.Head, b store.Batch) (store.Ticket, error) {
	size := 0
	if b != nil {
		size = b.Len()
	}
	s.flight.begin()
	ticket, err := s.Engine.Commit(prev, next, b)
	if err != nil {
		s.flight.abandon()
		return nil, err
	}
	s.disk.wrote(size)
	return &watchedTicket{Ticket: ticket, s: s}, nil
}

type watchedTicket struct {
	store.Ticket
	s     *watched
	ended atomic.Bool
}

// Wait implements store.Ticket.
func (t *watchedTicket) Wait() error {
	err := t.Ticket.Wait()
	if !t.ended.Swap(true) {
		t.s.flight.end()
	}
	return err
}

// Derive implements store.Engine.
func (s *watched) Derive(b store.Batch) error {
	s.disk.wrote(b.Len())
	return s.Engine.Derive(b)
}

// Load implements store.Engine.
func (s *watched) Load(sorted iter.Seq2[[]byte, []byte]) error {
	size := 0
	err := s.Engine.Load(func(yield func([]byte, []byte) bool) {
		for k, v := range sorted {
			size += len(k) + len(v)
			if !yield(k, v) {
				return
			}
		}
	})
	s.disk.wrote(size)
	return err
}

// Get implements store.Engine.
func (s *watched) Get(key []byte) ([]byte, error) {
	value, err := s.Engine.Get(key)
	return value, s.failed(err)
}

// Scan implements store.Engine.
func (s *watched) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	return s.scan(s.Engine.Scan, lo, hi, fn)
}

// ScanReverse implements store.Engine.
func (s *watched) ScanReverse(lo, hi []byte, fn func(key, value []byte) error) error {
	return s.scan(s.Engine.ScanReverse, lo, hi, fn)
}

func (s *watched) scan(scan func(lo, hi []byte, fn func(key, value []byte) error) error, lo, hi []byte, fn func(key, value []byte) error) error {
	theirs := false
	err := scan(lo, hi, func(key, value []byte) error {
		err := fn(key, value)
		theirs = err != nil
		return err
	})
	if theirs {
		return err
	}
	return s.failed(err)
}

// failed gives the error of a read its type, counts it and tells the log, at most
// once a second.
func (s *watched) failed(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrClosed) {
		return err
	}
	count := s.unread.Add(1)
	now, told := int64(s.clock.Mono()), s.told.Load()
	if (told == 0 || now-told > int64(time.Second)) && s.told.CompareAndSwap(told, max(now, 1)) {
		s.log.Error("the store could not read what it holds", "error", err, "failed_reads", count)
	}
	return &ReadError{Damaged: errors.Is(err, store.ErrDamaged), Err: err}
}

// A ReadError says that the store could not read what it holds: the disk failed,
// or, where Damaged, gave other bytes than were written. What was acknowledged is
// not lost by it, and another read may succeed.
type ReadError struct {
	Damaged bool
	Err     error // names the key and the file
}

func (e *ReadError) Error() string { return "reading the store: " + e.Err.Error() }

func (e *ReadError) Unwrap() error { return e.Err }

// DiskStatus says how the disk under a log stands.
type DiskStatus struct {
	Free, Total uint64        // bytes; 0 where they are not known
	Mark        uint64        // below so many free bytes appends stop; 0: they never do
	Low         bool          // appends are refused
	InFlight    time.Duration // age of the oldest commit that is not durable
	Stalls      uint64        // times a commit took over 5 s
	ReadErrors  uint64        // reads that the disk failed
	IndexWaits  bool          // the index waits for room: searches are refused
}

// Resume is from how many free bytes on a low disk takes appends again.
func (d DiskStatus) Resume() uint64 { return d.Mark + d.Mark/4 }

func (s *watched) status() DiskStatus {
	age, stalls, _ := s.flight.state()
	d := &s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	out := DiskStatus{Free: d.free, Total: d.total, Low: d.low, InFlight: age, Stalls: stalls,
		ReadErrors: s.unread.Load(), IndexWaits: s.unindexed.Load()}
	if d.total > 0 {
		out.Mark = lowMark(d.mark, d.total, d.dev)
	}
	return out
}

// ready says why the disk keeps the log from taking appends; empty: it does not.
func (s *watched) ready() string {
	if _, _, reason := s.flight.state(); reason != "" {
		return reason
	}
	if err := s.disk.refusal(false); err != nil {
		return err.Error()
	}
	return ""
}
