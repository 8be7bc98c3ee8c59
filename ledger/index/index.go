package index

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// Index is the index of one log. One goroutine adds, one maintains; searches may
// run at any time beside them.
type Index struct {
	engine store.Engine
	g      geometry
	listed int                  // values of a field that a chunk may bring to the dictionary
	tail   atomic.Pointer[tail] // the chunks before it are in tables
	merged atomic.Uint64        // merged tables, from the first: chunks before are gone or about to be
	ripe   chan struct{}        // holds one while Maintain should look for chunks to merge

	build  builder // owned by the adding goroutine, as what follows
	values Values
	known  known
}

// Open opens the index in a store. Entries from Position on must then be added.
func Open(engine store.Engine) (*Index, error) {
	return open(engine, geometry{chunkBits, mergeBits}, maxListed)
}

func open(engine store.Engine, g geometry, listed int) (*Index, error) {
	x := &Index{engine: engine, g: g, listed: listed, ripe: make(chan struct{}, 1), known: newKnown()}
	chunks, merged, err := x.tables()
	if errors.Is(err, ErrDamaged) {
		chunks, merged = 0, 0
		err = Remove(engine)
	}
	if err != nil {
		return nil, err
	}
	x.merged.Store(merged)
	x.tail.Store(newTail(chunks<<g.chunk, 1<<g.chunk, listed, nil))
	x.ripe <- struct{}{}
	return x, nil
}

// View opens the index in a store for Check alone, and changes nothing. Nil where
// there is none to check: it is empty, or of another version, which the next Open
// builds anew. Damaged tables are left for Check to find, but ErrDamaged where
// keys are there that are of no table.
func View(engine store.Engine) (*Index, error) {
	return view(engine, geometry{chunkBits, mergeBits}, maxListed)
}

func view(engine store.Engine, g geometry, listed int) (*Index, error) {
	x := &Index{engine: engine, g: g, listed: listed}
	merged, err := x.count(1)
	if err != nil {
		return nil, err
	}
	chunks, err := x.count(0)
	if err != nil {
		return nil, err
	}
	chunks = max(chunks, merged<<g.merge)
	x.merged.Store(merged)
	x.tail.Store(newTail(chunks<<g.chunk, 0, listed, nil))
	ours, err := x.ours(chunks)
	if err != nil || !ours {
		return nil, err
	}
	return x, x.strangers()
}

// ours tells whether there are tables, of this version: not all that have a
// header are of another.
func (x *Index) ours(chunks uint64) (bool, error) {
	others := false
	for at := uint64(0); at < chunks<<x.g.chunk; {
		t := x.tableOf(at)
		b, err := x.engine.Get(t.headerKey())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, fmt.Errorf("reading %v: %w", t, err)
		}
		if len(b) > 0 && b[0] == version {
			return true, nil
		}
		others = others || len(b) > 0
		at = t.end()
	}
	return chunks > 0 && !others, nil
}

// Remove removes the index from a store: the next Open starts from entry 0.
// Crash: it is gone, or all there.
func Remove(engine store.Engine) error {
	lo, hi := store.Index.Range()
	if err := engine.DeleteRange(lo, hi); err != nil {
		return fmt.Errorf("removing the index: %w", err)
	}
	return nil
}

// tables returns how many chunks are in tables and how many merged tables there
// are. ErrDamaged where the tables are no whole index of this version.
func (x *Index) tables() (chunks, merged uint64, err error) {
	if merged, err = x.count(1); err != nil {
		return 0, 0, err
	}
	if chunks, err = x.count(0); err != nil {
		return 0, 0, err
	}
	from := merged << x.g.merge
	chunks = max(chunks, from)
	var c []Chunk
	for n := range merged {
		if c, err = header(x.engine, c[:0], x.g.mergedTable(n)); err != nil {
			return 0, 0, err
		}
	}
	for n := from; n < chunks; n++ {
		if c, err = header(x.engine, c[:0], x.g.chunkTable(n)); err != nil {
			return 0, 0, err
		}
	}
	return chunks, merged, x.strangers()
}

