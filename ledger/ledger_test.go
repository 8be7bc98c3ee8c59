package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func create(t *testing.T, o ledgertest.Options) *ledgertest.Log {
	t.Helper()
	return ledgertest.Create(t, newMem(), "log", o)
}

func newMem() vfs.FS { return vfs.NewMem() }

func appendBatch(t *testing.T, g *ledgertest.Log, b ledger.Batch) *ledger.Receipt {
	t.Helper()
	r, err := g.L.Append(t.Context(), ledgertest.Producer, b)
	if err != nil {
		t.Fatalf("append %d items at %d: %v", len(b.Items), b.First, err)
	}
	g.CheckReceipt(b, r)
	return r
}

func TestAppendReopenRepeat(t *testing.T) {
	g := create(t, ledgertest.Options{PublicTiles: true})
	run, a := g.Run("first")
	if a.Epoch != 1 || a.Next != 1 {
		t.Fatalf("run opened at %+v", a)
	}
	var batches []ledger.Batch
	next := uint64(1)
	for _, n := range []int{1, 3, 250, 1, 700, 5, 256, 40} {
		b := ledgertest.Batch(run, 1, next, n)
		appendBatch(t, g, b)
		batches = append(batches, b)
		next += uint64(n)
		g.Check()
	}
	size := g.L.Head().Size
	g.Close()
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, b := range batches {
		r := appendBatch(t, g, b)
		for _, group := range r.Groups {
			if !group.Repeat || group.FirstIndex >= size {
				t.Fatalf("repeat answered with %+v", group)
			}
		}
	}
	// Half old, half new: one group each.
	last := batches[len(batches)-1]
	mixed := ledger.Batch{Run: run, Epoch: 1, First: last.First + 30, Items: append(last.Items[30:40:40], ledgertest.Batch(run, 1, next, 10).Items...)}
	r := appendBatch(t, g, mixed)
	if len(r.Groups) != 2 || !r.Groups[0].Repeat || r.Groups[1].Repeat {
		t.Fatalf("mixed batch gave groups %+v", r.Groups)
	}
	g.Check()
}

func TestNumbers(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("numbers")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 10))
	other := ledgertest.Batch(run, 1, 4, 1)
	other.Items[0].Body = ledgertest.Event(sha256.Sum256([]byte("other")), 4)
	var conflict *ledger.ConflictError
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, other); !errors.As(err, &conflict) || conflict.Number != 4 {
		t.Errorf("other bytes under a number: %v", err)
	}
	var order *ledger.OutOfOrderError
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 5000, 1)); !errors.As(err, &order) || order.Expected != 11 {
		t.Errorf("far ahead: %v", err)
	}
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 13, 1)); !errors.As(err, &order) || order.Expected != 11 {
		t.Errorf("a hole that stays: %v", err)
	}
	gap, err := proto.Marshal(&daybookv1.Gap{First: 11, Last: 12, Reason: "spool lost"})
	if err != nil {
		t.Fatal(err)
	}
	appendBatch(t, g, ledger.Batch{Run: run, Epoch: 1, First: 11, Items: []ledger.Item{{Kind: daybookv1.Kind_KIND_GAP, Body: gap}}})
	appendBatch(t, g, ledgertest.Batch(run, 1, 13, 3))
	a, err := g.L.ResumeRun(t.Context(), ledgertest.Producer, run, g.L.Head().Checkpoint)
	if err != nil || a.Epoch != 2 || a.Next != 16 {
		t.Fatalf("resume: %+v, %v", a, err)
	}
	var epoch *ledger.EpochError
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 16, 1)); !errors.As(err, &epoch) || epoch.Current != 2 {
		t.Errorf("old epoch: %v", err)
	}
	ended, err := proto.Marshal(&daybookv1.RunEnded{Last: 15, Hash: a.Hash[:], Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.EndRun(t.Context(), ledgertest.Producer, run, ended); err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 2, 16, 1)); !errors.Is(err, ledger.ErrRunEnded) {
		t.Errorf("append after the end: %v", err)
	}
	again := ledgertest.Batch(run, 2, 2, 1)
	appendBatch(t, g, again)
	g.Check()
}

