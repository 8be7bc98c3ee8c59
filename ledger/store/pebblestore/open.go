package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Open opens the store in a directory, or makes one there. It recovers what the
// last process left. Its errors wrap store.ErrForeign, ErrNewer, ErrLocked,
// ErrDamaged or ErrNotFound where these hold.
func Open(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("store options: %w", err)
	}
	s, err := open(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", o.Dir, err)
	}
	return s, nil
}

func open(o Options) (*Store, error) {
	s := &Store{o: o, fs: o.FS, ending: make(chan struct{})}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if o.ReadOnly {
		s.fs = readOnlyFS{s.fs}
	}
	state, err := readMarker(s.fs, o.Dir)
	if err != nil {
		return nil, err
	}
	if state == "" && (o.MustExist || o.ReadOnly) {
		return nil, fmt.Errorf("%w: there is no store", store.ErrNotFound)
	}
	if state != stateReady && o.ReadOnly {
		return nil, fmt.Errorf("%w: its creation was not finished", store.ErrNotFound)
	}
	if err := s.lock(); err != nil {
		return nil, err
	}
	if err := s.openLocked(); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	return s, nil
}

// lock takes the directory for this process.
func (s *Store) lock() error {
	if !s.o.ReadOnly {
		if err := makeDir(s.fs, s.o.Dir); err != nil {
			return fmt.Errorf("making the directory: %w", err)
		}
	}
	lock, err := pebble.LockDirectory(s.o.Dir, s.fs)
	if err != nil {
		return fmt.Errorf("%w: another process holds its lock: %w", store.ErrLocked, err)
	}
	s.dirLock = lock
	return nil
}

func (s *Store) unlock() error {
	if s.dirLock == nil {
		return nil
	}
	return s.dirLock.Close()
}

// openLocked opens the database, having made it first where it is new. Crash: a
// store that is not ready holds nothing and is made again.
func (s *Store) openLocked() error {
	state, err := readMarker(s.fs, s.o.Dir)
	if err != nil {
		return err
	}
	if state != stateReady {
		if err := s.create(); err != nil {
			return fmt.Errorf("creating: %w", err)
		}
	}
	if !s.o.ReadOnly {
		for _, name := range slices.Concat(loadNames[0][:], loadNames[1][:]) {
			err := s.fs.Remove(s.fs.PathJoin(s.o.Dir, name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("removing an unfinished load: %w", err)
			}
		}
	}
	if err := checkLog(s.fs, s.o.Dir); err != nil {
		return fmt.Errorf("looking through the log: %w", err)
	}
	if err := s.openPebble(true); err != nil {
		return err
	}
	if err := s.readHead(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.phase.Store(live)
	return nil
}

func (s *Store) create() error {
	if err := s.clear(); err != nil {
		return err
	}
	if err := writeMarker(s.fs, s.o.Dir, stateNew); err != nil {
		return err
	}
	if err := s.openPebble(false); err != nil {
		return err
	}
	if err := s.db.Close(); err != nil {
		return err
	}
	return writeMarker(s.fs, s.o.Dir, stateReady)
}

// clear removes what an interrupted creation left. The caller holds the lock of
// a directory whose marker is missing or says new.
func (s *Store) clear() error {
	names, err := s.fs.List(s.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == lockName || name == markerName {
			continue
		}
		if err := s.fs.RemoveAll(s.fs.PathJoin(s.o.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// openPebble opens the database. A panic inside is an error: nothing of it is
// in use yet.
func (s *Store) openPebble(mustExist bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", store.ErrDamaged, r)
		}
	}()
	p := s.o.pebbleOptions()
	p.ErrorIfNotExists = mustExist
	p.Lock = s.dirLock
	p.Logger = logger{s.o.Logger, s.fatal}
	p.EventListener = s.listener()
	p.FS = s.fs
	if s.o.FS == nil && !s.o.ReadOnly {
		p.FS = nil
		p.WithFSDefaults()
	}
	p.FS = watchedFS{s.withBallast(p.FS), s}
	s.pebbleOptions = p
	db, err := pebble.Open(s.o.Dir, p)
	if cause := s.poisoned.Load(); err == nil && cause != nil {
		return errors.Join(*cause, db.Close())
	}
	switch {
	case err == nil:
		s.db = db
		return nil
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("%w: its database files are gone", store.ErrDamaged)
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if v, peekErr := pebble.Peek(s.o.Dir, s.fs); peekErr == nil && v.FormatMajorVersion > pebble.FormatNewest {
		return fmt.Errorf("%w: pebble format %d", store.ErrNewer, v.FormatMajorVersion)
	}
	return err
}

func (s *Store) readHead() error {
	b, err := s.Get(store.HeadKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if s.last, err = store.ParseHead(b); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	s.hasHead = true
	return nil
}

// poison ends all writing. The first cause stays.
func (s *Store) poison(cause error) error {
	err := fmt.Errorf("%w: %w", store.ErrPoisoned, cause)
	if s.poisoned.CompareAndSwap(nil, &err) {
		s.o.Logger.Error("store poisoned"+advice(cause), "cause", cause)
	}
	return *s.poisoned.Load()
}

// fatal is where Pebble goes when it gives up. It does not return.
func (s *Store) fatal(reason string) {
	_ = s.poison(errors.New(reason))
	s.broken.Store(true)
	s.o.Fatal(reason)
	panic("pebblestore: Options.Fatal returned after: " + reason)
}

// nothingFlushed is how Pebble reports a flush that had nothing to write, such as
// the one of a log file without commits. It is no error.
const nothingFlushed = "pebble: empty table"

func (s *Store) listener() *pebble.EventListener {
	log := s.o.Logger
	l := &pebble.EventListener{
		BackgroundError: s.backgroundFailed,
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.damages.Add(1)
			log.Error("stored data is damaged", "path", info.Path, "detail", info.Details)
			s.unreadable("damage in "+info.Path, info.Details)
		},
		DiskSlow: func(info vfs.DiskSlowInfo) {
			s.slow.Add(1)
			log.Warn("disk is slow", "detail", info.String())
		},
		CompactionEnd: func(info pebble.CompactionInfo) { log.Debug("pebble compacted", "detail", info.String()) },
		FlushEnd: func(info pebble.FlushInfo) {
			s.flushes.Add(1)
			log.Debug("pebble flushed", "detail", info.String())
			if info.Err != nil && info.Err.Error() != nothingFlushed {
				s.fatal(fmt.Sprintf("flushing: %v", info.Err)) // Pebble would retry it for ever
			}
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.stalls.Add(1)
			log.Warn("writes stall", "reason", info.Reason)
		},
	}
	l.EnsureDefaults(nil)
	return l
}

// counters of a store's life, for Metrics.
type counters struct {
	flushes  atomic.Int64
	stalls   atomic.Int64
	slow     atomic.Int64
	failures atomic.Int64
	damages  atomic.Int64
}
