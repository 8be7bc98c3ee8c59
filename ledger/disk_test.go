package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/verify"
)

// space is a disk whose free bytes the test sets.
type space struct{ free atomic.Uint64 }

func newSpace() *space {
	s := &space{}
	s.free.Store(50 << 30)
	return s
}

func (s *space) measure() (free, total uint64, err error) { return s.free.Load(), 100 << 30, nil }

// awaitLow appends until the log says whether the disk is low as wanted; it is
// measured each second. It returns the next number.
func awaitLow(t *testing.T, g *ledgertest.Log, run verify.Hash, next uint64, want bool) uint64 {
	t.Helper()
	for {
		_, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, next, 1))
		var low *ledger.DiskLowError
		switch {
		case errors.As(err, &low):
			if want {
				return next
			}
		case err != nil:
			t.Fatal(err)
		default:
			next++
			if !want {
				return next
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLowDiskStopsAppendsAndNothingElse(t *testing.T) {
	disk := newSpace()
	g := create(t, ledgertest.Options{Disk: disk.measure})
	run, _ := g.Run("low")
	first := ledgertest.Batch(run, 1, 1, 300)
	appendBatch(t, g, first)
	one := ledger.Item{Body: ledgertest.Event(verify.Hash{9}, 1)}
	if _, err := g.L.AppendOneOff(t.Context(), ledgertest.Producer, one); err != nil {
		t.Fatal(err)
	}

	disk.free.Store(1 << 30)
	next := awaitLow(t, g, run, 301, true)
	if ready, why := g.L.Ready(); ready || !strings.Contains(why, "low") {
		t.Errorf("ready %v: %s", ready, why)
	}
	if s := g.L.Status().Disk; !s.Low || s.Free != 1<<30 || s.Mark != 2<<30 || s.Resume() <= s.Mark {
		t.Errorf("status %+v", s)
	}
	appendBatch(t, g, first) // what is there already is answered
	if _, again := g.Run("low"); again.Next != next {
		t.Errorf("the run stands at %d, not %d", again.Next, next)
	}
	if r, err := g.L.AppendOneOff(t.Context(), ledgertest.Producer, one); err != nil || !r.Groups[0].Repeat {
		t.Errorf("a one-off that is there: %+v, %v", r, err)
	}
	var low *ledger.DiskLowError
	if _, err := g.L.ResumeRun(t.Context(), ledgertest.Producer, run, nil); !errors.As(err, &low) || low.RetryAfter < time.Second {
		t.Errorf("resuming a run: %v", err)
	}
	if result, err := g.L.Fsck(t.Context(), nil); err != nil || !result.OK {
		t.Errorf("fsck: %+v, %v", result, err)
	}
	g.Check()

	// A log opens on a low disk, and its own entries go in.
	g.Close()
	size := g.L.Head().Size
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Disk: disk.measure})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for g.L.Head().Size <= size {
		time.Sleep(time.Millisecond)
	}
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, next, 1)); !errors.As(err, &low) {
		t.Errorf("append to a log opened on a low disk: %v", err)
	}

	disk.free.Store(3 << 30)
	next = awaitLow(t, g, run, next, false)
	appendBatch(t, g, ledgertest.Batch(run, 1, next, 5))
	if ready, why := g.L.Ready(); !ready {
		t.Errorf("not ready: %s", why)
	}
	g.Check()
}

// slowSyncs blocks each sync of a log file while held.
type slowSyncs struct {
	mu   sync.Mutex
	gate chan struct{} // open when nil
	hit  chan struct{} // told of each sync that waits
}

func (s *slowSyncs) hook(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData || !strings.HasSuffix(op.Path, ".log") {
		return nil
	}
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		s.hit <- struct{}{}
		<-gate
	}
	return nil
}

