package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A closeLife is one run of a script around closes: which ones it was promised.
type closeLife struct {
	mu       sync.Mutex
	promised []uint64 // indexes
}

// openDay opens and runs the log on fs under a clock; the function returned ends
// it.
func openDay(fs vfs.FS, fatal func(string), clock *ledgertest.Clock) (*ledger.Ledger, func() error, error) {
	engine, err := ledgertest.OpenStore(fs, "log", fatal)
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(context.Background(), ledger.Config{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Clock: clock.Ledger(), AcceptClock: true})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (closing: %v)", err, engine.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() error {
		cancel()
		err := <-ended
		if err == nil {
			var r ledger.FsckResult
			// With the snapshots, the tally and the stored tables.
			if r, err = ledger.Fsck(context.Background(), engine, nil); err == nil && !r.OK {
				err = fmt.Errorf("fsck at %d: %s", r.FirstBadIndex, r.Reason)
			}
		}
		if closed := engine.Close(); err == nil {
			err = closed
		}
		return err
	}, nil
}

// run makes a log and, in three lives of it, appends, closes on demand, and lets
// a day pass, or three while it is closed.
func (f *closeLife) run(d *crashtest.Disk) {
	f.mu.Lock()
	f.promised = nil
	f.mu.Unlock()
	clock := ledgertest.NewClock(noon())
	engine, err := ledgertest.OpenStore(d.FS, "log", d.Fatal)
	if err != nil {
		return
	}
	err = ledger.Create(context.Background(), ledger.CreateConfig{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Clock: clock.Ledger()})
	if engine.Close() != nil || err != nil {
		return
	}
	for part := range 3 {
		l, closeLog, err := openDay(d.FS, d.Fatal, clock)
		if err != nil {
			return
		}
		ok := f.part(d, l, clock, part)
		if err := closeLog(); err != nil || !ok {
			return
		}
		clock.Move(3 * day)
	}
}

func (f *closeLife) part(d *crashtest.Disk, l *ledger.Ledger, clock *ledgertest.Clock, part int) bool {
	ctx := context.Background()
	if _, err := l.OpenRun(ctx, ledgertest.Producer, &daybookv1.RunOpened{Run: crashRun[:], Provenance: 1}, nil); err != nil {
		return false
	}
	for i := range 3 {
		if _, err := l.Append(ctx, ledgertest.Producer, ledgertest.Batch(crashRun, 1, uint64(1+(part*3+i)*90), 90)); err != nil {
			return false
		}
		index, err := l.CloseNow(ctx)
		if err != nil {
			return false
		}
		f.mu.Lock()
		f.promised = append(f.promised, index)
		f.mu.Unlock()
		d.Ack(part*3 + i + 1)
		if i == 1 {
			clock.Move(day)
		}
	}
	return true
}

// check opens what is left twice: every close that was promised is where it was
// said to be, every day has its close once, and all are what the entries give.
func (f *closeLife) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	clock := ledgertest.NewClock(noon().Add(20 * day))
	closes := 0
	for open := range 2 {
		l, closeLog, err := openDay(fs, nil, clock)
		if err != nil {
			if acked == 0 && open == 0 {
				return // no log was promised yet
			}
			t.Fatalf("opening what is left after %d closes: %v", acked, err)
		}
		if _, err := l.CloseNow(context.Background()); err != nil {
			t.Fatal(err)
		}
		all, err := l.Closes(context.Background(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if open == 1 && len(all) != closes+1 {
			t.Fatalf("%d closes became %d with one more", closes, len(all))
		}
		closes = len(all)
		f.checkPromised(t, l, all, acked)
		if err := ledgertest.CheckCloses(l.Head().Size, l.Entries); err != nil {
			t.Fatal(err)
		}
		if err := closeLog(); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *closeLife) checkPromised(t testing.TB, l *ledger.Ledger, all []*ledger.CloseInfo, acked int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	at := map[uint64]bool{}
	ends := map[int64]bool{}
	for _, c := range all {
		at[c.Index] = true
		ends[c.Close.PeriodEndNs] = true
		found, err := l.CloseRow(context.Background(), c, ledger.TableRuns, []byte("z"))
		if err != nil || found.Row != nil {
			t.Fatalf("close at %d: its table of runs: %+v, %v", c.Index, found, err)
		}
	}
	for _, index := range f.promised[:min(acked, len(f.promised))] {
		if !at[index] {
			t.Fatalf("the close at %d was promised and is not there", index)
		}
	}
	for d := 25; d <= 40; d++ {
		if !ends[midnight(d)] {
			t.Fatalf("day %d of November was not closed", d-1)
		}
	}
}

func TestCrashAroundCloses(t *testing.T) {
	var f closeLife
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}

func TestFaultsAroundCloses(t *testing.T) {
	var f closeLife
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: closeFaultStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}
