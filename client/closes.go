package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Closed is a close that was proven to be in the log.
type Closed struct {
	*Entry
	// Close is what it says; all that verify.CheckCloseEntry asks holds.
	Close *daybookv1.Close
	// Origin is the name of the log.
	Origin string
}

// Slip returns the close in one line; see verify.FormatSlip.
func (c *Closed) Slip() (string, error) {
	return verify.FormatSlip(verify.SlipOf(c.Origin, c.Index, c.Bytes, c.Close))
}

// checkClose checks an entry that must be a close.
func (c *Client) checkClose(a *apiv1.GetEntryResponse) (*Closed, error) {
	if a == nil {
		return nil, errors.New("the answer has no close")
	}
	e, err := c.checkEntry(a)
	if err != nil {
		return nil, err
	}
	parsed, err := verify.ParseEntry(e.Bytes)
	if err != nil {
		return nil, err
	}
	m, err := verify.CheckCloseEntry(&parsed)
	if err != nil {
		return nil, fmt.Errorf("entry %d does not hold as a close: %w", e.Index, err)
	}
	return &Closed{e, m, c.Origin()}, nil
}

// ClosedAt returns the close at an index, checked against a checkpoint of the
// log; the newest for 0.
func (c *Client) ClosedAt(ctx context.Context, index uint64) (*Closed, error) {
	a, err := c.queries().GetClose(ctx, &apiv1.GetCloseRequest{Index: index})
	if err != nil {
		return nil, queryError("getting a close", err)
	}
	m, err := c.checkClose(a.GetEntry())
	if err == nil && index != 0 && m.Index != index {
		err = fmt.Errorf("asked for the close at %d, was answered with that at %d", index, m.Index)
	}
	if err != nil {
		return nil, err
	}
	return m, c.proveNow(ctx)
}

// ClosedDay returns the close that ends a UTC day, written as 2026-11-24, or that
// of the missed days it is one of; checked like ClosedAt.
func (c *Client) ClosedDay(ctx context.Context, day string) (*Closed, error) {
	start, end, err := verify.ParseDay(day)
	if err != nil {
		return nil, err
	}
	a, err := c.queries().GetClose(ctx, &apiv1.GetCloseRequest{Day: day})
	if err != nil {
		return nil, queryError("getting the close of "+day, err)
	}
	m, err := c.checkClose(a.GetEntry())
	if err != nil {
		return nil, err
	}
	if m.Close.PeriodEndNs < end || m.Close.PeriodStartNs >= end || m.Close.PeriodEndNs > end && m.Close.PeriodStartNs > start {
		return nil, fmt.Errorf("asked for the close of %s, was answered with another at %d", day, m.Index)
	}
	return m, c.proveNow(ctx)
}

// Closes calls visit with the closes of the log, newest first, until it says
// false or limit were seen (0: no limit). Lists carry no proofs.
func (c *Client) Closes(ctx context.Context, limit int, visit func(*apiv1.CloseView) bool) error {
	r := new(apiv1.ListClosesRequest)
	for seen := 0; ; {
		if limit > 0 {
			r.PageSize = int32(min(limit-seen, 1000))
		}
		page, err := c.queries().ListCloses(ctx, r)
		if err != nil {
			return queryError("listing closes", err)
		}
		for _, m := range page.Closes {
			if seen++; !visit(m) || seen == limit {
				return nil
			}
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			return nil
		}
	}
}

// CloseRow is the proven answer about one stream or run in a close.
type CloseRow struct {
	*Closed
	// Key of the row, as verify has it.
	Key []byte
	// Row as proven; nil: it was proven that the table has none.
	Row *verify.ProvenRow
	// Before and After are the rows beside the place of an absent one; nil: it
	// would be the first, or the last.
	Before, After *verify.ProvenRow
}

