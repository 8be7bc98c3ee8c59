package ledger

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stallAfter is how long a commit may be in flight until the log is not ready.
const stallAfter = 5 * time.Second

// A flight knows since when each commit waits for its fsync. Safe for concurrent
// use.
type flight struct {
	clock Clock
	log   *slog.Logger

	mu      sync.Mutex
	began   []time.Duration // of the commits in flight, oldest first; guarded by mu
	stalled bool            // the oldest is over stallAfter old; guarded by mu
	stalls  uint64          // times that began; guarded by mu
}

// begin notes a commit that is given to the store.
func (f *flight) begin() {
	now := f.clock.Mono()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = append(f.began, now)
}

// end notes that the oldest commit has resolved.
func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = f.began[1:]
	f.look()
}

// abandon notes that the newest commit was not taken.
func (f *flight) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = f.began[:len(f.began)-1]
}

// look returns the age of the oldest commit, 0 where none is in flight, and
// notes where a stall begins or ends. mu is held.
func (f *flight) look() time.Duration {
	age := time.Duration(0)
	if len(f.began) > 0 {
		age = f.clock.Mono() - f.began[0]
	}
	stalled := age > stallAfter
	switch {
	case stalled && !f.stalled:
		f.stalls++
		f.log.Error("the disk is slow: the log is not ready until its commit is durable", "in_flight", age)
	case !stalled && f.stalled:
		f.log.Info("the disk is no longer slow: the log is ready")
	}
	f.stalled = stalled
	return age
}

// state returns the age of the oldest commit, how often commits stalled, and why
// the log is not ready; empty: it is.
func (f *flight) state() (age time.Duration, stalls uint64, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	age = f.look()
	if f.stalled {
		since := time.Unix(0, f.clock.Wall()).Add(-age).UTC().Format(time.RFC3339)
		reason = fmt.Sprintf("the disk is slow: a commit is in flight since %s, for %v", since, age.Round(time.Second))
	}
	return age, f.stalls, reason
}
