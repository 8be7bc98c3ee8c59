//go:build linux

package ledger_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/client/synthetic"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
)

// BenchmarkAppend appends events of real shape in-process, fsync on every commit,
// everything on. Beside its own figures each case reports how it compares with a
// yardstick measured right before it, in the same process on the same disk:
//
//	x_fdatasync_p50  median latency over that of appending 4 KiB to a file
//	x_pebble_p50     median latency over that of as many committers of raw Pebble
//	x_pebble         rate over that of raw Pebble: as many committers, or for
//	                 batches 1,000 entries at a time, pipelined; the same entries,
//	                 uncompressed
//	lag              entries the follower is behind at the end
func BenchmarkAppend(b *testing.B) {
	sample := storedEntries(b, 1000)
	for _, c := range []struct{ callers, batch int }{{1, 1}, {16, 1}, {64, 100}} {
		b.Run(fmt.Sprintf("%dx%d", c.batch, c.callers), func(b *testing.B) {
			raw := map[string]yardstick{}
			switch {
			case c.callers == 1:
				raw["fdatasync"] = rawSync(b)
				raw["pebble"] = rawCommitters(b, 1, sample[0])
			case c.batch == 1:
				raw["pebble"] = rawCommitters(b, c.callers, sample[0])
			default:
				raw["pebble"] = rawPipelined(b, sample)
			}
			compareAppends(b, c.callers, c.batch, raw)
		})
	}
}

// compareAppends makes b.N batches on a log of its own.
func compareAppends(b *testing.B, callers, batch int, raw map[string]yardstick) {
	g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{Production: true})
	defer g.Close()
	b.ReportAllocs()
	took := make([][]time.Duration, callers)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for caller := range callers {
		share := b.N / callers
		if caller < b.N%callers {
			share++
		}
		ready.Add(1)
		done.Go(func() { took[caller] = appendShare(b, g, caller, share, batch, &ready, start) })
	}
	ready.Wait()
	b.ResetTimer()
	close(start)
	done.Wait()
	b.StopTimer()
	b.ReportMetric(float64(g.L.Status().FollowerLag), "lag")
	rate, p50 := float64(b.N*batch)/b.Elapsed().Seconds(), median(slices.Concat(took...))
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(float64(p50.Microseconds()), "p50-us")
	for name, y := range raw {
		if y.rate > 0 {
			b.ReportMetric(rate/y.rate, "x_"+name)
		}
		if y.p50 > 0 {
			b.ReportMetric(float64(p50)/float64(y.p50), "x_"+name+"_p50")
		}
	}
}

// appendShare is one caller: it opens its run, waits for start, and returns how
// long each append took.
func appendShare(b *testing.B, g *ledgertest.Log, caller, batches, size int, ready *sync.WaitGroup, start <-chan struct{}) []time.Duration {
	run := openBenchRun(b, g, fmt.Sprintf("caller %d", caller))
	maker := synthetic.NewMaker(caller)
	made := make([][]ledger.Item, 8) // beforehand: the raw engine makes no events either
	for i := range made {
		made[i] = items(maker, size)
	}
	ready.Done()
	<-start
	var took []time.Duration
	for i := range batches {
		batch := ledger.Batch{Run: run, Epoch: 1, First: 1 + uint64(i*size), Items: made[i%len(made)]}
		began := time.Now()
		if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
			b.Error(err)
			return took
		}
		took = append(took, time.Since(began))
	}
	return took
}
