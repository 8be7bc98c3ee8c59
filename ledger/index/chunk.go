package index

import (
	"encoding/binary"
	"iter"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// ChunkLen is the number of entries of a complete chunk.
	ChunkLen = 1 << 16

	version     = 1
	frequent    = 32   // hits from which a value has its own list
	bitmapFrom  = 4096 // hits from which that list is a bitmap
	bitmapBytes = ChunkLen / 8
	postingLen  = 5
	headerLen   = 1 + 4 + 4*8
)

// Chunk describes a chunk. Times are UTC nanoseconds since the Unix epoch.
type Chunk struct {
	First       uint64 // index of its first entry
	Entries     int    // ChunkLen, but for the newest
	MinLog      int64  // log times; both 0 where no entry has one
	MaxLog      int64
	MinOccurred int64 // occurred_at, likewise
	MaxOccurred int64
}

// tail is the chunk in memory: for each field the hash at each offset. The
// writer fills offset n and widens the bounds, then publishes n+1; readers look
// below what is published only. About 2.4 MB.
type tail struct {
	first   uint64
	columns [numFields][ChunkLen]uint32
	n       atomic.Int64 // published offsets

	minLog, maxLog, minOccurred, maxOccurred atomic.Int64
}

// chunk describes what is published; the bounds may be wider by what is being
// added.
func (t *tail) chunk() Chunk {
	return Chunk{
		First: t.first, Entries: int(t.n.Load()),
		MinLog: t.minLog.Load(), MaxLog: t.maxLog.Load(),
		MinOccurred: t.minOccurred.Load(), MaxOccurred: t.maxOccurred.Load(),
	}
}

// add is called by the writer only.
func (t *tail) add(e *verify.Entry, ev *verify.EventFields) {
	n := t.n.Load()
	for i := range fields {
		t.columns[i][n] = fields[i].hash(e, ev)
	}
	if e.Head.LogTimeNS != 0 {
		widen(&t.minLog, &t.maxLog, e.Head.LogTimeNS)
	}
	if ev.OccurredAtNS != 0 {
		widen(&t.minOccurred, &t.maxOccurred, ev.OccurredAtNS)
	}
	t.n.Store(n + 1)
}

// widen makes [lo, hi] include v, which is not 0; both are 0 at first.
func widen(lo, hi *atomic.Int64, v int64) {
	if l := lo.Load(); l == 0 || v < l {
		lo.Store(v)
	}
	if h := hi.Load(); h == 0 || v > h {
		hi.Store(v)
	}
}

// search calls fn for each offset in [lo, hi) at which all terms hold.
func (t *tail) search(terms []Term, lo, hi int, descending bool, fn func(offset int) bool) bool {
	for n := range hi - lo {
		o := lo + n
		if descending {
			o = hi - 1 - n
		}
		if t.holds(terms, o) && !fn(o) {
			return false
		}
	}
	return true
}

func (t *tail) holds(terms []Term, o int) bool {
	for _, term := range terms {
		if t.columns[term.Field-1][o] != term.Hash {
			return false
		}
	}
	return true
}

// builder turns complete chunks into tables, reusing its memory.
type builder struct {
	pairs, spare []uint64 // hash<<16 | offset
	value        []byte
	key          []byte
}

// table yields the keys and values of the chunk, ascending.
func (b *builder) table(t *tail) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		c := t.chunk()
		b.key = store.Index.AppendKey(b.key[:0], t.first/ChunkLen)
		if !yield(append(b.key, 0, 0), appendHeader(b.value[:0], c)) {
			return
		}
		for i := range fields {
			if !b.field(fields[i].field, t.columns[i][:c.Entries], yield) {
				return
			}
		}
	}
}

func (b *builder) field(f Field, column []uint32, yield func(key, value []byte) bool) bool {
	pairs := b.sorted(column)
	for len(pairs) > 0 {
		top := byte(pairs[0] >> 40)
		n := 1
		for n < len(pairs) && byte(pairs[n]>>40) == top {
			n++
		}
		b.value = appendBucket(b.value[:0], pairs[:n])
		if !yield(append(b.key, byte(f), top), b.value) {
			return false
		}
		pairs = pairs[n:]
	}
	return true
}

// sorted returns the pairs of the offsets that have a value, ascending: a radix
// sort that skips the digits in which all agree.
func (b *builder) sorted(column []uint32) []uint64 {
	pairs, spare := b.pairs[:0], b.spare
	var counts [4][256]int
	for o, h := range column {
		if h == 0 {
			continue
		}
		pairs = append(pairs, uint64(h)<<16|uint64(o))
		for d := range counts {
			counts[d][byte(h>>(8*d))]++
		}
	}
	if cap(spare) < len(pairs) {
		spare = make([]uint64, ChunkLen)
	}
	spare = spare[:len(pairs)]
	for d := range counts {
		shift := 16 + 8*d
		if len(pairs) == 0 || counts[d][byte(pairs[0]>>shift)] == len(pairs) {
			continue
		}
		at := 0
		for digit, n := range counts[d] {
			counts[d][digit] = at
			at += n
		}
		for _, p := range pairs {
			slot := &counts[d][byte(p>>shift)]
			spare[*slot] = p
			*slot++
		}
		pairs, spare = spare, pairs
	}
	b.pairs, b.spare = pairs, spare
	return pairs
}

// group returns how many of the pairs, from the first, share its hash.
func group(pairs []uint64) int {
	n := 1
	for n < len(pairs) && pairs[n]>>16 == pairs[0]>>16 {
		n++
	}
	return n
}

// appendBucket encodes the pairs of one bucket, ascending.
func appendBucket(dst []byte, pairs []uint64) []byte {
	dst = append(dst, 0, 0)
	start, count := len(dst)-2, 0
	for rest := pairs; len(rest) > 0; {
		n := group(rest)
		if n >= frequent {
			count++
			hits := n
			if n >= bitmapFrom {
				hits = 0
			}
			dst = appendUint24(dst, rest[0]>>16)
			dst = binary.BigEndian.AppendUint16(dst, uint16(hits))
		}
		rest = rest[n:]
	}
	binary.BigEndian.PutUint16(dst[start:], uint16(count))
	for rest := pairs; len(rest) > 0; {
		n := group(rest)
		if n >= frequent {
			dst = appendOffsets(dst, rest[:n])
		}
		rest = rest[n:]
	}
	for rest := pairs; len(rest) > 0; {
		n := group(rest)
		for _, p := range rest[:n] {
			if n < frequent {
				dst = appendUint24(dst, p>>16)
				dst = binary.BigEndian.AppendUint16(dst, uint16(p))
			}
		}
		rest = rest[n:]
	}
	return dst
}

func appendUint24(dst []byte, v uint64) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}

func appendOffsets(dst []byte, pairs []uint64) []byte {
	if len(pairs) < bitmapFrom {
		for _, p := range pairs {
			dst = binary.BigEndian.AppendUint16(dst, uint16(p))
		}
		return dst
	}
	at := len(dst)
	dst = append(dst, make([]byte, bitmapBytes)...)
	for _, p := range pairs {
		o := uint16(p)
		dst[at+int(o/8)] |= 1 << (o % 8)
	}
	return dst
}

func appendHeader(dst []byte, c Chunk) []byte {
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Entries))
	for _, t := range []int64{c.MinLog, c.MaxLog, c.MinOccurred, c.MaxOccurred} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(t))
	}
	return dst
}
