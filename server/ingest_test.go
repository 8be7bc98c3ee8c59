package server_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
)

func TestAppendIsProvenAndIdempotent(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	request := batch(t, run, 1, 10)
	first, err := c.Append(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	w.checkReceipt(t, request, first.GetReceipt())
	second, err := c.Append(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	w.checkReceipt(t, request, second.GetReceipt())
	if g := second.GetReceipt().GetGroups(); len(g) != 1 || !g[0].GetRepeat() || g[0].GetFirstIndex() != first.GetReceipt().GetGroups()[0].GetFirstIndex() {
		t.Errorf("a repeat is answered with %v", g)
	}
}

func TestRefusalsSayWhichNumberAndField(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	request := batch(t, run, 1, 3)
	request.Items[1].Body = []byte{0x0a, 0x01, 'x'} // an event with nothing but an id
	_, err := c.Append(t.Context(), request)
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("answer: %v", err)
	}
	wantReason(t, err, server.ReasonEventRefused)
	detail := refusal(t, err)
	if detail.GetNumber() != 2 || detail.GetField() == "" || detail.GetDeclined().GetNumber() != 2 {
		t.Errorf("detail is %v", detail)
	}
	_, err = c.Append(t.Context(), &apiv1.AppendRequest{Run: []byte("short")})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = c.Append(t.Context(), batch(t, make([]byte, 32), 1, 1))
	wantReason(t, err, server.ReasonNoRun)
	_, err = c.OpenRun(t.Context(), &apiv1.OpenRunRequest{})
	wantReason(t, err, server.ReasonBadRequest)
}

func refusal(t *testing.T, err error) *apiv1.RefusalDetail {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if detail, ok := d.(*apiv1.RefusalDetail); ok {
			return detail
		}
	}
	t.Fatalf("%v carries no refusal", err)
	return nil
}

// TestStreamAnswersInOrder sends more batches than may be in flight and only
// then reads.
func TestStreamAnswersInOrder(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	stream, err := c.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const batches, each = 50, 20
	var sent []*apiv1.AppendRequest
	for i := range batches {
		request := batch(t, run, uint64(1+i*each), each)
		sent = append(sent, request)
		if err := stream.Send(&apiv1.AppendStreamRequest{Append: request}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for _, request := range sent {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetFirstNumber() != request.GetFirstNumber() {
			t.Fatalf("answer for number %d, want %d", answer.GetFirstNumber(), request.GetFirstNumber())
		}
		w.checkReceipt(t, request, answer.GetReceipt())
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
}

func TestStreamEndsAtTheFirstErrorAfterTheEarlierAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	stream, err := c.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := batch(t, run, 11, 1)
	bad.Items[0].Body = []byte("no event")
	for _, request := range []*apiv1.AppendRequest{batch(t, run, 1, 5), batch(t, run, 6, 5), bad} {
		if err := stream.Send(&apiv1.AppendStreamRequest{Append: request}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []uint64{1, 6} {
		answer, err := stream.Recv()
		if err != nil || answer.GetFirstNumber() != want {
			t.Fatalf("answer %v, %v; want number %d", answer, err, want)
		}
	}
	_, err = stream.Recv()
	wantReason(t, err, server.ReasonEventRefused)
	if got := refusal(t, err).GetNumber(); got != 11 {
		t.Errorf("refused number %d, want 11", got)
	}
}

func TestAStreamEndsWithItsCertificate(t *testing.T) {
	w := newWorld(t)
	issued := time.Now().Add(-397 * 24 * time.Hour).Add(3 * time.Second)
	c := apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, producer, issued)))
	stream, err := c.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv() // nothing is sent: only the certificate's end can end it
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("the stream ended with %v", err)
	}
	wantReason(t, err, server.ReasonExpired)
	_, err = c.Append(t.Context(), batch(t, make([]byte, 32), 1, 1))
	if status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.Unavailable {
		t.Errorf("a call after the certificate's end: %v", err)
	}
}

func TestProducersHaveABoundedNumberOfStreams(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	for range 64 {
		stream, err := c.AppendStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Header(); err != nil { // waits until the stream is open
			t.Fatal(err)
		}
	}
	stream, err := c.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, err, server.ReasonBusy)
}

func TestRunLivesAndEnds(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	if _, err := c.Append(t.Context(), batch(t, run, 1, 2)); err != nil {
		t.Fatal(err)
	}
	resumed, err := c.ResumeRun(t.Context(), &apiv1.ResumeRunRequest{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	if s := resumed.GetState(); s.GetEpoch() != 2 || s.GetNextNumber() != 3 {
		t.Errorf("resumed at %v", s)
	}
	_, err = c.Append(t.Context(), batch(t, run, 3, 1)) // under epoch 1
	wantReason(t, err, server.ReasonEpochOver)
	if _, err := c.HeartbeatRun(t.Context(), &apiv1.HeartbeatRunRequest{Run: run, Heartbeat: []byte("?")}); status.Code(err) == codes.OK {
		t.Error("a heartbeat that is none was taken")
	}
}

func TestOneOffIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	request := &apiv1.AppendOneOffRequest{Event: event(t, "one-off", "db")}
	first, err := c.AppendOneOff(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.AppendOneOff(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.GetReceipt().GetGroups()[0], second.GetReceipt().GetGroups()[0]
	if a.GetFirstIndex() != b.GetFirstIndex() || a.GetRepeat() || !b.GetRepeat() {
		t.Errorf("first %v, again %v", a, b)
	}
}

// TestStoppingFinishesWhatWasAccepted stops the server under a stream that keeps
// sending: each answer names entries of the log, and the log holds no event that
// was not answered.
func TestStoppingFinishesWhatWasAccepted(t *testing.T) {
	w := newWorld(t)
	c := w.ingest(t)
	run := openRun(t, c)
	stream, err := c.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const each = 25
	sending, stopSending := context.WithCancel(t.Context())
	defer stopSending()
	go func() {
		for first := uint64(1); sending.Err() == nil; first += each {
			if stream.Send(&apiv1.AppendStreamRequest{Append: batch(t, run, first, each)}) != nil {
				return
			}
		}
	}()
	answered := 0
	for err == nil {
		if answered == 5 {
			go w.stop()
		}
		if _, err = stream.Recv(); err == nil {
			answered++
		}
	}
	stopSending()
	wantReason(t, err, server.ReasonStopping)
	w.end(t)
	if answered < 5 {
		t.Fatalf("%d answers", answered)
	}
	// Entry 0, the ledger's own run and its first activity, the run opened.
	accesses := countAccesses(t, w)
	if want := answered * each; accesses != want {
		t.Errorf("the log holds %d events, %d were answered", accesses, want)
	}
}

// countAccesses reads the stopped log of a world and checks it.
func countAccesses(t *testing.T, w *world) int {
	t.Helper()
	engine, err := pebblestore.Open(pebblestore.Options{Dir: w.dir + "/store", ReadOnly: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	result, err := ledger.Fsck(t.Context(), engine, nil)
	if err != nil || !result.OK {
		t.Fatalf("fsck: %+v, %v", result, err)
	}
	head, err := engine.Head()
	if err != nil {
		t.Fatal(err)
	}
	return int(head.Size) - len(slices.Collect(ownEntries))
}

// ownEntries are the entries of a world that are no events: origin opened, the
// ledger's run opened, activity opened, the producer's run opened.
func ownEntries(yield func(string) bool) {
	for _, name := range []string{"origin opened", "run opened", "activity", "run opened"} {
		if !yield(name) {
			return
		}
	}
}
