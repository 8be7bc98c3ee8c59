package server

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// ListRuns implements QueryService.
func (s *query) ListRuns(ctx context.Context, r *apiv1.ListRunsRequest) (*apiv1.ListRunsResponse, error) {
	filter, err := runFilterOf(r)
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	same := proto.CloneOf(r)
	same.PageSize, same.PageToken = 0, ""
	token, first, err := tokenOf(same, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if first {
		token.size = s.log.Head().Size
		token.index = token.size
	}
	page, err := s.runs(ctx, filter, token.size, token.index, limit)
	if err != nil {
		return nil, err
	}
	answer := &apiv1.ListRunsResponse{TreeSize: token.size, Runs: make([]*apiv1.RunView, len(page.Runs))}
	for i := range page.Runs {
		answer.Runs[i] = runViewOf(&page.Runs[i])
	}
	if page.More {
		token.index = page.Next
		answer.NextPageToken = formatPageToken(token)
	}
	return answer, nil
}

// GetRun implements QueryService.
func (s *query) GetRun(ctx context.Context, r *apiv1.GetRunRequest) (*apiv1.GetRunResponse, error) {
	prefix, err := runPrefix("run", r.GetRun())
	if err != nil {
		return nil, err
	}
	if prefix == "" {
		return nil, badRequest("run: missing")
	}
	size := s.log.Head().Size
	page, err := s.runs(ctx, ledger.RunFilter{Producer: r.GetProducer(), Prefix: prefix}, size, size, 2)
	switch {
	case err != nil:
		return nil, err
	case len(page.Runs) == 0:
		return nil, &requestError{codes.NotFound, ReasonNotFound, "no run's id begins with " + prefix + " at tree size " + decimal(size)}
	case len(page.Runs) > 1 && page.Runs[0].ID != page.Runs[1].ID:
		return nil, badRequest("run: more than one run's id begins with %s: give more of it", prefix)
	}
	return &apiv1.GetRunResponse{Run: runViewOf(&page.Runs[0])}, nil
}

func runFilterOf(r *apiv1.ListRunsRequest) (ledger.RunFilter, error) {
	f := ledger.RunFilter{Producer: r.GetProducer()}
	switch r.GetStatus() {
	case apiv1.RunStatus_RUN_STATUS_UNSPECIFIED:
	case apiv1.RunStatus_RUN_STATUS_OPEN:
		f.Status = ledger.RunOpen
	case apiv1.RunStatus_RUN_STATUS_ENDED:
		f.Status = ledger.RunEnded
	case apiv1.RunStatus_RUN_STATUS_SILENT:
		f.Status = ledger.RunSilent
	default:
		return f, badRequest("status: %d is none", r.GetStatus())
	}
	var err error
	f.Prefix, err = runPrefix("run_prefix", r.GetRunPrefix())
	return f, err
}

// runPrefix checks the beginning of a run's id in hex.
func runPrefix(field, text string) (string, error) {
	text = strings.ToLower(text)
	if len(text) > 64 || strings.Trim(text, "0123456789abcdef") != "" {
		return "", badRequest("%s: at most 64 hex digits", field)
	}
	return text, nil
}

// runViewOf converts a report, whose messages it takes over.
func runViewOf(r *ledger.RunReport) *apiv1.RunView {
	v := &apiv1.RunView{
		Producer: r.Producer, Run: hex.EncodeToString(r.ID[:]), Provenance: r.Opened.Provenance,
		Software: r.Opened.Software, Import: r.Opened.Import,
		OpenedIndex: r.OpenedIndex, OpenedTime: timestamppb.New(time.Unix(0, r.OpenedNS)),
		PreviousRun: hex.EncodeToString(r.Opened.PreviousRun), PreviousLast: r.Opened.PreviousLast,
		Epoch: r.Epoch, Resumes: r.Resumes(), LastNumber: r.Last, Events: r.Events(),
		Declined: r.Declined, Gaps: r.Gaps, Lost: r.Lost,
		LastIndex: r.LastIndex, LastTime: timestamppb.New(time.Unix(0, r.LastNS)),
		Heartbeat: statementOf(r.Heartbeat), Signed: statementOf(r.Signed), Silent: r.Silent,
		SignedWords: r.SignedWords(),
	}
	if r.End != nil {
		v.Ended, v.EndedReason, v.EndSigned = true, r.End.Reason, len(r.End.Signature) > 0
	}
	if limit := r.SilenceLimit(); limit != 0 {
		v.SilenceLimit = durationpb.New(limit)
	}
	return v
}

func statementOf(s *ledger.RunStatement) *apiv1.RunStatement {
	if s == nil {
		return nil
	}
	v := &apiv1.RunStatement{Index: s.Index, LastNumber: s.Last, Signed: s.Signed}
	if s.Signed {
		v.KeyFingerprint = hex.EncodeToString(s.Key[:])
	}
	return v
}
