// Package spool keeps files on disk while they are made and then sent.
//
// They lie in one folder of mode 0700, each of mode 0600 under a random name, and
// are removed once they were sent; what a crash left is removed by the next Open.
// Nothing here is durable: who asked for a file that is gone asks again. Only so
// many jobs may run at once, and none takes room that the disk's other user needs.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// step is after how many bytes of a file the disk's room is looked at again.
const step = 16 << 20

// ErrBusy says that as many jobs run as may.
var ErrBusy = errors.New("as many files are being made and sent as may be at once")

// ErrFull says that the folder's file system has no room, or its quota has none.
var ErrFull = errors.New("the disk that files are made on is full")

// ofDisk tells a full disk from other faults.
func ofDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Spool is a folder of files in the making. It is safe for concurrent use.
type Spool struct {
	dir   string
	room  func(more uint64) error
	slots chan struct{}
}

// Open makes the folder where it is missing and empties it: it must be the
// spool's alone. At most jobs may run at once. room says, as an error, that the
// disk has no room for so many bytes more; nil: it always has.
func Open(dir string, jobs int, room func(more uint64) error) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the spool: %w", err)
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("emptying the spool: %w", err)
		}
	}
	if room == nil {
		room = func(uint64) error { return nil }
	}
	return &Spool{dir: dir, room: room, slots: make(chan struct{}, jobs)}, nil
}

// Begin begins a job, which the caller closes; ErrBusy where as many run as may.
func (s *Spool) Begin() (*Job, error) {
	select {
	case s.slots <- struct{}{}:
		return &Job{s: s}, nil
	default:
		return nil, ErrBusy
	}
}

// Job is some files of one caller. It is not safe for concurrent use.
type Job struct {
	s     *Spool
	files []*File
}

// Create begins a new file.
func (j *Job) Create() (*File, error) {
	if err := j.s.room(step); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(j.s.dir, "") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("making a file of the spool: %w", ofDisk(err))
	}
	file := &File{s: j.s, f: f, left: step}
	j.files = append(j.files, file)
	return file, nil
}

// Close removes the job's files.
func (j *Job) Close() error {
	var faults []error
	for _, f := range j.files {
		faults = append(faults, f.Close())
	}
	j.files = nil
	<-j.s.slots
	return errors.Join(faults...)
}

// File is one file of a job.
type File struct {
	s    *Spool
	f    *os.File // nil: removed
	size int64
	left int64 // bytes until the room is looked at
}

// Write implements io.Writer. An error of the spool's room ends it, and so does
// ErrFull.
func (f *File) Write(b []byte) (int, error) {
	if f.left -= int64(len(b)); f.left < 0 {
		if err := f.s.room(step + uint64(len(b))); err != nil {
			return 0, err
		}
		f.left = step
	}
	n, err := f.f.Write(b)
	f.size += int64(n)
	return n, ofDisk(err)
}

// Size is how many bytes were written.
func (f *File) Size() int64 { return f.size }

// Reader returns the file's bytes from the first on; it reads from where it
// stands, so that several may read at once.
func (f *File) Reader() *io.SectionReader { return io.NewSectionReader(f.f, 0, f.size) }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, at int64) (int, error) { return f.f.ReadAt(b, at) }

// Close removes the file; again, it does nothing.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	name := f.f.Name()
	err := errors.Join(f.f.Close(), os.Remove(name))
	f.f = nil
	return err
}