func (s *slowSyncs) hold(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

func TestSlowFsyncMakesTheLogUnreadyUntilItEnds(t *testing.T) {
	slow := &slowSyncs{hit: make(chan struct{}, 100)}
	hand := newHandClock()
	g := ledgertest.Create(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(slow.hook)), "log", ledgertest.Options{Clock: hand.clock()})
	defer g.Close()
	run, _ := g.Run("slow")
	for round := range uint64(2) {
		gate := make(chan struct{})
		slow.hold(gate)
		p, err := g.L.AppendAsync(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 1+round, 1))
		if err != nil {
			t.Fatal(err)
		}
		<-slow.hit
		if ready, why := g.L.Ready(); !ready {
			t.Errorf("not ready at once: %s", why)
		}
		hand.advance(6 * time.Second)
		if ready, why := g.L.Ready(); ready || !strings.Contains(why, "in flight since") {
			t.Errorf("ready %v after 6 s: %s", ready, why)
		}
		if s := g.L.Status().Disk; s.InFlight != 6*time.Second || s.Stalls != round+1 {
			t.Errorf("status %+v", s)
		}
		slow.hold(nil)
		close(gate)
		if _, err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ready, why := g.L.Ready(); !ready {
			t.Errorf("not ready after the commit was durable: %s", why)
		}
		if s := g.L.Status().Disk; s.InFlight != 0 || s.Stalls != round+1 {
			t.Errorf("status %+v", s)
		}
	}
}

// badDisk fails the operations that match while it is told to.
type badDisk struct {
	broken atomic.Bool
	err    error
	match  func(op errorfs.Op) bool
}

func (b *badDisk) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if b.broken.Load() && b.match(op) {
			return b.err
		}
		return nil
	}))
}

func TestFailedReadsAreTypedAndCounted(t *testing.T) {
	bad := &badDisk{err: syscall.EIO, match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst")
	}}
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{})
	run, _ := g.Run("reads")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 1000))
	g.Close()
	engine, err := pebblestore.Open(pebblestore.Options{Dir: g.Dir, FS: bad.wrap(fs), CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	l, err := ledger.Open(t.Context(), ledger.Config{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	bad.broken.Store(true)
	failed, size := 0, l.Head().Size
	for i := range size {
		err := l.Entries(t.Context(), i, i+1, func(uint64, []byte) error { return nil })
		var read *ledger.ReadError
		switch {
		case errors.As(err, &read):
			failed++
			if read.Damaged || !errors.Is(err, syscall.EIO) {
				t.Errorf("reading entry %d: %v", i, err)
			}
		case err != nil:
			t.Fatalf("reading entry %d: %v", i, err)
		}
	}
	bad.broken.Store(false)
	if got := l.Status().Disk.ReadErrors; failed == 0 || got != uint64(failed) {
		t.Errorf("%d entries failed, %d reads were counted", failed, got)
	}
	if ready, why := l.Ready(); !ready {
		t.Errorf("a failed read ended the log: %s", why)
	}
	for i := range size {
		if err := l.Entries(t.Context(), i, i+1, func(uint64, []byte) error { return nil }); err != nil {
			t.Fatalf("reading entry %d once the disk reads again: %v", i, err)
		}
	}
}

// TestIndexWaitsForRoom: the index finds no room; entries are still taken and
// verified, searches are refused, and once there is room it catches up.
func TestIndexWaitsForRoom(t *testing.T) {
	full := &badDisk{err: syscall.ENOSPC, match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, "daybook-load.sst")
	}}
	g := ledgertest.Create(t, full.wrap(vfs.NewMem()), "log", ledgertest.Options{})
	run, _ := g.Run("index")
	full.broken.Store(true)
	next := uint64(1)
	for range 17 {
		b := ledgertest.Batch(run, 1, next, 4096)
		appendBatch(t, g, b)
		next += 4096
	}
	for !g.L.Status().Disk.IndexWaits {
		time.Sleep(time.Millisecond)
	}
	id := []byte(nil)
	last := ledgertest.Batch(run, 1, next, 1)
	if ev, err := verify.ParseEvent(last.Items[0].Body); err != nil {
		t.Fatal(err)
	} else {
		id = ev.EventID
	}
	appendBatch(t, g, last)
	var low *ledger.DiskLowError
	if _, err := g.L.EventIndexes(t.Context(), id, 10); !errors.As(err, &low) {
		t.Errorf("a search the index cannot answer: %v", err)
	}
	// A log whose index has no room opens too.
	g.Close()
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	full.broken.Store(false)
	for next++; ; next++ {
		found, err := g.L.EventIndexes(t.Context(), id, 10)
		if err == nil {
			if len(found) != 1 {
				t.Errorf("found at %v", found)
			}
			break
		}
		if !errors.As(err, &low) {
			t.Fatal(err)
		}
		appendBatch(t, g, ledgertest.Batch(run, 1, next, 1))
		time.Sleep(10 * time.Millisecond)
	}
	if g.L.Status().Disk.IndexWaits {
		t.Error("the index has caught up and still waits")
	}
	g.Check()
}
