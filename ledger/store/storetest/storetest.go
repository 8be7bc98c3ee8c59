// Package storetest runs the contract of store.Engine against an engine.
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness { ... })
//	}
//
// Faults cannot be made from outside an engine; its own tests break the disk
// under it and use [Script] to check what is left.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Harness is one store under test.
type Harness struct {
	// Open opens the store, empty at first, then with what was left in it. It
	// fails the test if that fails.
	Open func(t *testing.T) store.Engine
	// Poison makes the next sync of the log fail. nil skips the test of poisoning.
	Poison func()
}

// Run runs the contract. Each test gets a new harness.
func Run(t *testing.T, harness func(t *testing.T) Harness) {
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"EmptyStore", testEmpty},
		{"Order", testOrder},
		{"ScanBounds", testScanBounds},
		{"ScanEnds", testScanEnds},
		{"Limits", testLimits},
		{"CopiesAndReuse", testCopies},
		{"FollowsTheLastHead", testPrev},
		{"HeadNeverGoesBack", testBackwards},
		{"Pipeline", testPipeline},
		{"DeleteFrames", testDeleteFrames},
		{"Derive", testDerive},
		{"Load", testLoad},
		{"LoadRefuses", testLoadRefuses},
		{"DeleteRange", testDeleteRange},
		{"Reopen", testReopen},
		{"ReadersBesideWriter", testReaders},
		{"Closed", testClosed},
		{"Poison", testPoison},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, harness(t)) })
	}
}

// after returns a head n entries after h, with a root of its own.
func after(h store.Head, n uint64) store.Head {
	h.Size += n
	h.TimeNS++
	h.Root[0]++
	h.Root[1] = byte(h.Size)
	return h
}

// first is the head of the first commit of each test.
func first(n uint64) store.Head { return after(store.Head{Term: 1}, n) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func put(t *testing.T, b store.Batch, pairs ...string) store.Batch {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		must(t, b.Set([]byte(pairs[i]), []byte(pairs[i+1])))
	}
	return b
}

func commit(t *testing.T, e store.Engine, prev, next store.Head, b store.Batch) {
	t.Helper()
	ticket, err := e.Commit(prev, next, b)
	must(t, err)
	must(t, ticket.Wait())
}

// read returns all pairs of [lo, hi) but the head, ascending, as key=value.
func read(t *testing.T, e store.Engine, lo, hi []byte) []string {
	t.Helper()
	var got []string
	must(t, e.Scan(lo, hi, func(k, v []byte) error {
		if !bytes.Equal(k, store.HeadKey()) {
			got = append(got, fmt.Sprintf("%s=%s", k, v))
		}
		return nil
	}))
	return got
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("store differs (-want +got):\n%s", diff)
	}
}

func closeEngine(t *testing.T, e store.Engine) {
	t.Helper()
	must(t, e.Close())
}

func testEmpty(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	_, err := e.Head()
	mustBe(t, err, store.ErrNotFound)
	_, err = e.Get([]byte("a"))
	mustBe(t, err, store.ErrNotFound)
	want(t, read(t, e, nil, nil))
	if n := e.NewBatch().Len(); n != 0 {
		t.Errorf("new batch of %d bytes", n)
	}
	if e.InFlight() < 1 {
		t.Errorf("InFlight = %d", e.InFlight())
	}
}

func testOrder(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	// Bytewise, a prefix before what it is a prefix of, whatever the order of writing.
	keys := []string{"f\x00", "f\x00\x00", "f\x00\xff", "f\x7f", "f\x80", "f\xff", "f\xff\xff"}
	b := e.NewBatch()
	for i := range keys {
		put(t, b, keys[(i*3)%len(keys)], "")
	}
	commit(t, e, store.Head{}, first(1), b)
	var up, down []string
	lo, hi := store.Frames.Range()
	must(t, e.Scan(lo, hi, func(k, _ []byte) error { up = append(up, string(k)); return nil }))
	must(t, e.ScanReverse(lo, hi, func(k, _ []byte) error { down = append([]string{string(k)}, down...); return nil }))
	if diff := cmp.Diff(keys, up); diff != "" {
		t.Errorf("ascending: %s", diff)
	}
	if diff := cmp.Diff(keys, down); diff != "" {
		t.Errorf("descending: %s", diff)
	}
}

func testScanBounds(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	commit(t, e, store.Head{}, first(1), put(t, e.NewBatch(), "c1", "1", "c2", "2", "c3", "3", "t1", "4"))
	want(t, read(t, e, []byte("c2"), []byte("c3")), "c2=2")
	want(t, read(t, e, []byte("c2"), []byte("c31")), "c2=2", "c3=3")
	want(t, read(t, e, []byte("c21"), []byte("c3")))
	want(t, read(t, e, []byte("c3"), []byte("c1")))
	want(t, read(t, e, nil, []byte("c2")), "c1=1")
	want(t, read(t, e, []byte("c3"), nil), "c3=3", "t1=4")
	want(t, read(t, e, nil, nil), "c1=1", "c2=2", "c3=3", "t1=4")
	var last string
	must(t, e.ScanReverse(nil, []byte("c3"), func(k, _ []byte) error { last = string(k); return store.ErrStop }))
	if last != "c2" {
		t.Errorf("last before c3 is %q", last)
	}
}

func testScanEnds(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	commit(t, e, store.Head{}, first(1), put(t, e.NewBatch(), "c1", "1", "c2", "2"))
	broken := errors.New("broken")
	for name, scan := range map[string]func(lo, hi []byte, fn func(k, v []byte) error) error{"up": e.Scan, "down": e.ScanReverse} {
		calls := 0
		must(t, scan(nil, nil, func(_, _ []byte) error { calls++; return fmt.Errorf("wrapped: %w", store.ErrStop) }))
		if calls != 1 {
			t.Errorf("%s: %d calls after Stop", name, calls)
		}
		mustBe(t, scan(nil, nil, func(_, _ []byte) error { return broken }), broken)
	}
}