// CloseRow looks up one stream or run in a close (index 0: the newest) and checks
// offline what the server answers: that the close is in the log, and that the row
// is in its table or that there is none.
func (c *Client) CloseRow(ctx context.Context, r *apiv1.GetCloseRowRequest) (*CloseRow, error) {
	key, table, err := rowKeyOf(r)
	if err != nil {
		return nil, err
	}
	a, err := c.queries().GetCloseRow(ctx, r)
	if err != nil {
		return nil, queryError("getting a row", err)
	}
	closed, err := c.checkClose(a.GetClose())
	if err == nil && r.Index != 0 && closed.Index != r.Index {
		err = fmt.Errorf("asked for the close at %d, was answered with that at %d", r.Index, closed.Index)
	}
	if err != nil {
		return nil, err
	}
	out := &CloseRow{Closed: closed, Key: key}
	if err := out.take(a); err != nil {
		return nil, fmt.Errorf("the row of the close at %d is not proven: %w", closed.Index, err)
	}
	of := closed.Close.Streams
	if table == apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS {
		of = closed.Close.Runs
	}
	switch {
	case out.Row == nil:
		err = verify.CheckAbsent(of, key, out.Before, out.After)
	case string(out.Row.Row.Key) != string(key):
		err = errors.New("it is another row")
	default:
		err = verify.CheckRow(of, *out.Row)
	}
	if err != nil {
		return nil, fmt.Errorf("the row of the close at %d is not proven: %w", closed.Index, err)
	}
	return out, c.proveNow(ctx)
}

func rowKeyOf(r *apiv1.GetCloseRowRequest) ([]byte, apiv1.CloseTableKind, error) {
	if st := r.GetStream(); st != nil {
		if len(st.Source) > verify.MaxDomain || len(st.Target) > verify.MaxDomain {
			return nil, 0, fmt.Errorf("a domain id has at most %d bytes", verify.MaxDomain)
		}
		return []byte(verify.MakeStreamKey(st.Kind, st.Source, st.Target, st.Side, st.Late)), apiv1.CloseTableKind_CLOSE_TABLE_KIND_STREAMS, nil
	}
	run := r.GetRun()
	if run == nil || len(run.Run) != 0 && len(run.Run) != 32 {
		return nil, 0, errors.New("name a stream, or a run by producer and id of 32 bytes")
	}
	if len(run.Run) == 0 {
		return verify.OneOffRowKey(run.Producer), apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS, nil
	}
	return verify.RunRowKey(run.Producer, verify.Hash(run.Run)), apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS, nil
}

// take parses the rows of an answer.
func (r *CloseRow) take(a *apiv1.GetCloseRowResponse) error {
	for _, part := range []struct {
		from *apiv1.CloseRow
		to   **verify.ProvenRow
	}{{a.Row, &r.Row}, {a.Before, &r.Before}, {a.After, &r.After}} {
		if part.from == nil {
			continue
		}
		row, err := verify.ParseRow(part.from.Row)
		if err != nil {
			return err
		}
		proof, err := splitHashes(part.from.Proof)
		if err != nil {
			return err
		}
		*part.to = &verify.ProvenRow{Index: part.from.RowIndex, Row: row, Proof: proof}
	}
	return nil
}

// ErrNotOperator says that the admin listener does not take this identity.
var ErrNotOperator = errors.New("the admin listener does not take this identity: it needs the operator's certificate and key")

// CloseNow asks the admin listener at host:port to close the period under way,
// and returns the close, checked against a checkpoint of the log. The client's
// identity must be an operator's: ErrNotOperator.
func (c *Client) CloseNow(ctx context.Context, admin string) (*Closed, error) {
	conn, err := dial(endpoint{"admin", admin, c.config.Addresses}, c.ids)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	a, err := apiv1.NewAdminServiceClient(conn).CloseNow(ctx, &apiv1.CloseNowRequest{})
	switch status.Code(err) {
	case codes.OK:
	case codes.PermissionDenied, codes.Unauthenticated:
		return nil, fmt.Errorf("closing: %w (%s)", ErrNotOperator, status.Convert(err).Message())
	default:
		return nil, queryError("closing", err)
	}
	m, err := c.checkClose(a.GetEntry())
	if err != nil {
		return nil, err
	}
	return m, c.proveNow(ctx)
}