// count returns one more than the number of the last table of a level.
func (x *Index) count(level uint8) (n uint64, err error) {
	lo, hi := keyRange(level, 0, 1<<levelShift)
	err = x.engine.ScanReverse(lo, hi, func(key, _ []byte) error {
		if len(key) != 12 {
			return fmt.Errorf("%w: key %x", ErrDamaged, key)
		}
		last, err := store.Index.ParseKey(key[:9])
		if err != nil {
			return err
		}
		n = last&(1<<levelShift-1) + 1
		return store.ErrStop
	})
	if err != nil {
		return 0, fmt.Errorf("looking for the end of the index: %w", err)
	}
	return n, nil
}

// strangers returns ErrDamaged where keys stand between the levels and the
// dictionary.
func (x *Index) strangers() error {
	_, lo := keyRange(1, 0, 1<<levelShift)
	_, end := store.Index.Range()
	for _, r := range [][2][]byte{{{byte(store.Index)}, store.Index.Key(0)}, {lo, {byte(store.Index), dictionaryLevel}}, {{byte(store.Index), dictionaryLevel, byte(fieldEnd)}, end}} {
		if err := x.engine.Scan(r[0], r[1], func(key, _ []byte) error { return fmt.Errorf("%w: key %x", ErrDamaged, key) }); err != nil {
			return err
		}
	}
	return nil
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
// the chunk and its new values are there, or its entries are added again.
func (x *Index) Add(index uint64, e *verify.Entry, ev *verify.EventFields) error {
	t := x.tail.Load()
	n := t.n.Load()
	if index != t.first+uint64(n) {
		return fmt.Errorf("entry %d added to an index of %d", index, t.first+uint64(n))
	}
	if n == 1<<x.g.chunk { // its load failed before
		if err := x.persist(t); err != nil {
			return err
		}
		return x.Add(index, e, ev)
	}
	if err := x.values.Read(e, ev); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	t.add(&x.values, e.Head.LogTimeNS)
	if n+1 < 1<<x.g.chunk {
		return nil
	}
	return x.persist(t)
}

// persist writes the complete chunk and starts the next.
func (x *Index) persist(t *tail) error {
	c := t.complete()
	number := t.first >> x.g.chunk
	keys, err := x.newValues(t, c)
	if err == nil {
		err = x.engine.Load(withValues(x.build.table(x.g, t, c), number, keys))
	}
	if err != nil {
		x.known = newKnown() // it may remember what is not there
		return fmt.Errorf("writing chunk %d of the index: %w", number, err)
	}
	x.tail.Store(newTail(t.first+1<<x.g.chunk, 1<<x.g.chunk, x.listed, t))
	if (number+1)&(1<<x.g.merge-1) == 0 {
		select {
		case x.ripe <- struct{}{}:
		default:
		}
	}
	return nil
}

// tableOf returns the table that holds an entry below Position.
func (x *Index) tableOf(index uint64) table {
	if n := index >> (x.g.chunk + x.g.merge); n < x.merged.Load() {
		return x.g.mergedTable(n)
	}
	return x.g.chunkTable(index >> x.g.chunk)
}

// gone tells whether a table may have been deleted for a merged one.
func (x *Index) gone(t table) bool {
	return t.level == 0 && t.number>>x.g.merge < x.merged.Load()
}

// Chunks calls fn for each chunk that overlaps [lo, hi), ascending, until it
// returns false.
func (x *Index) Chunks(lo, hi uint64, fn func(Chunk) bool) error {
	t := x.tail.Load()
	newest := t.chunk()
	hi = min(hi, t.first+uint64(newest.Entries))
	var chunks []Chunk
	for lo < hi {
		if lo >= t.first {
			fn(newest)
			return nil
		}
		tb := x.tableOf(lo)
		var err error
		chunks, err = header(x.engine, chunks[:0], tb)
		if x.gone(tb) {
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range chunks {
			if c.First < hi && lo < c.First+uint64(c.Entries) && !fn(c) {
				return nil
			}
		}
		lo = tb.end()
	}
	return nil
}
