package ledger

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoRun: the producer has no run of that id; open it first.
var ErrNoRun = errors.New("no such run of this producer: open it first")

// ErrRunEnded: the run has ended; repeats are still answered.
var ErrRunEnded = errors.New("the run has ended: open a new one")

// ErrOutcomeUnknown: the commit failed after it was submitted, so that the
// batch may or may not be durable. Resending the same run and numbers is safe.
var ErrOutcomeUnknown = errors.New("outcome unknown: resend the same run and numbers")

// ErrNotFound: no entry, or no commit of that size, below the published head.
var ErrNotFound = errors.New("not found in the log")

// ErrClock: the wall clock is off by over 10 s from what elapsed; no time can
// be given to an entry until it is right again.
var ErrClock = errors.New("the ledger's wall clock disagrees with its monotonic clock by over 10 s")

// ErrBatchTooLarge: over verify.MaxBatchItems items or verify.MaxBatchBytes.
var ErrBatchTooLarge = errors.New("batch is over 4,096 items or 3 MiB: split it")

// ErrForeignStore: the store holds another log, or no log of ours.
var ErrForeignStore = errors.New("the store holds another log")

// A RefusedError says which item of a batch was not admitted, and why. Nothing
// of the batch was kept.
type RefusedError struct {
	Number   uint64 // number of the item
	Field    string // field at fault, such as `actor.id`; empty: the whole
	Limit    uint64 // limit of that field in bytes or items; 0: missing or wrong
	Reason   string
	Code     string // stable code of the reason; empty: EVENT_REFUSED
	Declined []byte // ready Declined body to send in the item's place
	Cause    error  // nil: none
}

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Cause }

func (e *RefusedError) Error() string {
	s := "refused"
	if e.Number != 0 {
		s = fmt.Sprintf("event %d refused", e.Number)
	}
	if e.Field != "" {
		s += ": field " + e.Field
	}
	s += ": " + e.Reason
	if e.Limit != 0 {
		s += fmt.Sprintf(" (limit %d)", e.Limit)
	}
	return s
}

// An OutOfOrderError says which number the run takes next.
type OutOfOrderError struct{ Expected uint64 }

func (e *OutOfOrderError) Error() string {
	return fmt.Sprintf("numbers out of order: the run's next number is %d: resend from it, or declare what is lost from it on as a gap", e.Expected)
}

// A ConflictError says that other bytes stand under a number. The producer
// opens a new run; it never renumbers.
type ConflictError struct{ Number uint64 }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("number %d was taken by other bytes: open a new run, never renumber", e.Number)
}

// An EpochError says that a later life of the producer has taken the run over.
type EpochError struct{ Current uint64 }

func (e *EpochError) Error() string {
	return fmt.Sprintf("the run was taken over: its epoch is %d, and a lower one is refused for good; a producer that is no clone opens a new run that cites this one", e.Current)
}

// A ShutError says why the log reads but neither appends nor signs.
type ShutError struct{ Reason string }

func (e *ShutError) Error() string { return "the log is shut: " + e.Reason }

// A BusyError says that a bound was reached and when to try again.
type BusyError struct {
	What       string
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s: retry in %v", e.What, e.RetryAfter)
}

// A ForkError carries a checkpoint under the log's own key that contradicts
// the local tree.
type ForkError struct {
	Presented []byte // signed note, as presented
	Reason    string
}

func (e *ForkError) Error() string { return "fork of the log: " + e.Reason }

// A ClockError says why a log does not open: its last entry's time and the
// wall clock are too far apart.
type ClockError struct{ Last, Wall time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("wall clock %s is implausible after the last entry's %s: set the clock, or accept it with --accept-clock",
		e.Wall.UTC().Format(time.RFC3339), e.Last.UTC().Format(time.RFC3339))
}

// A FaultError says that stored bytes do not give what was committed.
type FaultError struct {
	Index  uint64 // first bad index
	Reason string
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("integrity fault at index %d: %s", e.Index, e.Reason)
}
