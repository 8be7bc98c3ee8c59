package index

import (
	"hash/maphash"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// maxListed is how many different values of a field one chunk brings to the
// dictionary. A field with more, half of the entries, is an id there: listing it
// would take more room than everything else.
const maxListed = 1 << 15

// maxSeenBytes bounds the bytes of those values, likewise.
const maxSeenBytes = 8 << 20

// seen is the set of the values that one text field has in the chunk in memory.
// Values are told apart by 64-bit sums under a key of this process, so that nobody
// can make two values of the same sum to hide one of them; by chance that happens
// in one of 10^10 chunks. So a value that was there before costs one look into the
// table, and no bytes are compared. The writer alone inserts; readers may look at
// any time.
type seen struct {
	max    int
	seed   maphash.Seed // the same for all chunks
	last   seenValue    // the newest, often the next one too; the writer's
	table  []seenValue  // free where the sum is 0: open addressing; the writer's
	values []seenValue  // of bytes; the writer's

	mu    sync.RWMutex
	ends  []uint32 // of the values in bytes; guarded by mu
	bytes []byte   // guarded by mu
	full  bool     // there are more than max; guarded by mu
}

// seenValue is what a value is known by.
type seenValue struct{ sum, hash uint64 }

func newSeen(limit int, like *seen) *seen {
	if like == nil {
		return &seen{max: limit, seed: maphash.MakeSeed(), table: make([]seenValue, 64)}
	}
	return &seen{
		max: limit, seed: like.seed, table: make([]seenValue, len(like.table)),
		values: make([]seenValue, 0, len(like.values)),
		ends:   make([]uint32, 0, len(like.ends)), bytes: make([]byte, 0, len(like.bytes)),
	}
}

// note inserts a value that is not empty and returns its 64-bit hash.
func (s *seen) note(v []byte) uint64 {
	sum := max(maphash.Bytes(s.seed, v), 1)
	if sum == s.last.sum {
		return s.last.hash
	}
	if s.full {
		s.last = seenValue{sum, xxhash.Sum64(v)}
		return s.last.hash
	}
	mask := uint64(len(s.table) - 1)
	at := sum & mask
	for s.table[at].sum != sum && s.table[at].sum != 0 {
		at = (at + 1) & mask
	}
	if s.last = s.table[at]; s.last.sum == 0 {
		s.last = seenValue{sum, xxhash.Sum64(v)}
		s.insert(v, at)
	}
	return s.last.hash
}

// insert puts the newest value into a free slot.
func (s *seen) insert(v []byte, slot uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) == s.max || len(s.bytes)+len(v) > maxSeenBytes {
		s.full = true
		return
	}
	s.bytes = append(s.bytes, v...)
	s.ends = append(s.ends, uint32(len(s.bytes)))
	s.values = append(s.values, s.last)
	s.table[slot] = s.last
	if 4*len(s.values) > 3*len(s.table) {
		s.grow()
	}
}

func (s *seen) grow() {
	s.table = make([]seenValue, 2*len(s.table))
	mask := uint64(len(s.table) - 1)
	for _, v := range s.values {
		at := v.sum & mask
		for s.table[at].sum != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = v
	}
}

func (s *seen) value(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.bytes[from:s.ends[i]]
}

// each calls fn for each value, in no order, until it returns false, and tells
// whether the values are all. The slices are not to be modified.
func (s *seen) each(fn func(value []byte) bool) (all bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.ends {
		if !fn(s.value(i)) {
			break
		}
	}
	return !s.full
}
