package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// stopped ends the log, changes its store, and returns the log opened again.
func stopped(t *testing.T, g *ledgertest.Log, clock *ledgertest.Clock, change func(*testing.T, store.Engine)) *ledgertest.Log {
	t.Helper()
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	change(t, g.Engine)
	return reopen(t, g, clock)
}

// lose deletes derived tables.
func lose(tables ...store.Table) func(*testing.T, store.Engine) {
	return func(t *testing.T, e store.Engine) {
		t.Helper()
		for _, table := range tables {
			if err := e.DeleteRange(table.Range()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLostTables loses what is derived, in several ways: closes are neither
// written twice nor lost, and their tables are there again.
func TestLostTables(t *testing.T) {
	for name, tables := range map[string][]store.Table{
		"nothing":              nil,
		"snapshots":            {store.Position, store.Runs, store.Streams, store.Tally},
		"the tally":            {store.Tally},
		"snapshots and tables": {store.Position, store.Runs, store.Streams, store.Tally, store.Closes},
	} {
		t.Run(name, func(t *testing.T) {
			g, clock := closing(t)
			run, _ := g.Run("lost")
			for n := range 4 {
				appendBatch(t, g, ledgertest.Batch(run, 1, uint64(1+n*300), 300))
				if n == 2 {
					clock.Move(day)
				}
				if _, err := g.L.CloseNow(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			before := g.Closes()
			g = stopped(t, g, clock, lose(tables...))
			defer func() { g.Close() }()
			g.Check()
			if _, err := g.L.CloseNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := g.Closes()
			if len(after) != len(before)+1 {
				t.Errorf("%d closes became %d", len(before), len(after))
			}
			for _, c := range after {
				info, err := g.L.CloseAt(t.Context(), c.Index)
				if err != nil {
					t.Fatal(err)
				}
				checkRows(t, g.L, info)
			}
			g.Check()
		})
	}
}

// checkRows reads the tables of a close and checks them against it.
func checkRows(t *testing.T, l *ledger.Ledger, info *ledger.CloseInfo) {
	t.Helper()
	for table, of := range map[ledger.CloseTable]*daybookv1.CloseTable{ledger.TableStreams: info.Close.Streams, ledger.TableRuns: info.Close.Runs} {
		var rows []verify.Row
		if err := l.CloseRows(t.Context(), info, table, 0, func(_ uint64, r verify.Row) bool { rows = append(rows, r); return true }); err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckTable(of, rows); err != nil {
			t.Errorf("table %d of the close at %d: %v", table, info.Index, err)
		}
	}
}

// TestFsckReadsTables spoils one page of a stored table.
func TestFsckReadsTables(t *testing.T) {
	g, _ := closing(t)
	run, _ := g.Run("spoilt")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 30))
	if _, err := g.L.CloseNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.Fsck(t.Context(), g.Engine, nil); err != nil || !r.OK {
		t.Fatalf("fsck: %+v, %v", r, err)
	}
	batch := g.Engine.NewBatch()
	lo, hi := store.Closes.Range()
	if err := g.Engine.Scan(lo, hi, func(key, value []byte) error {
		value = append([]byte(nil), value...)
		value[20] ^= 1
		if err := batch.Set(key, value); err != nil {
			return err
		}
		return store.ErrStop
	}); err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Derive(batch); err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.Fsck(t.Context(), g.Engine, nil); err != nil || r.OK || !strings.Contains(r.Reason, "stored table of the close") {
		t.Errorf("fsck: %+v, %v", r, err)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFsckIsNotMisled: a snapshot that hides the closes costs a second pass and
// changes nothing.
func TestFsckIsNotMisled(t *testing.T) {
	g, clock := closing(t)
	run, _ := g.Run("misled")
	for n := range uint64(4) {
		appendBatch(t, g, ledgertest.Batch(run, 1, 1+n*30, 30))
		if _, err := g.L.CloseNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g = reopen(t, g, clock) // with a snapshot after the closes
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := ledger.MisleadFsck(g.Engine); err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.FsckEntries(t.Context(), g.Engine); err != nil || !r.OK {
		t.Errorf("fsck: %+v, %v", r, err)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFsckNamesTheClose writes closes that the entries do not give: the follower
// stops the log, and fsck names the first that differs.
func TestFsckNamesTheClose(t *testing.T) {
	for name, change := range map[string]func(c *daybookv1.Close){
		"another root of the streams": func(c *daybookv1.Close) { c.Streams.Root[0] ^= 1 },
		"another root of the log":     func(c *daybookv1.Close) { c.Root[0] ^= 1 },
		"a run less":                  func(c *daybookv1.Close) { c.Runs.Rows--; c.Runs.Root[0] ^= 1 },
		"kinds swapped":               func(c *daybookv1.Close) { c.Kinds[0].Value++ },
		"a cut that is none":          func(c *daybookv1.Close) { c.PeriodEndNs-- },
	} {
		t.Run(name, func(t *testing.T) {
			g, clock := closing(t)
			run, _ := g.Run("wrong")
			appendBatch(t, g, ledgertest.Batch(run, 1, 1, 30))
			if _, err := g.L.CloseNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			clock.Move(60e9)
			good, err := g.L.CloseNow(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			info, err := g.L.CloseAt(t.Context(), good)
			if err != nil {
				t.Fatal(err)
			}
			c := proto.CloneOf(info.Close)
			c.PreviousClose, c.PreviousCut, c.PeriodStartNs, c.PeriodEndNs = good+1, c.Cut, c.PeriodEndNs, c.PeriodEndNs+1
			c.Cut, c.Streams.Sum = good+1, good+1
			change(c)
			body, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			bad, err := g.L.AppendOwn(context.Background(), daybookv1.Kind_KIND_CLOSE, body)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Stop(); err == nil {
				t.Error("the follower took the close")
			}
			r, err := ledger.Fsck(t.Context(), g.Engine, nil)
			if err != nil || r.OK || r.FirstBadIndex != bad {
				t.Errorf("fsck: %+v, %v; the close at %d is wrong", r, err, bad)
			}
			if err := g.Engine.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestOneOffsShareARow: the one-offs of a producer are one row, in the closes of
// the periods they are in, before and after a restart.
func TestOneOffsShareARow(t *testing.T) {
	g, clock := closing(t)
	defer func() { g.Close() }()
	send := func(p, n int) {
		if _, err := g.L.AppendOneOff(t.Context(), oneOffProducer(p), ledger.Item{Body: at(t, fmt.Sprintf("one-%d-%d", p, n), clock.Now())}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(p int) uint64 {
		index, err := g.L.CloseNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		info, err := g.L.CloseAt(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		key := verify.OneOffRowKey(oneOffProducer(p).ID)
		found, err := g.L.CloseRow(t.Context(), info, ledger.TableRuns, key)
		if err != nil {
			t.Fatal(err)
		}
		checkFound(t, info, ledger.TableRuns, key, found)
		if found.Row == nil {
			return 0
		}
		return found.Row.Row.Count
	}
	for n := range 5 {
		send(n%2, n)
	}
	if got := count(0); got != 3 {
		t.Errorf("row of 3 one-offs counts %d", got)
	}
	send(1, 10)
	if got := count(0); got != 0 {
		t.Errorf("a producer without a one-off in the period has a row of %d", got)
	}
	send(0, 11)
	g = reopen(t, g, clock)
	send(0, 12)
	if got := count(0); got != 5 {
		t.Errorf("row of 5 one-offs counts %d", got)
	}
	g.Check()
}

// TestCloseWaitsForLogTime: a wall clock that has stepped over midnight does not
// close the day while entries may still get a time in it.
func TestCloseWaitsForLogTime(t *testing.T) {
	g, clock := closing(t)
	defer g.Close()
	run, _ := g.Run("slack")
	clock.Move(12*time.Hour - 3*time.Second)
	clock.Skew(5 * time.Second) // wall 2 s after midnight, log time 2 s before it
	for n := range uint64(3) {
		appendBatch(t, g, ledgertest.Batch(run, 1, n+1, 1))
		time.Sleep(250 * time.Millisecond) // the closer looks at the clock meanwhile
	}
	if closes := g.Closes(); len(closes) != 0 {
		t.Fatalf("closed %v before the log's midnight", closes)
	}
	clock.Move(3 * time.Second)
	closes := g.WaitCloses(1)
	if c := closes[0].Close; c.PeriodEndNs != midnight(25) || c.Cut < 5 {
		t.Errorf("close %v", c)
	}
	g.Check()
}

// TestShutLogWritesNoClose: days that pass while a log is shut are overdue, and
// closed once it opens up.
func TestShutLogWritesNoClose(t *testing.T) {
	g, clock := closing(t)
	run, _ := g.Run("shut")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 5))
	g.Close()
	clock.Move(2 * day)
	other := ledgertest.Create(t, newMem(), "other", ledgertest.Options{Clock: clock.Ledger()})
	appendBatch(t, other, ledgertest.Batch(run0(other), 1, 1, 300))
	other.Close()
	shut, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: other.Anchor, Clock: clock.Ledger()})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // the closer looks at the clock meanwhile
	var shutError *ledger.ShutError
	if _, err := shut.L.CloseNow(t.Context()); !errors.As(err, &shutError) {
		t.Errorf("closing a shut log: %v", err)
	}
	if closes, st := shut.Closes(), shut.L.Status(); len(closes) != 0 || st.ClosesOverdue != 2 || st.CloseIndex != 0 {
		t.Errorf("a shut log has closes %v, status %+v", closes, st)
	}
	shut.Close()
	g, err = ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Clock: clock.Ledger()})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	closes := g.WaitCloses(2)
	g.Check()
	if _, err := g.L.Closes(t.Context(), 0, 1); err != nil { // has the follower meet them
		t.Fatal(err)
	}
	if st := g.L.Status(); st.ClosesOverdue != 0 || st.CloseIndex != closes[1].Index || st.CloseEndNS != midnight(26) {
		t.Errorf("status %+v after closes %v", st, closes)
	}
}

func run0(g *ledgertest.Log) verify.Hash {
	id, _ := g.Run("other")
	return id
}
