package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A countWorld is a log of many days, with accesses of many pairs.
type countWorld struct {
	t      *testing.T
	g      *ledgertest.Log
	clock  *ledgertest.Clock
	random *rand.Rand
	run    verify.Hash
	epoch  uint64
	number uint64
}

func newCountWorld(t *testing.T, seed uint64, start time.Time) *countWorld {
	clock := ledgertest.NewClock(start)
	w := &countWorld{t: t, clock: clock, random: rand.New(rand.NewPCG(seed, 7)), epoch: 1,
		g: create(t, ledgertest.Options{Clock: clock.Ledger()})}
	w.run, _ = w.g.Run("counts")
	return w
}

// access is an event of a pair, that occurred now or before.
func (w *countWorld) access(source, target string, side daybookv1.Side, ago time.Duration) ledger.Item {
	w.t.Helper()
	w.number++
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId: fmt.Append(nil, w.number), OccurredAtNs: w.clock.Now().Add(-ago).UnixNano(), Side: side,
		Source: &daybookv1.Source{Domain: source}, Target: &daybookv1.Target{Domain: target}, Actor: &daybookv1.Actor{Id: "alice"},
		Action:   &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision: daybookv1.Decision_DECISION_ALLOWED,
		Outcome:  &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ledger.Item{Body: body}
}

// append appends n accesses of random pairs; fresh ones now and then, so that the
// tables grow before, between and after the rows that are asked for.
func (w *countWorld) append(n int) {
	w.t.Helper()
	b := ledger.Batch{Run: w.run, Epoch: w.epoch, First: w.number + 1}
	for range n {
		source, target := fmt.Sprint("s", w.random.IntN(3)), fmt.Sprint("t", w.random.IntN(3))
		if w.random.IntN(2) == 0 {
			target = fmt.Sprint("t", w.random.IntN(800))
		}
		ago := time.Duration(w.random.IntN(2)) * 30 * time.Hour
		b.Items = append(b.Items, w.access(source, target, daybookv1.Side(w.random.IntN(5)), ago))
	}
	appendBatch(w.t, w.g, b)
}

