package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Range names the entries [Lo, Hi) of a log.
type Range struct{ Lo, Hi uint64 }

// RangeReceipt proves contiguous entries; it was checked as an auditor would.
// Immutable and safe for concurrent use.
type RangeReceipt struct {
	// First is the index of the first entry.
	First uint64
	// Entries are the bytes of the entries, which their leaf hashes cover.
	Entries [][]byte
	// Checkpoint is the signed note, Size its size.
	Checkpoint []byte
	// Size of the checkpoint.
	Size uint64

	open *verify.Range
}

// Files returns the contents of the .tlog-proof and .entry files of Entries[i],
// derived offline.
func (r *RangeReceipt) Files(i int) (proof, entry []byte, err error) {
	index := r.First + uint64(i)
	single, err := r.open.Single(index)
	if err != nil {
		return nil, nil, err
	}
	return verify.FormatReceipt(verify.Receipt{Index: index, Proof: single, Checkpoint: r.Checkpoint}), r.Entries[i], nil
}

// maxRanges is the most ranges of one request.
const maxRanges = 1000

// ReceiptRanges fetches the receipts of the ranges, checks them and calls visit
// with each part as it comes: in ascending order, what is named twice once, all at
// the newest size when it began. An error of visit ends it.
func (c *Client) ReceiptRanges(ctx context.Context, ranges []Range, visit func(*RangeReceipt) error) error {
	return c.receiptRanges(ctx, ranges, nil, visit)
}

// ReceiptRangesAt is ReceiptRanges at a checkpoint, whose note the receipts carry:
// with the cosignatures that it has.
func (c *Client) ReceiptRangesAt(ctx context.Context, ranges []Range, at *Checkpoint, visit func(*RangeReceipt) error) error {
	return c.receiptRanges(ctx, ranges, at, visit)
}

// receiptRanges fetches ranges at a checkpoint; nil: the newest.
func (c *Client) receiptRanges(ctx context.Context, ranges []Range, at *Checkpoint, visit func(*RangeReceipt) error) error {
	todo, err := mergeRanges(ranges)
	if err != nil {
		return err
	}
	size := uint64(0)
	if at != nil {
		size = at.Size
	}
	for len(todo) > 0 {
		request := &apiv1.GetReceiptBatchRequest{TreeSize: size}
		for _, r := range todo[:min(len(todo), maxRanges)] {
			request.Ranges = append(request.Ranges, &apiv1.IndexRange{FirstIndex: r.Lo, Count: r.Hi - r.Lo})
		}
		a, err := c.queries().GetReceiptBatch(ctx, request)
		if err != nil {
			return queryError("getting receipts", err)
		}
		parts, err := c.checkRanges(a, todo, size)
		if err != nil {
			return fmt.Errorf("getting receipts: %w", err)
		}
		for _, p := range parts {
			if err := p.take(at); err != nil {
				return fmt.Errorf("getting receipts: %w", err)
			}
			if err := visit(p); err != nil {
				return err
			}
		}
		size = parts[0].Size
		todo = rest(todo, parts)
	}
	return c.proveNow(ctx)
}

// take puts a checkpoint in the place of that of the answer, which is of the same
// tree; nil: none.
func (r *RangeReceipt) take(at *Checkpoint) error {
	if at == nil {
		return nil
	}
	answered, err := verify.OpenUnverified(r.Checkpoint) // its signature was checked
	if err != nil || answered != at.Checkpoint {
		return fmt.Errorf("asked at size %d with root %x, was answered at size %d with root %x", at.Size, at.Root, answered.Size, answered.Root)
	}
	r.Checkpoint = at.Note
	return nil
}

// mergeRanges sorts ranges and joins those that meet or overlap.
func mergeRanges(ranges []Range) ([]Range, error) {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.Lo, b.Lo) })
	var out []Range
	for _, r := range sorted {
		if r.Lo >= r.Hi {
			return nil, fmt.Errorf("the range [%d, %d) holds no entry", r.Lo, r.Hi)
		}
		if n := len(out); n > 0 && r.Lo <= out[n-1].Hi {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

// rest is what remains of todo after the parts, which checkRanges took: each is
// the next range, the last maybe only its beginning.
func rest(todo []Range, parts []*RangeReceipt) []Range {
	last := parts[len(parts)-1]
	todo = slices.Clone(todo[len(parts)-1:])
	todo[0].Lo = last.First + uint64(len(last.Entries))
	if todo[0].Lo == todo[0].Hi {
		todo = todo[1:]
	}
	return todo
}

// checkRanges checks an answer to todo at a size; 0: any.
func (c *Client) checkRanges(a *apiv1.GetReceiptBatchResponse, todo []Range, size uint64) ([]*RangeReceipt, error) {
	checkpoint, err := c.memory.check(a.Checkpoint)
	switch {
	case err != nil:
		return nil, err
	case size != 0 && checkpoint.Size != size:
		return nil, fmt.Errorf("asked at size %d, was answered at %d", size, checkpoint.Size)
	case len(a.Ranges) == 0 || len(a.Ranges) > min(len(todo), maxRanges):
		return nil, fmt.Errorf("%d answers for %d ranges", len(a.Ranges), min(len(todo), maxRanges))
	}
	parts := make([]*RangeReceipt, len(a.Ranges))
	for i, r := range a.Ranges {
		n, asked := uint64(len(r.Entries)), todo[i].Hi-todo[i].Lo
		if r.FirstIndex != todo[i].Lo || n == 0 || n > asked || n < asked && i < len(a.Ranges)-1 {
			return nil, fmt.Errorf("asked for [%d, %d), was answered with %d entries from %d", todo[i].Lo, todo[i].Hi, n, r.FirstIndex)
		}
		if parts[i], err = openRange(r, checkpoint); err != nil {
			return nil, fmt.Errorf("entries %d to %d are not proven: %w", r.FirstIndex, r.FirstIndex+n-1, err)
		}
	}
	return parts, nil
}

// openRange checks entries and their range proof against a checked checkpoint.
func openRange(r *apiv1.ProvenRange, checkpoint signed) (*RangeReceipt, error) {
	hashes, err := splitHashes(r.Proof)
	if err != nil {
		return nil, err
	}
	leaves := make([]verify.Hash, len(r.Entries))
	for i, raw := range r.Entries {
		index := r.FirstIndex + uint64(i)
		e, err := verify.ParseEntry(raw)
		if err == nil && e.Place.Index != index {
			err = fmt.Errorf("it says that it is entry %d", e.Place.Index)
		}
		if err == nil {
			err = verify.CheckBody(e.Place.Kind, e.Body)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		leaves[i] = verify.HashLeaf(raw)
	}
	out := &RangeReceipt{First: r.FirstIndex, Entries: r.Entries, Checkpoint: checkpoint.note, Size: checkpoint.Size}
	out.open, err = verify.OpenRange(r.FirstIndex, checkpoint.Size, leaves, hashes, checkpoint.Root)
	return out, err
}
