package storetest

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/store"
)

func testReopen(t *testing.T, h Harness) {
	e := h.Open(t)
	h1, h2 := first(1), after(first(1), 2)
	commit(t, e, store.Head{}, h1, put(t, e.NewBatch(), "c1", "1"))
	closeEngine(t, e)
	e = h.Open(t)
	if got, err := e.Head(); err != nil || got != h1 {
		t.Fatalf("Head = %+v, %v; want %+v", got, err, h1)
	}
	_, err := e.Commit(store.Head{}, h2, nil)
	mustBe(t, err, store.ErrNotLast)
	commit(t, e, h1, h2, put(t, e.NewBatch(), "c2", "2"))
	_, err = e.Commit(h2, after(h2, 1), put(t, e.NewBatch(), "c3", "3")) // not waited for: Close does
	must(t, err)
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	want(t, read(t, e, nil, nil), "c1=1", "c2=2", "c3=3")
	if e.DiskBytes() == 0 {
		t.Error("a store of no bytes")
	}
}

func testReaders(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	const commits = 30
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				// One scan sees one state: each commit wrote both halves.
				left, right := map[string]string{}, map[string]string{}
				err := e.Scan([]byte("c"), []byte("u"), func(k, v []byte) error {
					if k[0] == 'c' {
						left[string(k[1:])] = string(v)
					} else if k[0] == 't' {
						right[string(k[1:])] = string(v)
					}
					return nil
				})
				if err != nil || !maps.Equal(left, right) {
					t.Errorf("a scan saw half a commit: %d and %d, %v", len(left), len(right), err)
					return
				}
			}
		}()
	}
	prev := store.Head{}
	for i := range commits {
		next := after(prev, 1)
		commit(t, e, prev, next, put(t, e.NewBatch(), fmt.Sprintf("c%d", i), "x", fmt.Sprintf("t%d", i), "x"))
		prev = next
	}
	close(done)
	wg.Wait()
}

func testClosed(t *testing.T, h Harness) {
	e := h.Open(t)
	commit(t, e, store.Head{}, first(1), put(t, e.NewBatch(), "c1", "1"))
	b := put(t, e.NewBatch(), "p", "1")
	closeEngine(t, e)
	_, err := e.Get([]byte("c1"))
	mustBe(t, err, store.ErrClosed)
	mustBe(t, e.Scan(nil, nil, func(_, _ []byte) error { return nil }), store.ErrClosed)
	_, err = e.Commit(first(1), after(first(1), 1), nil)
	mustBe(t, err, store.ErrClosed)
	mustBe(t, e.Derive(b), store.ErrClosed)
	mustBe(t, e.Load(func(func(k, v []byte) bool) {}), store.ErrClosed)
	mustBe(t, e.DeleteRange([]byte("i"), []byte("j")), store.ErrClosed)
	mustBe(t, e.Close(), store.ErrClosed)
}

func testPoison(t *testing.T, h Harness) {
	if h.Poison == nil {
		t.Skip("the harness cannot break a sync")
	}
	e := h.Open(t)
	h1 := first(1)
	commit(t, e, store.Head{}, h1, put(t, e.NewBatch(), "c1", "1"))
	h.Poison()
	h2, h3 := after(h1, 1), after(after(h1, 1), 1)
	t2, err := e.Commit(h1, h2, put(t, e.NewBatch(), "c2", "2"))
	must(t, err)
	if t3, err := e.Commit(h2, h3, put(t, e.NewBatch(), "c3", "3")); err != nil {
		mustBe(t, err, store.ErrPoisoned)
	} else {
		mustBe(t, t3.Wait(), store.ErrPoisoned)
	}
	mustBe(t, t2.Wait(), store.ErrPoisoned)
	mustBe(t, t2.Wait(), store.ErrPoisoned)
	_, err = e.Commit(h3, after(h3, 1), nil)
	mustBe(t, err, store.ErrPoisoned)
	mustBe(t, e.Derive(put(t, e.NewBatch(), "p", "1")), store.ErrPoisoned)
	mustBe(t, e.Load(func(yield func(k, v []byte) bool) { yield([]byte("i1"), nil) }), store.ErrPoisoned)
	mustBe(t, e.DeleteRange([]byte("i"), []byte("j")), store.ErrPoisoned)
	if got, err := e.Get([]byte("c1")); err != nil || string(got) != "1" {
		t.Errorf("reading after the fault: %q, %v", got, err)
	}
	mustBe(t, e.Close(), store.ErrPoisoned)
}
