package pebblestore_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
)

func quietBallast(fs vfs.FS, path string, bytes int64) *pebblestore.Ballast {
	return &pebblestore.Ballast{FS: fs, Path: path, Bytes: bytes, Logger: slog.New(slog.DiscardHandler)}
}

func TestBallastIsMadeAndDropped(t *testing.T) {
	mem := vfs.NewMem()
	b := quietBallast(mem, "ballast", 1000)
	usage := func(free uint64) { mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 20}) }
	ensure := func(reserve uint64, want int64) {
		t.Helper()
		if err := b.Ensure(reserve); err != nil {
			t.Fatal(err)
		}
		if got := b.Held(); got != want {
			t.Errorf("holds %d bytes, want %d", got, want)
		}
	}
	usage(1499)
	ensure(500, 0) // there is no room for it
	usage(1500)
	ensure(500, 1000)
	usage(0)
	ensure(500, 1000) // it is there
	usage(1000)
	b.Relieve()
	ensure(1<<20, 1000) // as much as it takes is free
	usage(999)
	b.Relieve()
	ensure(0, 0)
	if b.Drop("again") {
		t.Error("dropped what is not there")
	}
	usage(5000)
	ensure(0, 1000)
	b.Bytes = 2000 // another size is configured
	ensure(0, 2000)
	b.Bytes = 0
	ensure(0, 0)
	if _, err := mem.Stat("ballast"); err == nil {
		t.Error("a ballast that is not wanted any more is still there")
	}
}

func TestBallastWithoutRoomLeavesNothing(t *testing.T) {
	for op := range 4 {
		n := 0
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 30})
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
			if o.Kind.ReadOrWrite() == errorfs.OpIsRead || o.Kind == errorfs.OpRemove {
				return nil
			}
			if n++; n-1 == op {
				return syscall.ENOSPC
			}
			return nil
		}))
		b := quietBallast(fs, "ballast", 1000)
		if err := b.Ensure(0); !errors.Is(err, syscall.ENOSPC) || b.Held() != 0 {
			t.Errorf("operation %d without room: %v, %d bytes are held", op, err, b.Held())
		}
		if err := b.Ensure(0); err != nil || b.Held() != 1000 {
			t.Errorf("after that: %v, %d bytes are held", err, b.Held())
		}
	}
}

func TestBallastTakesRealRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ballast")
	b := quietBallast(nil, path, 8<<20)
	if err := b.Ensure(0); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if b.Held() != 8<<20 || st.Blocks*512 < 8<<20 {
		t.Errorf("%d bytes of %d are really taken", st.Blocks*512, b.Held())
	}
}

// TestFullDiskOpensByDroppingItsBallast: a store that its process left behind
// with commits in the log only opens on a disk without any room but that of its
// ballast, for each of the operations at which that is noticed.
func TestFullDiskOpensByDroppingItsBallast(t *testing.T) {
	hits := 0
	for from := int64(0); ; from++ {
		mem := vfs.NewCrashableMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 30})
		if err := quietBallast(mem, "ballast", 1000).Ensure(0); err != nil {
			t.Fatal(err)
		}
		runScript(&crashtest.Disk{FS: mem})
		disk := &fullDisk{from: from}
		disk.held.Store(true)
		fs := errorfs.Wrap(mem.CrashClone(vfs.CrashCloneCfg{}), errorfs.InjectorFunc(disk.hook))
		o := small(fs)
		o.Ballast = quietBallast(fs, "ballast", 1000)
		s, err := pebblestore.Open(o)
		if err != nil {
			t.Fatalf("operation %d without room: %v", from, err)
		}
		if n := checkContents(t, s); n != scriptLen {
			t.Fatalf("operation %d without room: %d commits are left", from, n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if disk.n.Load() <= from {
			break
		}
		hits++
		if disk.held.Load() {
			t.Fatalf("operation %d without room: the ballast was not dropped", from)
		}
	}
	if hits < 3 {
		t.Errorf("only %d operations of an open take room", hits)
	}
}

