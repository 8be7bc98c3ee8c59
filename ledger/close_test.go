package ledger_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const day = 24 * time.Hour

// noon is the noon of the first day of these logs.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func midnight(day int) int64 { return time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC).UnixNano() }

// closing makes a log whose days a clock drives.
func closing(t *testing.T) (*ledgertest.Log, *ledgertest.Clock) {
	t.Helper()
	clock := ledgertest.NewClock(noon())
	return create(t, ledgertest.Options{Clock: clock.Ledger()}), clock
}

func reopen(t *testing.T, g *ledgertest.Log, clock *ledgertest.Clock) *ledgertest.Log {
	t.Helper()
	g.Close()
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Clock: clock.Ledger(), AcceptClock: true})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// at is one event that occurred at a time.
func at(t *testing.T, id string, occurred time.Time) []byte {
	t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId:      []byte(id),
		OccurredAtNs: occurred.UnixNano(),
		Side:         daybookv1.Side_SIDE_SOURCE,
		Source:       &daybookv1.Source{Domain: "web"},
		Target:       &daybookv1.Target{Domain: "db"},
		Actor:        &daybookv1.Actor{Id: "alice"},
		Action:       &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision:     daybookv1.Decision_DECISION_ALLOWED,
		Outcome:      &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestCloseOfDays(t *testing.T) {
	g, clock := closing(t)
	defer func() { g.Close() }()
	run, _ := g.Run("days")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 300))
	clock.Move(12 * time.Hour)
	closes := g.WaitCloses(1)
	if c := closes[0].Close; c.PeriodStartNs != midnight(24) || c.PeriodEndNs != midnight(25) || c.Cut < 302 {
		t.Errorf("the first day's close: %v", c)
	}
	g.Check()
	// A day without events has the day's own close.
	clock.Move(day)
	closes = g.WaitCloses(2)
	if c := closes[1].Close; c.PeriodEndNs != midnight(26) || c.Cut-c.PreviousCut != 1 || c.Runs.Rows != 1 {
		t.Errorf("an empty day's close, with nothing but the close of the day before: %v", c)
	}
	// An entry that finds midnight passed is not in the old day.
	clock.Move(day)
	appendBatch(t, g, ledgertest.Batch(run, 1, 301, 5))
	closes = g.WaitCloses(3)
	if c := closes[2].Close; c.PeriodEndNs != midnight(27) {
		t.Errorf("third close: %v", c)
	}
	g.Check()
	g = reopen(t, g, clock)
	g.Check()
	clock.Move(day)
	g.WaitCloses(4)
	g.Check()
}

func TestMissedDays(t *testing.T) {
	for _, c := range []struct {
		days   int
		closes int
	}{{1, 1}, {3, 3}, {31, 31}, {32, 1}, {400, 1}} {
		t.Run(fmt.Sprint(c.days), func(t *testing.T) {
			g, clock := closing(t)
			run, _ := g.Run("missed")
			appendBatch(t, g, ledgertest.Batch(run, 1, 1, 5))
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			clock.Move(time.Duration(c.days) * day)
			g = reopen(t, g, clock)
			defer g.Close()
			closes := g.WaitCloses(c.closes)
			if len(closes) != c.closes {
				t.Fatalf("%d closes for %d missed days", len(closes), c.days)
			}
			if last := closes[len(closes)-1].Close; last.PeriodEndNs != midnight(24)+int64(c.days)*int64(day) {
				t.Errorf("newest close %v", last)
			}
			g.Check()
		})
	}
}

