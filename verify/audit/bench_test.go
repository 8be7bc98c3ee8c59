package audit_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
)

// benchEntries is the size of the log that the benchmark checks.
const benchEntries = 1 << 16

// BenchmarkCheck checks a directory of real-shaped entries, about 680 bytes each in
// 200 streams, with all that Check derives.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	size := benchLog(b, dir)
	p := policy(b)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for range b.N {
				r, err := audit.Check(b.Context(), os.DirFS(dir), audit.Options{Policy: p, Workers: workers})
				if err != nil || r.Fault != nil {
					b.Fatal(err, r.Fault)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// benchLog writes the directory of a log and returns its size.
func benchLog(b *testing.B, dir string) uint64 {
	b.Helper()
	g := ledgertest.Create(b, vfs.NewMem(), "log", ledgertest.Options{Production: true})
	defer g.Close()
	run, _ := g.Run("bench")
	const batch = 1024
	for first := 1; first < benchEntries; first += batch {
		items := make([]ledger.Item, batch)
		for i := range items {
			items[i].Body = benchEvent(b, run, first+i)
		}
		if _, err := g.L.Append(b.Context(), ledgertest.Producer, ledger.Batch{Run: run, Epoch: 1, First: uint64(first), Items: items}); err != nil {
			b.Fatal(err)
		}
	}
	tiles, err := ledgertest.Tiles(g.L)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.CopyFS(dir, tiles); err != nil {
		b.Fatal(err)
	}
	return open(b, tiles).Size
}

// benchEvent is an event with what a gateway says of a request, about 540 bytes.
func benchEvent(b *testing.B, run verify.Hash, n int) []byte {
	m := new(daybookv1.Event)
	if err := proto.Unmarshal(ledgertest.Event(run, uint64(n)), m); err != nil {
		b.Fatal(err)
	}
	m.Target = &daybookv1.Target{Domain: fmt.Sprintf("app-%d", n%199), Service: "orders.internal.example.com", Resource: "/v1/accounts/1234567/orders"}
	m.Actor = &daybookv1.Actor{Id: fmt.Sprintf("user-%d@example.com", n%5000), Type: daybookv1.ActorType_ACTOR_TYPE_HUMAN}
	m.CorrelationId = fmt.Appendf(nil, "4bf92f3577b34da6a3ce929d0e0e4736-%016x", n)
	m.Authorization = &daybookv1.Authorization{Purpose: "show a customer the orders of the account", Ticket: "CHG-123456"}
	for i := range 6 {
		m.Attributes = append(m.Attributes, &daybookv1.Attribute{Key: fmt.Sprintf("http.header.x-%d", i), Value: "value-0123456789-0123456789"})
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	return body
}
