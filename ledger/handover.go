package ledger

import "sync"

// maxHandover bounds the entries that wait for the follower in memory, about
// 2 KB each; what is beyond is replayed from disk alone.
const maxHandover = 1 << 15

// A handover passes published cohorts from the publisher to the follower, in
// order. A cohort that does not fit is left out. Safe for concurrent use.
type handover struct {
	mu      sync.Mutex
	cohorts []*cohort // ascending; guarded by mu
	entries int       // in them; guarded by mu
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
}

// take returns the cohort whose first entry is from. Where there is none, it
// returns the first entry of the next cohort, which is beyond every entry if no
// cohort waits.
func (h *handover) take(from uint64) (c *cohort, next uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.cohorts) > 0 {
		first := h.cohorts[0]
		if first.first > from {
			return nil, first.first
		}
		h.entries -= len(first.entries)
		h.cohorts[0] = nil
		h.cohorts = h.cohorts[1:]
		if first.first == from {
			return first, from
		}
		first.release()
	}
	return nil, ^uint64(0)
}
