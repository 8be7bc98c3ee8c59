package server

import (
	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// runID returns the 32 bytes of a run id.
func runID(b []byte) (verify.Hash, error) {
	if len(b) != len(verify.Hash{}) {
		return verify.Hash{}, badRequest("run: %d bytes, a run id has 32", len(b))
	}
	return verify.Hash(b), nil
}

// batchOf converts a request to a batch, whose bytes alias the request's.
func batchOf(r *apiv1.AppendRequest) (ledger.Batch, error) {
	run, err := runID(r.GetRun())
	if err != nil {
		return ledger.Batch{}, err
	}
	items := make([]ledger.Item, len(r.GetItems()))
	for i, item := range r.GetItems() {
		items[i] = ledger.Item{Kind: item.GetKind(), Body: item.GetBody(), Openings: openingsOf(item.GetOpenings())}
	}
	return ledger.Batch{Run: run, Epoch: r.GetEpoch(), First: r.GetFirstNumber(), Items: items}, nil
}

func openingsOf(list []*apiv1.Opening) []ledger.Opening {
	if len(list) == 0 {
		return nil
	}
	openings := make([]ledger.Opening, len(list))
	for i, o := range list {
		openings[i] = ledger.Opening{Field: o.GetField(), Salt: o.GetSalt(), Value: o.GetValue()}
	}
	return openings
}

// receiptOf converts a receipt; its bytes are shared with r.
func receiptOf(r *ledger.Receipt) *apiv1.Receipt {
	if r == nil {
		return nil
	}
	groups := make([]apiv1.ReceiptGroup, len(r.Groups))
	out := &apiv1.Receipt{Groups: make([]*apiv1.ReceiptGroup, len(r.Groups)), Checkpoint: r.Checkpoint}
	for i := range r.Groups {
		from, to := &r.Groups[i], &groups[i]
		to.FirstIndex = from.FirstIndex
		to.BatchHead = from.BatchHead
		to.EntryHeads = from.EntryHeads
		to.Proof = concat(from.Proof)
		to.Repeat = from.Repeat
		out.Groups[i] = to
	}
	return out
}

// concat joins hashes: how proofs travel.
func concat(proof []verify.Hash) []byte {
	if len(proof) == 0 {
		return nil
	}
	b := make([]byte, 0, len(proof)*len(verify.Hash{}))
	for i := range proof {
		b = append(b, proof[i][:]...)
	}
	return b
}

func runStateOf(a *ledger.RunAnswer) *apiv1.RunState {
	return &apiv1.RunState{Epoch: a.Epoch, NextNumber: a.Next, Hash: a.Hash[:], Ended: a.Ended,
		SilenceLimitNs: uint64(a.SilenceNS)}
}
