package index

import "iter"

// builder turns complete chunks into tables, reusing its memory.
type builder struct {
	pairs, spare []uint64 // hash<<32 | offset
	offsets      []uint32
	header       []byte
	w            bucketWriter
}

// table yields the keys and values of the chunk, ascending.
func (b *builder) table(g geometry, t *tail, c Chunk) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		tb := g.chunkTable(t.first >> g.chunk)
		b.header = appendHeader(b.header[:0], []Chunk{c})
		if !yield(tb.headerKey(), b.header) {
			return
		}
		b.w.reset(tb, yield)
		for f := range fieldEnd {
			info := &fields[f]
			ok := true
			switch info.shape {
			case number:
				ok = b.numbers(f, t.numbers[info.slot])
			case text, hashed:
				ok = b.hashes(f, t.columns[info.slot])
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
	b.pairs = b.pairs[:0]
	for o, h := range column {
		if h != 0 {
			b.pairs = append(b.pairs, uint64(h)<<32|uint64(o))
		}
	}
	b.sort()
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

// sort sorts the pairs by hash: a stable radix sort that skips the digits in
// which all agree.
func (b *builder) sort() {
	const digits = hashBits / 8
	var counts [digits][256]int
	for _, p := range b.pairs {
		for d := range counts {
			counts[d][byte(p>>(32+8*d))]++
		}
	}
	if cap(b.spare) < len(b.pairs) {
		b.spare = make([]uint64, len(b.pairs))
	}
	pairs, spare := b.pairs, b.spare[:len(b.pairs)]
	for d := range counts {
		shift := 32 + 8*d
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
}
