package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Derive implements store.Engine. Crash: the whole batch is there, or it and
// everything derived after it are not.
func (s *Store) Derive(b store.Batch) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.writable(); err != nil {
		return err
	}
	pb, ok := b.(*batch)
	switch {
	case !ok:
		return fmt.Errorf("batch of another engine: %T", b)
	case pb.inFlight.Load():
		return errBusy
	case pb.main:
		return store.ErrNotDerived
	case pb.b.Empty():
		return nil
	}
	if err := s.guard(func() error { return s.db.Apply(pb.b, pebble.NoSync) }); err != nil {
		return s.poison(fmt.Errorf("writing derived tables: %w", err))
	}
	pb.reset()
	return nil
}

// DeleteRange implements store.Engine. Crash: the keys are gone, or all there.
func (s *Store) DeleteRange(lo, hi []byte) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.writable(); err != nil {
		return err
	}
	if err := store.CheckDerivedRange(lo, hi); err != nil {
		return err
	}
	if bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	if err := s.guard(func() error { return s.db.DeleteRange(lo, hi, pebble.NoSync) }); err != nil {
		return s.poison(fmt.Errorf("deleting derived keys: %w", err))
	}
	return nil
}

// Load implements store.Engine. The pairs become one table file, or two where
// some keys have 0x80 or more after the table's byte: such keys are those of
// another kind, which overlap from load to load, and in the file of the others
// they would keep it from going to the bottom. The files are written and synced
// beside the database and then linked into it, both in one step. Two loads go on
// at a time, a third waits. Crash: all
// pairs are there, or none and leftover files that the next open removes.
func (s *Store) Load(sorted iter.Seq2[[]byte, []byte]) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.writable(); err != nil {
		return err
	}
	free := 0 // a long load does not hold up a short one
	if !s.loading[free].TryLock() {
		free = 1
		s.loading[free].Lock()
	}
	defer s.loading[free].Unlock()
	l := loader{s: s, free: loadNames[free]}
	for key, value := range sorted {
		if l.err = l.add(key, value); l.err != nil {
			break
		}
	}
	l.closeFile()
	if l.err != nil || l.n == 0 {
		for _, name := range l.names {
			l.err = errors.Join(l.err, s.fs.Remove(name))
		}
		return full(l.err)
	}
	if err := s.guard(func() error { return s.db.Ingest(context.Background(), l.names) }); err != nil {
		return fmt.Errorf("loading %d keys: %w", l.n, full(err))
	}
	return nil
}

// loader writes the files of one load.
type loader struct {
	s     *Store
	free  [2]string       // names to use
	w     *sstable.Writer // of the last of names
	names []string
	last  []byte
	n     int
	err   error
}

func (l *loader) add(key, value []byte) error {
	if err := errors.Join(store.CheckKey(key), store.CheckValue(value), store.CheckDerived(key)); err != nil {
		return err
	}
	switch {
	case l.n > 0 && bytes.Compare(l.last, key) >= 0:
		return fmt.Errorf("%w: %x after %x", store.ErrUnsorted, key, l.last)
	case l.n > 0 && l.last[0] != key[0]:
		return fmt.Errorf("a load of tables %c and %c", l.last[0], key[0])
	}
	if l.w == nil || upper(key) && !upper(l.last) {
		if err := l.openFile(); err != nil {
			return err
		}
	}
	if err := l.w.Set(key, value); err != nil {
		return fmt.Errorf("writing a table file: %w", err)
	}
	l.last = append(l.last[:0], key...)
	l.n++
	return nil
}

// upper tells whether a key goes to the second file.
func upper(key []byte) bool { return len(key) > 1 && key[1] >= 0x80 }

// openFile ends the file before and begins the next.
func (l *loader) openFile() error {
	if l.closeFile(); l.err != nil {
		return l.err
	}
	name := l.s.fs.PathJoin(l.s.o.Dir, l.free[len(l.names)])
	f, err := l.s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("creating a table file: %w", err)
	}
	l.names = append(l.names, name)
	const bottom = 6
	l.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), l.s.pebbleOptions.MakeWriterOptions(bottom, formatVersion.MaxTableFormat()))
	return nil
}

// closeFile ends and syncs the file that is open.
func (l *loader) closeFile() {
	if l.w == nil {
		return
	}
	if err := l.w.Close(); err != nil {
		l.err = errors.Join(l.err, fmt.Errorf("writing a table file: %w", err))
	}
	l.w = nil
}