func testLimits(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	b := e.NewBatch()
	key := bytes.Repeat([]byte("c"), store.MaxKey)
	value := bytes.Repeat([]byte("v"), store.MaxValue)
	mustBe(t, b.Set(append(key, 'c'), nil), store.ErrTooLarge)
	mustBe(t, b.Set(key, append(value, 'v')), store.ErrTooLarge)
	mustBe(t, b.Delete(append(key, 'c')), store.ErrTooLarge)
	must(t, b.Set(key, value))
	must(t, b.Set([]byte("c"), nil))
	commit(t, e, store.Head{}, first(1), b)
	got, err := e.Get(key)
	must(t, err)
	if !bytes.Equal(got, value) {
		t.Errorf("largest value came back with %d bytes", len(got))
	}
	if got, err := e.Get([]byte("c")); err != nil || len(got) != 0 {
		t.Errorf("empty value came back as %q, %v", got, err)
	}
}

func testCopies(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	key, value := []byte("c1"), []byte("value")
	b := e.NewBatch()
	must(t, b.Set(key, value))
	if b.Len() < len(key)+len(value) {
		t.Errorf("Len = %d", b.Len())
	}
	copy(key, "zz")
	copy(value, "zzzzz")
	commit(t, e, store.Head{}, first(1), b)
	got, err := e.Get([]byte("c1"))
	must(t, err)
	copy(got, "mine!")
	want(t, read(t, e, nil, nil), "c1=value")

	if b.Len() != 0 {
		t.Errorf("batch of %d bytes after its commit", b.Len())
	}
	put(t, b, "c2", "a", "c2", "b", "c3", "x")
	must(t, b.Delete([]byte("c3")))
	must(t, b.Delete([]byte("c1")))
	must(t, b.Delete([]byte("c9")))
	commit(t, e, first(1), after(first(1), 1), b)
	want(t, read(t, e, nil, nil), "c2=b")
}

func testPrev(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	h1 := first(3)
	_, err := e.Commit(h1, after(h1, 1), put(t, e.NewBatch(), "c0", "0"))
	mustBe(t, err, store.ErrNotLast)
	commit(t, e, store.Head{}, h1, put(t, e.NewBatch(), "c1", "1"))
	for _, prev := range []store.Head{{}, after(h1, 1), {Term: 1, Size: 3}} {
		_, err := e.Commit(prev, after(h1, 2), put(t, e.NewBatch(), "c2", "2"))
		mustBe(t, err, store.ErrNotLast)
	}
	h2 := h1
	h2.Term++
	commit(t, e, h1, h2, nil)
	if got, err := e.Head(); err != nil || got != h2 {
		t.Errorf("Head = %+v, %v; want %+v", got, err, h2)
	}
	want(t, read(t, e, nil, nil), "c1=1")
}

func testBackwards(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	h1 := store.Head{Term: 2, Size: 3, TimeNS: 7}
	commit(t, e, store.Head{}, h1, nil)
	for _, next := range []store.Head{{Term: 1, Size: 3, TimeNS: 7}, {Term: 2, Size: 2, TimeNS: 7}, {Term: 2, Size: 3, TimeNS: 6}, {Term: 2, Size: 3, TimeNS: 7, Root: [32]byte{1}}} {
		_, err := e.Commit(h1, next, nil)
		mustBe(t, err, store.ErrBackwards)
	}
	commit(t, e, h1, h1, nil)
}

func testPipeline(t *testing.T, h Harness) {
	e := h.Open(t)
	var tickets []store.Ticket
	prev := store.Head{}
	n := 4*e.InFlight() + 1
	for i := range n {
		next := after(prev, 1)
		ticket, err := e.Commit(prev, next, put(t, e.NewBatch(), fmt.Sprintf("c%03d", i), "x"))
		must(t, err)
		tickets = append(tickets, ticket)
		prev = next
	}
	// The newest first, from many goroutines: the ones before it have resolved by then.
	var wg sync.WaitGroup
	for i := n - 1; i >= 0; i-- {
		for range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := tickets[i].Wait(); err != nil {
					t.Error(err)
				}
			}()
		}
	}
	wg.Wait()
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	if got := read(t, e, nil, nil); len(got) != n {
		t.Errorf("%d of %d commits after reopening", len(got), n)
	}
}

func testDeleteFrames(t *testing.T, h Harness) {
	e := h.Open(t)
	prev := store.Head{}
	step := func(fill func(b store.Batch)) {
		b := e.NewBatch()
		fill(b)
		next := after(prev, 1)
		commit(t, e, prev, next, b)
		prev = next
	}
	// Small frames come one by one; the one that completes the bundle replaces the first.
	for i := range uint64(3) {
		step(func(b store.Batch) { must(t, b.Set(store.Frames.Key(i), []byte("small"))) })
		if i == 1 {
			closeEngine(t, e)
			e = h.Open(t)
		}
	}
	step(func(b store.Batch) {
		must(t, b.Set(store.Frames.Key(0), []byte("whole")))
		must(t, b.Delete(store.Frames.Key(1)))
		must(t, b.Delete(store.Frames.Key(2)))
	})
	whole := []string{string(store.Frames.Key(0)) + "=whole"}
	want(t, read(t, e, nil, nil), whole...)
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	want(t, read(t, e, nil, nil), whole...)
}
