package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/synthetic"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Classes of operations, by what is waited for.
const (
	classStream = "stream" // a batch on a stream
	classUnary  = "unary"  // one event in a run
	classOneOff = "oneoff" // one event without a run
	classRead   = "read"   // entry, list, event, checkpoint, receipts
	classRun    = "run"    // opening, taking over, heartbeat, end
)

var classes = []string{classStream, classUnary, classOneOff, classRead, classRun}

const (
	unaryWorkers = 2
	readWorkers  = 2
	// pause lies between two operations of a worker that appends or reads singly.
	pause = 20 * time.Millisecond
	// afterError lies between a failure and the next attempt.
	afterError = 200 * time.Millisecond
	// lastWords is how long a worker may take to end its run after the time is up.
	lastWords = 10 * time.Second
)

// load is the workers and what they did.
type load struct {
	c        *Config
	stop     context.CancelFunc // ends the load early; set before the workers start
	events   atomic.Int64       // acknowledged
	verified atomic.Int64       // receipts, entries and proofs that were checked

	mu     sync.Mutex
	took   map[string][]time.Duration // since the last sample, by class; guarded by mu
	counts map[string]int             // by class; guarded by mu
	errors int                        // guarded by mu
	recent int                        // errors since the last sample; guarded by mu
	last   string                     // the last error; guarded by mu
	fork   error                      // guarded by mu
	sent   int64                      // events at the last sample; owned by watch
}

func newLoad(c *Config) *load {
	return &load{c: c, took: map[string][]time.Duration{}, counts: map[string]int{}}
}

func (l *load) workers() []func(context.Context) {
	var out []func(context.Context)
	for i := range l.c.Producers {
		out = append(out, func(ctx context.Context) {
			l.again(ctx, classStream, func(ctx context.Context) error { return l.produce(ctx, i) })
		})
	}
	for i := range unaryWorkers {
		out = append(out, func(ctx context.Context) {
			l.again(ctx, classUnary, func(ctx context.Context) error { return l.single(ctx, l.c.Producers+i) })
		})
	}
	for range readWorkers {
		out = append(out, func(ctx context.Context) { l.again(ctx, classRead, l.read) })
	}
	return append(out, func(ctx context.Context) {
		l.again(ctx, classOneOff, func(ctx context.Context) error { return l.oneOff(ctx, l.c.Producers+unaryWorkers) })
	})
}

// again lives one client's life after the other until ctx ends.
func (l *load) again(ctx context.Context, class string, life func(context.Context) error) {
	for ctx.Err() == nil {
		if err := life(ctx); err != nil && ctx.Err() == nil {
			l.failed(class, err)
			sleep(ctx, afterError)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// failed notes an error; a fork ends the load.
func (l *load) failed(class string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors++
	l.recent++
	l.last = fmt.Sprintf("%s: %v", class, err)
	if fork := new(client.ForkError); errors.As(err, &fork) {
		l.fork = err
		l.stop()
	}
}

func (l *load) forked() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fork
}

// done notes an operation that succeeded.
func (l *load) done(class string, began time.Time) {
	d := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[class] = append(l.took[class], d)
	l.counts[class]++
}

func (l *load) acknowledged(r *client.Receipt) {
	l.events.Add(int64(r.Len()))
	if r.Checked() {
		l.verified.Add(1)
	}
}

// sample moves what was counted since the last sample into values.
func (l *load) sample(values map[string]float64, seconds float64) {
	events := l.events.Load()
	values["events_per_second"] = float64(events-l.sent) / seconds
	l.sent = events
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, class := range classes {
		took := l.took[class]
		l.took[class] = nil
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		values[class+"_p50_ms"], values[class+"_p99_ms"], values[class+"_max_ms"] = ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(took[len(took)-1])
	}
	values["errors"] = float64(l.recent)
	l.recent = 0
}

// grace returns a context that ends lastWords after ctx: what was sent is still
// answered when the time is up.
func grace(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(inner, lastWords)
		cancel()
	})
	return inner, func() {
		stop()
		cancel()
	}
}

// use dials a client for one life.
func (l *load) use(fn func(c *client.Client) error) error {
	c, err := l.c.Dial()
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.Close())
}

