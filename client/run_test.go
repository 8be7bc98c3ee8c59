package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event marshals a small valid event.
func event(t testing.TB, id string) []byte {
	t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId: []byte(id), OccurredAtNs: 1_700_000_000_000_000_000,
		Source: &daybookv1.Source{Domain: "web"}, Target: &daybookv1.Target{Domain: "prod-db"},
		Actor:    &daybookv1.Actor{Id: "alice"},
		Action:   &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision: daybookv1.Decision_DECISION_ALLOWED,
		Outcome:  &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	must(t, err)
	return body
}

// events makes n items, e<from>...
func events(t testing.TB, from, n int) []client.Item {
	t.Helper()
	items := make([]client.Item, n)
	for i := range items {
		items[i] = client.Event(event(t, fmt.Sprintf("e%d", from+i)))
	}
	return items
}

func openRun(t testing.TB, c *client.Client) *client.Run {
	t.Helper()
	run, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	must(t, err)
	return run
}

// numbers are the numbers of all events in the log, in the log's order.
func (l *liar) numbers(t *testing.T) []uint64 {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []uint64
	for _, b := range l.log.entries[1:] {
		e, err := verify.ParseEntry(b)
		must(t, err)
		if e.Place.Number > 0 {
			out = append(out, e.Place.Number)
		}
	}
	return out
}

// upTo is 1..n.
func upTo(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i) + 1
	}
	return out
}

// checkOffline checks every item of a receipt as an auditor does, from files.
func checkOffline(t *testing.T, l *liar, r *client.Receipt) {
	t.Helper()
	policy, err := verify.KeyPolicy(l.log.vkey)
	must(t, err)
	dir := t.TempDir()
	for i := range r.Len() {
		must(t, r.WriteFiles(dir, i))
		base := filepath.Join(dir, fmt.Sprint(r.Index(i)))
		proof, err := os.ReadFile(base + ".tlog-proof")
		must(t, err)
		entry, err := os.ReadFile(base + ".entry")
		must(t, err)
		if _, err := verify.CheckReceipt(policy, proof, entry); err != nil {
			t.Errorf("receipt of index %d: %v", r.Index(i), err)
		}
	}
}

func TestRunFromOpenToEnd(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	run := openRun(t, c)
	checkOffline(t, l, run.Opened())
	for i, n := range []int{1, 2, 7, 100} {
		r, err := run.Append(t.Context(), events(t, 100*i, n)...)
		must(t, err)
		if r.Len() != n || !r.Checked() || r.Repeats() != 0 {
			t.Errorf("receipt of %d items: %d, checked %v, %d repeats", n, r.Len(), r.Checked(), r.Repeats())
		}
		checkOffline(t, l, r)
	}
	if _, err := run.Append(t.Context(), client.Declined(&daybookv1.Declined{Sha256: make([]byte, 32), Reason: "unreadable"}), client.Gap(5, "disk lost"), client.Event(event(t, "after"))); err != nil {
		t.Fatal(err)
	}
	st, err := run.State(t.Context())
	must(t, err)
	if st.Next != 110+1+5+1+1 {
		t.Errorf("next number %d, want 118", st.Next)
	}
	for _, call := range []func(context.Context) (*client.Receipt, error){
		run.Heartbeat,
		func(ctx context.Context) (*client.Receipt, error) { return run.End(ctx, "done") },
	} {
		r, err := call(t.Context())
		must(t, err)
		checkOffline(t, l, r)
	}
	if _, err := run.Append(t.Context(), events(t, 0, 1)...); !errors.Is(err, client.ErrRunEnded) {
		t.Errorf("append after the end: %v", err)
	}
}

