package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// An archiveLife is a script of appends, closes, cosignatures and archived
// checkpoints.
type archiveLife struct {
	mu       sync.Mutex
	archived []ledger.Archived // acknowledged; guarded by mu
}

func (f *archiveLife) set(list []ledger.Archived) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.archived = list
}

func (f *archiveLife) get() []ledger.Archived {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.archived
}

func openWitnessed(fs vfs.FS, fatal func(string)) (*ledger.Ledger, func() error, error) {
	engine, err := ledgertest.OpenStore(fs, "log", fatal)
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(context.Background(), ledger.Config{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey,
		Policy: ledgertest.WitnessPolicy(2, witnessA, witnessB)})
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

// step appends, closes, has both witnesses cosign and archives the head.
func (f *archiveLife) step(l *ledger.Ledger, n int) error {
	ctx := context.Background()
	if _, err := l.OpenRun(ctx, ledgertest.Producer, &daybookv1.RunOpened{Run: crashRun[:], Provenance: 1}, nil); err != nil {
		return err
	}
	if _, err := l.Append(ctx, ledgertest.Producer, ledgertest.Batch(crashRun, 1, uint64(1+2*n), 2)); err != nil {
		return err
	}
	if n%2 == 1 {
		if _, err := l.CloseNow(ctx); err != nil {
			return err
		}
	}
	for i, w := range []cosigntest.Witness{witnessA, witnessB} {
		h := l.Head()
		if i == n%3 {
			if _, err := l.Archive(ctx); err != nil { // its other line comes late
				return err
			}
		}
		if _, _, err := l.Cosign(h, []byte(w.Line(h.Checkpoint, 9))); err != nil {
			return err
		}
	}
	a, err := l.Archive(ctx)
	if err == nil {
		f.set(append(f.get(), a))
	}
	return err
}

func (f *archiveLife) run(d *crashtest.Disk) {
	f.set(nil)
	if !makeLog(d) {
		return
	}
	for life := range 2 {
		l, closeLog, err := openWitnessed(d.FS, d.Fatal)
		if err != nil {
			return
		}
		ok := true
		for n := 3 * life; ok && n < 3*life+3; n++ {
			if ok = f.step(l, n) == nil; ok {
				d.Ack(n + 1)
			}
		}
		if err := closeLog(); err != nil || !ok {
			return
		}
	}
}

// check opens what is left: what was archived is there with each of its lines.
func (f *archiveLife) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	l, closeLog, err := openWitnessed(fs, nil)
	if err != nil {
		if acked == 0 {
			return // no log was promised yet
		}
		t.Fatalf("opening what is left after %d steps: %v", acked, err)
	}
	for _, a := range f.get()[:min(acked, len(f.get()))] {
		note, err := l.ArchivedAt(a.Size)
		if err != nil {
			t.Fatalf("archived at size %d: %v", a.Size, err)
		}
		for line := range bytes.Lines(a.Note) {
			if !bytes.Contains(note, line) {
				t.Errorf("size %d: a line was lost: %s", a.Size, line)
			}
		}
	}
	if r, err := l.Fsck(context.Background(), nil); err != nil || !r.OK {
		t.Fatalf("fsck: %+v, %v", r, err)
	}
	if _, err := l.Archive(context.Background()); err != nil {
		t.Error(err)
	}
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFileOperationOfTheArchiveFails(t *testing.T) {
	var f archiveLife
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: faultStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 3 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}

func TestCrashOfTheArchiveAfterEverySync(t *testing.T) {
	var f archiveLife
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 3 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}
