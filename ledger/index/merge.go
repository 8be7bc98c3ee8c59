package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Maintain merges chunks as they become ripe, until ctx ends. Call it once,
// beside the goroutine that adds.
func (x *Index) Maintain(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-x.ripe:
		}
		if err := x.Merge(ctx); err != nil {
			return err
		}
	}
}

// Merge merges all chunks that are ripe. When ctx ends it returns nil and leaves
// the rest to the next call.
//
// Crash: a merged table is there whole or not at all, and where it is there it
// wins over the chunks it was made of, which the next call deletes.
func (x *Index) Merge(ctx context.Context) error {
	if err := x.deleteMerged(0); err != nil {
		return err
	}
	for ctx.Err() == nil {
		n := x.merged.Load()
		t := x.g.mergedTable(n)
		if t.end() > x.Position() {
			return nil
		}
		var m merger
		err := x.engine.Load(m.rows(ctx, x, t))
		if m.err != nil {
			err = m.err // the load was of an incomplete table, and failed with it
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("writing %v: %w", t, err)
		}
		x.merged.Store(n + 1) // searches that read its chunks find that out and read again
		if err := x.deleteMerged(n); err != nil {
			return err
		}
	}
	return nil
}

// deleteMerged deletes the chunks of the merged tables from a number on.
func (x *Index) deleteMerged(from uint64) error {
	lo, hi := keyRange(0, from<<x.g.merge, x.merged.Load()<<x.g.merge)
	left := false
	if err := x.engine.Scan(lo, hi, func(_, _ []byte) error { left = true; return store.ErrStop }); err != nil {
		return fmt.Errorf("looking for merged chunks: %w", err)
	}
	if !left {
		return nil
	}
	if err := x.engine.DeleteRange(lo, hi); err != nil {
		return fmt.Errorf("deleting merged chunks: %w", err)
	}
	return nil
}

// merger makes the rows of a merged table out of those of its chunks, a field at
// a time: lists are joined, postings sorted anew.
type merger struct {
	b     builder
	lists []mergedList
	arena []byte // bodies of the lists
	err   error
}

// mergedList is one list of one chunk.
type mergedList struct {
	hash uint32
	base uint32 // the chunk's first offset in the merged table
	form form
	body []byte
}

// errEnded makes a load fail, so that an incomplete table is never there.
var errEnded = []byte{}

// rowReader is where chunks are read from: a store, or memory.
type rowReader interface {
	Get(key []byte) ([]byte, error)
	Scan(lo, hi []byte, fn func(key, value []byte) error) error
}

// rows yields the keys and values of the table, ascending. Where m.err is set
// the last pair is one that no store takes.
func (m *merger) rows(ctx context.Context, x *Index, t table) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		m.err = m.write(ctx, x.engine, x.g, t, yield)
		if m.err != nil {
			yield(errEnded, nil)
		}
	}
}

func (m *merger) write(ctx context.Context, from rowReader, g geometry, t table, yield func(key, value []byte) bool) error {
	var chunks []Chunk
	for i := range t.chunks {
		var err error
		if chunks, err = header(from, chunks, g.chunkTable(t.number<<g.merge+uint64(i))); err != nil {
			return err
		}
	}
	if !yield(t.headerKey(), appendHeader(nil, chunks)) {
		return nil
	}
	m.b.w.reset(t, yield)
	for f := range fieldEnd {
		if fields[f].shape == reserved {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.lists, m.arena, m.b.pairs = m.lists[:0], m.arena[:0], m.b.pairs[:0]
		for i := range t.chunks {
			if err := m.read(from, g.chunkTable(t.number<<g.merge+uint64(i)), uint32(i)<<g.chunk, f); err != nil {
				return err
			}
		}
		if more, err := m.field(f, 1<<g.chunk, t.len()); err != nil || !more {
			return err
		}
	}
	m.b.w.flush()
	return nil
}

// read reads what a chunk has of a field.
func (m *merger) read(from rowReader, c table, base uint32, f Field) error {
	lo, hi := c.appendBucketKey(nil, f, 0), c.appendBucketKey(nil, f+1, 0)
	err := from.Scan(lo, hi, func(key, value []byte) error {
		if len(key) != 12 {
			return fmt.Errorf("%w: key %x", ErrDamaged, key)
		}
		top := uint32(binary.BigEndian.Uint16(key[10:])) << c.restBits()
		b, err := openBucket(c, value)
		if err != nil {
			return err
		}
		rest, err := b.each(func(rest uint32, f form, body []byte) error {
			at := len(m.arena)
			m.arena = append(m.arena, body...)
			m.lists = append(m.lists, mergedList{top | rest, base, f, m.arena[at:len(m.arena):len(m.arena)]})
			return nil
		})
		if err != nil {
			return err
		}
		return eachPosting(rest, c, func(rest, offset uint32) bool {
			m.b.pairs = append(m.b.pairs, uint64(top|rest)<<32|uint64(base|offset))
			return true
		})
	})
	if err != nil {
		return fmt.Errorf("reading field %v of %v: %w", f, c, err)
	}
	return nil
}

// field writes what was read of a field: hash by hash, from lists and postings.
func (m *merger) field(f Field, chunkLen, n int) (more bool, err error) {
	m.b.sort()
	slices.SortFunc(m.lists, func(a, b mergedList) int {
		return cmp.Compare(uint64(a.hash)<<32|uint64(a.base), uint64(b.hash)<<32|uint64(b.base))
	})
	pairs, lists := m.b.pairs, m.lists
	offsets := m.b.grow(n)
	for len(pairs) > 0 || len(lists) > 0 {
		hash := ^uint32(0)
		if len(pairs) > 0 {
			hash = uint32(pairs[0] >> 32)
		}
		if len(lists) > 0 {
			hash = min(hash, lists[0].hash)
		}
		all := offsets[:0]
		for ; len(lists) > 0 && lists[0].hash == hash; lists = lists[1:] {
			if all, err = lists[0].appendTo(all, chunkLen); err != nil {
				return false, err
			}
		}
		joined := len(all)
		for ; len(pairs) > 0 && uint32(pairs[0]>>32) == hash; pairs = pairs[1:] {
			all = append(all, uint32(pairs[0]))
		}
		if joined > 0 && joined < len(all) {
			slices.Sort(all)
		}
		if !m.b.w.add(f, hash, all) {
			return false, nil
		}
	}
	return true, nil
}

// appendTo appends the offsets in the list.
func (l *mergedList) appendTo(dst []uint32, chunkLen int) ([]uint32, error) {
	switch l.form {
	case hits:
		return appendOffsets(dst, l.body, l.base, chunkLen)
	case runs:
		return appendRuns(dst, l.body, l.base, chunkLen)
	}
	p, err := parseList(l.form, l.body, chunkLen)
	if err != nil {
		return dst, err
	}
	p.each(0, chunkLen, false, func(o int) bool { dst = append(dst, l.base+uint32(o)); return true })
	return dst, nil
}
