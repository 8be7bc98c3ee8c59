package ledger

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/verify"
)

// TestCacheStaysInBudget puts and gets at random from two goroutines: a value is
// found only under its key, no shard outgrows its budget, and what fits is kept.
func TestCacheStaysInBudget(t *testing.T) {
	c := newCache[uint64](cacheShards * 1000)
	var wg sync.WaitGroup
	for g := range uint64(2) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			for range 20_000 {
				key := r.Uint64N(500)
				if v, ok := c.get(key); ok && v != key {
					t.Errorf("under key %d stands %d", key, v)
				} else if !ok {
					c.put(key, key, 1+int(key%400))
				}
			}
		})
	}
	wg.Wait()
	kept := 0
	for i := range c.shards {
		s := &c.shards[i]
		bytes := 0
		for _, slot := range s.ring {
			if s.byKey[slot.key] != slot {
				t.Errorf("key %d is in the ring and not in the map", slot.key)
			}
			bytes += slot.bytes
		}
		if bytes != s.bytes || bytes > s.budget || len(s.ring) != len(s.byKey) {
			t.Errorf("shard %d: %d bytes, says %d, budget %d; %d in the ring, %d in the map", i, bytes, s.bytes, s.budget, len(s.ring), len(s.byKey))
		}
		kept += len(s.ring)
	}
	if kept < cacheShards*2 {
		t.Errorf("%d values kept", kept)
	}
	c.put(1000, 1000, 251)
	if _, ok := c.get(1000); ok {
		t.Error("a value over a quarter of its shard is kept")
	}
}

func TestCacheKeepsWhatIsAskedFor(t *testing.T) {
	c := newCache[int](cacheShards * 40)
	c.put(7, 7, 10)
	for key := range uint64(1000) {
		if _, ok := c.get(7); !ok {
			t.Fatalf("the value asked for again and again was gone at key %d", key)
		}
		c.put(1000+key, 0, 10)
	}
}

func memoryStore(t *testing.T) *pebblestore.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Options{Dir: "store", FS: vfs.NewMem(), Fatal: func(reason string) { panic(reason) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestTilesWhileTheyGrow reads nodes below a published size from one goroutine
// while another integrates, with far fewer newest tiles in the store than in the
// tree: nothing is missing at any moment.
func TestTilesWhileTheyGrow(t *testing.T) {
	const size = 40_000
	engine := memoryStore(t)
	ts := newTiles(engine)
	leaf := func(i uint64) verify.Hash { return verify.HashLeaf([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }
	sizes := make(chan uint64, 4)
	go func() {
		defer close(sizes)
		g := integrator{tiles: ts}
		head := store.Head{}
		for g.size < size {
			batch := engine.NewBatch()
			for range 1000 {
				if err := g.add(leaf(g.size), func(id tileID, tl *tile) error { return batch.Set(store.TileKey(id.level, id.n), tl.bytes()) }); err != nil {
					t.Error(err)
					return
				}
			}
			sizes <- g.size // before the commit: tiles that are finished are not yet readable
			next := store.Head{Size: g.size}
			ticket, err := engine.Commit(head, next, batch)
			if err == nil {
				err = ticket.Wait()
			}
			if err != nil {
				t.Error(err)
				return
			}
			head = next
		}
	}()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range sizes {
		root, err := verify.RootAt(n, ts.nodes())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			i := r.Uint64N(n)
			proof, err := verify.ProveRange(i, i+1, n, ts.nodes())
			if err != nil {
				t.Fatal(err)
			}
			if err := verify.CheckInclusion(i, n, leaf(i), proof, root); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := newTiles(engine)
	for i := uint64(0); i < size/tileWidth; i++ {
		want, err := ts.node(tileHeight-1, 2*i)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.node(tileHeight-1, 2*i); err != nil || got != want {
			t.Fatalf("tile %d from the store: %v", i, err)
		}
	}
}

// TestFrameCache reads finished and growing bundles at random, often enough that
// some stay decoded.
func TestFrameCache(t *testing.T) {
	engine := memoryStore(t)
	var all [][]byte
	batch := engine.NewBatch()
	for _, n := range []int{256, 256, 100, 30, 1} {
		first := len(all)
		for range n {
			all = append(all, bytes.Repeat([]byte{byte(len(all)), byte(len(all) >> 8)}, 50))
		}
		table := store.Growing
		if n == bundleWidth {
			table = store.Frames
		}
		if err := batch.Set(table.Key(uint64(first)), frame.Encode(nil, all[first:])); err != nil {
			t.Fatal(err)
		}
	}
	ticket, err := engine.Commit(store.Head{}, store.Head{Size: uint64(len(all))}, batch)
	if err == nil {
		err = ticket.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := newFrameCache(engine)
	var wg sync.WaitGroup
	for g := range uint64(2) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 3))
			for range 2000 {
				i := r.Uint64N(uint64(len(all)))
				if raw, err := c.entry(i); err != nil || !bytes.Equal(raw, all[i]) {
					t.Errorf("entry %d: %d bytes, %v", i, len(raw), err)
				}
			}
		})
	}
	wg.Wait()
	for part := range uint64(11) {
		if _, ok := c.parts.get(part); ok != (part < 8) {
			t.Errorf("part %d is kept: %t", part, ok)
		}
	}
	if _, err := c.entry(uint64(len(all))); err == nil {
		t.Error("an entry past the end was read")
	}
}
