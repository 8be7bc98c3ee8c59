package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// EntryReader calls add for each entry in [lo, hi), in order, with its event
// where it is an access.
type EntryReader func(lo, hi uint64, add func(e *verify.Entry, ev *verify.EventFields) error) error

// Checked is what one call of Check went over.
type Checked struct {
	First, Next uint64 // the table's entries; both the index asked for where its entry is in no table
	// Listed counts the rows of the dictionary that came with the table's chunks
	// in the range asked for.
	Listed uint64
}

// Check builds the table that holds the entry at an index anew, out of the
// entries that read gives, and compares it with the stored one, byte by byte; the
// dictionary must have the values: those that the chunks of [at, until) brought are
// counted. Next is the first entry after the table, or at
// itself where that entry is in no table yet. ErrDamaged where the table differs;
// any other error is of read, the store or ctx. It needs some 50 MB while it runs.
//
// After the last table CheckDictionary finds the rows that no entry calls for.
func (x *Index) Check(ctx context.Context, at, until uint64, read EntryReader) (Checked, error) {
	for at < x.Position() {
		c := tableCheck{x: x, t: x.tableOf(at), values: valueCheck{x: x, from: at >> x.g.chunk, to: until >> x.g.chunk}, read: read}
		err := c.run(ctx)
		if x.gone(c.t) && ctx.Err() == nil {
			continue // merged meanwhile
		}
		return Checked{c.t.first, c.t.end(), c.values.listed}, err
	}
	return Checked{First: at, Next: at}, nil
}

// TableEnd returns the first entry after the table that holds an entry below
// Position; a merge may put it later.
func (x *Index) TableEnd(index uint64) uint64 {
	t := x.tableOf(index)
	return t.end()
}

// CheckDictionary compares how many rows of the dictionary came with the chunks
// before an entry with how many of them Check found there. As each of those is a
// value of its chunk, and no value's row names a later chunk than one that has it,
// equal numbers say that every row is right.
func (x *Index) CheckDictionary(ctx context.Context, before, listed uint64) error {
	rows, end := uint64(0), before>>x.g.chunk
	lo := []byte{byte(store.Index), dictionaryLevel}
	if err := x.engine.Scan(lo, after(lo), func(key, row []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(row) != 8 {
			return fmt.Errorf("%w: row %x of the dictionary has %d bytes", ErrDamaged, key, len(row))
		}
		if binary.BigEndian.Uint64(row) < end {
			rows++
		}
		return nil
	}); err != nil {
		return err
	}
	if rows != listed {
		return fmt.Errorf("%w: the dictionary has %d values from the chunks before entry %d, the entries give %d", ErrDamaged, rows, before, listed)
	}
	return nil
}

// A tableCheck is the check of one table.
type tableCheck struct {
	x      *Index
	t      table
	values valueCheck
	read   EntryReader
}

func (k *tableCheck) run(ctx context.Context) error {
	x, t := k.x, k.t
	var built memory
	first := t.first >> x.g.chunk
	for n := first; n < first+uint64(t.chunks); n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := k.rebuild(&built, n); err != nil {
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
func (k *tableCheck) rebuild(built *memory, chunk uint64) error {
	x := k.x
	first := chunk << x.g.chunk
	t := newTail(first, 1<<x.g.chunk, x.listed, nil)
	var v Values
	if err := k.read(first, first+1<<x.g.chunk, func(e *verify.Entry, ev *verify.EventFields) error {
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
	return k.checkValues(t, c, chunk)
}

func (k *tableCheck) checkValues(t *tail, c Chunk, chunk uint64) error {
	for slot, s := range t.seen {
		if c.unlisted&(1<<slot) == 0 {
			s.each(func(v []byte) bool { k.values.add(slot, v); return true })
		}
	}
	return k.values.look(chunk)
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
