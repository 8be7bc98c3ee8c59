package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// ErrDamaged is wrapped by the error of a search that meets a table it cannot
// read. The index can be built anew.
var ErrDamaged = errors.New("damaged index")

const (
	// ChunkLen is the number of entries of a complete chunk.
	ChunkLen = 1 << chunkBits

	chunkBits = 16
	mergeBits = 4 // 16 chunks make a merged table
	version   = 2
	chunkRow  = 4 + 4*8 // bytes of a chunk in a header
)

// geometry says how large chunks and merged tables are; tests use small ones.
type geometry struct {
	chunk uint // bits of an offset in a chunk, at most 16
	merge uint // bits of a chunk's number in a merged table, at most 4
}

// Chunk describes a chunk. Times are UTC nanoseconds since the Unix epoch.
type Chunk struct {
	First       uint64 // index of its first entry
	Entries     int    // ChunkLen, but for the newest
	MinLog      int64  // log times; both 0 where no entry has one
	MaxLog      int64
	MinOccurred int64 // occurred_at, likewise
	MaxOccurred int64

	unlisted uint32 // bit s: the dictionary does not have text column s's values
}

// mayHold tells whether an access of the chunk may have occurred in [from,
// until), where 0 is no bound.
func (c *Chunk) mayHold(from, until int64) bool {
	if from == 0 && until == 0 {
		return true
	}
	return c.MaxOccurred != 0 && c.MaxOccurred >= from && (until == 0 || c.MinOccurred < until)
}

// table names a table: a chunk, or the merged table of some.
type table struct {
	level  uint8 // 0: a chunk; 1: merged
	number uint64
	first  uint64 // index of its first entry
	bits   uint   // of an offset
	chunks int
}

// chunkTable and mergedTable return the tables of those numbers.
func (g geometry) chunkTable(n uint64) table {
	return table{0, n, n << g.chunk, g.chunk, 1}
}

func (g geometry) mergedTable(n uint64) table {
	bits := g.chunk + g.merge
	return table{1, n, n << bits, bits, 1 << g.merge}
}

func (t table) len() int    { return 1 << t.bits }
func (t table) end() uint64 { return t.first + 1<<t.bits }

func (t table) String() string {
	if t.level == 0 {
		return fmt.Sprintf("chunk %d of the index", t.number)
	}
	return fmt.Sprintf("merged table %d of the index", t.number)
}

// topBits is how many bits of a hash are in the key of its bucket: as many as
// leave room for the rest and an offset in 32 bits.
func (t table) topBits() uint { return max(16, t.bits) - 8 }

// restBits is how many bits of a hash are in the bucket.
func (t table) restBits() uint { return hashBits - t.topBits() }

const levelShift = 56 // a key's number is level<<56 | number of the table

// appendKey appends the prefix of the table's keys.
func (t table) appendKey(dst []byte) []byte {
	return store.Index.AppendKey(dst, uint64(t.level)<<levelShift|t.number)
}

// keyRange returns the range of the keys of a level's tables [lo, hi).
func keyRange(level uint8, lo, hi uint64) (from, to []byte) {
	base := uint64(level) << levelShift
	return store.Index.Key(base | lo), store.Index.Key(base + hi)
}

// headerKey, field 0, comes before all buckets of the table.
func (t table) headerKey() []byte { return append(t.appendKey(nil), 0, 0, 0) }

func (t table) appendBucketKey(dst []byte, f Field, top uint32) []byte {
	return append(t.appendKey(dst), byte(f), byte(top>>8), byte(top))
}

// appendHeader encodes the chunks of a table.
func appendHeader(dst []byte, chunks []Chunk) []byte {
	dst = append(dst, version)
	for _, c := range chunks {
		dst = binary.BigEndian.AppendUint32(dst, c.unlisted)
		for _, t := range []int64{c.MinLog, c.MaxLog, c.MinOccurred, c.MaxOccurred} {
			dst = binary.BigEndian.AppendUint64(dst, uint64(t))
		}
	}
	return dst
}

// parseHeader appends the chunks of a table to dst.
func parseHeader(dst []Chunk, b []byte, t table) ([]Chunk, error) {
	if len(b) != 1+t.chunks*chunkRow || b[0] != version {
		return dst, fmt.Errorf("%w: header of %v has %d bytes", ErrDamaged, t, len(b))
	}
	entries := t.len() / t.chunks
	for i := range t.chunks {
		row := b[1+i*chunkRow:]
		at := func(i int) int64 { return int64(binary.BigEndian.Uint64(row[4+8*i:])) }
		dst = append(dst, Chunk{
			First: t.first + uint64(i*entries), Entries: entries, unlisted: binary.BigEndian.Uint32(row),
			MinLog: at(0), MaxLog: at(1), MinOccurred: at(2), MaxOccurred: at(3),
		})
	}
	return dst, nil
}

// header appends the chunks of a table to dst.
func header(from rowReader, dst []Chunk, t table) ([]Chunk, error) {
	b, err := from.Get(t.headerKey())
	if errors.Is(err, store.ErrNotFound) {
		return dst, fmt.Errorf("%w: %v has no header", ErrDamaged, t)
	}
	if err != nil {
		return dst, fmt.Errorf("reading %v: %w", t, err)
	}
	return parseHeader(dst, b, t)
}