// fullDisk has no room, from its given operation on, while the ballast is there.
type fullDisk struct {
	from int64
	n    atomic.Int64
	held atomic.Bool
}

func (d *fullDisk) hook(op errorfs.Op) error {
	switch {
	case op.Kind == errorfs.OpRemove && op.Path == "ballast":
		d.held.Store(false)
	case strings.HasSuffix(op.Path, "DAYBOOK.tmp"):
	case op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate:
		if d.n.Add(1) > d.from && d.held.Load() {
			return syscall.ENOSPC
		}
	}
	return nil
}

// TestLoadWithoutRoom: nothing of it is left, the store lives on, and the same
// load goes in later.
func TestLoadWithoutRoom(t *testing.T) {
	mem := vfs.NewMem()
	full := atomic.Bool{}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && strings.Contains(op.Path, "daybook-load") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove {
			return syscall.ENOSPC
		}
		return nil
	}))
	s, err := pebblestore.Open(small(fs))
	if err != nil {
		t.Fatal(err)
	}
	load := func() error {
		return s.Load(func(yield func(k, v []byte) bool) { yield([]byte("i1"), []byte("posting")) })
	}
	full.Store(true)
	if err := load(); !errors.Is(err, store.ErrFull) {
		t.Errorf("a load without room: %v", err)
	}
	if _, err := mem.Stat(mem.PathJoin(small(fs).Dir, "daybook-load.sst")); err == nil {
		t.Error("a load without room left its file")
	}
	if _, err := s.Get([]byte("i1")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a load without room is there: %v", err)
	}
	full.Store(false)
	if err := load(); err != nil {
		t.Error(err)
	}
	if v, err := s.Get([]byte("i1")); err != nil || string(v) != "posting" {
		t.Errorf("loaded %q, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCompactionThatCannotRead: it is given up and counted, or ends the process
// with its cause; what was acknowledged is there afterwards in any case.
func TestCompactionThatCannotRead(t *testing.T) {
	var broken, failed atomic.Bool
	mem := vfs.NewCrashableMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt && inCompaction() {
			failed.Store(true)
			return syscall.EIO
		}
		return nil
	}))
	o := small(fs)
	ended := make(chan string, 100)
	o.Fatal = func(reason string) { ended <- reason; select {} }
	s, err := pebblestore.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	acked := 0
	step := func() error {
		ticket, err := scriptStep(s, acked+1)
		if err == nil {
			err = ticket.Wait()
		}
		if err == nil {
			acked++
		}
		return err
	}
	broken.Store(true)
	for acked < 4*scriptLen && !failed.Load() {
		if err := step(); err != nil {
			break
		}
	}
	if !failed.Load() {
		t.Fatal("no compaction had to read")
	}
	select {
	case reason := <-ended:
		if !strings.Contains(reason, "compacting") {
			t.Errorf("ended because of %s", reason)
		}
	default:
		if err := s.Close(); err != nil && !errors.Is(err, syscall.EIO) {
			t.Logf("closing: %v", err)
		}
	}
	checkScript(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), acked)
}

// inCompaction tells whether the calling goroutine merges tables.
func inCompaction() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "pebble/v2/internal/compact.") {
			return true
		}
		if !more {
			return false
		}
	}
}

// TestLoadBesideALoad begins and ends a load in the middle of another.
func TestLoadBesideALoad(t *testing.T) {
	s, err := pebblestore.Open(small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(func(yield func(k, v []byte) bool) {
		if !yield([]byte("i1"), []byte("posting")) {
			return
		}
		if err := s.Load(func(yield func(k, v []byte) bool) { yield([]byte("i3"), []byte("posting")) }); err != nil {
			t.Error(err)
		}
		if _, err := s.Get([]byte("i3")); err != nil {
			t.Errorf("a load beside another: %v", err)
		}
		yield([]byte("i2"), []byte("posting"))
	}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"i1", "i2", "i3"} {
		if _, err := s.Get([]byte(key)); err != nil {
			t.Errorf("key %s: %v", key, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
