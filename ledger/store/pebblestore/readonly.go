package pebblestore

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// readOnlyFS refuses every call that would create or change a file. It is what
// makes a read-only open one, whatever Pebble means to do.
type readOnlyFS struct{ vfs.FS }

// Create refuses.
func (readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, store.ErrReadOnly
}

// Link refuses.
func (readOnlyFS) Link(string, string) error { return store.ErrReadOnly }

// OpenReadWrite refuses.
func (readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, store.ErrReadOnly
}

// Remove refuses.
func (readOnlyFS) Remove(string) error { return store.ErrReadOnly }

// RemoveAll refuses.
func (readOnlyFS) RemoveAll(string) error { return store.ErrReadOnly }

// Rename refuses.
func (readOnlyFS) Rename(string, string) error { return store.ErrReadOnly }

// ReuseForWrite refuses.
func (readOnlyFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, store.ErrReadOnly
}

// MkdirAll refuses, unless the directory is there.
func (r readOnlyFS) MkdirAll(dir string, _ os.FileMode) error {
	if fi, err := r.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	return store.ErrReadOnly
}

// Lock takes the lock of an existing lock file. Where there is none, or the
// medium cannot be written, nobody can be writing either.
func (r readOnlyFS) Lock(name string) (io.Closer, error) {
	if _, err := r.Stat(name); errors.Is(err, os.ErrNotExist) {
		return noLock{}, nil
	}
	lock, err := r.FS.Lock(name)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		return noLock{}, nil
	}
	return lock, err
}

// Unwrap implements vfs.FS.
func (r readOnlyFS) Unwrap() vfs.FS { return r.FS }

type noLock struct{}

// Close does nothing.
func (noLock) Close() error { return nil }
