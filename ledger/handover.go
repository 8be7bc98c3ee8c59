package ledger

import (
	"context"
	"sync"
	"time"
)

const (
	// maxHandover bounds the entries that wait for the follower in memory, about
	// 2 KB each; what is beyond is replayed from disk alone.
	maxHandover = 1 << 16
	// fullHandover is how many may wait until the sequencer waits too: a follower
	// that had to replay would fall further behind. What is in flight then has
	// room.
	fullHandover = 1 << 15
	// gatherEntries is how many the follower waits for, and gatherFor how long:
	// a read of the disk for each of many small commits would cost more than they.
	gatherEntries = bundleWidth
	gatherFor     = 2 * time.Millisecond
)

// A handover passes published cohorts from the publisher to the follower, in
// order. A cohort that does not fit is left out. Safe for concurrent use.
type handover struct {
	mu      sync.Mutex
	cohorts []*cohort // ascending; guarded by mu
	entries int       // in them; guarded by mu
	plenty  notifier  // of gatherEntries being there

	wanted chan struct{} // holds one while somebody waits for the follower
}

// give hands over a cohort, or lets its entries go.
func (h *handover) give(c *cohort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.entries+len(c.entries) > maxHandover {
		c.release()
		return
	}
	h.entries += len(c.entries)
	h.cohorts = append(h.cohorts, c)
	if h.entries >= gatherEntries {
		h.plenty.notify()
	}
}

// take returns the cohort whose first entry is from, and those that follow it
// without a gap and are below size: some followStep entries in all, and where they
// end. Where there is none, it returns the first entry of the next cohort, which is
// beyond every entry if no cohort waits.
func (h *handover) take(from, size uint64) (list []*cohort, next uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next = from
	for len(h.cohorts) > 0 {
		first := h.cohorts[0]
		more := len(list) > 0
		switch {
		case first.first > next && !more:
			return nil, first.first
		case first.first > next, more && first.next.Size > size, next-from >= followStep:
			return list, next
		}
		h.entries -= len(first.entries)
		h.cohorts[0] = nil
		h.cohorts = h.cohorts[1:]
		if first.first < next {
			first.release() // its entries were replayed
			continue
		}
		list, next = append(list, first), first.next.Size
	}
	if len(list) == 0 {
		next = ^uint64(0)
	}
	return list, next
}

// waiting is how many entries wait.
func (h *handover) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.entries
}

// want has the follower not wait for more.
func (h *handover) want() {
	select {
	case h.wanted <- struct{}{}:
	default:
	}
}

// gather waits until it is worth while to follow: there are many entries, nobody
// appends any more, or somebody wants an answer.
func (f *follower) gather(ctx context.Context) { f.wait(ctx, gatherFor) }

// wait waits for what gather does, at most that long.
func (f *follower) wait(ctx context.Context, most time.Duration) {
	h := &f.l.handover
	plenty := h.plenty.wait()
	if h.waiting() >= gatherEntries {
		return
	}
	f.pause.Reset(most)
	for {
		select {
		case ask := <-f.l.questions:
			f.answer(ask)
			continue
		case <-plenty:
		case <-h.wanted:
		case <-f.pause.C:
		case <-ctx.Done():
		}
		return
	}
}

// awaitFollower waits while the follower is far behind: then the log takes
// entries only as fast as they can be verified.
func (l *Ledger) awaitFollower() {
	for {
		change := l.followed.wait()
		if l.handover.waiting() < fullHandover {
			return
		}
		select {
		case <-change:
		case <-l.stopping:
			return
		}
	}
}
