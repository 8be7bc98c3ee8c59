// Package soak finds out what grows while a log is loaded for hours.
//
// Producers stream batches in runs that open, are taken over and end; others
// append single events, in runs and without; readers list entries and check
// entries, proofs, checkpoints and receipts; every one of them is a client that
// closes and comes back. Meanwhile rate and latencies are sampled together with
// the server's own figures. What comes out is a Report:
//
//	report, err := soak.Run(ctx, soak.Config{Dial: dial, Figures: reader.Figures, Duration: 4 * time.Hour})
//	report.WriteText(os.Stdout)
package soak

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/client"
)

// Config says what load to make and how to look at it.
type Config struct {
	// Dial makes a client; each is closed by who asked for it. Needed.
	Dial func() (*client.Client, error)
	// Figures reads the server's figures by their Prometheus names. Needed.
	Figures func(context.Context) (map[string]float64, error)
	// Duration of the load.
	Duration time.Duration
	// Every is the time between samples; 0: a 240th of Duration, within 1 s and
	// 60 s.
	Every time.Duration
	// Producers that stream, each with a client and a run of its own; 0: 4.
	Producers int
	// Batch is the events of a batch; 0: 100.
	Batch int
	// InFlight is the batches in flight on a stream; 0: 8.
	InFlight int
	// Rate bounds the events that are streamed in a second; 0: as fast as answers
	// come.
	Rate float64
	// OnSample is told of each sample; may be nil. It must return soon.
	OnSample func(Sample)
}

// validate reports every fault and fills in the defaults.
func (c *Config) validate() error {
	var faults []error
	if c.Dial == nil || c.Figures == nil {
		faults = append(faults, errors.New("soak: Dial and Figures are needed"))
	}
	if c.Duration <= 0 || c.Every < 0 || c.Rate < 0 {
		faults = append(faults, errors.New("soak: the duration must be positive, interval and rate not negative"))
	}
	if c.Every == 0 {
		c.Every = min(max(c.Duration/240, time.Second), time.Minute)
	}
	defaults := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	defaults(&c.Producers, 4)
	defaults(&c.Batch, 100)
	defaults(&c.InFlight, 8)
	return errors.Join(faults...)
}

// life is how long a client, or a stream of it, is used.
func (c *Config) life() time.Duration {
	return min(max(c.Duration/20, 300*time.Millisecond), 30*time.Second)
}

// A Sample is what one interval came to.
type Sample struct {
	// Seconds since the beginning, at the end of the interval.
	Seconds float64
	// Values by the key of the report's columns; what is not known is missing.
	Values map[string]float64
}

// value returns NaN for what is missing.
func (s Sample) value(key string) float64 {
	if v, ok := s.Values[key]; ok {
		return v
	}
	return math.NaN()
}

// Run loads the log until the duration is over or ctx ends, and reports what was
// sampled until then. The error says that it could not begin, or that a client
// found that the log forked: then the report says what was before.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	first, err := c.Dial()
	if err != nil {
		return nil, err
	}
	origin := first.Origin()
	if _, err := first.Checkpoint(ctx, 0); err != nil {
		return nil, errors.Join(err, first.Close())
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	l := newLoad(&c)
	figures, err := l.figures(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	loading, stop := context.WithTimeout(ctx, c.Duration)
	defer stop()
	l.stop = stop
	var workers sync.WaitGroup
	for _, work := range l.workers() {
		workers.Go(func() { work(loading) })
	}
	samples := l.watch(loading, began, figures)
	workers.Wait()
	seconds := time.Since(began).Seconds()
	return newReport(&c, l, origin, began, seconds, samples), l.forked()
}

// watch samples until ctx ends. figures are those before the load.
func (l *load) watch(ctx context.Context, began time.Time, figures map[string]float64) []Sample {
	var samples []Sample
	tick := time.NewTicker(l.c.Every)
	defer tick.Stop()
	last := began
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
		}
		now := time.Now()
		s := Sample{Seconds: now.Sub(began).Seconds(), Values: map[string]float64{}}
		l.sample(s.Values, now.Sub(last).Seconds())
		last = now
		newer, err := l.figures(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return samples
			}
			l.failed("figures", err)
		} else {
			serverValues(s.Values, figures, newer)
			figures = newer
		}
		samples = append(samples, s)
		if l.c.OnSample != nil {
			l.c.OnSample(s)
		}
	}
}

// figures reads the server's figures and notes when.
func (l *load) figures(ctx context.Context) (map[string]float64, error) {
	figures, err := l.c.Figures(ctx)
	if err == nil {
		figures[clockFigure] = float64(time.Now().UnixNano()) / 1e9
	}
	return figures, err
}
