package ledger

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// cacheShards is how many parts a cache is divided into, a power of two: readers
// of different keys meet seldom.
const cacheShards = 8

// A cache keeps immutable values by key within a budget of bytes, and gives up
// those that were not asked for lately (CLOCK: one bit for each value, so that a
// hit writes nothing but that bit, once). Safe for concurrent use.
type cache[V any] struct {
	shards [cacheShards]cacheShard[V]
}

type cacheShard[V any] struct {
	mu     sync.RWMutex
	byKey  map[uint64]*cacheSlot[V] // guarded by mu
	ring   []*cacheSlot[V]          // of byKey, in the order of the hand; guarded by mu
	hand   int                      // guarded by mu
	bytes  int                      // of all values; guarded by mu
	budget int
}

type cacheSlot[V any] struct {
	key   uint64
	value V
	bytes int
	asked atomic.Bool // since the hand passed
}

// newCache returns a cache of at most budget bytes.
func newCache[V any](budget int) *cache[V] {
	c := new(cache[V])
	for i := range c.shards {
		c.shards[i].byKey = map[uint64]*cacheSlot[V]{}
		c.shards[i].budget = budget / cacheShards
	}
	return c
}

// shard spreads neighbouring keys evenly.
func (c *cache[V]) shard(key uint64) *cacheShard[V] {
	return &c.shards[key*0x9e3779b97f4a7c15>>(64-bits.Len(cacheShards-1))]
}

func (c *cache[V]) get(key uint64) (V, bool) {
	s := c.shard(key)
	s.mu.RLock()
	slot := s.byKey[key]
	s.mu.RUnlock()
	if slot == nil {
		var none V
		return none, false
	}
	if !slot.asked.Load() {
		slot.asked.Store(true)
	}
	return slot.value, true
}

// put keeps a value of so many bytes. One that would take over a quarter of its
// shard is not kept: it would throw out too much.
func (c *cache[V]) put(key uint64, value V, bytes int) {
	s := c.shard(key)
	if bytes > s.budget/4 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != nil {
		return
	}
	for s.bytes+bytes > s.budget {
		s.evict()
	}
	slot := &cacheSlot[V]{key: key, value: value, bytes: bytes}
	s.byKey[key] = slot
	s.ring = append(s.ring, slot)
	s.bytes += bytes
}

// evict gives up the first value from the hand on that was not asked for since
// the hand passed it last; mu is held, and there is one value at least.
func (s *cacheShard[V]) evict() {
	for {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		slot := s.ring[s.hand]
		if slot.asked.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand], s.ring[last] = s.ring[last], nil
		s.ring = s.ring[:last]
		delete(s.byKey, slot.key)
		s.bytes -= slot.bytes
		return
	}
}
