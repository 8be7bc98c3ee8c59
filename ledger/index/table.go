package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// ErrDamaged is wrapped by the error of a search that meets a table it cannot
// read. The index can be built anew.
var ErrDamaged = errors.New("damaged index")

// set is a set of offsets in a chunk.
type set [ChunkLen / 64]uint64

// add reads the offsets of one list, or of a bitmap.
func (s *set) add(list []byte, isBitmap bool) {
	if isBitmap {
		for i := range s {
			s[i] |= binary.LittleEndian.Uint64(list[8*i:])
		}
		return
	}
	for i := 0; i < len(list); i += 2 {
		o := binary.BigEndian.Uint16(list[i:])
		s[o/64] |= 1 << (o % 64)
	}
}

// and keeps what is in other too, and tells whether anything is left.
func (s *set) and(other *set) bool {
	var left uint64
	for i := range s {
		s[i] &= other[i]
		left |= s[i]
	}
	return left != 0
}

// each calls fn for each offset in [lo, hi), in the order asked, until it
// returns false.
func (s *set) each(lo, hi int, descending bool, fn func(offset int) bool) bool {
	for n := range len(s) {
		i := n
		if descending {
			i = len(s) - 1 - n
		}
		for w := s[i]; w != 0; {
			b := bits.TrailingZeros64(w)
			if descending {
				b = 63 - bits.LeadingZeros64(w)
			}
			w &^= 1 << b
			if o := i*64 + b; o >= lo && o < hi && !fn(o) {
				return false
			}
		}
	}
	return true
}

// parseHeader reads the header of the chunk that starts at first.
func parseHeader(b []byte, first uint64) (Chunk, error) {
	if len(b) != headerLen || b[0] != version {
		return Chunk{}, fmt.Errorf("%w: header of %d bytes", ErrDamaged, len(b))
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[5+8*i:])) }
	return Chunk{
		First: first, Entries: int(binary.BigEndian.Uint32(b[1:])),
		MinLog: at(0), MaxLog: at(1), MinOccurred: at(2), MaxOccurred: at(3),
	}, nil
}

// lookUp adds the offsets at which the chunk has the term to s.
func lookUp(e store.Engine, chunk uint64, t Term, s *set) error {
	key := append(store.Index.Key(chunk), byte(t.Field), byte(t.Hash>>24))
	b, err := e.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading chunk %d of the index: %w", chunk, err)
	}
	if !readBucket(b, uint64(t.Hash)&0xffffff, s) {
		return fmt.Errorf("%w: bucket %x of field %d of chunk %d", ErrDamaged, t.Hash>>24, t.Field, chunk)
	}
	return nil
}

// readBucket adds the offsets of one value; false if the bytes are no bucket.
func readBucket(b []byte, want uint64, s *set) bool {
	if len(b) < 2 {
		return false
	}
	count := int(binary.BigEndian.Uint16(b))
	heads, lists := b[2:], 2+count*5
	if lists > len(b) {
		return false
	}
	body := b[lists:]
	for range count {
		size, isBitmap := 2*int(binary.BigEndian.Uint16(heads[3:])), false
		if size == 0 {
			size, isBitmap = bitmapBytes, true
		}
		if size > len(body) {
			return false
		}
		if uint24(heads) == want {
			s.add(body[:size], isBitmap)
			return true
		}
		heads, body = heads[5:], body[size:]
	}
	if len(body)%postingLen != 0 {
		return false
	}
	for i := lowerBound(body, want); i < len(body) && uint24(body[i:]) == want; i += postingLen {
		s.add(body[i+3:i+5], false)
	}
	return true
}

// lowerBound returns where in the postings the first of want is or would be.
func lowerBound(postings []byte, want uint64) int {
	lo, hi := 0, len(postings)/postingLen
	for lo < hi {
		mid := (lo + hi) / 2
		if uint24(postings[mid*postingLen:]) < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo * postingLen
}

func uint24(b []byte) uint64 {
	return uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2])
}
