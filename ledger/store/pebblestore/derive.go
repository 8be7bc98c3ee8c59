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

// Load implements store.Engine. The pairs become one table file, written and
// synced beside the database and then linked into it. Crash: all are there, or
// none and a leftover file that the next open removes.
func (s *Store) Load(sorted iter.Seq2[[]byte, []byte]) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.writable(); err != nil {
		return err
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	name := s.fs.PathJoin(s.o.Dir, loadName)
	n, err := s.writeTable(name, sorted)
	if err != nil || n == 0 {
		return errors.Join(err, s.fs.Remove(name))
	}
	if err := s.guard(func() error { return s.db.Ingest(context.Background(), []string{name}) }); err != nil {
		return fmt.Errorf("loading %d keys: %w", n, err)
	}
	return nil
}

// writeTable writes and syncs a table file and returns its number of keys.
func (s *Store) writeTable(name string, sorted iter.Seq2[[]byte, []byte]) (int, error) {
	f, err := s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, fmt.Errorf("creating a table file: %w", err)
	}
	const bottom = 6
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.pebbleOptions.MakeWriterOptions(bottom, formatVersion.MaxTableFormat()))
	n, err := fillTable(w, sorted)
	if err = errors.Join(err, w.Close()); err != nil {
		return 0, fmt.Errorf("writing a table file: %w", err)
	}
	return n, nil
}

func fillTable(w *sstable.Writer, sorted iter.Seq2[[]byte, []byte]) (int, error) {
	var last []byte
	n := 0
	for key, value := range sorted {
		if err := errors.Join(store.CheckKey(key), store.CheckValue(value), store.CheckDerived(key)); err != nil {
			return 0, err
		}
		switch {
		case n > 0 && bytes.Compare(last, key) >= 0:
			return 0, fmt.Errorf("%w: %x after %x", store.ErrUnsorted, key, last)
		case n > 0 && last[0] != key[0]:
			return 0, fmt.Errorf("a load of tables %c and %c", last[0], key[0])
		}
		if err := w.Set(key, value); err != nil {
			return 0, err
		}
		last = append(last[:0], key...)
		n++
	}
	return n, nil
}
