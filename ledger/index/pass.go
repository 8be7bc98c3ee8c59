package index

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
)

// A Pass checks the tables of an index while somebody goes over all entries, in
// order, from the first: each table is built anew out of the parts and compared
// with the stored one, byte by byte, and the dictionary must have the values.
//
// One goroutine calls Take, another Compare with what Take returned, in order, and
// then Recycle. It needs 5 MB for each of passTerms chunks, with their values, and
// where there are merged tables 100 MB more.
type Pass struct {
	x     *Index
	end   uint64 // entries that it takes at most
	under *Terms // being filled; owned by Take
	spare chan *Terms

	// owned by Compare
	next       uint64 // first entry of the chunk to come
	b          builder
	merged     *columns // of the merged table under way
	chunks     []Chunk  // of it
	dictionary valueCheck
	again      []uint64 // entries whose tables were merged meanwhile
}

// passTerms is how many chunks are in memory at most.
const passTerms = 3

// Terms is what a Pass knows of a complete chunk.
type Terms struct {
	chunk  Chunk
	c      columns
	values [numText]valueSet
}

// NewPass returns a pass over size entries.
func (x *Index) NewPass(size uint64) *Pass {
	p := &Pass{x: x, end: size >> x.g.chunk << x.g.chunk, spare: make(chan *Terms, passTerms)}
	for range passTerms {
		p.spare <- nil // made when it is needed
	}
	p.dictionary = valueCheck{x: x, to: ^uint64(0), known: newKnown(), seed: maphash.MakeSeed()}
	return p
}

// End is the number of entries, from the first, that the pass takes: the complete
// chunks.
func (p *Pass) End() uint64 { return p.end }

// Take adds the entries from first on. It returns the chunk that they complete, or
// nil. It waits until one was recycled, or ctx ends: then the pass is of no more
// use. It panics unless the entries are the next ones, all in one chunk, which
// only a caller's mistake brings about.
func (p *Pass) Take(ctx context.Context, first uint64, part *Part) *Terms {
	if p.under == nil {
		select {
		case p.under = <-p.spare:
		case <-ctx.Done():
			return nil
		}
		if p.under == nil {
			p.under = &Terms{c: newColumns(1 << p.x.g.chunk)}
		}
		p.under.reset(first)
	}
	t := p.under
	if first != t.chunk.First+uint64(t.chunk.Entries) || t.chunk.Entries+part.n > 1<<p.x.g.chunk {
		panic(fmt.Sprintf("index: %d entries from %d after %d from %d", part.n, first, t.chunk.Entries, t.chunk.First))
	}
	t.take(part, p.x.listed)
	if t.chunk.Entries < 1<<p.x.g.chunk {
		return nil
	}
	p.under = nil
	return t
}

// Recycle takes back what Take returned.
func (p *Pass) Recycle(t *Terms) { p.spare <- t }

func newColumns(length int) (c columns) {
	hashes := make([]uint32, numColumns*length)
	for i := range c.hashes {
		c.hashes[i] = hashes[i*length : (i+1)*length : (i+1)*length]
	}
	numbers := make([]uint8, numNumbers*length)
	for i := range c.numbers {
		c.numbers[i] = numbers[i*length : (i+1)*length : (i+1)*length]
	}
	return c
}

func (t *Terms) reset(first uint64) {
	t.chunk = Chunk{First: first}
	for i := range t.values {
		t.values[i].reset()
	}
}

func (t *Terms) take(p *Part, listed int) {
	at := t.chunk.Entries
	for i := range t.c.hashes {
		copy(t.c.hashes[i][at:], p.hashes[i][:p.n])
	}
	for i := range t.c.numbers {
		copy(t.c.numbers[i][at:], p.numbers[i][:p.n])
	}
	for i := range p.values {
		from := &p.values[i]
		for n, sum := range from.sums {
			t.values[i].addBelow(from.value(n), sum, listed)
		}
	}
	t.chunk.Entries += p.n
	t.chunk.widen(p.bounds.MinLog, p.bounds.MinOccurred)
	t.chunk.widen(p.bounds.MaxLog, p.bounds.MaxOccurred)
}

