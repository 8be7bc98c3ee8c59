package ledger

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the low-water mark, in bytes.
const (
	maxLow = 2 << 30
	// minLow is what a flush and a compaction of the store may take at once.
	minLow = 256 << 20
	// devLow is the most of a demonstration log.
	devLow = 64 << 20
	// measureStep is how much may be written before the disk is measured again.
	measureStep = 64 << 20
	// measureEvery is how often it is measured in any case.
	measureEvery = time.Second
	// diskLowRetry is when a producer should try again.
	diskLowRetry = 5 * time.Second
	// writeFactor is how many bytes one byte of a commit may take on the disk
	// before the next measurement shows it: in the log, in a table.
	writeFactor = 2
)

// A disk knows how much room the file system of the store has, and stops appends
// below a mark: what a log that reads needs must not be taken by one that
// writes. Appends go on once a quarter of the mark more is free, so that they do
// not flutter; the ledger's own entries, of which there is about one a second,
// go in down to an eighth of the mark. Safe for concurrent use.
type disk struct {
	measure func() (free, total uint64, err error) // nil: never low
	mark    int64                                  // as configured; 0: the default, negative: none
	dev     bool
	log     *slog.Logger

	mu          sync.Mutex
	free, total uint64 // newest measurement; guarded by mu
	blind       bool   // the last measurement failed; guarded by mu
	submitted   uint64 // bytes since then, times writeFactor; guarded by mu
	low         bool   // appends are refused; guarded by mu
}

// lowMark is the mark for a file system of total bytes, 0 for none: 5 % or
// 2 GiB, the smaller; but on a small one not less than a flush takes, unless
// that is over a quarter of it.
func lowMark(configured int64, total uint64, dev bool) uint64 {
	switch {
	case configured < 0:
		return 0
	case configured > 0:
		return uint64(configured)
	case dev:
		return min(devLow, total/20)
	}
	return max(min(total/20, maxLow), min(minLow, total/4))
}

// lowest is the mark below which not even the ledger's own entries go in.
func lowest(mark uint64) uint64 { return mark / 8 }

// look measures the disk now. Where that fails, the disk counts as it did.
func (d *disk) look() {
	if d.measure == nil || d.mark < 0 {
		return
	}
	free, total, err := d.measure()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.submitted = 0
	if err != nil {
		if !d.blind {
			d.log.Warn("the free space of the disk is not known: appends do not stop for want of it", "error", err)
		}
		d.blind = true
		return
	}
	d.blind, d.free, d.total = false, free, total
	mark := lowMark(d.mark, total, d.dev)
	switch {
	case !d.low && free < mark:
		d.low = true
		d.log.Error("the disk is low: appends are refused, reads go on; nothing acknowledged is lost", "free", free, "mark", mark)
	case d.low && free >= mark+mark/4:
		d.low = false
		d.log.Info("the disk has room again: appends go on", "free", free, "mark", mark)
	}
}

// wrote notes so many bytes given to the store, and measures the disk where they
// could have brought it below the mark: a burst cannot run it full unseen.
func (d *disk) wrote(n int) {
	if d.measure == nil {
		return
	}
	d.mu.Lock()
	d.submitted += uint64(n) * writeFactor
	mark := lowMark(d.mark, d.total, d.dev)
	step := uint64(measureStep)
	if !d.blind {
		step = min(step, (d.free-min(mark, d.free))/2)
	}
	due := d.submitted >= step
	d.mu.Unlock()
	if due {
		d.look()
	}
}

// refusal returns a *DiskLowError where no append may go in now; own: of the
// ledger itself.
func (d *disk) refusal(own bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.low {
		return nil
	}
	mark := lowMark(d.mark, d.total, d.dev)
	if own && d.free >= lowest(mark) {
		return nil
	}
	if own {
		d.log.Error("an entry of the ledger's own was not appended: the disk is nearly full", "free", d.free)
	}
	return &DiskLowError{Free: d.free, Mark: mark, RetryAfter: diskLowRetry}
}

// noRoom is for what waits for a derived table that found no room.
func (d *disk) noRoom() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &DiskLowError{Free: d.free, Mark: lowMark(d.mark, d.total, d.dev), RetryAfter: diskLowRetry}
}

// Room measures the disk, and returns a *DiskLowError where n bytes more beside
// the store would bring it below the mark at which appends stop. nil also where
// nobody knows how much is free.
func (l *Ledger) Room(n uint64) error {
	d := &l.watched.disk
	d.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	mark := lowMark(d.mark, d.total, d.dev)
	if d.total == 0 || d.blind || mark == 0 || d.free >= mark+n {
		return nil
	}
	return &DiskLowError{Free: d.free, Mark: mark, RetryAfter: diskLowRetry}
}

// repeats tells whether a work asks only for what is in the log already: a low
// disk is no reason to refuse that.
func (q *sequencer) repeats(w *work) bool {
	switch w.op {
	case opAppend:
		r, err := q.state.run(w.producer.ID, w.run)
		return err == nil && w.first <= r.last
	case opOneOff:
		_, found := q.oneOffs[w.run]
		return found
	case opOpen:
		_, err := q.state.run(w.producer.ID, w.run)
		return err == nil
	}
	return false
}

// A DiskLowError says that the disk has less room than the mark below which
// appends stop. Nothing of the batch was kept; the same may be sent again.
type DiskLowError struct {
	Free, Mark uint64 // bytes
	RetryAfter time.Duration
}

func (e *DiskLowError) Error() string {
	return fmt.Sprintf("the disk is low: %d bytes are free, appends stop below %d: send the same again once there is room", e.Free, e.Mark)
}