func (l *load) open(ctx context.Context, c *client.Client) (*client.Run, error) {
	began := time.Now()
	run, err := c.OpenRun(ctx, client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if err == nil {
		l.done(classRun, began)
	}
	return run, err
}

// end ends a run, also where the time is up meanwhile.
func (l *load) end(ctx context.Context, run *client.Run) error {
	inner, cancel := grace(ctx)
	defer cancel()
	began := time.Now()
	_, err := run.End(inner, "its part of the soak is over")
	if err == nil {
		l.done(classRun, began)
	}
	return err
}

// produce is a run in two lives: a client opens it and streams; it goes, and
// another takes the run over, streams, says that it is alive, and ends it.
func (l *load) produce(ctx context.Context, producer int) error {
	maker := synthetic.NewMaker(producer)
	var o client.RunOptions
	if err := l.use(func(c *client.Client) error {
		run, err := l.open(ctx, c)
		if err != nil {
			return err
		}
		o = client.RunOptions{ID: run.ID(), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}
		return l.stream(ctx, run, maker)
	}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	return l.use(func(c *client.Client) error {
		began := time.Now()
		run, err := c.ResumeRun(ctx, o)
		if err != nil {
			return err
		}
		l.done(classRun, began)
		if err := l.stream(ctx, run, maker); err != nil {
			return err
		}
		return l.end(ctx, run)
	})
}

// stream streams batches for a life.
func (l *load) stream(ctx context.Context, run *client.Run, maker *synthetic.Maker) error {
	until := time.Now().Add(l.c.life()/2 + rand.N(l.c.life()))
	every := time.Duration(0)
	if l.c.Rate > 0 {
		every = time.Duration(float64(l.c.Batch*l.c.Producers) / l.c.Rate * float64(time.Second))
	}
	dues := make(chan time.Time, l.c.InFlight+2)
	o := client.StreamOptions{Batch: l.c.Batch, InFlight: l.c.InFlight, OnReceipt: func(r *client.Receipt) {
		l.done(classStream, <-dues)
		l.acknowledged(r)
	}}
	outer, cancel := grace(ctx)
	defer cancel()
	return run.Stream(outer, o, func(inner context.Context, s *client.Stream) error {
		for due := time.Now(); due.Before(until) && ctx.Err() == nil; {
			select {
			case dues <- due:
			case <-inner.Done():
				return context.Cause(inner)
			}
			if _, err := s.Submit(inner, items(maker, l.c.Batch)...); err != nil {
				return err
			}
			if every == 0 {
				due = time.Now()
				continue
			}
			due = due.Add(every)
			sleep(ctx, time.Until(due))
		}
		if ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		if _, err := s.Heartbeat(inner); err != nil {
			return err
		}
		l.done(classRun, began)
		return nil
	})
}

func items(maker *synthetic.Maker, n int) []client.Item {
	out := make([]client.Item, n)
	for i := range out {
		out[i] = client.Event(maker.Next())
	}
	return out
}

// single appends one event at a time for a life, in a run of its own.
func (l *load) single(ctx context.Context, producer int) error {
	maker := synthetic.NewMaker(producer)
	inner, cancel := grace(ctx)
	defer cancel()
	return l.use(func(c *client.Client) error {
		run, err := l.open(ctx, c)
		if err != nil {
			return err
		}
		for until := time.Now().Add(l.c.life()); time.Now().Before(until) && ctx.Err() == nil; sleep(ctx, pause) {
			began := time.Now()
			r, err := run.Append(inner, items(maker, 1)...)
			if err != nil {
				return err
			}
			l.done(classUnary, began)
			l.acknowledged(r)
		}
		return l.end(ctx, run)
	})
}

// oneOff appends events without a run for a life, each tenth of them again.
func (l *load) oneOff(ctx context.Context, producer int) error {
	maker := synthetic.NewMaker(producer)
	inner, cancel := grace(ctx)
	defer cancel()
	return l.use(func(c *client.Client) error {
		var last client.Item
		n := 0
		for until := time.Now().Add(l.c.life()); time.Now().Before(until) && ctx.Err() == nil; sleep(ctx, 5*pause) {
			item, repeated := client.Event(maker.Next()), n%10 == 9
			if repeated {
				item = last
			}
			began := time.Now()
			r, err := c.AppendOneOff(inner, item)
			switch {
			case err != nil:
				return err
			case repeated && r.Repeats() != 1:
				return errors.New("an event that was sent before was taken again")
			case !repeated:
				l.acknowledged(r)
			}
			l.done(classOneOff, began)
			last = item
			n++
		}
		return nil
	})
}