// TestOvertaking appends single numbers concurrently, in any order.
func TestOvertaking(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("overtaking")
	var wg sync.WaitGroup
	for n := uint64(1); n <= 300; n++ {
		wg.Go(func() {
			b := ledgertest.Batch(run, 1, n, 1)
			for {
				r, err := g.L.Append(t.Context(), ledgertest.Producer, b)
				var order *ledger.OutOfOrderError
				if errors.As(err, &order) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := ledgertest.CheckReceipt(b, r); err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	g.Check()
}

func TestOneOff(t *testing.T) {
	g := create(t, ledgertest.Options{})
	item := ledger.Item{Body: ledgertest.Event(verify.Hash{1}, 1)}
	var first *ledger.Receipt
	for range 3 {
		r, err := g.L.AppendOneOff(t.Context(), ledgertest.Producer, item)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		}
		if r.Groups[0].FirstIndex != first.Groups[0].FirstIndex {
			t.Fatalf("one-off stands at %d and %d", first.Groups[0].FirstIndex, r.Groups[0].FirstIndex)
		}
	}
	g.Check()
	g.Close()
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	r, err := g.L.AppendOneOff(t.Context(), ledgertest.Producer, item)
	if err != nil || r.Groups[0].FirstIndex != first.Groups[0].FirstIndex {
		t.Fatalf("one-off after reopening: %+v, %v", r, err)
	}
}

func TestRefusals(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("refusals")
	b := ledgertest.Batch(run, 1, 1, 3)
	var e daybookv1.Event
	if err := proto.Unmarshal(b.Items[1].Body, &e); err != nil {
		t.Fatal(err)
	}
	e.Actor.Id = ""
	b.Items[1].Body, _ = proto.Marshal(&e)
	_, err := g.L.Append(t.Context(), ledgertest.Producer, b)
	var refused *ledger.RefusedError
	if !errors.As(err, &refused) || refused.Number != 2 || refused.Field != "actor.id" {
		t.Fatalf("missing actor: %v", err)
	}
	b.Items[1] = ledger.Item{Kind: daybookv1.Kind_KIND_DECLINED, Body: refused.Declined}
	appendBatch(t, g, b)
	if _, err := g.L.Append(t.Context(), ledger.Producer{ID: "spiffe://web.test/other"}, ledgertest.Batch(run, 1, 4, 1)); !errors.Is(err, ledger.ErrNoRun) {
		t.Errorf("another producer's run: %v", err)
	}
	g.Check()
}

// TestSameRootAnyWorkers appends the same bytes with one worker and with four.
func TestSameRootAnyWorkers(t *testing.T) {
	clock := ledger.Clock{Wall: func() int64 { return 1_800_000_000e9 }, Mono: func() time.Duration { return 0 }}
	run := verify.Hash{7}
	var streams []map[uint64][]byte
	b := ledgertest.Batch(run, 1, 1, 3000)
	for _, workers := range []int{1, 4} {
		g := create(t, ledgertest.Options{Workers: workers, Clock: clock})
		if _, err := g.L.OpenRun(t.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: run[:], Provenance: 1}, nil); err != nil {
			t.Fatal(err)
		}
		r := appendBatch(t, g, b)
		first := r.Groups[0].FirstIndex
		entries := map[uint64][]byte{}
		if err := g.L.Entries(t.Context(), first, first+3000, func(i uint64, raw []byte) error {
			e, err := verify.ParseEntry(raw)
			entries[i] = append([]byte(nil), e.Body...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, entries)
		g.Check()
		g.Close()
	}
	if diff := cmp.Diff(streams[0], streams[1]); diff != "" {
		t.Error(diff)
	}
}

func TestReadsAndLists(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("reads")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 600))
	old := g.L.Head()
	appendBatch(t, g, ledgertest.Batch(run, 1, 601, 600))
	signed, _, err := g.L.CheckpointAt(t.Context(), old.Size)
	if err != nil || string(signed) != string(old.Checkpoint) {
		t.Errorf("past checkpoint signed again differs: %v", err)
	}
	proof, err := g.L.Consistency(t.Context(), old.Size, g.L.Head().Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckConsistency(old.Size, g.L.Head().Size, old.Root, g.L.Head().Root, proof); err != nil {
		t.Error(err)
	}
	for _, ascending := range []bool{true, false} {
		f := ledger.ListFilter{Source: "web-1", Target: "db-2", Ascending: ascending}
		size, from, got := g.L.Head().Size, uint64(0), 0
		if !ascending {
			from = size
		}
		for {
			page, err := g.L.List(t.Context(), f, size, from, 7)
			if err != nil {
				t.Fatal(err)
			}
			got += len(page.Indexes)
			if from = page.Next; !page.More {
				break
			}
		}
		if got != 80 {
			t.Errorf("ascending %v: listed %d entries of the pair, want 80", ascending, got)
		}
	}
	found, err := g.L.EventIndexes(t.Context(), []byte("no such"), 10)
	if err != nil || len(found) != 0 {
		t.Errorf("unknown event id: %v, %v", found, err)
	}
}

// TestOldCopyStaysShut opens a store that is older than the anchor, and one
// whose anchor is gone but whose producer returns.
func TestOldCopyStaysShut(t *testing.T) {
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{})
	run, _ := g.Run("shut")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 10))
	g.Close()
	if _, err := vfs.Clone(fs, fs, "log", "copy"); err != nil {
		t.Fatal(err)
	}
	g, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	newest := appendBatch(t, g, ledgertest.Batch(run, 1, 11, 10)).Checkpoint
	g.Close()

	shut, err := ledgertest.Open(t, fs, "copy", ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	var shutError *ledger.ShutError
	if _, err := shut.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 11, 1)); !errors.As(err, &shutError) {
		t.Errorf("append to an older copy: %v", err)
	}
	if shut.L.Head().Checkpoint != nil {
		t.Error("an older copy signed a checkpoint")
	}
	if _, err := shut.L.Entry(t.Context(), 3); err != nil {
		t.Errorf("read of a shut log: %v", err)
	}
	shut.Close()

	evidence := &ledgertest.MemEvidence{}
	open, err := ledgertest.Open(t, fs, "copy", ledgertest.Options{Anchor: &ledgertest.MemAnchor{}, Evidence: evidence})
	if err != nil {
		t.Fatal(err)
	}
	if ok, reason := open.L.Ready(); !ok {
		t.Fatalf("without an anchor the copy opens: %s", reason)
	}
	var fork *ledger.ForkError
	if _, err := open.L.ResumeRun(t.Context(), ledgertest.Producer, run, newest); !errors.As(err, &fork) {
		t.Errorf("returning producer: %v", err)
	}
	if _, err := open.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 11, 1)); !errors.As(err, &shutError) {
		t.Errorf("append after the fork was seen: %v", err)
	}
	if string(evidence.Note("presented")) != string(newest) {
		t.Error("the presented checkpoint was not kept as evidence")
	}
	open.Close()
}

