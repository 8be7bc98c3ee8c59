package ledger_test

import (
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify"
)

// TestSizeAtTime compares every answer around every commit with a walk over the
// entries.
func TestSizeAtTime(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	defer g.Close()
	run, _ := g.Run("times")
	first := uint64(1)
	for i, n := range []int{1, 300, 1, 1, 40, 700, 2} {
		if i != 3 { // two commits of one time
			c.advance(time.Second)
		}
		appendBatch(t, g, ledgertest.Batch(run, 1, first, n))
		first += uint64(n)
	}
	var times []int64
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		times = append(times, e.Head.LogTimeNS)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, at := range times {
		for _, asked := range []int64{at - 1, at, at + 1} {
			want := uint64(0)
			for want < uint64(len(times)) && times[want] < asked {
				want++
			}
			if got, err := g.L.SizeAtTime(t.Context(), asked); err != nil || got != want {
				t.Fatalf("size at %d: %d, %v; want %d", asked, got, err, want)
			}
		}
	}
}
