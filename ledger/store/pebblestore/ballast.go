package pebblestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BallastFor is the size of a ballast for a file system of total bytes: what an
// open may have to write before it can remove anything, which is the tables of
// three full memtables and a manifest, but at most a sixteenth of a small disk.
func BallastFor(total uint64) int64 {
	const need = maxMemTables*defaultMemTable + 64<<20
	return int64(min(need, total/16))
}

// Ballast is a file that takes room on the store's file system so that there is
// some to give back when the file system is full: a log that filled its disk can
// be opened, which takes more room before it frees any. Safe for concurrent use.
//
// Its contents mean nothing. Crash at any moment: the file is whole, or of
// another size, which counts as missing and is made again; the log never reads
// it.
type Ballast struct {
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Path is the file.
	Path string
	// Bytes is its size; 0: there is none, and one from before is removed.
	Bytes int64
	// Logger is told when it is dropped and made; nil means slog.Default.
	Logger *slog.Logger

	mu sync.Mutex // held over each change of the file
}

func (b *Ballast) fs() vfs.FS {
	if b.FS == nil {
		return vfs.Default
	}
	return b.FS
}

func (b *Ballast) log() *slog.Logger {
	if b.Logger == nil {
		return slog.Default()
	}
	return b.Logger
}

// Held is the size of the file: Bytes, or 0 while it is dropped.
func (b *Ballast) Held() int64 {
	fi, err := b.fs().Stat(b.Path)
	if err != nil || fi.Size() != b.Bytes {
		return 0
	}
	return fi.Size()
}

// Drop removes the file. It says whether there was one.
func (b *Ballast) Drop(why string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.fs().Remove(b.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false
	case err != nil:
		b.log().Error("the ballast was not dropped", "file", b.Path, "error", err)
		return false
	}
	b.log().Warn("the ballast was dropped: the disk is full; it is made again once there is room", "file", b.Path, "bytes", b.Bytes, "reason", why)
	return true
}

// Relieve drops the file where less than its size is free on its file system.
func (b *Ballast) Relieve() {
	usage, err := b.fs().GetDiskUsage(b.fs().PathDir(b.Path))
	if err != nil || usage.AvailBytes >= uint64(b.Bytes) || b.Bytes == 0 {
		return
	}
	b.Drop(fmt.Sprintf("%d bytes are free", usage.AvailBytes))
}

// Ensure makes the file where it is missing and its file system has room for it
// beside reserve bytes. Where there is none it does nothing.
func (b *Ballast) Ensure(reserve uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Bytes == 0 {
		if err := b.fs().Remove(b.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the ballast: %w", err)
		}
		return nil
	}
	if b.Held() == b.Bytes {
		return nil
	}
	usage, err := b.fs().GetDiskUsage(b.fs().PathDir(b.Path))
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil // without it nobody could tell when it is needed either
	}
	if err != nil {
		return fmt.Errorf("making the ballast: %w", err)
	}
	if usage.AvailBytes < reserve+uint64(b.Bytes) {
		return nil
	}
	if err := b.write(); err != nil {
		return fmt.Errorf("making the ballast: %w", errors.Join(err, b.fs().Remove(b.Path)))
	}
	b.log().Info("the ballast was made", "file", b.Path, "bytes", b.Bytes)
	return nil
}

// write makes the file: its room first, and last the byte that gives it its size.
func (b *Ballast) write() error {
	f, err := b.fs().Create(b.Path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = f.Preallocate(0, b.Bytes)
	if err == nil {
		_, err = f.WriteAt([]byte{0}, b.Bytes-1)
	} else if !isFull(err) {
		err = fill(f, b.Bytes) // a file system that cannot reserve
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// fill writes n bytes that no file system can compress or share.
func fill(w io.Writer, n int64) error {
	block := make([]byte, 1<<20)
	for at := int64(0); at < n; at += int64(len(block)) {
		for i := 0; i < len(block); i += sha256.Size {
			sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(at)+uint64(i)))
			copy(block[i:], sum[:])
		}
		if _, err := w.Write(block[:min(int64(len(block)), n-at)]); err != nil {
			return err
		}
	}
	return nil
}
