package client_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A memClose is a close in a memLog, with the rows of its table of streams.
type memClose struct {
	index uint64
	rows  []verify.Row
	bend  func(*apiv1.GetCloseRowResponse)
}

// closeDay appends a close of the first day of these logs.
func (l *liar) closeDay(t *testing.T, pairs ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	const start = 20_000 * verify.Day
	cut := uint64(len(l.log.entries))
	c := &memClose{index: cut}
	var table verify.TableBuilder
	for i, target := range pairs {
		r := verify.Row{Key: []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "web", target, 0, false)), Count: 1, Root: verify.Hash{byte(i + 1)}}
		if i == len(pairs)-1 {
			r.Count = cut - uint64(i)
		}
		_, err := table.Add(r)
		must(t, err)
		c.rows = append(c.rows, r)
	}
	root := verify.HashLeaf(nil)
	empty := verify.EmptyRoot()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Close{PeriodStartNs: start, PeriodEndNs: start + verify.Day, Cut: cut,
		Root: root[:], Streams: table.Table(), Runs: &daybookv1.CloseTable{Root: empty[:]}, Kinds: []*daybookv1.CloseCount{{Value: 2, Count: cut}},
		Verdicts: []*daybookv1.CloseCount{{Value: 4, Count: cut}}})
	must(t, err)
	l.log.time = max(l.log.time, start+verify.Day)
	l.log.add(l.log.head(verify.BatchHead{Producer: "example.com/log", Run: verify.Hash{9}, Epoch: 1,
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}), daybookv1.Kind_KIND_CLOSE, 2, body)
	l.closed = c
}

// GetClose implements QueryService.
func (l *liar) GetClose(context.Context, *apiv1.GetCloseRequest) (*apiv1.GetCloseResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.entry(l.closed.index)
	return &apiv1.GetCloseResponse{Entry: e}, err
}

// GetCloseRow implements QueryService: for streams only.
func (l *liar) GetCloseRow(_ context.Context, r *apiv1.GetCloseRowRequest) (*apiv1.GetCloseRowResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := r.Stream
	if st == nil {
		return nil, refusal(codes.InvalidArgument, "BAD_REQUEST")
	}
	e, err := l.entry(l.closed.index)
	if err != nil {
		return nil, err
	}
	a := &apiv1.GetCloseRowResponse{Close: e, Table: apiv1.CloseTableKind_CLOSE_TABLE_KIND_STREAMS}
	key := string(verify.MakeStreamKey(st.Kind, st.Source, st.Target, st.Side, st.Late))
	for i, row := range l.closed.rows {
		switch strings.Compare(string(row.Key), key) {
		case -1:
			a.Before = l.closed.prove(i)
		case 0:
			a.Row = l.closed.prove(i)
		default:
			if a.After == nil {
				a.After = l.closed.prove(i)
			}
		}
	}
	if a.Row != nil {
		a.Before, a.After = nil, nil
	}
	if l.closed.bend != nil {
		l.closed.bend(a)
	}
	return a, nil
}

func (c *memClose) prove(i int) *apiv1.CloseRow {
	node := func(level uint, index uint64) (verify.Hash, error) {
		var f verify.Frontier
		for _, r := range c.rows[index<<level : (index+1)<<level] {
			f.Append(verify.HashLeaf(r.AppendTo(nil)))
		}
		return f.Root(), nil
	}
	proof, err := verify.ProveRange(uint64(i), uint64(i)+1, uint64(len(c.rows)), node)
	if err != nil {
		panic("proving a row: " + err.Error())
	}
	return &apiv1.CloseRow{RowIndex: uint64(i), Row: c.rows[i].AppendTo(nil), Proof: joined(proof)}
}

func streamOf(target string) *apiv1.GetCloseRowRequest {
	return &apiv1.GetCloseRowRequest{Stream: &apiv1.StreamName{Kind: daybookv1.Kind_KIND_ACCESS, Source: "web", Target: target}}
}

func TestClosesAreChecked(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 12)
	l.closeDay(t, "a", "c", "e", "g", "i")
	c := l.dial(t, nil)
	closed, err := c.ClosedDay(t.Context(), "2024-10-04")
	must(t, err)
	slip, err := closed.Slip()
	must(t, err)
	must(t, verify.CheckSlip(slip, c.Origin(), closed.Index, closed.Bytes))
	if _, err := c.ClosedDay(t.Context(), "2024-10-05"); err == nil {
		t.Error("the close of another day was returned")
	}
	for target, present := range map[string]bool{"a": true, "g": true, "i": true, "A": false, "b": false, "z": false} {
		row, err := c.CloseRow(t.Context(), streamOf(target))
		must(t, err)
		if (row.Row != nil) != present {
			t.Errorf("%s: %+v", target, row)
		}
	}
}

func TestLiesAboutRows(t *testing.T) {
	other := func(i int, to func(*apiv1.GetCloseRowResponse) **apiv1.CloseRow) func(*liar) func(*apiv1.GetCloseRowResponse) {
		return func(l *liar) func(*apiv1.GetCloseRowResponse) {
			return func(a *apiv1.GetCloseRowResponse) { *to(a) = l.closed.prove(i) }
		}
	}
	rowOf := func(a *apiv1.GetCloseRowResponse) **apiv1.CloseRow { return &a.Row }
	before := func(a *apiv1.GetCloseRowResponse) **apiv1.CloseRow { return &a.Before }
	plain := func(f func(*apiv1.GetCloseRowResponse)) func(*liar) func(*apiv1.GetCloseRowResponse) {
		return func(*liar) func(*apiv1.GetCloseRowResponse) { return f }
	}
	for name, c := range map[string]struct {
		target string
		lie    func(*liar) func(*apiv1.GetCloseRowResponse)
	}{
		"another row":           {"c", other(3, rowOf)},
		"count":                 {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Row.Row[len(a.Row.Row)-33]++ })},
		"proof":                 {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Row.Proof[3] ^= 1 })},
		"absent, without rows":  {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Row = nil })},
		"absent, far neighbour": {"d", other(0, before)},
		"absent, one neighbour": {"d", plain(func(a *apiv1.GetCloseRowResponse) { a.After = nil })},
		"row cut short":         {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Row.Row = a.Row.Row[:9] })},
		"close of no proof":     {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Close.Proof[0] ^= 1 })},
		"entry that is none":    {"c", plain(func(a *apiv1.GetCloseRowResponse) { a.Close = nil })},
	} {
		l := newLiar(t)
		l.grow(t, 12)
		l.closeDay(t, "a", "c", "e", "g", "i")
		l.set(func(l *liar) { l.closed.bend = c.lie(l) })
		if _, err := l.dial(t, nil).CloseRow(t.Context(), streamOf(c.target)); err == nil {
			t.Errorf("%s: a row was returned", name)
		}
	}
}
