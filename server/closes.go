package server

import (
	"context"
	"crypto/sha256"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ListCloses implements QueryService.
func (s *query) ListCloses(ctx context.Context, r *apiv1.ListClosesRequest) (*apiv1.ListClosesResponse, error) {
	limit, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	token, _, err := closesPage(r.GetPageToken(), &apiv1.ListClosesRequest{})
	if err != nil {
		return nil, err
	}
	closes, err := s.log.Closes(ctx, token.index, limit)
	if err != nil {
		return nil, err
	}
	answer := new(apiv1.ListClosesResponse)
	for _, c := range closes {
		answer.Closes = append(answer.Closes, &apiv1.CloseView{Index: c.Index, Close: c.Close})
		token.index = c.Close.PreviousClose
	}
	if len(closes) == limit && token.index != 0 {
		answer.NextPageToken = formatPageToken(token)
	}
	return answer, nil
}

// closesPage reads the page token of a list whose filter, a request without page
// size and token, is given.
func closesPage(text string, filter proto.Message) (token pageToken, first bool, err error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(filter)
	if err != nil {
		return pageToken{}, false, err
	}
	sum := sha256.Sum256(append([]byte(filter.ProtoReflect().Descriptor().FullName()), b...))
	if text == "" {
		return pageToken{filter: [8]byte(sum[:8])}, true, nil
	}
	token, err = parsePageToken(text)
	if err == nil && token.filter != [8]byte(sum[:8]) {
		err = errors.New("the page token is another list's: keep the filter as it was, or start again without a token")
	}
	if err != nil {
		return pageToken{}, false, &requestError{codes.InvalidArgument, ReasonPageToken, "page_token: " + err.Error()}
	}
	return token, false, nil
}

// closeAt returns the close at an index, or the newest for 0.
func (s *query) closeAt(ctx context.Context, index uint64) (*ledger.CloseInfo, error) {
	if index != 0 {
		return s.log.CloseAt(ctx, index)
	}
	newest, err := s.log.Closes(ctx, 0, 1)
	if err == nil && len(newest) == 0 {
		err = &requestError{codes.NotFound, ReasonNotFound, "the log has no close yet: the first follows within a second after UTC midnight, or `daybook close`"}
	}
	if err != nil {
		return nil, err
	}
	return newest[0], nil
}

// GetClose implements QueryService.
func (s *query) GetClose(ctx context.Context, r *apiv1.GetCloseRequest) (*apiv1.GetCloseResponse, error) {
	var c *ledger.CloseInfo
	var err error
	switch {
	case r.GetDay() != "" && r.GetIndex() != 0:
		err = badRequest("day: give an index or a day")
	case r.GetDay() != "":
		start, _, bad := verify.ParseDay(r.GetDay())
		if bad != nil {
			return nil, badRequest("day: %v", bad)
		}
		c, err = s.log.CloseOfDay(ctx, start)
	default:
		c, err = s.closeAt(ctx, r.GetIndex())
	}
	if err != nil {
		return nil, err
	}
	entry, err := s.provenClose(ctx, c)
	return &apiv1.GetCloseResponse{Entry: entry}, err
}

// provenClose proves a close at the newest checkpoint, which covers it.
func (s *query) provenClose(ctx context.Context, c *ledger.CloseInfo) (*apiv1.GetEntryResponse, error) {
	h, err := s.horizon(ctx, 0)
	if err != nil {
		return nil, err
	}
	return s.entry(ctx, c.Index, h)
}

// tableOf returns the table of a request.
func tableOf(k apiv1.CloseTableKind) (ledger.CloseTable, error) {
	switch k {
	case apiv1.CloseTableKind_CLOSE_TABLE_KIND_UNSPECIFIED, apiv1.CloseTableKind_CLOSE_TABLE_KIND_STREAMS:
		return ledger.TableStreams, nil
	case apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS:
		return ledger.TableRuns, nil
	}
	return 0, badRequest("table: %d is none", k)
}

// maxScanned bounds the rows that one page of a filtered list looks at.
const maxScanned = 1 << 16

// ListCloseRows implements QueryService.
func (s *query) ListCloseRows(ctx context.Context, r *apiv1.ListCloseRowsRequest) (*apiv1.ListCloseRowsResponse, error) {
	limit, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	table, err := tableOf(r.GetTable())
	if err != nil {
		return nil, err
	}
	if table == ledger.TableRuns && (r.GetSource() != "" || r.GetTarget() != "") {
		return nil, badRequest("source: only streams have a pair")
	}
	filter := proto.CloneOf(r)
	filter.PageSize, filter.PageToken = 0, ""
	token, first, err := closesPage(r.GetPageToken(), filter)
	if err != nil {
		return nil, err
	}
	index := r.GetIndex()
	if !first {
		index = token.size // where the newest was asked for, pages stay with it
	}
	c, err := s.closeAt(ctx, index)
	if err != nil {
		return nil, err
	}
	token.size = c.Index
	if first {
		if token.index, err = s.log.FindCloseRow(ctx, c, table, r.GetPrefix()); err != nil {
			return nil, err
		}
	}
	return s.closeRows(ctx, c, table, r, token, limit)
}

// closeRows makes a page of rows.
func (s *query) closeRows(ctx context.Context, c *ledger.CloseInfo, table ledger.CloseTable, r *apiv1.ListCloseRowsRequest, token pageToken, limit int) (*apiv1.ListCloseRowsResponse, error) {
	answer := &apiv1.ListCloseRowsResponse{Index: c.Index, TableRows: c.Close.Streams.Rows}
	if table == ledger.TableRuns {
		answer.TableRows = c.Close.Runs.Rows
	}
	var inner error
	scope := scopeOf(ctx)
	end, scanned, bytes := true, 0, 0
	err := s.log.CloseRows(ctx, c, table, token.index, func(i uint64, row verify.Row) bool {
		if len(row.Key) < len(r.Prefix) || string(row.Key[:len(r.Prefix)]) != string(r.Prefix) {
			return false // the rows with the prefix stand together
		}
		if scanned++; len(answer.Rows) == limit || scanned > maxScanned || bytes > maxAnswer/2 {
			token.index, end = i, false
			return false
		}
		seen, err := s.seesRow(scope, table, row.Key)
		if err == nil && !seen {
			return true
		}
		view, viewErr := rowView(table, verify.ProvenRow{Index: i, Row: row})
		if inner = errors.Join(err, viewErr); inner != nil {
			return false
		}
		if st := view.Stream; st != nil && (r.Source != "" && st.Source != r.Source || r.Target != "" && st.Target != r.Target) {
			return true
		}
		bytes += 2*len(row.Key) + 128
		answer.Rows = append(answer.Rows, view)
		return true
	})
	if err = errors.Join(err, inner); err != nil {
		return nil, err
	}
	if !end {
		answer.NextPageToken = formatPageToken(token)
	}
	return answer, nil
}

// rowView shows a row: its bytes, and what they say.
func rowView(table ledger.CloseTable, p verify.ProvenRow) (*apiv1.CloseRow, error) {
	v := &apiv1.CloseRow{RowIndex: p.Index, Row: p.Row.AppendTo(nil), Count: p.Row.Count, Root: p.Row.Root[:], Proof: concat(p.Proof)}
	if table == ledger.TableRuns {
		producer, run, oneOff, err := verify.ParseRunRowKey(p.Row.Key)
		v.Run = &apiv1.RunName{Producer: producer}
		if !oneOff {
			v.Run.Run = run[:]
		}
		return v, err
	}
	kind, source, target, side, late, err := verify.ParseStreamKey(p.Row.Key)
	v.Stream = &apiv1.StreamName{Kind: kind, Source: source, Target: target, Side: side, Late: late}
	return v, err
}

// rowKey returns the table and key that a request names.
func rowKey(r *apiv1.GetCloseRowRequest) (ledger.CloseTable, []byte, error) {
	st, run := r.GetStream(), r.GetRun()
	switch {
	case (st == nil) == (run == nil):
		return 0, nil, badRequest("stream: name a stream or a run")
	case run != nil && (run.Producer == "" || len(run.Producer) > 2048 || len(run.Run) != 0 && len(run.Run) != 32):
		return 0, nil, badRequest("run: needs a producer, and a run id of 32 bytes or none")
	case run != nil && len(run.Run) == 0:
		return ledger.TableRuns, verify.OneOffRowKey(run.Producer), nil
	case run != nil:
		return ledger.TableRuns, verify.RunRowKey(run.Producer, verify.Hash(run.Run)), nil
	case len(st.Source) > verify.MaxDomain || len(st.Target) > verify.MaxDomain:
		return 0, nil, badRequest("stream: a domain id has at most %d bytes", verify.MaxDomain)
	case st.Kind <= 0 || st.Kind > 255 || st.Side < 0 || st.Side > daybookv1.Side_SIDE_COLLECTOR:
		return 0, nil, badRequest("stream: needs a kind, and a known side or none")
	}
	return ledger.TableStreams, []byte(verify.MakeStreamKey(st.Kind, st.Source, st.Target, st.Side, st.Late)), nil
}

// GetCloseRow implements QueryService.
func (s *query) GetCloseRow(ctx context.Context, r *apiv1.GetCloseRowRequest) (*apiv1.GetCloseRowResponse, error) {
	table, key, err := rowKey(r)
	if err != nil {
		return nil, err
	}
	c, err := s.closeAt(ctx, r.GetIndex())
	if err != nil {
		return nil, err
	}
	found, err := s.log.CloseRow(ctx, c, table, key)
	if err == nil {
		err = s.seeFound(ctx, table, key, found)
	}
	if err != nil {
		return nil, err
	}
	answer := &apiv1.GetCloseRowResponse{Table: apiv1.CloseTableKind(table)}
	if answer.Close, err = s.provenClose(ctx, c); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		row *verify.ProvenRow
		to  **apiv1.CloseRow
	}{{found.Row, &answer.Row}, {found.Before, &answer.Before}, {found.After, &answer.After}} {
		if part.row == nil {
			continue
		}
		if *part.to, err = rowView(table, *part.row); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// CloseNow implements AdminService.
func (s *admin) CloseNow(ctx context.Context, _ *apiv1.CloseNowRequest) (*apiv1.CloseNowResponse, error) {
	index, err := s.log.CloseNow(ctx)
	if err != nil {
		return nil, err
	}
	q := &query{log: s.log}
	h, err := q.signed(ctx, 0)
	if err != nil {
		return nil, err
	}
	entry, err := q.entry(ctx, index, h)
	return &apiv1.CloseNowResponse{Entry: entry}, err
}