// Compare compares the table that the chunk completes, if it does, with the
// stored one. Over says that the chunk is in no table yet: then the pass has
// nothing more to compare. ErrDamaged where the table differs: then at is its first
// entry, and the pass is of no more use. Any other error is the store's, or ctx's.
func (p *Pass) Compare(ctx context.Context, t *Terms) (over bool, at uint64, err error) {
	if t.chunk.First != p.next || t.chunk.First >= p.x.Position() {
		return true, t.chunk.First, nil
	}
	at, err = p.compare(ctx, t)
	return false, at, err
}

func (p *Pass) compare(ctx context.Context, t *Terms) (at uint64, err error) {
	first := t.chunk.First
	for i := range t.values {
		if t.values[i].full {
			t.chunk.unlisted |= 1 << i
		}
	}
	table := p.x.tableOf(first)
	if err := p.checkValues(t); err != nil {
		return table.first, err
	}
	p.next = first + uint64(t.chunk.Entries)
	if table.level == 0 {
		err = p.x.compareRows(ctx, table, p.b.rows(table, []Chunk{t.chunk}, &t.c))
		if err != nil && p.x.gone(table) && ctx.Err() == nil {
			p.again, err = append(p.again, first), nil
		}
		return first, err
	}
	return table.first, p.gather(ctx, table, t)
}

// gather adds a chunk to those of the merged table under way, and compares it
// when they are all. A table that was made when the pass was in the midst of it
// has to be compared again.
func (p *Pass) gather(ctx context.Context, table table, t *Terms) error {
	place := int(t.chunk.First-table.first) >> p.x.g.chunk
	if place == 0 {
		p.chunks = p.chunks[:0]
	}
	if len(p.chunks) != place || place > 0 && p.chunks[0].First != table.first {
		p.again = append(p.again, t.chunk.First)
		return nil
	}
	if p.merged == nil {
		c := newColumns(table.len())
		p.merged = &c
	}
	at := place << p.x.g.chunk
	for i := range t.c.hashes {
		copy(p.merged.hashes[i][at:], t.c.hashes[i])
	}
	for i := range t.c.numbers {
		copy(p.merged.numbers[i][at:], t.c.numbers[i])
	}
	if p.chunks = append(p.chunks, t.chunk); len(p.chunks) < table.chunks {
		return nil
	}
	return p.x.compareRows(ctx, table, p.b.rows(table, p.chunks, p.merged))
}

// checkValues looks the values of a chunk up in the dictionary.
func (p *Pass) checkValues(t *Terms) error {
	for slot := range t.values {
		if t.chunk.unlisted&(1<<slot) != 0 {
			continue
		}
		for i := range t.values[slot].ends {
			p.dictionary.add(slot, t.values[slot].value(i))
		}
	}
	return p.dictionary.look(t.chunk.First >> p.x.g.chunk)
}

// An Unchecked is a table that a Pass leaves to Check: its arguments.
type Unchecked struct{ At, Until uint64 }

// Rest ends the pass, after the last Compare. It returns the tables that it leaves
// to Check, ascending, up to which entry it counted the values of the dictionary,
// and how many there are.
func (p *Pass) Rest() (rest []Unchecked, counted, listed uint64) {
	if p.next > 0 {
		if t := p.x.tableOf(p.next - 1); t.end() > p.next {
			p.again = append(p.again, t.first) // it ends after the pass
		}
	}
	var last table
	for _, at := range p.again {
		t := p.x.tableOf(at)
		if t == last {
			continue
		}
		if last = t; t.end() > p.next {
			rest = append(rest, Unchecked{p.next, ^uint64(0)})
		} else {
			rest = append(rest, Unchecked{t.first, t.first})
		}
	}
	return rest, p.next, p.dictionary.listed
}

// compareRows compares the stored table with the rows that were built, ascending.
func (x *Index) compareRows(ctx context.Context, t table, rows iter.Seq2[[]byte, []byte]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	lo, hi := keyRange(t.level, t.number, t.number+1)
	err := x.engine.Scan(lo, hi, func(key, value []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if k, v, ok := next(); !ok || !bytes.Equal(key, k) || !bytes.Equal(value, v) {
			return fmt.Errorf("%w: row %x of %v differs from the entries", ErrDamaged, key, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if k, _, more := next(); more {
		return fmt.Errorf("%w: row %x of %v is missing", ErrDamaged, k, t)
	}
	return nil
}
