package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// GetReceiptBatch implements QueryService: four entries an answer at most.
func (l *liar) GetReceiptBatch(_ context.Context, r *apiv1.GetReceiptBatchRequest) (*apiv1.GetReceiptBatchResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := uint64(len(l.log.entries))
	if r.TreeSize > size {
		return nil, refusal(codes.NotFound, "NOT_FOUND")
	}
	if r.TreeSize > 0 {
		size = r.TreeSize
	}
	a := &apiv1.GetReceiptBatchResponse{Checkpoint: l.log.checkpoint(int(size))}
	room := uint64(4)
	for _, asked := range r.Ranges {
		lo, n := asked.FirstIndex, min(asked.Count, room)
		if lo+asked.Count > size {
			return nil, refusal(codes.NotFound, "NOT_FOUND")
		}
		if n == 0 {
			break
		}
		room -= n
		a.Ranges = append(a.Ranges, &apiv1.ProvenRange{FirstIndex: lo, Entries: slices.Clone(l.log.entries[lo : lo+n]), Proof: joined(l.log.proof(lo, lo+n, size))})
	}
	if l.bendBatch != nil {
		l.bendBatch(a)
	}
	return a, nil
}

// TestReceiptRanges asks for ranges in several ways, over several answers, and
// checks each file as an auditor would.
func TestReceiptRanges(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 20)
	c := l.dial(t, nil)
	policy, err := verify.KeyPolicy(l.log.vkey)
	must(t, err)
	for name, test := range map[string]struct {
		ranges []client.Range
		want   []uint64
	}{
		"none":    {nil, nil},
		"one":     {[]client.Range{{5, 6}}, []uint64{5}},
		"long":    {[]client.Range{{1, 15}}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}},
		"several": {[]client.Range{{9, 11}, {2, 4}, {3, 6}, {6, 7}, {15, 16}, {15, 16}}, []uint64{2, 3, 4, 5, 6, 9, 10, 15}},
	} {
		var got []uint64
		must(t, c.ReceiptRanges(t.Context(), test.ranges, func(r *client.RangeReceipt) error {
			for i := range r.Entries {
				proof, entry, err := r.Files(i)
				must(t, err)
				claims, err := verify.CheckReceipt(policy, proof, entry)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				got = append(got, claims.Index)
				if claims.Size == uint64(l.size()) {
					l.grow(t, 1) // the next answers are at the same size nevertheless
				}
			}
			return nil
		}))
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: entries %v, want %v", name, got, test.want)
		}
	}
	stop := errors.New("enough")
	if err := c.ReceiptRanges(t.Context(), []client.Range{{1, 15}}, func(*client.RangeReceipt) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("visit's error became %v", err)
	}
	none := func(*client.RangeReceipt) error { t.Error("visited"); return nil }
	for _, r := range []client.Range{{3, 3}, {4, 3}, {1000, 1001}} {
		if c.ReceiptRanges(t.Context(), []client.Range{r}, none) == nil {
			t.Errorf("range %v is answered", r)
		}
	}
}

func TestLiesInReceiptRanges(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 12)
	c := l.dial(t, nil)
	for name, lie := range map[string]func(*apiv1.GetReceiptBatchResponse){
		"index":      func(a *apiv1.GetReceiptBatchResponse) { a.Ranges[0].FirstIndex++ },
		"entry":      func(a *apiv1.GetReceiptBatchResponse) { a.Ranges[0].Entries[1] = l.log.entries[9] },
		"order":      func(a *apiv1.GetReceiptBatchResponse) { e := a.Ranges[0].Entries; e[0], e[1] = e[1], e[0] },
		"proof":      func(a *apiv1.GetReceiptBatchResponse) { a.Ranges[0].Proof[3] ^= 1 },
		"half proof": func(a *apiv1.GetReceiptBatchResponse) { a.Ranges[0].Proof = a.Ranges[0].Proof[:33] },
		"checkpoint": func(a *apiv1.GetReceiptBatchResponse) { a.Checkpoint[30] ^= 1 },
		"too few":    func(a *apiv1.GetReceiptBatchResponse) { a.Ranges[0].Entries = nil },
		"too many":   func(a *apiv1.GetReceiptBatchResponse) { a.Ranges = append(a.Ranges, a.Ranges...) },
		"a hole":     func(a *apiv1.GetReceiptBatchResponse) { a.Ranges = a.Ranges[1:] },
		"nothing":    func(a *apiv1.GetReceiptBatchResponse) { *a = apiv1.GetReceiptBatchResponse{} },
	} {
		l.set(func(l *liar) { l.bendBatch = lie })
		err := c.ReceiptRanges(t.Context(), []client.Range{{2, 4}, {6, 8}}, func(*client.RangeReceipt) error { return nil })
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
