package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/synthetic"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A benchProducer is one producer's share; owned by its goroutine.
type benchProducer struct {
	plan      *benchPlan
	events    *synthetic.Maker
	end       time.Time
	left      int // events still to send; negative: no limit
	due       time.Time
	every     time.Duration // between batches; 0: closed loop
	latencies []time.Duration
	count     int
	bytes     int
	verified  int
	errors    int
}

func (p *benchPlan) run(ctx context.Context, c *client.Client) (*benchResult, error) {
	producers := make([]*benchProducer, p.producers)
	errs := make([]error, p.producers)
	runs := make([]*client.Run, p.producers)
	for i := range runs {
		var err error
		if runs[i], err = c.OpenRun(ctx, client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range producers {
		b := &benchProducer{plan: p, events: synthetic.NewMaker(i), end: began.Add(p.duration), left: -1, due: began}
		if p.sources > 0 {
			b.events.Spread(p.sources)
		}
		if p.events > 0 {
			b.left, b.end = (p.events+i)/p.producers, began.Add(24*time.Hour)
		}
		if p.rate > 0 {
			b.every = time.Duration(float64(p.batch*p.producers) / p.rate * float64(time.Second))
		}
		producers[i] = b
		wg.Go(func() { errs[i] = b.load(ctx, runs[i]) })
	}
	wg.Wait()
	seconds := time.Since(began).Seconds()
	for _, r := range runs {
		if _, err := r.End(ctx, "bench is over"); err != nil {
			errs = append(errs, err)
		}
	}
	return summarize(producers, seconds), errors.Join(errs...)
}

// next makes the next batch, or none when the load is over. due is when it had
// to be sent: latency counts from there, so that a stalled log is not flattered.
func (b *benchProducer) next(ctx context.Context) (items []client.Item, due time.Time) {
	if b.every > 0 {
		if wait := time.Until(b.due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		due = b.due
		b.due = b.due.Add(b.every)
	} else {
		due = time.Now()
	}
	if ctx.Err() != nil || b.left == 0 || due.After(b.end) {
		return nil, due
	}
	n := b.plan.batch
	if b.left > 0 {
		n = min(n, b.left)
		b.left -= n
	}
	items = make([]client.Item, n)
	for i := range items {
		body := b.events.Next()
		b.bytes += len(body)
		items[i] = client.Event(body)
	}
	return items, due
}

func (b *benchProducer) load(ctx context.Context, run *client.Run) error {
	if !b.plan.unary {
		return b.stream(ctx, run)
	}
	for {
		items, due := b.next(ctx)
		if items == nil {
			return nil
		}
		r, err := run.Append(ctx, items...)
		if err != nil {
			b.errors++
			return err
		}
		b.answered(r, due)
	}
}

func (b *benchProducer) answered(r *client.Receipt, due time.Time) {
	b.latencies = append(b.latencies, time.Since(due))
	b.count += r.Len()
	if r.Checked() {
		b.verified++
	}
}

// stream keeps several batches in flight; answers come in order.
func (b *benchProducer) stream(ctx context.Context, run *client.Run) error {
	dues := make(chan time.Time, b.plan.inFlight+2)
	o := client.StreamOptions{Batch: b.plan.batch, InFlight: b.plan.inFlight, OnReceipt: func(r *client.Receipt) { b.answered(r, <-dues) }}
	return run.Stream(ctx, o, func(ctx context.Context, s *client.Stream) error {
		for {
			items, due := b.next(ctx)
			if items == nil {
				return nil
			}
			select {
			case dues <- due:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if _, err := s.Submit(ctx, items...); err != nil {
				b.errors++
				return err
			}
		}
	})
}
