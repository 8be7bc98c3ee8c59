// Package crashtest breaks the disk under a program and checks what is left.
//
// The program runs on a memory file system and tells, step by step, what it has
// acknowledged. [Faults] runs it once for each file operation it makes, that
// operation failing; [Crashes] runs it once and keeps what a power cut would
// leave before each sync. After each, the check gets the file system as the next
// process would find it, with the number of steps acknowledged until then.
//
//	crashtest.Faults(t, crashtest.Plan{Stride: 7}, crashtest.Program{Run: run, Check: check})
//
// A program that Pebble's give-up call reaches is left where it stands, as the
// end of a process would leave it.
package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// ErrInjected is the error of a failed operation.
var ErrInjected = errors.New("injected disk error")

// Program is what runs on the breaking disk.
type Program struct {
	// Run runs the program once, from an empty disk. It returns where the disk
	// stops it.
	Run func(d *Disk)
	// Check opens what is left on fs, in which at least acked steps must be found,
	// and fails the test otherwise. It may write to fs.
	Check func(t testing.TB, fs vfs.FS, acked int)
}

// Plan says how much is tried.
type Plan struct {
	// Stride is the distance of the operations tried; 1 tries all. 0 means 1.
	Stride int
	// First is the first operation tried, counted from 0.
	First int
}

// Disk is one life of a program's disk. Its methods may be called concurrently.
type Disk struct {
	// FS is the disk.
	FS vfs.FS

	mem    *vfs.MemFS
	link   sync.Mutex // see linkFS
	mu     sync.Mutex
	acked  int        // guarded by mu
	left   *vfs.MemFS // what the process left when it gave up; guarded by mu
	gaveUp chan struct{}
}

func newDisk(hook func(d *Disk, op errorfs.Op) error) *Disk {
	d := &Disk{mem: vfs.NewCrashableMem(), gaveUp: make(chan struct{})}
	d.FS = errorfs.Wrap(linkFS{d.mem, &d.link}, errorfs.InjectorFunc(func(op errorfs.Op) error { return hook(d, op) }))
	return d
}

// linkFS keeps links and clones apart: MemFS takes the lock of its clones twice
// to link a file, and a clone that waits between would stop both for ever.
type linkFS struct {
	vfs.FS
	mu *sync.Mutex
}

// Link implements vfs.FS.
func (f linkFS) Link(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.FS.Link(from, to)
}

func (d *Disk) clone(cfg vfs.CrashCloneCfg) *vfs.MemFS {
	d.link.Lock()
	defer d.link.Unlock()
	return d.mem.CrashClone(cfg)
}

// Ack says that the program has acknowledged its first n steps: from now on they
// must be found.
func (d *Disk) Ack(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil {
		d.acked = max(d.acked, n)
	}
}

// Fatal is the give-up call to put into the store's options. It takes what is on
// the disk and never returns: the goroutine stays where it is, with its locks,
// for the rest of the test.
func (d *Disk) Fatal(string) {
	d.mu.Lock()
	if d.left == nil {
		d.left = d.clone(whole())
		close(d.gaveUp)
	}
	d.mu.Unlock()
	select {}
}

// live runs the program to its end, or until it gives up.
func (d *Disk) live(run func(d *Disk)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(d)
	}()
	select {
	case <-done:
	case <-d.gaveUp:
	}
}

// end returns what is on the disk once the process is gone, and what it had
// acknowledged.
func (d *Disk) end() (*vfs.MemFS, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil {
		d.left = d.clone(whole())
	}
	return d.left, d.acked
}

// whole keeps all that was written: a process died, the machine did not.
func whole() vfs.CrashCloneCfg {
	return vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}
}

// torn keeps what was synced and half of the rest.
func torn(seed uint64) vfs.CrashCloneCfg {
	return vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(2, seed))}
}

// mode is what a failing operation does.
type mode int

const (
	once      mode = iota // it fails, all others work
	forGood               // it fails, and every one after it
	persisted             // it is a sync, it fails, and yet everything is synced
	full                  // it is a write, it finds no room, and so does every one after it
	modes
)

func (m mode) String() string { return [...]string{"once", "for good", "persisted", "full"}[m] }

// Faults runs the program with its i-th file operation failing, for each i of the
// plan until the program makes fewer operations than that, and checks the disk
// as the process left it, after a power cut, and after one that tore what was
// not synced. It returns how many runs it made.
func Faults(t *testing.T, plan Plan, p Program) int {
	t.Helper()
	runs := 0
	for m := range modes {
		for i := plan.First; ; i += max(plan.Stride, 1) {
			hit := fault(t, m, i, p)
			if t.Failed() {
				t.Fatalf("operation %d failing %s", i, m)
			}
			runs++
			if !hit {
				break
			}
		}
	}
	return runs
}

