package pebblestore

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open watches the file's reads.
func (w watchedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := w.FS.Open(name, opts...)
	if err != nil {
		w.s.unreadable("opening "+name, err)
		return nil, err
	}
	return readFileWatch{f, w.s, name}, nil
}

// readFileWatch is a file that is read.
type readFileWatch struct {
	vfs.File
	s    *Store
	name string
}

// ReadAt watches the operation.
func (f readFileWatch) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err != nil && n < len(p) {
		f.s.unreadable("reading "+f.name, err)
	}
	return n, err
}

// unreadable ends the process where Pebble would end it by a panic: when it
// cannot read on behind a single delete that it is about to forget. Elsewhere a
// compaction that cannot read is given up, told to the log, and tried again later,
// and other reads return their error.
func (s *Store) unreadable(what string, err error) {
	if within("compact.(*Iter).skipDueToSingleDeleteElision") {
		s.fatal(fmt.Sprintf("compacting: %s: %v: nothing that was acknowledged is lost; look at the disk, then start again", what, err))
	}
}

// backgroundFailed tells of work that failed. The statistics of a table Pebble
// reads again at once, for as long as it takes: one bad sector would cost a core,
// and a line of the log every few microseconds. There it is held back, where it
// has no lock.
func (s *Store) backgroundFailed(err error) {
	s.failures.Add(1)
	s.o.Logger.Error("pebble background work failed", "error", err)
	if within("pebble/v2.(*DB).collectTableStats") {
		select {
		case <-time.After(statisticsAgain):
		case <-s.ending:
		}
	}
}

// statisticsAgain is how long after a failure Pebble tries to read statistics again.
const statisticsAgain = 10 * time.Second

// within tells whether the calling goroutine is in a function.
func within(function string) bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}
