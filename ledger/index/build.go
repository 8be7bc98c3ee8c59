package index

import "iter"

// builder turns complete chunks into tables, reusing its memory.
type builder struct {
	pairs, spare []uint64 // hash<<32 | offset
	offsets      []uint32
	header       []byte
	w            bucketWriter
}

// columns are the hashes and the numbers of a table's entries, by their offset.
type columns struct {
	hashes  [numColumns][]uint32
	numbers [numNumbers][]uint8
}

// table yields the keys and values of the chunk, ascending.
func (b *builder) table(g geometry, t *tail, c Chunk) iter.Seq2[[]byte, []byte] {
	return b.rows(g.chunkTable(t.first>>g.chunk), []Chunk{c}, &columns{t.columns, t.numbers})
}

// rows yields the keys and values of the table that the chunks make, ascending.
func (b *builder) rows(tb table, chunks []Chunk, c *columns) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b.header = appendHeader(b.header[:0], chunks)
		if !yield(tb.headerKey(), b.header) {
			return
		}
		b.w.reset(tb, yield)
		for f := range fieldEnd {
			info := &fields[f]
			ok := true
			switch info.shape {
			case number:
				ok = b.numbers(f, c.numbers[info.slot])
			case text, hashed:
				ok = b.hashes(f, c.hashes[info.slot])
			}
			if !ok {
				return
			}
		}
		b.w.flush()
	}
}

// numbers writes a field of small numbers: a counting sort.
func (b *builder) numbers(f Field, column []uint8) bool {
	var counts, ends [256]int
	for _, n := range column {
		counts[n]++
	}
	if counts[0] == len(column) {
		return true
	}
	at := 0
	for n, count := range counts {
		ends[n] = at
		at += count
	}
	offsets := b.grow(len(column))
	for o, n := range column {
		offsets[ends[n]] = uint32(o)
		ends[n]++
	}
	for n := 1; n < len(counts); n++ {
		if counts[n] > 0 && !b.w.add(f, uint32(n), offsets[ends[n]-counts[n]:ends[n]]) {
			return false
		}
	}
	return true
}

func (b *builder) grow(n int) []uint32 {
	if cap(b.offsets) < n {
		b.offsets = make([]uint32, n)
	}
	return b.offsets[:n]
}

// hashes writes a field of hashes.
func (b *builder) hashes(f Field, column []uint32) bool {
	b.sortColumn(column)
	return b.groups(f, b.pairs)
}

// groups writes sorted pairs.
func (b *builder) groups(f Field, pairs []uint64) bool {
	offsets := b.grow(len(pairs))
	for len(pairs) > 0 {
		hash, n := pairs[0]>>32, 0
		for n < len(pairs) && pairs[n]>>32 == hash {
			offsets[n] = uint32(pairs[n])
			n++
		}
		if !b.w.add(f, uint32(hash), offsets[:n]) {
			return false
		}
		pairs = pairs[n:]
	}
	return true
}

const (
	digitBits = 8
	digits    = hashBits / digitBits
)

type digitCounts [digits][1 << digitBits]uint32

func (c *digitCounts) count(hash uint32) {
	for d := range c {
		c[d][hash>>(d*digitBits)&(1<<digitBits-1)]++
	}
}

// starts makes starts of the counts of a digit; false where all n agree in it.
func (c *digitCounts) starts(d, n int) bool {
	at := uint32(0)
	for digit, count := range c[d] {
		if int(count) == n {
			return false
		}
		c[d][digit] = at
		at += count
	}
	return true
}

// room makes pairs and spare n long.
func (b *builder) room(n int) {
	if cap(b.pairs) < n {
		b.pairs = make([]uint64, n)
	}
	if cap(b.spare) < n {
		b.spare = make([]uint64, n)
	}
	b.pairs, b.spare = b.pairs[:n], b.spare[:n]
}

// sortColumn makes sorted pairs of a column of hashes, 0 for none: a stable
// radix sort that skips the digits in which all agree.
func (b *builder) sortColumn(column []uint32) {
	var counts digitCounts
	n := 0
	for _, h := range column {
		if h != 0 {
			counts.count(h)
			n++
		}
	}
	b.room(n)
	first := 0
	for first < digits-1 && n > 0 && !counts.starts(first, n) {
		first++
	}
	if first == digits-1 || n == 0 {
		b.room(0)
		for o, h := range column {
			if h != 0 {
				b.pairs = append(b.pairs, uint64(h)<<32|uint64(o))
			}
		}
		b.sortDigits(&counts, first)
		return
	}
	for o, h := range column {
		if h != 0 {
			slot := &counts[first][h>>(first*digitBits)&(1<<digitBits-1)]
			b.pairs[*slot] = uint64(h)<<32 | uint64(o)
			*slot++
		}
	}
	b.sortDigits(&counts, first+1)
}

// sort sorts the pairs by hash, likewise.
func (b *builder) sort() {
	var counts digitCounts
	for _, p := range b.pairs {
		counts.count(uint32(p >> 32))
	}
	b.sortDigits(&counts, 0)
}

func (b *builder) sortDigits(counts *digitCounts, first int) {
	n := len(b.pairs)
	b.room(n)
	for d := first; d < digits && n > 0; d++ {
		if !counts.starts(d, n) {
			continue
		}
		shift := 32 + d*digitBits
		for _, p := range b.pairs {
			slot := &counts[d][p>>shift&(1<<digitBits-1)]
			b.spare[*slot] = p
			*slot++
		}
		b.pairs, b.spare = b.spare, b.pairs
	}
}
