package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/verify"
)

func span(first, count uint64) *apiv1.IndexRange {
	return &apiv1.IndexRange{FirstIndex: first, Count: count}
}

// checkBatch checks an answer against the checkpoint it carries, and that it
// holds the ranges asked for.
func checkBatch(t *testing.T, w *world, a *apiv1.GetReceiptBatchResponse, want ...*apiv1.IndexRange) uint64 {
	t.Helper()
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.OpenCheckpoint(a.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	if len(a.GetRanges()) != len(want) {
		t.Fatalf("%d ranges, want %d", len(a.GetRanges()), len(want))
	}
	for i, r := range a.GetRanges() {
		if r.GetFirstIndex() != want[i].GetFirstIndex() || uint64(len(r.GetEntries())) != want[i].GetCount() {
			t.Errorf("range %d: %d entries from %d, want %v", i, len(r.GetEntries()), r.GetFirstIndex(), want[i])
		}
		var leaves []verify.Hash
		for _, e := range r.GetEntries() {
			leaves = append(leaves, verify.HashLeaf(e))
		}
		if err := verify.CheckRange(r.GetFirstIndex(), c.Size, leaves, split(r.GetProof()), c.Root); err != nil {
			t.Errorf("range %d: %v", i, err)
		}
	}
	return c.Size
}

func TestReceiptBatch(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	ask := func(size uint64, ranges ...*apiv1.IndexRange) (*apiv1.GetReceiptBatchResponse, error) {
		return q.GetReceiptBatch(t.Context(), &apiv1.GetReceiptBatchRequest{Ranges: ranges, TreeSize: size})
	}
	want := []*apiv1.IndexRange{span(0, 1), span(3, 5), span(8, 2), span(12, 1)}
	a, err := ask(0, want...)
	if err != nil {
		t.Fatal(err)
	}
	size := checkBatch(t, w, a, want...)
	for n := uint64(1); n <= size; n++ {
		whole, err := ask(n, span(0, n))
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		if got := checkBatch(t, w, whole, span(0, n)); got != n {
			t.Errorf("asked at size %d, proven at %d", n, got)
		}
	}
	for name, ranges := range map[string][]*apiv1.IndexRange{
		"none": nil, "empty": {span(1, 0)}, "overlap": {span(1, 3), span(3, 1)}, "backwards": {span(5, 1), span(2, 1)},
		"too many": make([]*apiv1.IndexRange, 1001),
	} {
		_, err := ask(0, ranges...)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []*apiv1.IndexRange{span(size, 1), span(size-1, 2), span(1, 1<<64-1), span(1<<63, 1<<63)} {
		_, err := ask(0, r)
		wantReason(t, err, server.ReasonNotFound)
	}
}

// TestReceiptBatchOverREST posts the request as JSON.
func TestReceiptBatchOverREST(t *testing.T) {
	w := filled(t)
	body := bytes.NewReader([]byte(`{"ranges": [{"first_index": "2", "count": "4"}, {"first_index": 9, "count": 1}], "tree_size": 11}`))
	r, err := web(t, w.tlsOf(t, w.ca, producer, time.Now())).Post("https://"+w.addresses.QueryHTTP+"/v1/receipts:batch", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || !json.Valid(text) {
		t.Fatalf("%s: %s, %v", r.Status, text, err)
	}
	var a apiv1.GetReceiptBatchResponse
	if err := protojson.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	if got := checkBatch(t, w, &a, span(2, 4), span(9, 1)); got != 11 {
		t.Errorf("proven at size %d", got)
	}
}

// TestReceiptBatchThatDoesNotFit asks for all of a log that is larger than an
// answer: it is cut short, proven, and goes on where it ended.
func TestReceiptBatchThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	ingest := w.ingest(t)
	run := openRun(t, ingest)
	for i := range uint64(6) {
		if _, err := ingest.Append(t.Context(), batch(t, run, 1+i*4000, 4000)); err != nil {
			t.Fatal(err)
		}
	}
	q := w.query(t)
	c, err := q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for next := uint64(0); next < c.GetSize(); calls++ {
		a, err := q.GetReceiptBatch(t.Context(), &apiv1.GetReceiptBatchRequest{Ranges: []*apiv1.IndexRange{span(next, c.GetSize()-next)}, TreeSize: c.GetSize()})
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(len(a.GetRanges()[0].GetEntries()))
		checkBatch(t, w, a, span(next, n))
		next += n
	}
	if calls < 2 || calls > 4 {
		t.Errorf("%d calls for %d entries", calls, c.GetSize())
	}
}
