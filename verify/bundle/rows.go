package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A knownRow is a row of the table of streams that is in the bundle.
type knownRow struct {
	index uint64
	verify.Row
}

// readRows reads the known rows and folds them to the table's root.
func readRows(z *archive, table *daybookv1.CloseTable) ([]knownRow, error) {
	in, hashes := z.open(nameRows), z.open(nameRowHashes)
	f := &fold{hashes: hashes}
	var rows []knownRow
	for in.left > 0 {
		r, err := readRow(in)
		if err == nil && len(rows) > 0 && bytes.Compare(rows[len(rows)-1].Key, r.Key) >= 0 {
			err = errOrder
		}
		if err == nil && r.index >= table.Rows {
			err = fmt.Errorf("the table has %d rows", table.Rows)
		}
		if err == nil && r.Count > table.Sum {
			err = fmt.Errorf("its stream has %d entries, the table %d", r.Count, table.Sum)
		}
		if err != nil {
			return nil, faulty(nameRows, "row %d of those that are known: %w", len(rows), err)
		}
		if err := f.add(r.index, verify.HashLeaf(r.AppendTo(nil))); err != nil {
			return nil, faulty(nameRowHashes, "before row %d: %w", r.index, err)
		}
		rows = append(rows, r)
	}
	if err := f.skip(table.Rows); err != nil {
		return nil, faulty(nameRowHashes, "after the last known row: %w", err)
	}
	if err := hashes.done(); err != nil {
		return nil, err
	}
	if root := f.tree.Root(); !bytes.Equal(root[:], table.Root) {
		return nil, faulty(nameRows, "rows and hashes do not lead to the root of the close's table of streams: %w", verify.ErrProof)
	}
	return rows, nil
}

// readRow reads u64 index || row.
func readRow(in *memberReader) (knownRow, error) {
	var r knownRow
	index, err := in.number()
	if err != nil {
		return r, err
	}
	b := make([]byte, 2, 2+verify.MaxRowKey+40)
	if _, err := readFull(in, b); err != nil {
		return r, err
	}
	n := int(binary.BigEndian.Uint16(b)) + 40
	if n > verify.MaxRowKey+40 {
		return r, errors.New("its key is too long")
	}
	b = b[:2+n]
	if _, err := readFull(in, b[2:]); err != nil {
		return r, err
	}
	r.index = index
	r.Row, err = verify.ParseRow(b)
	return r, err
}

// checkRows checks that all rows of the intervals are known, and of each interval
// the row before and the row after, where the table has one; and no others. So
// what is not there is shown to be absent.
func checkRows(rows []knownRow, table uint64, prefixes [][]byte) error {
	needed := make([]bool, len(rows))
	at := 0
	for _, p := range prefixes {
		for at < len(rows) && bytes.Compare(rows[at].Key, p) < 0 {
			at++
		}
		end := at
		for end < len(rows) && bytes.HasPrefix(rows[end].Key, p) {
			end++
		}
		// [at, end) are in the interval; at-1 and end are its neighbours.
		lo, hi := max(at-1, 0), min(end+1, len(rows))
		for i := lo; i < hi; i++ {
			needed[i] = true
			if i > lo && rows[i].index != rows[i-1].index+1 {
				return faulty(nameRows, "rows %d and %d are no neighbours, and a stream that is asked for may lie between them", rows[i-1].index, rows[i].index)
			}
		}
		if lo == hi && table != 0 || lo < hi && (at == 0 && rows[lo].index != 0 || end == len(rows) && rows[hi-1].index != table-1) {
			return faulty(nameRows, "the rows around %x are not shown: a stream that is asked for may be missing", p)
		}
	}
	for i, ok := range needed {
		if !ok {
			return faulty(nameRows, "row %d is not needed", rows[i].index)
		}
	}
	return nil
}

// findRows returns the rows of the intervals and their neighbours. The scope is
// told of the rows that the question asks for.
func findRows(ctx context.Context, src Table, rows uint64, s *scope) ([]knownRow, error) {
	for _, p := range s.askedPrefixes() {
		found, err := interval(ctx, src, rows, p)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			s.note(verify.StreamKey(r.Key))
		}
	}
	var out []knownRow
	for _, p := range s.prefixes() {
		found, err := interval(ctx, src, rows, p)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if n := len(out); n == 0 || out[n-1].index < r.index {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// interval returns the rows whose keys begin with a prefix, the one before and the
// one after.
func interval(ctx context.Context, src Table, rows uint64, prefix []byte) ([]knownRow, error) {
	first, err := src.FindRow(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("finding row %x: %w", prefix, err)
	}
	var out []knownRow
	for i := max(first, 1) - 1; i < rows; i++ {
		r, err := src.Row(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		out = append(out, knownRow{i, r})
		if i >= first && !bytes.HasPrefix(r.Key, prefix) {
			break
		}
	}
	return out, nil
}
