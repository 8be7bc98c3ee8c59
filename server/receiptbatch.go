package server

import (
	"bytes"
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

const (
	// maxRanges bounds GetReceiptBatch.
	maxRanges = 1000
	// rangeOverhead bounds what a range takes in an answer beside its entries: a
	// proof has at most 126 hashes.
	rangeOverhead = 126*32 + 64
	// entryOverhead bounds tag and length of an entry in an answer.
	entryOverhead = 6
)

// errFull ends the reading of entries that would not fit the answer.
var errFull = errors.New("the answer is full")

// GetReceiptBatch implements QueryService.
func (s *query) GetReceiptBatch(ctx context.Context, r *apiv1.GetReceiptBatchRequest) (*apiv1.GetReceiptBatchResponse, error) {
	if n := len(r.GetRanges()); n == 0 || n > maxRanges {
		return nil, badRequest("ranges: %d, name 1 to %d", n, maxRanges)
	}
	c, err := s.signed(ctx, r.GetTreeSize())
	if err != nil {
		return nil, err
	}
	if err := checkRanges(r.GetRanges(), c.size); err != nil {
		return nil, err
	}
	answer := &apiv1.GetReceiptBatchResponse{Checkpoint: c.note}
	room := maxAnswer - len(c.note)
	for _, asked := range r.GetRanges() {
		room -= rangeOverhead
		lo := asked.GetFirstIndex()
		entries, err := s.entries(ctx, lo, lo+asked.GetCount(), &room)
		if err != nil && !errors.Is(err, errFull) {
			return nil, err
		}
		if len(entries) > 0 {
			proof, err := s.log.RangeProof(ctx, lo, lo+uint64(len(entries)), c.size)
			if err != nil {
				return nil, err
			}
			answer.Ranges = append(answer.Ranges, &apiv1.ProvenRange{FirstIndex: lo, Entries: entries, Proof: concat(proof)})
		}
		if err != nil {
			break
		}
	}
	return answer, nil
}

// checkRanges refuses ranges that are empty, out of order, or not in the tree.
func checkRanges(ranges []*apiv1.IndexRange, size uint64) error {
	next := uint64(0)
	for i, r := range ranges {
		switch {
		case r.GetCount() == 0:
			return badRequest("ranges: range %d is empty", i)
		case r.GetFirstIndex() < next:
			return badRequest("ranges: range %d begins at %d, the one before ends at %d; want them ascending, without overlap", i, r.GetFirstIndex(), next)
		case r.GetFirstIndex() >= size || r.GetCount() > size-r.GetFirstIndex():
			return &requestError{codes.NotFound, ReasonNotFound,
				decimal(r.GetCount()) + " entries from " + decimal(r.GetFirstIndex()) + " go past tree size " + decimal(size)}
		}
		next = r.GetFirstIndex() + r.GetCount()
	}
	return nil
}

// entries reads [lo, hi) as far as there is room, which it takes from; errFull
// where it ends before hi.
func (s *query) entries(ctx context.Context, lo, hi uint64, room *int) ([][]byte, error) {
	var out [][]byte
	add := func(at uint64, raw []byte) error {
		if err := see(ctx, at, raw); err != nil {
			return err
		}
		if *room -= len(raw) + entryOverhead; *room < 0 {
			return errFull
		}
		out = append(out, bytes.Clone(raw))
		return nil
	}
	if hi-lo > 1 {
		err := s.log.Entries(ctx, lo, hi, add)
		return out, err
	}
	raw, err := s.log.Entry(ctx, lo) // from the cache, where it is there
	if err == nil {
		err = add(lo, raw)
	}
	return out, err
}
