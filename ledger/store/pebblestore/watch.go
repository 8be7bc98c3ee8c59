package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// phase is where a store is in its life. It decides what a failed operation of
// the disk means.
type phase = int32

const (
	// opening: a failed write ends the process. Were it to reach Pebble, Open
	// would return with work still running on what it has just torn down.
	opening phase = iota
	// live: a failed write of the log poisons the store; Pebble hears of it, but
	// not where it replaces a log file: there it has no way out but a panic with
	// its locks in disorder, and the process is ended instead.
	live
	// closing: Pebble returns what fails.
	closing
)

// watchedFS sees the disk fail before Pebble does. A failed sync of the
// directory always ends the process: Pebble would panic in some goroutine.
type watchedFS struct {
	vfs.FS
	s *Store
}

// diskFailed returns err, unless it ends the process: in phase opening, and in
// phase live where Pebble could not handle it.
func (s *Store) diskFailed(what string, err error, hopeless bool) error {
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return err
	}
	if p := s.phase.Load(); p == opening || p == live && hopeless {
		s.fatal(fmt.Sprintf("%s: %v", what, err))
	}
	return err
}

// Create watches the file. A marker names another file as the current one; it is
// made only once that file's directory entry is durable, which Pebble leaves to
// the order in which a file system keeps entries.
func (w watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(w.PathBase(name), "marker.") {
		if err := syncDir(w, w.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := w.FS.Create(name, category)
	return w.watch(name, f, err)
}

// ReuseForWrite watches the file.
func (w watchedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(oldname, newname, category)
	return w.watch(newname, f, err)
}

// Link watches the operation.
func (w watchedFS) Link(oldname, newname string) error {
	return w.s.diskFailed("linking a file", w.FS.Link(oldname, newname), false)
}

// Rename watches the operation.
func (w watchedFS) Rename(oldname, newname string) error {
	return w.s.diskFailed("renaming a file", w.FS.Rename(oldname, newname), false)
}

// Remove watches the operation.
func (w watchedFS) Remove(name string) error {
	return w.s.diskFailed("removing a file", w.FS.Remove(name), false)
}

// List watches the operation.
func (w watchedFS) List(dir string) ([]string, error) {
	names, err := w.FS.List(dir)
	return names, w.s.diskFailed("listing the directory", err, false)
}

// OpenDir watches the directory.
func (w watchedFS) OpenDir(name string) (vfs.File, error) {
	f, err := w.FS.OpenDir(name)
	if err := w.s.diskFailed("opening the directory", err, false); err != nil {
		return nil, err
	}
	return watchedDir{f, w.s}, nil
}

// Unwrap implements vfs.FS.
func (w watchedFS) Unwrap() vfs.FS { return w.FS }

func (w watchedFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
	isLog := strings.HasSuffix(name, ".log")
	if err := w.s.diskFailed("creating "+name, err, isLog); err != nil {
		return nil, err
	}
	return &watchedFile{File: f, s: w.s, name: name, isLog: isLog}, nil
}

type watchedDir struct {
	vfs.File
	s *Store
}

// Sync ends the process if it fails.
func (d watchedDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.s.fatal(fmt.Sprintf("syncing the directory: %v", err))
	}
	return nil
}

// watchedFile is a file that is written.
type watchedFile struct {
	vfs.File
	s      *Store
	name   string
	isLog  bool
	failed atomic.Bool
}

func (f *watchedFile) check(what string, err error) error {
	if err == nil {
		return nil
	}
	again := f.failed.Swap(true)
	if f.isLog && f.s.phase.Load() != opening {
		_ = f.s.poison(fmt.Errorf("%s the log: %w", what, err))
	}
	// Pebble touches a log file that has failed once more only to replace it.
	return f.s.diskFailed(what+" "+f.name, err, f.isLog && again)
}

// Write watches the operation.
func (f *watchedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.check("writing", err)
}

// Sync watches the operation.
func (f *watchedFile) Sync() error { return f.check("syncing", f.File.Sync()) }

// SyncData watches the operation.
func (f *watchedFile) SyncData() error { return f.check("syncing", f.File.SyncData()) }

// SyncTo watches the operation.
func (f *watchedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.check("syncing", err)
}

// Stat ends the process if it fails for a log file.
func (f *watchedFile) Stat() (vfs.FileInfo, error) {
	fi, err := f.File.Stat()
	return fi, f.s.diskFailed("looking at "+f.name, err, f.isLog)
}

// Close ends the process if it is a log file that has failed: Pebble is
// replacing it.
func (f *watchedFile) Close() error {
	err := f.check("closing", f.File.Close())
	if f.isLog && f.failed.Load() {
		_ = f.s.diskFailed("replacing the log", *f.s.poisoned.Load(), true)
	}
	return err
}
