package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// submitAll submits n events one by one.
func submitAll(t *testing.T, n int) func(context.Context, *client.Stream) error {
	return func(ctx context.Context, s *client.Stream) error {
		for i := range n {
			if _, err := s.Submit(ctx, client.Event(event(t, fmt.Sprintf("s%d", i)))); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestStreamKeepsOrder(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	var got []uint64
	o := client.StreamOptions{Batch: 7, InFlight: 3, OnReceipt: func(r *client.Receipt) {
		for i := range r.Len() {
			got = append(got, r.Number(i))
		}
		checkOffline(t, l, r)
	}}
	must(t, run.Stream(t.Context(), o, submitAll(t, 100)))
	if diff := cmp.Diff(upTo(100), got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(upTo(100), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	_, err := run.End(t.Context(), "")
	must(t, err)
}

// TestStreamSurvivesFailures: every third batch fails before the log sees it,
// every fifth loses its answer, and the server is restarted twice; nothing is
// missing, nothing stands twice.
func TestStreamSurvivesFailures(t *testing.T) {
	l := newLiar(t)
	l.before = func(call int, _ *apiv1.AppendRequest) error {
		if call%3 == 0 {
			return status.Error(codes.Unavailable, "away")
		}
		return nil
	}
	l.after = func(call int) error {
		if call%5 == 0 {
			return status.Error(codes.Unavailable, "lost")
		}
		return nil
	}
	run := openRun(t, l.dial(t, nil))
	err := run.Stream(t.Context(), client.StreamOptions{Batch: 2, InFlight: 4}, func(ctx context.Context, s *client.Stream) error {
		for k := range 3 {
			var last *client.Pending
			for i := range 20 {
				var err error
				if last, err = s.Submit(ctx, client.Event(event(t, fmt.Sprintf("%d-%d", k, i)))); err != nil {
					return err
				}
			}
			if k < 2 {
				l.stop()
				l.start(t)
			}
			if _, err := last.Wait(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	if diff := cmp.Diff(upTo(60), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if _, err := run.End(t.Context(), ""); err != nil {
		t.Errorf("the running hash is not the ledger's: %v", err)
	}
}

// TestStreamBatchesWhatWaits: while the one batch in flight is held back, what
// is submitted gathers in the next.
func TestStreamBatchesWhatWaits(t *testing.T) {
	l := newLiar(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var sizes []int
	l.before = func(call int, r *apiv1.AppendRequest) error {
		if call == 1 {
			close(entered)
			<-release
		}
		sizes = append(sizes, len(r.Items))
		return nil
	}
	run := openRun(t, l.dial(t, nil))
	err := run.Stream(t.Context(), client.StreamOptions{InFlight: 1}, func(ctx context.Context, s *client.Stream) error {
		if err := submitAll(t, 1)(ctx, s); err != nil {
			return err
		}
		<-entered
		if err := submitAll(t, 50)(ctx, s); err != nil {
			return err
		}
		close(release)
		return nil
	})
	must(t, err)
	if diff := cmp.Diff([]int{1, 50}, sizes); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

// TestSubmitWaits: with all batches on their way and one more full, Submit waits,
// and its context ends the wait.
func TestSubmitWaits(t *testing.T) {
	l := newLiar(t)
	release := make(chan struct{})
	l.before = func(int, *apiv1.AppendRequest) error { <-release; return nil }
	run := openRun(t, l.dial(t, nil))
	var sub error
	err := run.Stream(t.Context(), client.StreamOptions{Batch: 1, InFlight: 2}, func(ctx context.Context, s *client.Stream) error {
		if err := submitAll(t, 3)(ctx, s); err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, sub = s.Submit(short, events(t, 9, 1)...)
		close(release)
		return nil
	})
	must(t, err)
	if !errors.Is(sub, context.DeadlineExceeded) {
		t.Errorf("a fourth submit: %v, want the deadline", sub)
	}
	if diff := cmp.Diff(upTo(3), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestStreamDeclines(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	var declined []uint64
	kinds := map[uint64]daybookv1.Kind{}
	o := client.StreamOptions{Batch: 4, Decline: true,
		OnDeclined: func(e *client.RefusedError) { declined = append(declined, e.Number) },
		OnReceipt: func(r *client.Receipt) {
			checkOffline(t, l, r)
			for i := range r.Len() {
				kinds[r.Number(i)] = r.Kind(i)
			}
		}}
	must(t, run.Stream(t.Context(), o, func(ctx context.Context, s *client.Stream) error {
		for i := range 12 {
			id := fmt.Sprint(i)
			if i == 2 || i == 3 || i == 9 {
				id = string(make([]byte, 65))
			}
			if _, err := s.Submit(ctx, client.Event(event(t, id))); err != nil {
				return err
			}
		}
		return nil
	}))
	if diff := cmp.Diff([]uint64{3, 4, 10}, declined); diff != "" {
		t.Errorf("declined (-want +got):\n%s", diff)
	}
	for n, kind := range kinds {
		want := daybookv1.Kind_KIND_ACCESS
		if n == 3 || n == 4 || n == 10 {
			want = daybookv1.Kind_KIND_DECLINED
		}
		if kind != want {
			t.Errorf("number %d is %v, want %v", n, kind, want)
		}
	}
	if _, err := run.End(t.Context(), ""); err != nil {
		t.Errorf("the running hash is not the ledger's: %v", err)
	}
}

// TestDeclinedOfSomethingElse: the Declined becomes part of our running hash, so
// one that speaks of other bytes is not taken.
func TestDeclinedOfSomethingElse(t *testing.T) {
	l := newLiar(t)
	l.before = func(_ int, r *apiv1.AppendRequest) error {
		return refusal(codes.InvalidArgument, "EVENT_REFUSED", &apiv1.RefusalDetail{Number: 1,
			Declined: &daybookv1.Declined{Number: 1, Sha256: make([]byte, 32), Reason: "because"}})
	}
	run := openRun(t, l.dial(t, nil))
	err := run.Stream(t.Context(), client.StreamOptions{Decline: true}, submitAll(t, 1))
	if refused := new(client.RefusedError); !errors.As(err, &refused) {
		t.Errorf("error %v, want the refusal", err)
	}
	if n := l.numbers(t); len(n) != 0 {
		t.Errorf("numbers %v are in the log", n)
	}
}

// TestStreamRefused: without Decline the stream ends with the refusal; what was
// behind it is failed, and the run goes on with other bytes under free numbers.
func TestStreamRefused(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	var waited error
	err := run.Stream(t.Context(), client.StreamOptions{Batch: 1}, func(ctx context.Context, s *client.Stream) error {
		if err := submitAll(t, 2)(ctx, s); err != nil {
			return err
		}
		bad, err := s.Submit(ctx, client.Event(event(t, string(make([]byte, 65)))))
		if err != nil {
			return err
		}
		_, waited = bad.Wait(context.WithoutCancel(ctx))
		_, err = s.Submit(context.WithoutCancel(ctx), events(t, 0, 1)...)
		return err
	})
	for _, err := range []error{err, waited} {
		if refused := new(client.RefusedError); !errors.As(err, &refused) || refused.Number != 3 {
			t.Errorf("error %v, want the refusal of number 3", err)
		}
	}
	must(t, run.Stream(t.Context(), client.StreamOptions{}, submitAll(t, 5)))
	if diff := cmp.Diff(upTo(7), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	_, err = run.End(t.Context(), "")
	must(t, err)
}

// TestStreamSilence: a server that takes batches and answers nothing is given up.
func TestStreamSilence(t *testing.T) {
	l := newLiar(t)
	release := make(chan struct{})
	l.before = func(int, *apiv1.AppendRequest) error { <-release; return status.Error(codes.Unavailable, "too late") }
	run := openRun(t, l.dial(t, func(c *client.Config) { c.Patience = 50 * time.Millisecond }))
	err := run.Stream(t.Context(), client.StreamOptions{}, submitAll(t, 1))
	close(release)
	if gaveUp := new(client.GaveUpError); !errors.As(err, &gaveUp) {
		t.Errorf("error %v, want a *GaveUpError", err)
	}
}

func TestStreamCancelled(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("shutting down")
	l.before = func(int, *apiv1.AppendRequest) error {
		cancel(why)
		return status.Error(codes.Unavailable, "away")
	}
	if err := run.Stream(ctx, client.StreamOptions{}, submitAll(t, 3)); !errors.Is(err, why) {
		t.Errorf("error %v, want the cause", err)
	}
}

// TestFillFails: what was submitted before is still appended, and the error is
// fill's.
func TestFillFails(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	why := errors.New("file is damaged")
	err := run.Stream(t.Context(), client.StreamOptions{}, func(ctx context.Context, s *client.Stream) error {
		return errors.Join(submitAll(t, 3)(ctx, s), why)
	})
	if !errors.Is(err, why) {
		t.Errorf("error %v, want fill's", err)
	}
	if diff := cmp.Diff(upTo(3), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestConcurrentSubmit: many goroutines submit while one sends heartbeats.
func TestConcurrentSubmit(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	err := run.Stream(t.Context(), client.StreamOptions{Batch: 16, InFlight: 3}, func(ctx context.Context, s *client.Stream) error {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for g := range errs {
			wg.Go(func() {
				for i := range 10 {
					p, err := s.Submit(ctx, client.Event(event(t, fmt.Sprintf("%d-%d", g, i))), client.Event(event(t, fmt.Sprintf("%d-%d+", g, i))))
					if err != nil {
						errs[g] = err
						return
					}
					r, err := p.Wait(ctx)
					if err != nil || r.Len() != 2 || r.Number(1) != r.Number(0)+1 {
						errs[g] = fmt.Errorf("receipt %v: %w", r, err)
						return
					}
				}
			})
		}
		for range 3 {
			if _, err := s.Heartbeat(ctx); err != nil {
				return err
			}
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	must(t, err)
	if diff := cmp.Diff(upTo(160), l.numbers(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestSubmitBounds(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	must(t, run.Stream(t.Context(), client.StreamOptions{Batch: 2}, func(ctx context.Context, s *client.Stream) error {
		for name, items := range map[string][]client.Item{
			"nothing": nil, "over the batch": events(t, 0, 3), "over 60 KB": {client.Event(make([]byte, 61441))},
		} {
			if _, err := s.Submit(ctx, items...); err == nil {
				t.Errorf("submitted %s", name)
			}
		}
		return nil
	}))
}
