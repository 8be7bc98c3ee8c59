package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// pairEvent is an event of one pair out of many.
func pairEvent(b *testing.B, source, target int) []byte {
	b.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId:      fmt.Appendf(nil, "%d-%d", source, target),
		OccurredAtNs: time.Now().UnixNano(),
		Side:         daybookv1.Side_SIDE_SOURCE,
		Source:       &daybookv1.Source{Domain: fmt.Sprint("source-", source)},
		Target:       &daybookv1.Target{Domain: fmt.Sprint("target-", target)},
		Actor:        &daybookv1.Actor{Id: "alice"},
		Action:       &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision:     daybookv1.Decision_DECISION_ALLOWED,
		Outcome:      &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// BenchmarkCloseBesideAppends closes a log of 100,000 streams again and again
// while a producer appends without a pause. It reports the rate of appends beside
// the rate without closes, and how long the tables took the follower.
func BenchmarkCloseBesideAppends(b *testing.B) {
	const sources, targets = 100, 1000
	g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("many")
	batch := ledger.Batch{Run: run, Epoch: 1, First: 1}
	for s := range sources {
		batch.Items = nil
		for t := range targets {
			batch.Items = append(batch.Items, ledger.Item{Body: pairEvent(b, s, t)})
		}
		if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
			b.Fatal(err)
		}
		batch.First += targets
	}
	if _, err := g.L.CloseNow(b.Context()); err != nil { // sorts the streams
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var appended atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := g.L.Append(context.WithoutCancel(ctx), ledgertest.Producer, batch); err != nil {
				b.Error(err)
				return
			}
			batch.First += targets
			appended.Add(targets)
		}
	})
	rate := func(during func()) float64 {
		from, start := appended.Load(), time.Now()
		during()
		return float64(appended.Load()-from) / time.Since(start).Seconds()
	}
	plain := rate(func() { time.Sleep(time.Second) })
	b.ResetTimer()
	beside := rate(func() {
		for range b.N {
			if _, err := g.L.CloseNow(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.StopTimer()
	stop()
	wg.Wait()
	b.ReportMetric(beside/plain, "of-rate-without")
	b.ReportMetric(float64(g.L.Status().CloseTook.Milliseconds()), "ms-tables")
}
