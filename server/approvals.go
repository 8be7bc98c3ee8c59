package server

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// CreateApproval implements GovernanceService.
func (s *governance) CreateApproval(ctx context.Context, r *apiv1.CreateApprovalRequest) (*apiv1.CreateApprovalResponse, error) {
	if r.GetApproval() == nil {
		return nil, badRequest("approval: missing")
	}
	if r.Approval.Approver != "" || r.Approval.Authentication != "" {
		return nil, badRequest("approval: approver and authentication are whoever sends it: leave them out")
	}
	a, inForce, err := s.log.Approve(ctx, personOf(ctx), proto.CloneOf(r.Approval))
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.CreateApprovalResponse{Approval: approvalOf(&a), InForce: versionOf(inForce)}, nil
}

// RevokeApproval implements GovernanceService.
func (s *governance) RevokeApproval(ctx context.Context, r *apiv1.RevokeApprovalRequest) (*apiv1.RevokeApprovalResponse, error) {
	switch {
	case r.GetApproval() == "":
		return nil, badRequest("approval: name it by its index or its id")
	case r.GetReason() == "":
		return nil, badRequest("reason: say why")
	}
	a, err := s.log.Revoke(ctx, personOf(ctx), r.GetApproval(), r.GetReason(), r.GetTicket())
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.RevokeApprovalResponse{Approval: approvalOf(&a)}, nil
}

// ListApprovals implements GovernanceService.
func (s *governance) ListApprovals(ctx context.Context, r *apiv1.ListApprovalsRequest) (*apiv1.ListApprovalsResponse, error) {
	limit, err := pageSize(int32(min(r.GetPageSize(), maxPage+1)))
	if err != nil {
		return nil, err
	}
	filter := proto.CloneOf(r)
	filter.PageSize, filter.PageToken = 0, ""
	token, first, err := tokenOf(filter, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if first {
		token.size = s.log.Head().Size
		token.index = token.size
	}
	answer, scope := new(apiv1.ListApprovalsResponse), scopeOf(ctx)
	s.log.Approvals(func(a domains.Approved) bool {
		if a.Index >= token.index || !approvalMatches(&a, r) || !scope.Touches(a.Body.GetFrom(), a.Body.GetTo()) {
			return true
		}
		if len(answer.Approvals) == limit {
			token.index = answer.Approvals[limit-1].Index
			answer.NextPageToken = formatPageToken(token)
			return false
		}
		answer.Approvals = append(answer.Approvals, approvalOf(&a))
		return true
	})
	return answer, nil
}

// approvalMatches tells whether an approval satisfies a request.
func approvalMatches(a *domains.Approved, r *apiv1.ListApprovalsRequest) bool {
	b := a.Body
	switch at := r.GetValidAtNs(); {
	case r.GetSubject() != 0 && b.Subject != r.Subject,
		r.GetName() != "" && b.Name != r.Name,
		r.GetFrom() != "" && b.From != r.From,
		r.GetTo() != "" && b.To != r.To:
		return false
	case at == 0:
		return true
	default:
		return at >= b.NotBeforeNs && (b.NotAfterNs == 0 || at < b.NotAfterNs) && a.Revocation == 0
	}
}

// approvalOf converts an approval; nil stays nil.
func approvalOf(a *domains.Approved) *apiv1.ApprovalState {
	if a == nil {
		return nil
	}
	return &apiv1.ApprovalState{Index: a.Index, LogTimeNs: a.LogTimeNS, Approval: a.Body,
		Revocation: a.Revocation, RevokedNs: a.RevokedNS, Revoked: a.Revoked}
}

// judge says in a view why an access has its verdict. Entries from before the
// first map, and other kinds, have no judgement.
func (s *query) judge(view *apiv1.EntryView) error {
	if view.Place.GetKind() != daybookv1.Kind_KIND_ACCESS || view.Head.GetMapIndex() == 0 {
		return nil
	}
	e, err := verify.ParseEntry(view.Entry)
	if err != nil {
		return err
	}
	ev, err := verify.ParseEvent(e.Body)
	if err != nil {
		return err
	}
	j, err := s.log.Judgement(&e, &ev)
	if err != nil {
		return err
	}
	view.Judgement = judgementOf(j)
	return nil
}

func judgementOf(j ledger.Judgement) *apiv1.Judgement {
	return &apiv1.Judgement{Verdict: j.Verdict, Flow: j.Flow.GetId(), Approval: approvalOf(j.Approval), Later: approvalOf(j.Later)}
}