// TestAnswerLost: the log took the batch and the answer was lost; nothing stands
// twice, and the receipt is that of the first place.
func TestAnswerLost(t *testing.T) {
	l := newLiar(t)
	l.after = func(call int) error {
		if call%2 == 1 {
			return status.Error(codes.Unavailable, "lost")
		}
		return nil
	}
	run := openRun(t, l.dial(t, nil))
	for i := range 4 {
		r, err := run.Append(t.Context(), events(t, 10*i, 3)...)
		must(t, err)
		if r.Repeats() != 3 {
			t.Errorf("append %d: %d repeats, want 3", i, r.Repeats())
		}
		checkOffline(t, l, r)
	}
	if diff := cmp.Diff(upTo(12), l.numbers(t)); diff != "" {
		t.Errorf("numbers in the log (-want +got):\n%s", diff)
	}
}

// TestServerComesBackElsewhere: connections break, the server returns on another
// port, and the client finds it in the addresses file.
func TestServerComesBackElsewhere(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	for i := range 3 {
		_, err := run.Append(t.Context(), events(t, 10*i, 2)...)
		must(t, err)
		l.stop()
		l.start(t)
	}
	if diff := cmp.Diff(upTo(6), l.numbers(t)); diff != "" {
		t.Errorf("numbers in the log (-want +got):\n%s", diff)
	}
}

