package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// EntryReader calls add for each entry in [lo, hi), in order, with its event
// where it is an access.
type EntryReader func(lo, hi uint64, add func(e *verify.Entry, ev *verify.EventFields) error) error

// Check builds the table that holds the entry at an index anew, out of the
// entries that read gives, and compares it with the stored one, byte by byte; the
// dictionary must have the values. It returns the index of the first entry after
// the table, or at itself where that entry is in no table yet. ErrDamaged where
// the table differs. It needs some 50 MB while it runs.
func (x *Index) Check(ctx context.Context, at uint64, read EntryReader) (next uint64, err error) {
	for at < x.Position() {
		t := x.tableOf(at)
		err := x.checkTable(ctx, t, read)
		if x.gone(t) {
			continue // merged meanwhile
		}
		return t.end(), err
	}
	return at, nil
}

func (x *Index) checkTable(ctx context.Context, t table, read EntryReader) error {
	var built memory
	first := t.first >> x.g.chunk
	for n := first; n < first+uint64(t.chunks); n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := x.rebuild(&built, n, read); err != nil {
			return err
		}
	}
	if t.level > 0 {
		var m merger
		var merged memory
		if err := m.write(ctx, &built, x.g, t, merged.add); err != nil {
			return err
		}
		built = merged
	}
	return x.compare(t, &built)
}

// rebuild adds the rows of a chunk to built, and looks its values up in the
// dictionary.
func (x *Index) rebuild(built *memory, chunk uint64, read EntryReader) error {
	first := chunk << x.g.chunk
	t := newTail(first, 1<<x.g.chunk, x.listed, nil)
	var v Values
	if err := read(first, first+1<<x.g.chunk, func(e *verify.Entry, ev *verify.EventFields) error {
		if err := v.Read(e, ev); err != nil {
			return err
		}
		t.add(&v, e.Head.LogTimeNS)
		return nil
	}); err != nil {
		return err
	}
	c := t.complete()
	if c.Entries != 1<<x.g.chunk {
		return fmt.Errorf("%d entries were read for chunk %d of the index", c.Entries, chunk)
	}
	var b builder
	b.table(x.g, t, c)(built.add)
	return x.checkValues(t, c, chunk)
}

func (x *Index) checkValues(t *tail, c Chunk, chunk uint64) (err error) {
	for slot, s := range t.seen {
		if c.unlisted&(1<<slot) != 0 {
			continue
		}
		s.each(func(v []byte) bool {
			row, missing := x.engine.Get(appendValueKey(nil, textFields[slot], v))
			switch {
			case errors.Is(missing, store.ErrNotFound):
				err = fmt.Errorf("%w: %v %q of chunk %d is not in the dictionary", ErrDamaged, textFields[slot], v, chunk)
			case missing != nil:
				err = missing
			case len(row) != 8 || binary.BigEndian.Uint64(row) > chunk:
				err = fmt.Errorf("%w: %v %q is in chunk %d, the dictionary says %x", ErrDamaged, textFields[slot], v, chunk, row)
			}
			return err == nil
		})
	}
	return err
}

// compare compares the stored table with the rows that were built.
func (x *Index) compare(t table, built *memory) error {
	lo, hi := keyRange(t.level, t.number, t.number+1)
	i := 0
	err := x.engine.Scan(lo, hi, func(key, value []byte) error {
		if i >= len(built.keys) || !bytes.Equal(key, built.keys[i]) || !bytes.Equal(value, built.values[i]) {
			return fmt.Errorf("%w: row %x of %v differs from the entries", ErrDamaged, key, t)
		}
		i++
		return nil
	})
	if err == nil && i < len(built.keys) {
		err = fmt.Errorf("%w: row %x of %v is missing", ErrDamaged, built.keys[i], t)
	}
	return err
}

// memory holds rows, ascending.
type memory struct{ keys, values [][]byte }

func (m *memory) add(key, value []byte) bool {
	m.keys = append(m.keys, bytes.Clone(key))
	m.values = append(m.values, bytes.Clone(value))
	return true
}

// Get implements rowReader.
func (m *memory) Get(key []byte) ([]byte, error) {
	i := m.from(key)
	if i == len(m.keys) || !bytes.Equal(m.keys[i], key) {
		return nil, store.ErrNotFound
	}
	return m.values[i], nil
}

// Scan implements rowReader.
func (m *memory) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	for i := m.from(lo); i < m.from(hi); i++ {
		if err := fn(m.keys[i], m.values[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) from(key []byte) int {
	return sort.Search(len(m.keys), func(i int) bool { return bytes.Compare(m.keys[i], key) >= 0 })
}
