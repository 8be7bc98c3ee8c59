package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
)

// BenchmarkPairCounts counts pairs over a year of 366 closes, each pair with an
// access on every day: the first count after an open, and those after it, each of
// another pair. The benchmark makes the year first.
func BenchmarkPairCounts(b *testing.B) {
	for _, streams := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(streams, "-streams"), func(b *testing.B) {
			clock := ledgertest.NewClock(noon())
			g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{Production: true, Clock: clock.Ledger()})
			run, _ := g.Run("year")
			batch := ledger.Batch{Run: run, Epoch: 1, First: 1}
			push := func(from, step int) {
				batch.Items = nil
				for n := from; n < streams; n += step {
					batch.Items = append(batch.Items, ledger.Item{Body: pairEvent(b, n%100, n/100)})
				}
				if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
					b.Fatal(err)
				}
				batch.First += uint64(len(batch.Items))
			}
			for n := range 10 {
				push(n, 10)
			}
			for range 366 { // the first entry of a day closes the one before
				clock.Move(24 * time.Hour)
				push(0, streams/100)
			}
			end := clock.Now().Truncate(24 * time.Hour).UnixNano()
			for {
				newest, err := g.L.Closes(b.Context(), 0, 1)
				if err != nil {
					b.Fatal(err)
				}
				if len(newest) == 1 && newest[0].Close.PeriodEndNs == end {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			g.Close()
			g, err := ledgertest.Open(b, g.FS, g.Dir, ledgertest.Options{Production: true, Anchor: g.Anchor, Clock: clock.Ledger(), AcceptClock: true})
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			count := func(n int) time.Duration {
				n = n % 100 * (streams / 100)
				start := time.Now()
				got, err := g.L.PairCounts(b.Context(), fmt.Sprint("source-", n%100), fmt.Sprint("target-", n/100), 0, 0, 2000)
				took := time.Since(start)
				if err != nil || len(got.Periods) != 367 {
					b.Fatalf("%d periods, %v", len(got.Periods), err)
				}
				return took
			}
			first := count(0)
			var took []time.Duration
			for n := 1; b.Loop(); n++ {
				took = append(took, count(n))
			}
			slices.Sort(took)
			b.ReportMetric(float64(first.Microseconds())/1000, "ms-first")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}
