package ledger

import "time"

// Bounds of what a refused producer is told to wait.
const (
	minRetry = 10 * time.Millisecond
	maxRetry = 10 * time.Second
)

// A drain measures how fast a queue empties while there is something in it. The
// queue's mu guards it.
type drain struct {
	mono  func() time.Duration // nil: not measured
	since time.Duration        // end of the last measured stretch
	bytes float64              // that left in busy; older ones count half each second
	busy  time.Duration
}

// wakes notes that an empty queue has something again.
func (d *drain) wakes() {
	if d.mono != nil {
		d.since = d.mono()
	}
}

// took notes that so many bytes have left the queue.
func (d *drain) took(n int64) {
	if d.mono == nil {
		return
	}
	now := d.mono()
	d.busy += now - d.since
	d.since = now
	d.bytes += float64(n)
	for d.busy > time.Second {
		d.busy /= 2
		d.bytes /= 2
	}
}

// hint is how long it takes until half of what waits has left: whoever comes
// back then finds room, and the queue has not run empty meanwhile.
func (d *drain) hint(waiting int64) time.Duration {
	if d.mono == nil || d.bytes == 0 {
		return retryAfter
	}
	busy := d.busy + d.mono() - d.since
	wait := float64(waiting) / 2 * float64(busy) / d.bytes
	return time.Duration(min(max(wait, float64(minRetry)), float64(maxRetry)))
}