func TestClock(t *testing.T) {
	var mu sync.Mutex
	wall, mono := int64(1_800_000_000e9), time.Duration(0)
	clock := ledger.Clock{
		Wall: func() int64 { mu.Lock(); defer mu.Unlock(); return wall },
		Mono: func() time.Duration { mu.Lock(); defer mu.Unlock(); return mono },
	}
	step := func(w, m time.Duration) { mu.Lock(); defer mu.Unlock(); wall += int64(w); mono += m }
	g := create(t, ledgertest.Options{Clock: clock})
	run, _ := g.Run("clock")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 1))
	step(5*time.Second, time.Second)
	appendBatch(t, g, ledgertest.Batch(run, 1, 2, 1))
	if got, want := g.L.Head().TimeNS, int64(1_800_000_002e9); got != want {
		t.Errorf("time %d after the wall ran ahead, want expected + 1 s = %d", got, want)
	}
	step(30*time.Second, 0)
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 3, 1)); !errors.Is(err, ledger.ErrClock) {
		t.Errorf("append with a wrong clock: %v", err)
	}
	if ok, _ := g.L.Ready(); ok {
		t.Error("ready with a wrong clock")
	}
	step(-34*time.Second, 0)
	appendBatch(t, g, ledgertest.Batch(run, 1, 3, 1))
	g.Check()
	g.Close()
	step(-time.Hour, 0)
	var clockError *ledger.ClockError
	if _, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Clock: clock}); !errors.As(err, &clockError) {
		t.Errorf("open an hour before the last entry: %v", err)
	}
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Clock: clock, AcceptClock: true})
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(4); n < 8; n++ { // commits of their own: an accepted clock stays accepted
		appendBatch(t, g, ledgertest.Batch(run, 1, n, 1))
	}
	g.Check()
	g.Close()
}

func TestStopFinishesWhatItAccepted(t *testing.T) {
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("stop")
	var pending []*ledger.Pending
	for n := uint64(1); n <= 2000; n += 100 {
		p, err := g.L.AppendAsync(context.Background(), ledgertest.Producer, ledgertest.Batch(run, 1, n, 100))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	for i, p := range pending {
		if _, err := p.Wait(context.Background()); err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}
