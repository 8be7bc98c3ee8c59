package client_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

const often = 50 * time.Millisecond

// TestHeartbeatsAroundAFailure: while the fate of items is open nothing is
// signed; once the run was resumed for the next append, heartbeats go on. The
// log of the test refuses a heartbeat that states anything but where it is.
func TestHeartbeatsAroundAFailure(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, func(c *client.Config) { c.Patience = 200 * time.Millisecond })
	beats, failed := make(chan uint64, 1000), make(chan error, 1000)
	run, err := c.OpenRun(t.Context(), client.RunOptions{
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, HeartbeatEvery: often,
		OnHeartbeat: func(r *client.Receipt, err error) {
			if err != nil {
				failed <- err
			} else {
				beats <- r.Index(0)
			}
		}})
	must(t, err)
	_, err = run.Append(t.Context(), events(t, 0, 2)...)
	must(t, err)
	<-beats
	l.set(func(l *liar) {
		l.after = func(int) error { return status.Error(codes.Unavailable, "lost") }
	})
	if _, err := run.Append(t.Context(), events(t, 2, 2)...); err == nil {
		t.Fatal("an append whose answers are lost was acknowledged")
	}
	for len(beats) > 0 {
		<-beats
	}
	l.set(func(l *liar) { l.after = nil })
	_, err = run.Append(t.Context(), events(t, 4, 1)...)
	must(t, err)
	<-beats
	_, err = run.End(t.Context(), "done")
	must(t, err)
	if len(failed) > 0 {
		t.Errorf("a heartbeat failed: %v", <-failed)
	}
}

// TestHeartbeatHearsOfTakeOver: who is shut out hears of it by its heartbeat,
// once, and then by every call.
func TestHeartbeatHearsOfTakeOver(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	told := make(chan error, 1000)
	var over atomic.Bool
	run, err := c.OpenRun(t.Context(), client.RunOptions{
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, HeartbeatEvery: often,
		OnHeartbeat: func(_ *client.Receipt, err error) {
			if over.Load() || err != nil {
				told <- err
			}
		}})
	must(t, err)
	_, err = run.Append(t.Context(), events(t, 0, 1)...)
	must(t, err)
	other, err := l.dial(t, nil).ResumeRun(t.Context(), client.RunOptions{ID: run.ID(), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	must(t, err)
	over.Store(true)
	_, err = other.Append(t.Context(), events(t, 1, 1)...)
	must(t, err)
	var taken *client.TakenOverError
	for !errors.As(err, &taken) {
		_, err = run.Append(t.Context(), events(t, 1, 1)...)
		if err == nil {
			t.Fatal("a run that was taken over takes more")
		}
	}
	for err := range told {
		if errors.Is(err, client.ErrEpochOver) {
			break
		}
	}
	if _, err := run.Append(t.Context(), events(t, 2, 1)...); !errors.Is(err, client.ErrEpochOver) {
		t.Errorf("append of the shut out: %v", err)
	}
	if epoch := func() uint64 { st, err := other.State(t.Context()); must(t, err); return st.Epoch }(); epoch != 2 {
		t.Errorf("the run was taken back: epoch %d", epoch)
	}
	other.Leave()
}
