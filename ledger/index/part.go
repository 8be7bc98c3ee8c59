package index

import (
	"bytes"

	"github.com/cespare/xxhash/v2"

	"github.com/daybook-ledger/daybook/verify"
)

// PartLen is how many entries a Part takes at most.
const PartLen = 256

// A Part holds what a Pass needs of adjacent entries. Parts may be filled side by
// side; one belongs to one goroutine at a time. It takes 20 KB, and a copy of the
// values. The zero value is empty.
type Part struct {
	n       int
	hashes  [numColumns][PartLen]uint32
	numbers [numNumbers][PartLen]uint8
	texts   [numText]newestText
	values  [numText]valueSet
	bounds  Chunk // of the times alone
	v       Values
}

// newestText is the newest value of a field, most often the next one too.
type newestText struct {
	value []byte // aliases the entry
	sum   uint64
}

// Reset makes the part empty.
func (p *Part) Reset() {
	p.n, p.bounds = 0, Chunk{}
	for i := range p.values {
		p.texts[i] = newestText{}
		p.values[i].reset()
	}
}

// Add adds the next entry; ev may be nil, or zero, where the body is no event.
// The entry must not change before Reset. Add must not be called more than
// PartLen times.
func (p *Part) Add(e *verify.Entry, ev *verify.EventFields) error {
	v, n := &p.v, p.n
	if err := v.Read(e, ev); err != nil {
		return err
	}
	for i, text := range &v.texts {
		p.hashes[i][n] = 0
		if len(text) > 0 {
			p.hashes[i][n] = fold(p.note(i, text))
		}
	}
	p.hashes[numText+4][n] = 0
	if len(v.texts[0]) > 0 || len(v.texts[1]) > 0 {
		p.hashes[numText+4][n] = hashPair(p.sumOf(v, 0), p.sumOf(v, 1))
	}
	p.hashes[numText+0][n] = hashBytes(v.eventID)
	p.hashes[numText+1][n] = hashBytes(v.correlation)
	p.hashes[numText+2][n] = hashDigest(v.run[:])
	p.hashes[numText+3][n] = hashDigest(v.credential)
	for i, number := range v.numbers {
		p.numbers[i][n] = number
	}
	p.bounds.widen(e.Head.LogTimeNS, v.occurred)
	p.n++
	return nil
}

// note takes a value that is not empty into the part's, and returns its hash.
func (p *Part) note(slot int, text []byte) uint64 {
	newest := &p.texts[slot]
	if !bytes.Equal(newest.value, text) {
		newest.value, newest.sum = text, xxhash.Sum64(text)
		p.values[slot].add(text, newest.sum)
	}
	return newest.sum
}

// sumOf is the hash of the text of a slot, noted before; 0 where it is empty.
func (p *Part) sumOf(v *Values, slot int) uint64 {
	if len(v.texts[slot]) == 0 {
		return 0
	}
	return p.texts[slot].sum
}

// widen makes the bounds of the times include those of an entry, or of a part;
// 0 is none.
func (c *Chunk) widen(logged, occurred int64) {
	if logged != 0 {
		if c.MinLog == 0 || logged < c.MinLog {
			c.MinLog = logged
		}
		if c.MaxLog == 0 || logged > c.MaxLog {
			c.MaxLog = logged
		}
	}
	if occurred != 0 {
		if c.MinOccurred == 0 || occurred < c.MinOccurred {
			c.MinOccurred = occurred
		}
		if c.MaxOccurred == 0 || occurred > c.MaxOccurred {
			c.MaxOccurred = occurred
		}
	}
}

// A valueSet is a set of values that are not empty. They are told apart by their
// bytes: who makes two of the same hash must not hide one of them. Its bound is
// that of what a chunk lists, and as there does not depend on the order.
type valueSet struct {
	sums  []uint64
	ends  []uint32 // of the values in bytes
	bytes []byte
	table []uint32 // places in sums, plus 1: open addressing
	full  bool     // there are more than the bound
}

func (s *valueSet) reset() {
	if len(s.sums) > 0 {
		clear(s.table)
	}
	s.sums, s.ends, s.bytes, s.full = s.sums[:0], s.ends[:0], s.bytes[:0], false
}

// add inserts a value with its hash.
func (s *valueSet) add(v []byte, sum uint64) { s.addBelow(v, sum, maxListed) }

func (s *valueSet) addBelow(v []byte, sum uint64, limit int) {
	if s.full {
		return
	}
	if 4*len(s.sums) >= 3*len(s.table) {
		s.grow()
	}
	mask := uint64(len(s.table) - 1)
	at := sum & mask
	for ; s.table[at] != 0; at = (at + 1) & mask {
		if n := s.table[at] - 1; s.sums[n] == sum && bytes.Equal(s.value(int(n)), v) {
			return
		}
	}
	if len(s.ends) == limit || len(s.bytes)+len(v) > maxSeenBytes {
		s.full = true
		return
	}
	s.bytes = append(s.bytes, v...)
	s.ends = append(s.ends, uint32(len(s.bytes)))
	s.sums = append(s.sums, sum)
	s.table[at] = uint32(len(s.ends))
}

func (s *valueSet) grow() {
	s.table = make([]uint32, max(64, 2*len(s.table)))
	mask := uint64(len(s.table) - 1)
	for i, sum := range s.sums {
		at := sum & mask
		for s.table[at] != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = uint32(i + 1)
	}
}

// value returns the i-th value, not to be modified.
func (s *valueSet) value(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.bytes[from:s.ends[i]]
}