func (w *countWorld) closeNow() {
	w.t.Helper()
	if _, err := w.g.L.CloseNow(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// move lets time pass until the closes of the days that end are there.
func (w *countWorld) move(d time.Duration) {
	w.t.Helper()
	before := w.clock.Now().UnixNano()
	w.clock.Move(d)
	days := verify.Midnights(before, w.clock.Now().UnixNano())
	if days > verify.MaxMissedDays {
		days = 1
	}
	if days == 0 {
		return
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		newest, err := w.g.L.Closes(w.t.Context(), 0, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(newest) == 1 && newest[0].Close.PeriodEndNs == verify.DayStart(w.clock.Now().UnixNano()) {
			return
		}
	}
	w.t.Fatal("the days that ended have no close")
}

// restart stops the log, and opens it after a time.
func (w *countWorld) restart(after time.Duration) {
	w.t.Helper()
	if err := w.g.Stop(); err != nil {
		w.t.Fatal(err)
	}
	w.clock.Move(after)
	w.g = reopen(w.t, w.g, w.clock)
}

// A countedEntry is what counting sees of an access.
type countedEntry struct {
	index uint64
	place *daybookv1.EntryHead
}

func (w *countWorld) read() (all []countedEntry) {
	w.t.Helper()
	err := w.g.L.Entries(w.t.Context(), 0, w.g.L.Head().Size, func(i uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil {
			return err
		}
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			all = append(all, countedEntry{i, e.Place})
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// twin counts in the plainest way: every entry, by the cuts of all closes.
func (w *countWorld) twin(all []countedEntry, closes []ledgertest.FoundClose, source, target string, from, until int64) []ledger.PairPeriod {
	count := func(lo, hi uint64) (c ledger.SideCounts) {
		for _, e := range all {
			if e.index < lo || e.index >= hi || e.place.Source != source || e.place.Target != target {
				continue
			}
			late := 0
			if e.place.Late {
				late = 1
			}
			c[e.place.Side][late]++
		}
		return c
	}
	var out []ledger.PairPeriod
	cut, start, previous := uint64(0), verify.DayStart(noon().UnixNano()), uint64(0)
	for _, c := range closes {
		if c.Close.PeriodEndNs > from && c.Close.PeriodStartNs < until {
			out = append(out, ledger.PairPeriod{Close: c.Index, Previous: previous, Start: c.Close.PeriodStartNs, End: c.Close.PeriodEndNs, Counts: count(cut, c.Close.Cut)})
		}
		cut, start, previous = c.Close.Cut, c.Close.PeriodEndNs, c.Index
	}
	if start < until {
		out = append(out, ledger.PairPeriod{Previous: previous, Start: start, Counts: count(cut, ^uint64(0))})
	}
	return out
}

// check compares the counts of several pairs over many times with the twin's.
func (w *countWorld) check(times int) {
	w.t.Helper()
	size, all, closes := w.g.L.Head().Size, w.read(), w.g.Closes()
	first := verify.DayStart(noon().UnixNano())
	span := w.clock.Now().UnixNano() - first + verify.Day
	for i := range times {
		source, target := fmt.Sprint("s", w.random.IntN(4)), fmt.Sprint("t", w.random.IntN(5))
		from, until := first+w.random.Int64N(span), first+w.random.Int64N(span)
		switch i % 4 {
		case 0:
			from, until = 0, w.clock.Now().UnixNano()+verify.Day
		case 1: // exactly at the ends of periods
			if len(closes) > 0 {
				from, until = closes[w.random.IntN(len(closes))].Close.PeriodStartNs, closes[w.random.IntN(len(closes))].Close.PeriodEndNs
			}
		}
		if from >= until {
			from, until = until, from+1
		}
		got, err := w.g.L.PairCounts(w.t.Context(), source, target, from, until, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if want := w.twin(all, closes, source, target, from, until); !slices.Equal(got.Periods, want) {
			w.t.Fatalf("%s to %s in [%d, %d):\ngot  %v\nwant %v", source, target, from, until, got.Periods, want)
		}
		if got.Size < size {
			w.t.Fatalf("counted %d entries of %d", got.Size, size)
		}
	}
}

// TestPairCountsEqualEntries: before the first close and over days with closes on
// demand, days without an entry, restarts, and missed days of which each has a
// close or all have one.
func TestPairCountsEqualEntries(t *testing.T) {
	w := newCountWorld(t, 1, noon())
	defer func() { w.g.Close() }()
	w.check(4)
	w.append(200)
	w.check(12) // no close yet
	for d := range 24 {
		w.move(24 * time.Hour)
		if w.random.IntN(4) != 0 {
			w.append(1 + w.random.IntN(60))
		}
		if w.random.IntN(3) == 0 {
			w.clock.Move(time.Hour)
			w.closeNow()
			w.append(1 + w.random.IntN(20))
			w.check(4)
		}
		switch d {
		case 7:
			w.restart(3 * day)
			w.move(day)
		case 13:
			w.restart(40 * day)
			w.move(day)
		case 18:
			w.restart(time.Minute)
		}
	}
	w.check(150)
	w.restart(0)
	w.check(40)
	w.append(30)
	w.check(40)
	w.g.Check()
}

// TestPairCountsWithoutMatch: a pair that the log does not have is zero in each
// period, and a time before or after the log's has its own answers.
func TestPairCountsWithoutMatch(t *testing.T) {
	w := newCountWorld(t, 2, noon())
	defer func() { w.g.Close() }()
	w.append(20)
	w.move(day)
	w.append(5)
	got, err := w.g.L.PairCounts(t.Context(), "no", "pair", 0, 0, 10)
	if err != nil || len(got.Periods) != 2 || got.Periods[0].Counts.Sum()+got.Periods[1].Counts.Sum() != 0 {
		t.Errorf("a pair that is not there: %+v, %v", got, err)
	}
	if got, err = w.g.L.PairCounts(t.Context(), "s0", "t0", 1, 2, 10); err != nil || len(got.Periods) != 0 {
		t.Errorf("before the log: %+v, %v", got, err)
	}
	later := w.clock.Now().Add(time.Hour).UnixNano()
	if got, err = w.g.L.PairCounts(t.Context(), "s0", "t0", later, 0, 10); err != nil || len(got.Periods) != 1 || got.Periods[0].End != 0 {
		t.Errorf("after the newest close: %+v, %v", got, err)
	}
	if _, err = w.g.L.PairCounts(t.Context(), string(make([]byte, 300)), "t0", 0, 0, 10); err == nil {
		t.Error("a domain id of 300 bytes was counted")
	}
}

// TestPairCountsLimit: an answer that would be longer is refused, and none that
// would not.
func TestPairCountsLimit(t *testing.T) {
	w := newCountWorld(t, 3, noon())
	defer func() { w.g.Close() }()
	for range 5 {
		w.append(3)
		w.move(day)
	}
	first := verify.DayStart(noon().UnixNano())
	for _, c := range []struct {
		from, until int64
		periods     int
	}{{0, 0, 6}, {0, first + 5*verify.Day, 5}, {first + verify.Day, 0, 5}, {first + verify.Day, first + 3*verify.Day, 2}, {first + 5*verify.Day, 0, 1}} {
		got, err := w.g.L.PairCounts(t.Context(), "s0", "t0", c.from, c.until, c.periods)
		if err != nil || len(got.Periods) != c.periods {
			t.Errorf("%v with that limit: %v, %v", c, got, err)
		}
		if _, err := w.g.L.PairCounts(t.Context(), "s0", "t0", c.from, c.until, c.periods-1); !errors.Is(err, ledger.ErrManyPeriods) {
			t.Errorf("%v with a lower limit: %v", c, err)
		}
	}
}

// TestPairCountsOfDamagedTables: a page that is gone or cut is an error and no
// count.
func TestPairCountsOfDamagedTables(t *testing.T) {
	var damage *ledgertest.Damage
	clock := ledgertest.NewClock(noon())
	g := create(t, ledgertest.Options{Clock: clock.Ledger(), Wrap: func(e store.Engine) store.Engine {
		damage = &ledgertest.Damage{Engine: e}
		return damage
	}})
	defer g.Close()
	w := &countWorld{t: t, g: g, clock: clock, random: rand.New(rand.NewPCG(4, 4)), epoch: 1}
	w.run, _ = g.Run("damaged")
	for range 3 {
		w.append(400)
		w.move(day)
	}
	closes := g.Closes()
	pages := map[string]func([]byte) []byte{
		"gone":  ledgertest.Gone,
		"short": func(b []byte) []byte { return b[:20] },
		"empty": func(b []byte) []byte { return b[:0] },
	}
	for name, change := range pages {
		for _, c := range closes {
			for page := range (c.Close.Streams.Rows + 255) / 256 {
				damage.Alter(append(store.Closes.Key(uint64(c.Close.PeriodEndNs)), 1, 0, 0, 0, byte(page)), change)
			}
			if got, err := g.L.PairCounts(t.Context(), "s0", "t0", 0, 0, 10); err == nil {
				t.Errorf("page %s in the close at %d: counted %+v", name, c.Index, got)
			}
			damage.Repair()
		}
	}
	w.check(20)
}
