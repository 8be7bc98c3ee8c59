package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Pair is how many accesses from one domain to another the log holds.
type Pair struct {
	// Source and Target as in the entries.
	Source, Target string
	// Count of entries of kind access, of every side, late ones too.
	Count uint64
}

// Pairs are the pairs of a part of the log.
type Pairs struct {
	// Pairs with a count over 0, ascending by source and target.
	Pairs []Pair
	// From is the index of the first entry that is counted.
	From uint64
	// Proven is the index up to which counts follow from the tables of closes, of
	// which every row was checked; after it they are the server's word.
	Proven uint64
	// Until is one past the last entry that is counted, and Size that of the log
	// then: where it is larger, the limit was reached.
	Until, Size uint64
}

// Pairs counts the accesses of each pair of domains. It takes them from the
// stream tables of closes, and from the entries after the newest close, of which
// it looks through limit accesses at most. Where since is not zero it begins at
// the newest close whose period had ended by then.
func (c *Client) Pairs(ctx context.Context, since time.Time, limit int) (*Pairs, error) {
	var newest, first *apiv1.CloseView
	err := c.Closes(ctx, 0, func(v *apiv1.CloseView) bool {
		if newest == nil {
			newest = v
		}
		if !since.IsZero() && v.GetClose().GetPeriodEndNs() <= since.UnixNano() {
			first = v
		}
		return first == nil && !since.IsZero()
	})
	if err != nil {
		return nil, err
	}
	counts := map[[2]string]uint64{}
	out := &Pairs{}
	var end int64
	if newest != nil {
		closed, err := c.addRows(ctx, newest.Index, counts, 1)
		if err != nil {
			return nil, err
		}
		out.Proven, end = closed.Close.Cut, closed.Close.PeriodEndNs
	}
	if first != nil {
		closed, err := c.addRows(ctx, first.Index, counts, ^uint64(0)) // minus one, modulo 2^64
		if err != nil {
			return nil, err
		}
		out.From = closed.Close.Cut
	}
	if err := c.addTail(ctx, out, end, counts, limit); err != nil {
		return nil, err
	}
	for pair, n := range counts {
		if n > 0 {
			out.Pairs = append(out.Pairs, Pair{pair[0], pair[1], n})
		}
	}
	slices.SortFunc(out.Pairs, func(a, b Pair) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target)) })
	return out, nil
}

// addRows adds the counts of a close's stream table, times factor. The close is
// proven to be in the log, and the rows to be all of its table.
func (c *Client) addRows(ctx context.Context, index uint64, counts map[[2]string]uint64, factor uint64) (*Closed, error) {
	closed, err := c.ClosedAt(ctx, index)
	if err != nil {
		return nil, err
	}
	var rows []verify.Row
	r := &apiv1.ListCloseRowsRequest{Index: index, PageSize: 1000}
	for {
		page, err := c.queries().ListCloseRows(ctx, r)
		if err != nil {
			return nil, queryError("listing the streams of a close", err)
		}
		for _, row := range page.Rows {
			parsed, err := verify.ParseRow(row.Row)
			if err != nil {
				return nil, fmt.Errorf("the streams of the close at %d: %w", index, err)
			}
			rows = append(rows, parsed)
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			break
		}
	}
	if err := verify.CheckTable(closed.Close.Streams, rows); err != nil {
		return nil, fmt.Errorf("the streams of the close at %d are not proven: %w", index, err)
	}
	for _, row := range rows {
		kind, source, target, _, _, err := verify.ParseStreamKey(row.Key)
		if err != nil {
			return nil, fmt.Errorf("the streams of the close at %d: %w", index, err)
		}
		if kind == daybookv1.Kind_KIND_ACCESS {
			counts[[2]string{source, target}] += factor * row.Count
		}
	}
	return closed, nil
}

// addTail counts the accesses at or after out.Proven, which is the cut of a close
// whose period ended at end.
func (c *Client) addTail(ctx context.Context, out *Pairs, end int64, counts map[[2]string]uint64, limit int) error {
	filter := &apiv1.ListEntriesRequest{Kind: daybookv1.Kind_KIND_ACCESS, Ascending: true, PageSize: 1000}
	if end != 0 {
		filter.LoggedFrom = timestamppb.New(time.Unix(0, end))
	}
	seen := 0
	out.Until = out.Proven
	full := false
	size, err := c.List(ctx, filter, 0, func(v *apiv1.EntryView) bool {
		if v.GetIndex() < out.Proven {
			return true
		}
		if full = seen == limit; full {
			return false
		}
		seen++
		counts[[2]string{v.GetPlace().GetSource(), v.GetPlace().GetTarget()}]++
		out.Until = v.GetIndex() + 1
		return true
	})
	if err != nil {
		return err
	}
	if out.Size = size; !full {
		out.Until = size
	}
	return nil
}
