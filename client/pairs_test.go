package client_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ListCloses implements QueryService.
func (l *liar) ListCloses(context.Context, *apiv1.ListClosesRequest) (*apiv1.ListClosesResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed == nil {
		return &apiv1.ListClosesResponse{}, nil
	}
	e, err := verify.ParseEntry(l.log.entries[l.closed.index])
	if err != nil {
		return nil, err
	}
	m, err := verify.ParseClose(e.Body)
	return &apiv1.ListClosesResponse{Closes: []*apiv1.CloseView{{Index: l.closed.index, Close: m}}}, err
}

// ListCloseRows implements QueryService: two rows a page.
func (l *liar) ListCloseRows(_ context.Context, r *apiv1.ListCloseRowsRequest) (*apiv1.ListCloseRowsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &apiv1.ListCloseRowsResponse{Index: l.closed.index}
	at := len(r.PageToken)
	for ; at < len(l.closed.rows) && len(a.Rows) < 2; at++ {
		a.Rows = append(a.Rows, &apiv1.CloseRow{Row: l.closed.rows[at].AppendTo(nil)})
	}
	if at < len(l.closed.rows) {
		a.NextPageToken = string(make([]byte, at))
	}
	return a, nil
}

// TestPairs counts the rows of a close and what comes after it. The log in
// memory lists entries without their places: those are the pair of nobody.
func TestPairs(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 12)
	c := l.dial(t, nil)
	size := uint64(l.size())
	got, err := c.Pairs(t.Context(), time.Time{}, 1000)
	must(t, err)
	if diff := cmp.Diff(&client.Pairs{Pairs: []client.Pair{{Count: size}}, Until: size, Size: size}, got); diff != "" {
		t.Errorf("without a close (-want +got):\n%s", diff)
	}
	l.closeDay(t, "a", "c", "e", "g", "i")
	l.grow(t, 3)
	want := &client.Pairs{Proven: size, Until: uint64(l.size()), Size: uint64(l.size())}
	for i, target := range []string{"a", "c", "e", "g", "i"} {
		want.Pairs = append(want.Pairs, client.Pair{Source: "web", Target: target, Count: 1})
		if i == 4 {
			want.Pairs[i].Count = size - 4
		}
	}
	closed := slices.Clone(want.Pairs)
	want.Pairs = append([]client.Pair{{Count: want.Size - size}}, closed...)
	got, err = c.Pairs(t.Context(), time.Time{}, 1000)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with a close (-want +got):\n%s", diff)
	}

	// From the close on only what comes after it is left.
	want.From, want.Pairs = size, want.Pairs[:1]
	got, err = c.Pairs(t.Context(), time.Unix(0, 20_001*verify.Day), 1000)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("since the close (-want +got):\n%s", diff)
	}

	// A limit is told.
	got, err = c.Pairs(t.Context(), time.Time{}, 2)
	must(t, err)
	if got.Until != size+2 || got.Until >= got.Size || got.Pairs[0].Count != 2 {
		t.Errorf("with a limit of 2: %+v", got)
	}
	l.set(func(l *liar) { l.closed.rows = slices.Delete(l.closed.rows, 1, 2) })
	if _, err := c.Pairs(t.Context(), time.Time{}, 1000); err == nil {
		t.Error("a table without one of its rows was counted")
	}
}
