package pebblestore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Room returns the bytes that are free to this process on the store's file
// system, and its size. The error wraps vfs.ErrUnsupported where the file system
// cannot tell.
func (s *Store) Room() (free, total uint64, err error) {
	usage, err := s.fs.GetDiskUsage(s.o.Dir)
	if err != nil {
		return 0, 0, fmt.Errorf("measuring the disk: %w", err)
	}
	return usage.AvailBytes, usage.TotalBytes, nil
}

// isFull tells whether an error says that there is no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// advice says what to do about what ended the store, where that is known.
func advice(cause error) string {
	if isFull(cause) || strings.Contains(cause.Error(), syscall.ENOSPC.Error()) {
		return ": the disk is full; nothing acknowledged is lost: make room, then start again"
	}
	return ""
}

// full makes the error of a load that found no room store.ErrFull.
func full(err error) error {
	if err == nil || !isFull(err) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrFull, err)
}

// damaged makes the error of a read that met bytes which do not match their
// checksum store.ErrDamaged.
func damaged(err error) error {
	if err == nil || !pebble.IsCorruptionError(err) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrDamaged, err)
}

// withBallast lets a write that finds the disk full drop the ballast and try
// once more. A sync is never tried again.
func (s *Store) withBallast(fs vfs.FS) vfs.FS {
	if s.o.Ballast == nil || s.o.Ballast.Bytes == 0 || s.o.ReadOnly {
		return fs
	}
	return vfs.OnDiskFull(fs, func() { s.o.Ballast.Drop("a write found no room") })
}