func TestCloseNow(t *testing.T) {
	g, clock := closing(t)
	defer func() { g.Close() }()
	run, _ := g.Run("now")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 20))
	size := g.L.Head().Size
	var indexes []uint64
	for range 3 { // the clock stands still
		index, err := g.L.CloseNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, index)
	}
	closes := g.Closes()
	if len(closes) != 3 || closes[0].Index != indexes[0] || closes[2].Index != indexes[2] || closes[0].Close.Cut < size {
		t.Fatalf("CloseNow answered %d, the log has %v", indexes, closes)
	}
	g.Check()
	g = reopen(t, g, clock)
	appendBatch(t, g, ledgertest.Batch(run, 1, 21, 3))
	clock.Move(day)
	closes = g.WaitCloses(4)
	if c := closes[3].Close; c.PeriodEndNs != midnight(25) || c.PreviousCut != closes[2].Close.Cut {
		t.Errorf("the rest of the day: %v", c)
	}
	g.Check()
}

// TestCloseBesideAppends closes on demand and by the clock while producers
// append: each close is what the entries below its cut give.
func TestCloseBesideAppends(t *testing.T) {
	g, clock := closing(t)
	defer g.Close()
	var wg sync.WaitGroup
	for p := range 3 {
		run, _ := g.Run(fmt.Sprint("beside", p))
		wg.Go(func() {
			for n := range 40 {
				b := ledgertest.Batch(run, 1, uint64(n*7+1), 7)
				if _, err := g.L.Append(t.Context(), ledgertest.Producer, b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 15 {
			if n%5 == 4 {
				clock.Move(day)
			}
			if _, err := g.L.CloseNow(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if closes := g.WaitCloses(15); len(closes) < 15 {
		t.Errorf("%d closes", len(closes))
	}
	g.Check()
}

// TestLateByADay: an event of yesterday is in a stream of its own, and in the
// close of the day on which it was logged.
func TestLateByADay(t *testing.T) {
	g, clock := closing(t)
	defer g.Close()
	run, _ := g.Run("late")
	appendOne := func(number uint64, occurred time.Time) {
		appendBatch(t, g, ledger.Batch{Run: run, Epoch: 1, First: number, Items: []ledger.Item{{Body: at(t, fmt.Sprint(number), occurred)}}})
	}
	appendOne(1, noon())
	clock.Move(day)
	g.WaitCloses(1)
	appendOne(2, noon())          // late by a day
	appendOne(3, noon().Add(day)) // in time
	clock.Move(day)
	g.WaitCloses(2)
	for i, want := range []map[bool]uint64{{false: 1}, {false: 2, true: 1}} {
		rows := map[bool]uint64{}
		info, err := g.L.CloseAt(t.Context(), g.Closes()[i].Index)
		if err != nil {
			t.Fatal(err)
		}
		for _, late := range []bool{false, true} {
			key := verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "web", "db", daybookv1.Side_SIDE_SOURCE, late)
			found, err := g.L.CloseRow(t.Context(), info, ledger.TableStreams, []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			checkFound(t, info, ledger.TableStreams, []byte(key), found)
			if found.Row != nil {
				rows[late] = found.Row.Row.Count
			}
		}
		if len(rows) != len(want) || rows[false] != want[false] || rows[true] != want[true] {
			t.Errorf("close %d: rows by late %v, want %v", i, rows, want)
		}
	}
	g.Check()
}

// checkFound checks a row or its absence as an auditor would.
func checkFound(t *testing.T, info *ledger.CloseInfo, table ledger.CloseTable, key []byte, f *ledger.FoundRow) {
	t.Helper()
	of := info.Close.Streams
	if table == ledger.TableRuns {
		of = info.Close.Runs
	}
	err := errors.New("row and neighbours")
	switch {
	case f.Row != nil && f.Before == nil && f.After == nil:
		if err = verify.CheckRow(of, *f.Row); err == nil && string(f.Row.Row.Key) != string(key) {
			err = errors.New("another key")
		}
	case f.Row == nil:
		err = verify.CheckAbsent(of, key, f.Before, f.After)
	}
	if err != nil {
		t.Errorf("key %x: %v", key, err)
	}
}

func oneOffProducer(n int) ledger.Producer {
	return ledger.Producer{ID: fmt.Sprintf("spiffe://web.test/one-off-%d", n), KeyFingerprint: sha256.Sum256([]byte("key"))}
}
