package client_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// TestConsistencyProof: the proof between any two sizes holds, and nothing but that
// proves anything.
func TestConsistencyProof(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 5)
	c := l.dial(t, nil)
	size := uint64(len(l.log.entries))
	for newer := uint64(1); newer <= size; newer++ {
		for older := uint64(1); older <= newer; older++ {
			proof, to, err := c.Consistency(t.Context(), older, newer)
			if err != nil {
				t.Fatalf("%d, %d: %v", older, newer, err)
			}
			from, err := c.Checkpoint(t.Context(), older)
			must(t, err)
			must(t, verify.CheckConsistency(older, newer, from.Root, to.Root, proof))
		}
		for _, older := range []uint64{0, newer + 1} {
			if _, _, err := c.Consistency(t.Context(), older, newer); err == nil {
				t.Errorf("%d, %d: no error", older, newer)
			}
		}
	}
}
