package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/synthetic"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A benchPlan says what load to make.
type benchPlan struct {
	producers, batch, inFlight, checkEvery int
	duration                               time.Duration
	rate                                   float64 // events per second over all producers; 0: closed loop
	events                                 int     // end after so many; 0: after duration
	unary, bare                            bool
}

func (p *benchPlan) validate() error {
	var errs []error
	for _, c := range []struct {
		name    string
		v, most int
	}{{"producers", p.producers, 1024}, {"batch", p.batch, 4096}, {"in-flight", p.inFlight, 64}, {"check-every", p.checkEvery, 1 << 20}} {
		if c.v < 1 || c.v > c.most {
			errs = append(errs, fmt.Errorf("--%s %d: want 1 to %d", c.name, c.v, c.most))
		}
	}
	if p.duration <= 0 || p.rate < 0 || p.events < 0 {
		errs = append(errs, errors.New("--duration must be positive, --rate and --events not negative"))
	}
	return errors.Join(errs...)
}

// A benchResult is what the load came to; its JSON fields are stable.
type benchResult struct {
	Events           int     `json:"events"`
	EventsPerSecond  float64 `json:"events_per_second"`
	P50              float64 `json:"p50_ms"`
	P99              float64 `json:"p99_ms"`
	Max              float64 `json:"max_ms"`
	ReceiptsVerified int     `json:"receipts_verified"`
	BytesPerEvent    float64 `json:"bytes_per_event"`
	Seconds          float64 `json:"seconds"`
	Errors           int     `json:"errors"`
	// Baseline is bare gRPC over TLS with the same requests, run after the load;
	// Ratio is events_per_second over it. Absent without --baseline.
	Baseline float64 `json:"baseline_events_per_second,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
}

func newBenchCommand() *cobra.Command {
	var conn connection
	var p benchPlan
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a log with real-shaped events and measure it",
		Long: `bench opens a run for each producer and appends events of the shape and size of
real ones (about 550 bytes), then prints events per second, latencies of a batch
from the moment it was due, and how many receipts were verified. The events stay
in the log: use a log made for it.`,
		Example: `  daybook bench --producers 4 --batch 100 --duration 10s
  daybook bench --producers 256 --batch 1 --unary --duration 10s
  daybook bench --producers 1 --batch 1 --rate 500 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.validate(); err != nil {
				return &usageError{err}
			}
			c, err := conn.dial(cmd, func(cfg *client.Config) {
				cfg.Connections, cfg.CheckEvery = min(p.producers, 16), p.checkEvery
			})
			if err != nil {
				return err
			}
			defer c.Close()
			r, err := p.run(cmd.Context(), c)
			if err == nil && p.bare {
				r.Baseline, err = p.baseline(cmd.Context())
				r.Ratio = r.EventsPerSecond / r.Baseline
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events of %.0f bytes in %.1f s: %.0f events/s\nbatch latency p50 %.2f ms, p99 %.2f ms, max %.2f ms\n%d receipts verified, %d errors\n",
				r.Events, r.BytesPerEvent, r.Seconds, r.EventsPerSecond, r.P50, r.P99, r.Max, r.ReceiptsVerified, r.Errors)
			if err == nil && p.bare {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "bare gRPC with the same requests: %.0f events/s; the log reaches %.2f of it\n", r.Baseline, r.Ratio)
			}
			return err
		},
	}
	conn.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&p.producers, "producers", 4, "concurrent producers, each with a run of its own")
	f.IntVar(&p.batch, "batch", 100, "events in a batch")
	f.IntVar(&p.inFlight, "in-flight", 8, "batches in flight on a stream")
	f.IntVar(&p.checkEvery, "check-every", 16, "verify one receipt in so many")
	f.DurationVar(&p.duration, "duration", 10*time.Second, "how long")
	f.Float64Var(&p.rate, "rate", 0, "events per second in all; 0: as fast as answers come")
	f.IntVar(&p.events, "events", 0, "end after so many events in all; 0: after --duration")
	f.BoolVar(&p.unary, "unary", false, "one call for each batch in place of a stream")
	f.BoolVar(&p.bare, "baseline", false, "then put the same requests on bare gRPC, and print the ratio")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

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

func summarize(producers []*benchProducer, seconds float64) *benchResult {
	r := &benchResult{Seconds: seconds}
	var all []time.Duration
	bytes := 0
	for _, b := range producers {
		all = append(all, b.latencies...)
		r.Events += b.count
		r.ReceiptsVerified += b.verified
		r.Errors += b.errors
		bytes += b.bytes
	}
	if r.Events == 0 {
		return r
	}
	slices.SortFunc(all, cmp.Compare)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	r.P50, r.P99, r.Max = ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1])
	r.EventsPerSecond = float64(r.Events) / seconds
	r.BytesPerEvent = float64(bytes) / float64(r.Events)
	return r
}
