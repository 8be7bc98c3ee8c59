package ledgertest

import (
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
)

// A Clock is a clock that a test moves. It starts at a given time and stands
// still between moves.
type Clock struct{ start, ns, skew atomic.Int64 }

// NewClock returns a clock that shows t.
func NewClock(t time.Time) *Clock {
	c := new(Clock)
	c.start.Store(t.UnixNano())
	c.ns.Store(t.UnixNano())
	return c
}

// Move moves the clock on.
func (c *Clock) Move(d time.Duration) { c.ns.Add(int64(d)) }

// Skew steps the wall clock alone, by d in all.
func (c *Clock) Skew(d time.Duration) { c.skew.Store(int64(d)) }

// Now is what the clock shows.
func (c *Clock) Now() time.Time { return time.Unix(0, c.ns.Load()).UTC() }

// Ledger returns the clock as a ledger takes it.
func (c *Clock) Ledger() ledger.Clock {
	return ledger.Clock{
		Wall: func() int64 { return c.ns.Load() + c.skew.Load() },
		Mono: func() time.Duration { return time.Duration(c.ns.Load() - c.start.Load()) },
	}
}
