package index

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// Index is the index of one log. One goroutine adds; searches may run at any
// time beside it.
type Index struct {
	engine store.Engine
	tail   atomic.Pointer[tail] // the chunks before it are in tables
	build  builder              // owned by the adding goroutine
}

// Open opens the index in a store. Entries from Position on must then be added.
func Open(engine store.Engine) (*Index, error) {
	x := &Index{engine: engine}
	lo, hi := store.Index.Range()
	chunks, sound := uint64(0), true
	err := engine.ScanReverse(lo, hi, func(key, _ []byte) error {
		if sound = len(key) == 11; sound {
			last, err := store.Index.ParseKey(key[:9])
			chunks, sound = last+1, err == nil
		}
		return store.ErrStop
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the end of the index: %w", err)
	}
	if sound && chunks > 0 {
		c, err := x.chunk(chunks - 1)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		sound = err == nil && c.Entries == ChunkLen
	}
	if !sound {
		if err := engine.DeleteRange(lo, hi); err != nil {
			return nil, fmt.Errorf("deleting an index of another version: %w", err)
		}
		chunks = 0
	}
	x.tail.Store(&tail{first: chunks * ChunkLen})
	return x, nil
}

// Position is the number of entries, from the first, that are in tables: the
// index of the first entry to add after Open.
func (x *Index) Position() uint64 { return x.tail.Load().first }

// Size is the number of entries, from the first, that a search covers.
func (x *Index) Size() uint64 {
	t := x.tail.Load()
	return t.first + uint64(t.n.Load())
}

// Add adds the entry at an index, which must be Size. ev may be nil, or zero,
// where the body is no event. Nothing of the arguments is kept. The entry that
// completes a chunk takes some milliseconds longer: its chunk is written. Crash:
// the chunk is there, or its entries are added again.
func (x *Index) Add(index uint64, e *verify.Entry, ev *verify.EventFields) error {
	t := x.tail.Load()
	n := t.n.Load()
	if index != t.first+uint64(n) {
		return fmt.Errorf("entry %d added to an index of %d", index, t.first+uint64(n))
	}
	if n == ChunkLen { // its load failed before
		if err := x.persist(t); err != nil {
			return err
		}
		return x.Add(index, e, ev)
	}
	if ev == nil {
		ev = new(verify.EventFields)
	}
	t.add(e, ev)
	if n+1 < ChunkLen {
		return nil
	}
	return x.persist(t)
}

// persist writes the complete chunk and starts the next.
func (x *Index) persist(t *tail) error {
	if err := x.engine.Load(x.build.table(t)); err != nil {
		return fmt.Errorf("writing chunk %d of the index: %w", t.first/ChunkLen, err)
	}
	x.tail.Store(&tail{first: t.first + ChunkLen})
	return nil
}

// Candidates calls fn with the index of each entry in [lo, hi) that may satisfy
// all terms, in order, until fn returns false. It looks at what had been added
// when it was called. Without terms every entry is a candidate.
func (x *Index) Candidates(terms []Term, lo, hi uint64, descending bool, fn func(index uint64) bool) error {
	terms, err := normal(terms)
	if err != nil {
		return err
	}
	t := x.tail.Load()
	hi = min(hi, t.first+uint64(t.n.Load()))
	if lo >= hi {
		return nil
	}
	first, last := lo/ChunkLen, (hi-1)/ChunkLen
	s := &search{x: x, terms: terms, descending: descending, fn: fn}
	for n := range last - first + 1 {
		chunk := first + n
		if descending {
			chunk = last - n
		}
		start := chunk * ChunkLen
		from, to := max(lo, start)-start, min(hi, start+ChunkLen)-start
		more, err := s.chunk(t, chunk, int(from), int(to))
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// normal drops the terms of empty values and puts those that narrow most first.
func normal(terms []Term) ([]Term, error) {
	out := make([]Term, 0, len(terms))
	for _, t := range terms {
		if t.Field == 0 || t.Field >= fieldEnd {
			return nil, fmt.Errorf("search for unknown field %d", t.Field)
		}
		if t.Hash != 0 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Term) int { return int(a.Field) - int(b.Field) })
	return out, nil
}

// search is one call of Candidates.
type search struct {
	x          *Index
	terms      []Term
	descending bool
	fn         func(index uint64) bool
	found, one set
}

// chunk searches offsets [lo, hi) of a chunk and tells whether to go on.
func (s *search) chunk(t *tail, chunk uint64, lo, hi int) (bool, error) {
	start := chunk * ChunkLen
	report := func(o int) bool { return s.fn(start + uint64(o)) }
	if start == t.first {
		return t.search(s.terms, lo, hi, s.descending, report), nil
	}
	for i := range s.found {
		s.found[i] = ^uint64(0)
	}
	for _, term := range s.terms {
		clear(s.one[:])
		if err := lookUp(s.x.engine, chunk, term, &s.one); err != nil {
			return false, err
		}
		if !s.found.and(&s.one) {
			return true, nil
		}
	}
	return s.found.each(lo, hi, s.descending, report), nil
}

// Chunks calls fn for each chunk that overlaps [lo, hi), ascending, until it
// returns false: whoever searches by time leaves out chunks that cannot match.
func (x *Index) Chunks(lo, hi uint64, fn func(Chunk) bool) error {
	t := x.tail.Load()
	newest := t.chunk()
	hi = min(hi, t.first+uint64(newest.Entries))
	if lo >= hi {
		return nil
	}
	for start := lo - lo%ChunkLen; start < hi; start += ChunkLen {
		c := newest
		if start != t.first {
			var err error
			if c, err = x.chunk(start / ChunkLen); err != nil {
				return err
			}
		}
		if !fn(c) {
			return nil
		}
	}
	return nil
}

// chunk reads the header of a chunk in a table.
func (x *Index) chunk(n uint64) (Chunk, error) {
	b, err := x.engine.Get(append(store.Index.Key(n), 0, 0))
	if errors.Is(err, store.ErrNotFound) {
		return Chunk{}, fmt.Errorf("%w: chunk %d has no header", ErrDamaged, n)
	}
	if err != nil {
		return Chunk{}, fmt.Errorf("reading chunk %d of the index: %w", n, err)
	}
	return parseHeader(b, n*ChunkLen)
}
