package ledger

import (
	"math/rand/v2"
	"testing"

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
