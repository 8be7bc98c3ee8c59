package index

import (
	"bytes"
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
// Values are told apart by their bytes: who makes two of the same hash must not
// hide one of them. The writer alone inserts; readers may look at any time.
type seen struct {
	max    int
	last   []byte // the newest value, most often the next one too; the writer's
	sum    uint64 // its hash; the writer's
	hashes []uint64
	table  []uint32 // places in hashes, plus 1: open addressing; the writer's

	mu    sync.RWMutex
	ends  []uint32 // of the values in bytes; guarded by mu
	bytes []byte   // guarded by mu
	full  bool     // there are more than max; guarded by mu
}

func newSeen(limit int, like *seen) *seen {
	s := &seen{max: limit, table: make([]uint32, 64)}
	if like != nil {
		s.table = make([]uint32, len(like.table))
		s.hashes = make([]uint64, 0, len(like.hashes))
		s.ends = make([]uint32, 0, len(like.ends))
		s.bytes = make([]byte, 0, len(like.bytes))
	}
	return s
}

// note inserts a value that is not empty and returns its 64-bit hash.
func (s *seen) note(v []byte) uint64 {
	if bytes.Equal(v, s.last) {
		return s.sum
	}
	s.last, s.sum = append(s.last[:0], v...), xxhash.Sum64(v)
	if s.full {
		return s.sum
	}
	mask := uint64(len(s.table) - 1)
	for at := s.sum & mask; ; at = (at + 1) & mask {
		n := s.table[at]
		if n == 0 {
			s.insert(v, at)
			return s.sum
		}
		if s.hashes[n-1] == s.sum && bytes.Equal(s.value(int(n-1)), v) {
			return s.sum
		}
	}
}

// insert puts the newest value into an empty slot.
func (s *seen) insert(v []byte, slot uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) == s.max || len(s.bytes)+len(v) > maxSeenBytes {
		s.full = true
		return
	}
	s.bytes = append(s.bytes, v...)
	s.ends = append(s.ends, uint32(len(s.bytes)))
	s.hashes = append(s.hashes, s.sum)
	s.table[slot] = uint32(len(s.ends))
	if 4*len(s.hashes) > 3*len(s.table) {
		s.grow()
	}
}

func (s *seen) grow() {
	s.table = make([]uint32, 2*len(s.table))
	mask := uint64(len(s.table) - 1)
	for i, h := range s.hashes {
		at := h & mask
		for s.table[at] != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = uint32(i + 1)
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