func TestBusyWaitsForTheHint(t *testing.T) {
	l := newLiar(t)
	var waits []time.Duration
	l.before = func(call int, _ *apiv1.AppendRequest) error {
		if call < 3 {
			return refusal(codes.ResourceExhausted, "BUSY", &errdetails.RetryInfo{RetryDelay: durationpb.New(123 * time.Millisecond)})
		}
		return nil
	}
	run := openRun(t, l.dial(t, func(c *client.Config) {
		c.OnRetry = func(_ error, wait time.Duration) { waits = append(waits, wait) }
	}))
	_, err := run.Append(t.Context(), events(t, 0, 1)...)
	must(t, err)
	if diff := cmp.Diff([]time.Duration{123 * time.Millisecond, 123 * time.Millisecond}, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

// TestLowDiskIsWaitedOut: on a unary call and on a stream, the client comes back
// when the server said, tells why it waits, and goes on by itself.
func TestLowDiskIsWaitedOut(t *testing.T) {
	l := newLiar(t)
	l.before = func(call int, _ *apiv1.AppendRequest) error {
		if call < 3 || call > 3 && call < 6 {
			return refusal(codes.ResourceExhausted, "DISK_LOW", &errdetails.RetryInfo{RetryDelay: durationpb.New(150 * time.Millisecond)})
		}
		return nil
	}
	told := 0
	run := openRun(t, l.dial(t, func(c *client.Config) {
		c.OnRetry = func(err error, wait time.Duration) {
			if told++; !errors.Is(err, client.ErrDiskLow) || wait < 150*time.Millisecond {
				t.Errorf("waits %v because of %v", wait, err)
			}
		}
	}))
	_, err := run.Append(t.Context(), events(t, 0, 1)...)
	must(t, err)
	must(t, run.Stream(t.Context(), client.StreamOptions{Batch: 1}, submitAll(t, 4)))
	if diff := cmp.Diff(upTo(5), l.numbers(t)); diff != "" || told < 3 {
		t.Errorf("told %d times; numbers in the log (-want +got):\n%s", told, diff)
	}
}

func TestGivesUp(t *testing.T) {
	l := newLiar(t)
	l.before = func(int, *apiv1.AppendRequest) error {
		return status.Error(codes.Unavailable, "the log is shut: for a test")
	}
	run := openRun(t, l.dial(t, func(c *client.Config) { c.Patience = 100 * time.Millisecond }))
	_, err := run.Append(t.Context(), events(t, 0, 1)...)
	var gaveUp *client.GaveUpError
	if !errors.As(err, &gaveUp) {
		t.Fatalf("error %v, want a *GaveUpError", err)
	}
	if status.Code(gaveUp.Err) != codes.Unavailable {
		t.Errorf("last failure %v, want the server's", gaveUp.Err)
	}
}

// TestRepeatAfterGivingUp: the caller sends the same numbers again.
func TestRepeatAfterGivingUp(t *testing.T) {
	l := newLiar(t)
	l.after = func(int) error { return status.Error(codes.Unavailable, "lost") }
	run := openRun(t, l.dial(t, func(c *client.Config) { c.Patience = 50 * time.Millisecond }))
	items := events(t, 0, 3)
	if _, err := run.Append(t.Context(), items...); err == nil {
		t.Fatal("append was answered")
	}
	l.set(func(l *liar) { l.after = nil })
	r, err := run.Repeat(t.Context(), 1, items...)
	must(t, err)
	if r.Repeats() != 3 {
		t.Errorf("%d repeats, want 3", r.Repeats())
	}
	_, err = run.Append(t.Context(), events(t, 3, 1)...)
	must(t, err)
	if diff := cmp.Diff(upTo(4), l.numbers(t)); diff != "" {
		t.Errorf("numbers in the log (-want +got):\n%s", diff)
	}
}

// TestOtherBytesNeverMeetOpenNumbers: after an append of unknown fate other
// bytes are appended; the run is resumed first, so they get free numbers.
func TestOtherBytesNeverMeetOpenNumbers(t *testing.T) {
	l := newLiar(t)
	l.after = func(int) error { return status.Error(codes.Unavailable, "lost") }
	run := openRun(t, l.dial(t, func(c *client.Config) { c.Patience = 50 * time.Millisecond }))
	if _, err := run.Append(t.Context(), events(t, 0, 3)...); err == nil {
		t.Fatal("append was answered")
	}
	l.set(func(l *liar) { l.after = nil })
	r, err := run.Append(t.Context(), events(t, 50, 2)...)
	must(t, err)
	if r.Number(0) != 4 || r.Repeats() != 0 {
		t.Errorf("first number %d with %d repeats, want 4 and none", r.Number(0), r.Repeats())
	}
	st, err := run.State(t.Context())
	must(t, err)
	if st.Epoch != 2 {
		t.Errorf("epoch %d, want 2: the run was not resumed", st.Epoch)
	}
	if _, err := run.End(t.Context(), ""); err != nil {
		t.Errorf("the running hash is not the ledger's: %v", err)
	}
}

func TestRefusedEventIsNamed(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	items := events(t, 0, 3)
	items[1] = client.Event(event(t, string(make([]byte, 65))))
	_, err := run.Append(t.Context(), items...)
	var refused *client.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want a *RefusedError", err)
	}
	if refused.Number != 2 || refused.Field != "event_id" || refused.Limit != 64 || refused.Declined == nil {
		t.Errorf("refusal %+v", refused)
	}
	r, err := run.Append(t.Context(), items[0], items[2])
	must(t, err)
	if r.Number(0) != 1 {
		t.Errorf("first number %d after a refusal, want 1", r.Number(0))
	}
}

func TestRunErrorsHaveTypes(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	run := openRun(t, c)
	if _, err := run.Append(t.Context(), events(t, 0, 2)...); err != nil {
		t.Fatal(err)
	}
	other, err := c.ResumeRun(t.Context(), client.RunOptions{ID: run.ID(), Provenance: 1})
	must(t, err)
	if _, err := run.Append(t.Context(), events(t, 2, 1)...); !errors.Is(err, client.ErrEpochOver) {
		t.Errorf("append under an old epoch: %v", err)
	}
	var conflict *client.ConflictError
	if _, err := other.Repeat(t.Context(), 2, events(t, 77, 1)...); !errors.As(err, &conflict) || conflict.Number != 2 {
		t.Errorf("other bytes under number 2: %v", err)
	}
	if _, err := c.ResumeRun(t.Context(), client.RunOptions{ID: verify.Hash{5}}); !errors.Is(err, client.ErrNoRun) {
		t.Errorf("resuming an unknown run: %v", err)
	}
	if _, err := c.ResumeRun(t.Context(), client.RunOptions{}); err == nil {
		t.Error("resumed a run without an id")
	}
	if _, err := run.Append(t.Context()); err == nil {
		t.Error("appended nothing")
	}
}

// TestLostEntriesAreNamed: a log that expects a number it acknowledged has lost
// entries, and that is not answered by sending them again.
func TestLostEntriesAreNamed(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	_, err := run.Append(t.Context(), events(t, 0, 5)...)
	must(t, err)
	l.before = func(int, *apiv1.AppendRequest) error {
		return refusal(codes.Aborted, "OUT_OF_ORDER", &apiv1.RefusalDetail{ExpectedNumber: 3})
	}
	var lost *client.LostError
	if _, err := run.Append(t.Context(), events(t, 5, 1)...); !errors.As(err, &lost) {
		t.Fatalf("error %v, want a *LostError", err)
	}
	if diff := cmp.Diff(&client.LostError{Expected: 3, Acknowledged: 6}, lost); diff != "" {
		t.Error(diff)
	}
}

func TestOpenFindsTheRun(t *testing.T) {
	l := newLiar(t)
	id := verify.Hash{1, 2, 3}
	o := client.RunOptions{ID: id, Provenance: daybookv1.Provenance_PROVENANCE_BACKFILL}
	first, err := l.dial(t, nil).OpenRun(t.Context(), o)
	must(t, err)
	_, err = first.Append(t.Context(), events(t, 0, 3)...)
	must(t, err)
	second, err := l.dial(t, nil).OpenRun(t.Context(), o)
	must(t, err)
	if !second.Opened().Repeat(0) {
		t.Error("the run was opened twice")
	}
	r, err := second.Repeat(t.Context(), 1, events(t, 0, 4)...) // three of four are there
	must(t, err)
	if r.Repeats() != 3 || r.Repeat(3) {
		t.Errorf("%d repeats, the last %v", r.Repeats(), r.Repeat(3))
	}
	checkOffline(t, l, r)
	_, err = second.End(t.Context(), "")
	must(t, err)
}

// TestEndLost: the answer to the end is lost; the run is found ended by us.
func TestEndLost(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	_, err := run.Append(t.Context(), events(t, 0, 3)...)
	must(t, err)
	lost := false
	l.refuseRun = func(method string, _ int) error {
		if method == "end" && !lost {
			lost = true
			return status.Error(codes.Unavailable, "lost")
		}
		return nil
	}
	if r, err := run.End(t.Context(), ""); r != nil || err != nil {
		t.Errorf("end: %v, %v", r, err)
	}
	st, err := run.State(t.Context())
	must(t, err)
	if !st.Ended {
		t.Error("the run has not ended")
	}
}

func TestOneOff(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	first, err := c.AppendOneOff(t.Context(), events(t, 0, 1)[0])
	must(t, err)
	checkOffline(t, l, first)
	again, err := c.AppendOneOff(t.Context(), events(t, 0, 1)[0])
	must(t, err)
	if again.Index(0) != first.Index(0) || !again.Repeat(0) || first.Repeat(0) {
		t.Errorf("index %d repeat %v, then %d repeat %v", first.Index(0), first.Repeat(0), again.Index(0), again.Repeat(0))
	}
	if !bytes.Equal(first.Entry(0), again.Entry(0)) {
		t.Error("the entries differ")
	}
	if _, err := c.AppendOneOff(t.Context(), client.Event([]byte("nonsense"))); err == nil {
		t.Error("sent an event that cannot be parsed")
	}
}

func TestCancelled(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("operator pressed a key")
	l.before = func(int, *apiv1.AppendRequest) error {
		cancel(why)
		return status.Error(codes.Unavailable, "away")
	}
	if _, err := run.Append(ctx, events(t, 0, 1)...); !errors.Is(err, why) {
		t.Errorf("error %v, want the cause", err)
	}
}
