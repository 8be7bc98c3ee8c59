package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// BenchmarkAppend appends in-process, fsync on every commit, everything on. The
// yardstick is pebblestore's BenchmarkCommit on the same disk.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ callers, batch int }{{1, 1}, {16, 1}, {64, 100}} {
		b.Run(fmt.Sprintf("%dx%d", c.batch, c.callers), func(b *testing.B) {
			g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{})
			defer g.Close()
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for caller := range c.callers {
				share := b.N / c.callers
				if caller < b.N%c.callers {
					share++
				}
				wg.Go(func() { appendShare(b, g, caller, share, c.batch) })
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func appendShare(b *testing.B, g *ledgertest.Log, caller, batches, size int) {
	run := verify.Hash(sha256.Sum256(fmt.Appendf(nil, "caller %d", caller)))
	if _, err := g.L.OpenRun(b.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: run[:], Provenance: 1}, nil); err != nil {
		b.Error(err)
		return
	}
	items := ledgertest.Batch(run, 1, 1, size).Items
	for i := range batches {
		batch := ledger.Batch{Run: run, Epoch: 1, First: 1 + uint64(i*size), Items: items}
		if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
			b.Error(err)
			return
		}
	}
}
