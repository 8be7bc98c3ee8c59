package client_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/client"
)

// BenchmarkReceiptChecking is the client's part of an append of 100 events: the
// answer is read, joined, hashed and proven. It is reported for each event.
func BenchmarkReceiptChecking(b *testing.B) {
	l := newLiar(b)
	run := openRun(b, l.dial(b, nil))
	items := events(b, 0, 100)
	_, err := run.Append(b.Context(), items...)
	must(b, err)
	check := client.CheckerForTest(b, run, items)
	b.ReportAllocs()
	for b.Loop() {
		must(b, check())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

// BenchmarkSingleProofs reads the inclusion proof of one event of 100.
func BenchmarkSingleProofs(b *testing.B) {
	l := newLiar(b)
	run := openRun(b, l.dial(b, nil))
	r, err := run.Append(b.Context(), events(b, 0, 100)...)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := r.Proof(57)
		must(b, err)
	}
}
