//go:build linux

package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/client/synthetic"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// BenchmarkJudged appends the same events of real shape, 100 at a time by four
// callers, without a map and with one in force that declares them all, so that
// identity, resolution, verdict and detectors are what differs:
//
//	cpu-us  processor time for each event, of the whole process
func BenchmarkJudged(b *testing.B) {
	const callers, size = 4, 100
	var made [callers][]ledger.Item
	for i := range made {
		made[i] = items(synthetic.NewMaker(i), 16*size)
	}
	file := mapOf(b, slices.Concat(made[:]...))
	for _, name := range []string{"without", "map"} {
		b.Run(name, func(b *testing.B) {
			g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{Production: true})
			defer g.Close()
			if name == "map" {
				bringIntoForce(b, g.L, file)
			}
			var runs [callers]verify.Hash
			for i := range runs {
				runs[i] = sha256.Sum256(fmt.Append(nil, "caller", i))
				opened := &daybookv1.RunOpened{Run: runs[i][:], Provenance: daybookv1.Provenance_PROVENANCE_SECOND_HAND}
				if _, err := g.L.OpenRun(b.Context(), ledgertest.Producer, opened, nil); err != nil {
					b.Fatal(err)
				}
			}
			before := processorTime(b)
			b.ResetTimer()
			var done sync.WaitGroup
			for i := range runs {
				done.Go(func() {
					for n := i; n < b.N; n += callers {
						at := n / callers
						batch := ledger.Batch{Run: runs[i], Epoch: 1, First: 1 + uint64(at*size), Items: made[i][at%16*size:][:size]}
						if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			done.Wait()
			b.StopTimer()
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N*size), "cpu-us")
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// mapOf is a map file that declares every crossing of the events.
func mapOf(b *testing.B, events []ledger.Item) []byte {
	domains, flows := map[string]bool{}, map[[2]string]bool{}
	for _, item := range events {
		ev, err := verify.ParseEvent(item.Body)
		if err != nil {
			b.Fatal(err)
		}
		from, to := verify.CanonicalDomain(ev.SourceDomain), verify.CanonicalDomain(ev.TargetDomain)
		domains[from], domains[to] = true, true
		if from != to {
			flows[[2]string{from, to}] = true
		}
	}
	var file strings.Builder
	file.WriteString("firm: Bench\napprover: cco\npeople:\n  - {id: cco, identities: [\"" + cco.ID + "\"]}\ndomains:\n")
	for _, id := range slices.Sorted(maps.Keys(domains)) {
		fmt.Fprintf(&file, "  - {id: %q, function: f, tier: production, risk: low, owner: o, collectors: [%q]}\n", id, ledgertest.Producer.ID)
	}
	file.WriteString("flows:\n")
	i := 0
	for pair := range flows {
		i++
		fmt.Fprintf(&file, "  - {id: f-%d, from: %q, to: %q, actions: [any], purpose: p, approver: cco}\n", i, pair[0], pair[1])
	}
	return []byte(file.String())
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
