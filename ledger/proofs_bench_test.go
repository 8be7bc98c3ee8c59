package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/client/synthetic"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// provenEntries is the size of the log whose proofs are measured: more bundles
// than the cache of decoded frames holds.
const provenEntries = 200_000

// BenchmarkProofs gets an entry and its inclusion proof at the head, at random
// indexes: near are the newest 50,000 entries, which the caches hold once they are
// warm; far are all, which they do not.
func BenchmarkProofs(b *testing.B) {
	g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{})
	defer g.Close()
	fill(b, g, provenEntries)
	size := g.L.Head().Size
	for _, c := range []struct {
		name string
		span uint64
	}{{"near", 50_000}, {"far", size}} {
		for _, readers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/readers=%d", c.name, readers), func(b *testing.B) {
				b.ReportAllocs()
				var wg sync.WaitGroup
				for r := range readers {
					wg.Go(func() { prove(b, g.L, uint64(r), b.N/readers, size-c.span, size) })
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
			})
		}
	}
}

func prove(b *testing.B, l *ledger.Ledger, seed uint64, n int, lo, size uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range n {
		at := lo + random.Uint64N(size-lo)
		if _, err := l.Entry(b.Context(), at); err != nil {
			b.Error(err)
			return
		}
		if _, err := l.Proof(b.Context(), at, size); err != nil {
			b.Error(err)
			return
		}
	}
}

// fill appends at least n events of real shape, and waits for the follower.
func fill(b *testing.B, g *ledgertest.Log, n int) {
	const callers, size = 4, 1000
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			maker := synthetic.NewMaker(caller)
			run := openBenchRun(b, g, fmt.Sprintf("filler %d", caller))
			for i := range n / callers / size {
				batch := ledger.Batch{Run: run, Epoch: 1, First: 1 + uint64(i*size), Items: items(maker, size)}
				if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func openBenchRun(b *testing.B, g *ledgertest.Log, name string) verify.Hash {
	run := verify.Hash(sha256.Sum256([]byte(name)))
	if _, err := g.L.OpenRun(b.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: run[:], Provenance: 1}, nil); err != nil {
		b.Error(err)
	}
	return run
}

// items are n events of real shape.
func items(maker *synthetic.Maker, n int) []ledger.Item {
	out := make([]ledger.Item, n)
	for i := range out {
		out[i].Body = maker.Next()
	}
	return out
}
