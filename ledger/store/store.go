package store

import (
	"errors"
	"fmt"
	"iter"
)

// Limits of the contract, in bytes. An engine refuses what exceeds them with
// [ErrTooLarge].
const (
	MaxKey   = 512
	MaxValue = 16 << 20
)

var (
	// ErrNotFound answers a read of a key that is not there.
	ErrNotFound = errors.New("not found")
	// ErrNotLast answers a commit that does not follow the last submitted head.
	ErrNotLast = errors.New("previous head is not the last submitted head")
	// ErrBackwards answers a commit whose next head has a lower term, size or
	// time than the one before it.
	ErrBackwards = errors.New("next head goes back")
	// ErrPoisoned is wrapped, with its cause, by every write after the first
	// failed one. What the failed write left behind is unknown until the store
	// is opened anew.
	ErrPoisoned = errors.New("store is poisoned")
	// ErrClosed answers any use after Close.
	ErrClosed = errors.New("store is closed")
	// ErrReadOnly answers a write to a store that was opened for reading.
	ErrReadOnly = errors.New("store is open for reading only")
	// ErrTooLarge answers a key over MaxKey or a value over MaxValue.
	ErrTooLarge = errors.New("key or value too large")
	// ErrNotDerived answers a Derive, Load or DeleteRange that touches a table
	// that is not derived.
	ErrNotDerived = errors.New("table is not derived")
	// ErrUnsorted answers a Load whose keys do not ascend.
	ErrUnsorted = errors.New("keys do not ascend")
	// ErrFull answers a Load for which there is no room. Nothing of it was
	// written, and it may be tried again.
	ErrFull = errors.New("no room on the disk")

	// ErrForeign answers the open of a directory or database that is not ours.
	ErrForeign = errors.New("not a daybook store")
	// ErrNewer answers the open of a store written by a newer version.
	ErrNewer = errors.New("store needs a newer version")
	// ErrLocked answers the open of a store that another process holds.
	ErrLocked = errors.New("store is in use")
	// ErrDamaged answers the open of a store of ours that has lost files, and a
	// read of bytes that do not match their checksum.
	ErrDamaged = errors.New("store is damaged")

	// ErrStop, returned by the function given to a scan, ends the scan without
	// error.
	ErrStop = errors.New("stop")
)

// Ticket is the promise of one submitted commit.
type Ticket interface {
	// Wait returns once the commit is durable, with nil, or once the store is
	// poisoned, with the first error that poisoned it. Tickets resolve in the
	// order of submission. It may be called often and concurrently; each call
	// gives the same answer.
	Wait() error
}

// Batch gathers the writes of one commit or derivation. It belongs to one
// goroutine. After it was given to Commit or Derive it may be used again, empty,
// once the ticket resolved or Derive returned.
type Batch interface {
	// Set writes value under key. Both are copied. The last write of a key wins.
	Set(key, value []byte) error
	// Delete removes key, whether or not it is there.
	Delete(key []byte) error
	// Len is the size of the batch in bytes, 0 when nothing was written.
	Len() int
}

// Engine keeps one log's key space. All methods may be called concurrently,
// but commits come from one goroutine, in order.
type Engine interface {
	// Head is the last submitted head, or after open the one found in the store;
	// ErrNotFound in a store that has none.
	Head() (Head, error)
	// Get returns a copy of the value, owned by the caller, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for each key in [lo, hi), ascending. A nil hi means the end
	// of the key space. The slices are valid during the call of fn only. An
	// error of fn ends the scan and is returned, but ErrStop gives nil.
	Scan(lo, hi []byte, fn func(key, value []byte) error) error
	// ScanReverse is Scan, descending.
	ScanReverse(lo, hi []byte, fn func(key, value []byte) error) error

	// NewBatch returns an empty batch.
	NewBatch() Batch
	// Commit submits b and the next head as one atomic synced write. prev must
	// be the last submitted head, the zero Head in a store without one;
	// otherwise ErrNotLast and nothing is written. b may be nil. At most
	// InFlight tickets may be unresolved; one more waits for the oldest.
	Commit(prev, next Head, b Batch) (Ticket, error)
	// InFlight is how many commits may be unresolved at a time, at least 1.
	InFlight() int

	// Derive writes b to derived tables, atomically and without a sync: a crash
	// may take it, and then takes every later Derive too.
	Derive(b Batch) error
	// Load writes a sorted sequence of new keys, in one derived table, at once: all
	// of them become visible and durable together, or none. The slices are
	// copied before the next pair is drawn.
	Load(sorted iter.Seq2[[]byte, []byte]) error
	// DeleteRange removes the keys in [lo, hi), all in derived tables.
	DeleteRange(lo, hi []byte) error

	// DiskBytes is the space the store takes now.
	DiskBytes() uint64
	// Close waits for background work, makes everything written durable, and
	// releases the store. Unresolved tickets resolve first.
	Close() error
}

// CheckKey returns ErrTooLarge or nil.
func CheckKey(key []byte) error {
	if len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes, at most %d", ErrTooLarge, len(key), MaxKey)
	}
	return nil
}

// CheckValue returns ErrTooLarge or nil.
func CheckValue(value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes, at most %d", ErrTooLarge, len(value), MaxValue)
	}
	return nil
}
