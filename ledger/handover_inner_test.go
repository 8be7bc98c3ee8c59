package ledger

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// TestHandover gives cohorts of which some do not fit and takes them at random: what
// is taken follows the entries asked for without a gap, is below the size, and
// what was left out is never taken.
func TestHandover(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	var h handover
	given := map[uint64]uint64{} // end of the cohorts that wait, by first entry
	size, from := uint64(0), uint64(0)
	for range 1500 {
		if r.IntN(3) > 0 {
			n := uint64(1 + r.IntN(9000))
			fits := h.waiting()+int(n) <= maxHandover
			h.give(&cohort{first: size, entries: make([]pending, n), next: store.Head{Size: size + n}})
			if fits {
				given[size] = size + n
			}
			size += n
			continue
		}
		if r.IntN(10) == 0 && from < size {
			from += r.Uint64N(size - from + 1) // it replayed
		}
		published := from + r.Uint64N(size-from+1)
		list, next := h.take(from, published)
		if len(list) == 0 {
			if next != ^uint64(0) && (given[next] == 0 || next <= from) {
				t.Fatalf("from %d the next cohort is said to be at %d", from, next)
			}
			if given[from] != 0 {
				t.Fatalf("the cohort [%d,%d) was not taken", from, given[from])
			}
			continue
		}
		if next > max(published, list[0].next.Size) {
			t.Fatalf("taken up to %d, %d are published", next, published)
		}
		for i, c := range list {
			if c.first != from || given[from] != c.next.Size || i > 0 && from-list[0].first >= followStep {
				t.Fatalf("cohort [%d,%d) at %d", c.first, c.next.Size, from)
			}
			delete(given, from)
			from = c.next.Size
		}
		if from != next {
			t.Fatalf("cohorts up to %d, said %d", from, next)
		}
	}
}

// TestSequencerWaitsForFollower: while too much waits for the follower the
// sequencer does, until the follower has taken some, or the log ends.
func TestSequencerWaitsForFollower(t *testing.T) {
	l := &Ledger{stopping: make(chan struct{})}
	l.awaitFollower() // nothing waits
	give := func() {
		l.handover.give(&cohort{entries: make([]pending, fullHandover), next: store.Head{Size: fullHandover}})
	}
	give()
	done := make(chan int)
	go func() {
		l.awaitFollower()
		done <- l.handover.waiting()
	}()
	l.followed.notify() // a step that took nothing of it
	if list, _ := l.handover.take(0, fullHandover); len(list) != 1 {
		t.Fatalf("%d cohorts taken", len(list))
	}
	l.followed.notify()
	if n := <-done; n != 0 {
		t.Errorf("the sequencer went on while %d entries waited", n)
	}
	give()
	go func() {
		l.awaitFollower()
		done <- l.handover.waiting()
	}()
	close(l.stopping)
	<-done
}

// TestFollowerIsHurried: whoever wants an answer ends the follower's wait for more
// entries, before or while it waits, and so do many entries.
func TestFollowerIsHurried(t *testing.T) {
	l := &Ledger{stopping: make(chan struct{}), questions: make(chan *runQuestion), handover: handover{wanted: make(chan struct{}, 1)}}
	f := &follower{l: l, pause: time.NewTimer(time.Hour)}
	ctx, cancel := context.WithCancel(t.Context())
	l.handover.want()
	l.handover.want()
	f.wait(ctx, time.Hour)
	done := make(chan struct{})
	gather := func() { f.wait(ctx, time.Hour); done <- struct{}{} }
	go gather()
	l.handover.want()
	<-done
	go gather()
	l.handover.give(&cohort{entries: make([]pending, gatherEntries-1)})
	l.handover.give(&cohort{first: gatherEntries - 1, entries: make([]pending, 1)})
	<-done
	f.wait(ctx, time.Hour)
	l.handover = handover{wanted: l.handover.wanted}
	go gather()
	cancel()
	<-done
}
