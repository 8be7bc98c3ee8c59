package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// crashSizes are the batches of the script: 20 appends that leave bundles
// unfinished, finish them alone, and span several.
var crashSizes = []int{1, 2, 100, 1, 160, 1, 1, 1, 256, 3, 600, 1, 40, 2, 1, 300, 7, 1, 90, 5}

var crashRun = verify.Hash(sha256.Sum256([]byte("crash")))

// A life is one run of the script: what its producer was given.
type life struct {
	mu          sync.Mutex
	checkpoints [][]byte // of each acknowledged append
}

func (f *life) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkpoints = nil
}

func (f *life) keep(note []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkpoints = append(f.checkpoints, note)
}

// program is the script against a disk: make a log, open a run, append 20
// batches, and in the middle close and open again.
func (f *life) program() crashtest.Program {
	return crashtest.Program{Run: f.run, Check: f.check}
}

func (f *life) run(d *crashtest.Disk) {
	f.reset()
	if !makeLog(d) {
		return
	}
	next := uint64(1)
	for half := range 2 {
		l, closeLog, err := openLog(d.FS, d.Fatal)
		if err != nil {
			return
		}
		ok := f.appendHalf(d, l, half, &next)
		if err := closeLog(); err != nil || !ok {
			return
		}
	}
}

func makeLog(d *crashtest.Disk) bool {
	engine, err := ledgertest.OpenStore(d.FS, "log", d.Fatal)
	if err != nil {
		return false
	}
	err = ledger.Create(context.Background(), ledger.CreateConfig{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey})
	return engine.Close() == nil && err == nil
}

// openLog opens and runs the log on fs; the function returned ends it.
func openLog(fs vfs.FS, fatal func(string)) (*ledger.Ledger, func() error, error) {
	return openLogWith(fs, fatal, nil)
}

// openLogWith is openLog with further keys.
func openLogWith(fs vfs.FS, fatal func(string), keys func(string) (note.Signer, error)) (*ledger.Ledger, func() error, error) {
	engine, err := ledgertest.OpenStore(fs, "log", fatal)
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(context.Background(), ledger.Config{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Keys: keys})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (closing: %v)", err, engine.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() error {
		cancel()
		err := <-ended
		if closed := engine.Close(); err == nil {
			err = closed
		}
		return err
	}, nil
}

func (f *life) appendHalf(d *crashtest.Disk, l *ledger.Ledger, half int, next *uint64) bool {
	ctx := context.Background()
	if _, err := l.OpenRun(ctx, ledgertest.Producer, &daybookv1.RunOpened{Run: crashRun[:], Provenance: 1}, nil); err != nil {
		return false
	}
	for i := half * 10; i < half*10+10; i++ {
		b := ledgertest.Batch(crashRun, 1, *next, crashSizes[i])
		r, err := l.Append(ctx, ledgertest.Producer, b)
		if err != nil {
			return false
		}
		if err := ledgertest.CheckReceipt(b, r); err != nil {
			panic("receipt does not verify: " + err.Error())
		}
		f.keep(r.Checkpoint)
		*next += uint64(crashSizes[i])
		d.Ack(i + 1)
	}
	return true
}

// check opens what is left: everything acknowledged is there once, fsck is
// clean, and the log goes on.
func (f *life) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	l, closeLog, err := openLog(fs, nil)
	if err != nil {
		if acked == 0 {
			return // no log was promised yet
		}
		t.Fatalf("opening what is left after %d appends: %v", acked, err)
	}
	f.checkHistory(t, l, acked)
	if _, err := l.OpenRun(context.Background(), ledgertest.Producer, &daybookv1.RunOpened{Run: crashRun[:], Provenance: 1}, nil); err != nil {
		t.Fatal(err)
	}
	next := uint64(1)
	for _, n := range crashSizes {
		b := ledgertest.Batch(crashRun, 1, next, n)
		r, err := l.Append(context.Background(), ledgertest.Producer, b)
		if err != nil {
			t.Fatalf("resending %d at %d: %v", n, next, err)
		}
		if err := ledgertest.CheckReceipt(b, r); err != nil {
			t.Fatal(err)
		}
		next += uint64(n)
	}
	result, err := l.Fsck(context.Background(), nil)
	if err != nil || !result.OK {
		t.Fatalf("fsck: %+v, %v", result, err)
	}
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
}

// checkHistory compares every acknowledged checkpoint with the tree that is
// left.
func (f *life) checkHistory(t testing.TB, l *ledger.Ledger, acked int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	policy, err := verify.KeyPolicy(ledgertest.VKey)
	if err != nil {
		t.Fatal(err)
	}
	h := l.Head()
	for i := range min(acked, len(f.checkpoints)) {
		c, err := policy.OpenCheckpoint(f.checkpoints[i])
		if err != nil {
			t.Fatal(err)
		}
		proof, err := l.Consistency(context.Background(), c.Size, h.Size)
		if err != nil {
			t.Fatalf("append %d was acknowledged at size %d, the log has %d: %v", i+1, c.Size, h.Size, err)
		}
		if err := verify.CheckConsistency(c.Size, h.Size, c.Root, h.Root, proof); err != nil {
			t.Fatalf("append %d: %v", i+1, err)
		}
	}
}

func TestEveryFileOperationFails(t *testing.T) {
	var f life
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: faultStride}, f.program()); runs < 10 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}

func TestCrashAfterEverySync(t *testing.T) {
	var f life
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, f.program()); runs < 5 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}
