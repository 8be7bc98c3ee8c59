package index

import (
	"bytes"
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
	last   []byte       // the newest value, most often the next one too; the writer's
	hash   uint64       // its hash; the writer's
	table  []uint64     // sums, 0 where free: open addressing; the writer's
	sums   []uint64     // of the values; the writer's
	hashes []uint64     // of the values; the writer's

	mu    sync.RWMutex
	ends  []uint32 // of the values in bytes; guarded by mu
	bytes []byte   // guarded by mu
	full  bool     // there are more than max; guarded by mu
}

func newSeen(limit int, like *seen) *seen {
	if like == nil {
		return &seen{max: limit, seed: maphash.MakeSeed(), table: make([]uint64, 64)}
	}
	return &seen{
		max: limit, seed: like.seed, table: make([]uint64, len(like.table)),
		sums: make([]uint64, 0, len(like.sums)), hashes: make([]uint64, 0, len(like.hashes)),
		ends: make([]uint32, 0, len(like.ends)), bytes: make([]byte, 0, len(like.bytes)),
	}
}

// note inserts a value that is not empty and returns its 64-bit hash.
func (s *seen) note(v []byte) uint64 {
	if bytes.Equal(v, s.last) {
		return s.hash
	}
	s.last, s.hash = append(s.last[:0], v...), xxhash.Sum64(v)
	if s.full {
		return s.hash
	}
	sum := max(maphash.Bytes(s.seed, v), 1)
	mask := uint64(len(s.table) - 1)
	for at := sum & mask; ; at = (at + 1) & mask {
		switch s.table[at] {
		case sum:
			return s.hash
		case 0:
			s.insert(v, sum, at)
			return s.hash
		}
	}
}

// insert puts the newest value into a free slot.
func (s *seen) insert(v []byte, sum, slot uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) == s.max || len(s.bytes)+len(v) > maxSeenBytes {
		s.full = true
		return
	}
	s.bytes = append(s.bytes, v...)
	s.ends = append(s.ends, uint32(len(s.bytes)))
	s.sums, s.hashes = append(s.sums, sum), append(s.hashes, s.hash)
	s.table[slot] = sum
	if 4*len(s.sums) > 3*len(s.table) {
		s.grow()
	}
}

func (s *seen) grow() {
	s.table = make([]uint64, 2*len(s.table))
	mask := uint64(len(s.table) - 1)
	for _, sum := range s.sums {
		at := sum & mask
		for s.table[at] != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = sum
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