// fault makes one run and tells whether the program reached operation i.
func fault(t *testing.T, m mode, i int, p Program) bool {
	f := &injector{t: t, mode: m, i: i}
	d := newDisk(f.hook)
	d.live(p.Run)
	left, acked := d.end()
	f.mu.Lock()
	hit := f.hit
	what := fmt.Sprintf("operation %d (%s) failed %s, %d acknowledged", i, f.what, m, acked)
	f.mu.Unlock()
	p.Check(named{t, what + "; the process died"}, left, acked)
	if m != persisted {
		p.Check(named{t, what + "; power was cut"}, d.clone(vfs.CrashCloneCfg{}), acked)
		p.Check(named{t, what + "; power was cut, writes torn"}, d.clone(torn(uint64(i))), acked)
	}
	return hit
}

// injector fails operation i.
type injector struct {
	t    *testing.T
	mode mode
	i    int

	mu   sync.Mutex
	n    int    // operations seen; guarded by mu
	hit  bool   // guarded by mu
	what string // the operation that failed first; guarded by mu
}

func (f *injector) hook(d *Disk, op errorfs.Op) error {
	if !f.fails(op) {
		return nil
	}
	if f.mode == persisted {
		if err := syncFile(d.mem, op); err != nil {
			f.t.Error(err)
		}
	}
	if f.mode == full {
		return syscall.ENOSPC
	}
	return ErrInjected
}

func (f *injector) fails(op errorfs.Op) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mode == persisted && !isSync(op) || f.mode == full && !takesRoom(op) {
		return false
	}
	n := f.n
	f.n++
	if n < f.i || f.mode != forGood && f.mode != full && n > f.i {
		return false
	}
	if !f.hit {
		f.hit, f.what = true, fmt.Sprint(op.Kind, " ", op.Path)
	}
	return true
}

// takesRoom tells the operations that a full disk fails. A sync is one of them
// where the file system gives room only when it writes.
func takesRoom(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpMkdirAll, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate:
		return true
	}
	return isSync(op)
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
}

func syncFile(fs *vfs.MemFS, op errorfs.Op) error {
	f, err := fs.Open(op.Path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Crashes runs the program once and checks, for each sync it makes in the plan,
// what a power cut just before it would have left, exactly and with half of what
// was not synced. It returns how many crashes it checked.
func Crashes(t *testing.T, plan Plan, p Program) int {
	t.Helper()
	type crash struct {
		what  string
		fs    *vfs.MemFS
		acked int
	}
	var mu sync.Mutex
	var crashes []crash
	n := 0
	d := newDisk(func(d *Disk, op errorfs.Op) error {
		if !isSync(op) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if n++; n-1 < plan.First || (n-1-plan.First)%max(plan.Stride, 1) != 0 {
			return nil
		}
		d.mu.Lock()
		acked := d.acked // before the clone: what is acknowledged must be in it
		d.mu.Unlock()
		for name, cfg := range map[string]vfs.CrashCloneCfg{"": {}, ", writes torn": torn(uint64(n))} {
			what := fmt.Sprintf("power was cut before sync %d (%s)%s, %d acknowledged", n-1, op.Path, name, acked)
			crashes = append(crashes, crash{what, d.clone(cfg), acked})
		}
		return nil
	})
	d.live(p.Run)
	mu.Lock()
	defer mu.Unlock()
	for _, c := range crashes {
		p.Check(named{t, c.what}, c.fs, c.acked)
		if t.Failed() {
			t.FailNow()
		}
	}
	fs, acked := d.end()
	p.Check(named{t, "the program ended"}, fs, acked)
	return len(crashes)
}

// named puts the state of the disk before each message.
type named struct {
	testing.TB
	what string
}

// Error implements testing.TB.
func (n named) Error(args ...any) {
	n.Helper()
	n.TB.Error(append([]any{n.what + ":"}, args...)...)
}

// Errorf implements testing.TB.
func (n named) Errorf(format string, args ...any) {
	n.Helper()
	n.TB.Errorf("%s: %s", n.what, fmt.Sprintf(format, args...))
}

// Fatal implements testing.TB.
func (n named) Fatal(args ...any) {
	n.Helper()
	n.TB.Fatal(append([]any{n.what + ":"}, args...)...)
}

// Fatalf implements testing.TB.
func (n named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatalf("%s: %s", n.what, fmt.Sprintf(format, args...))
}
