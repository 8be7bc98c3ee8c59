package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// MapFault is one fault of a domain map's file.
type MapFault struct {
	// Line and Column, from 1; 0: the file as a whole.
	Line, Column int
	// Message says what is wrong.
	Message string
}

// MapFaultsError holds every fault of a domain map that was refused. Nothing of
// it was kept.
type MapFaultsError struct {
	// Faults in the order of the file; at least one.
	Faults []MapFault
}

func (e *MapFaultsError) Error() string {
	s := fmt.Sprintf("the domain map has %d faults, the first at line %d, column %d: %s",
		len(e.Faults), e.Faults[0].Line, e.Faults[0].Column, e.Faults[0].Message)
	if len(e.Faults) == 1 {
		return strings.Replace(s, "1 faults, the first", "a fault", 1)
	}
	return s
}

// Reason returns the stable reason that the server gave for a refusal, such as
// SELF_APPROVAL; empty where err is none of the server's.
func Reason(err error) string {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return ""
	}
	return details(st).reason
}

func (c *Client) governance() apiv1.GovernanceServiceClient {
	return apiv1.NewGovernanceServiceClient(c.query)
}

// governanceError gives an error of a person's act its words and, where the
// map's file is at fault, its type.
func governanceError(doing string, err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for _, detail := range st.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok || len(bad.FieldViolations) == 0 || details(st).reason != "MAP_FAULTS" {
			continue
		}
		faults := make([]MapFault, len(bad.FieldViolations))
		for i, v := range bad.FieldViolations {
			faults[i] = mapFaultOf(v)
		}
		return fmt.Errorf("%s: %w", doing, &MapFaultsError{faults})
	}
	return fmt.Errorf("%s: %w", doing, said(st))
}

// mapFaultOf reads a violation whose field is `yaml:LINE:COLUMN`.
func mapFaultOf(v *errdetails.BadRequest_FieldViolation) MapFault {
	f := MapFault{Message: v.Description}
	parts := strings.Split(v.Field, ":")
	if len(parts) == 3 {
		f.Line, _ = strconv.Atoi(parts[1])
		f.Column, _ = strconv.Atoi(parts[2])
	}
	return f
}

// ProposeMap proposes a version of the domain map, the text of its YAML file,
// under the client's identity. It returns once the parts are in the log and
// proven to be, and says who must approve. A *MapFaultsError says what is wrong
// with the file.
func (c *Client) ProposeMap(ctx context.Context, yaml []byte) (*DomainMap, error) {
	a, err := c.governance().ProposeDomainMap(ctx, &apiv1.ProposeDomainMapRequest{Yaml: yaml})
	if err != nil {
		return nil, governanceError("proposing a domain map", err)
	}
	p := a.GetProposal()
	m := &DomainMap{Proposal: p}
	if err := c.proveMap(ctx, m, p.GetSha256(), p.GetFirstPart(), p.GetParts(), nil); err != nil {
		return nil, fmt.Errorf("the proposal is not proven: %w", err)
	}
	if string(m.Document.Yaml) != string(yaml) {
		return nil, errors.New("the proposal is not proven: the log holds another file")
	}
	return m, nil
}

// DomainMaps returns the versions that came into force and the proposals, newest
// first, without proof.
func (c *Client) DomainMaps(ctx context.Context) (*apiv1.ListDomainMapsResponse, error) {
	a, err := c.governance().ListDomainMaps(ctx, &apiv1.ListDomainMapsRequest{})
	if err != nil {
		return nil, governanceError("listing domain maps", err)
	}
	return a, nil
}

// Approved is an approval or a revocation, proven to be in the log.
type Approved struct {
	// State is the approval and what became of it.
	State *apiv1.ApprovalState
	// InForce is the version of the domain map that it brought into force; nil:
	// none.
	InForce *apiv1.MapVersion
	// Entry is the proven entry: of the approval, or of its revocation.
	Entry *Entry
}

// Approve approves an actor, a flow or an act under the client's identity: approver
// and authentication are the ledger's to fill in, and an empty id is. It returns
// once the approval is in the log and proven to be.
func (c *Client) Approve(ctx context.Context, approval *daybookv1.Approval) (*Approved, error) {
	a, err := c.governance().CreateApproval(ctx, &apiv1.CreateApprovalRequest{Approval: approval})
	if err != nil {
		return nil, governanceError("approving", err)
	}
	out := &Approved{State: a.GetApproval(), InForce: a.GetInForce()}
	if out.Entry, err = c.provenBody(ctx, out.State.GetIndex(), daybookv1.Kind_KIND_APPROVAL, out.State.GetApproval()); err != nil {
		return nil, fmt.Errorf("the approval is not proven: %w", err)
	}
	got := proto.CloneOf(out.State.GetApproval())
	got.Approver, got.Authentication = approval.Approver, approval.Authentication
	if approval.Id == "" {
		got.Id = ""
	}
	if err := c.unresolve(ctx, out.Entry.Index, got, approval); err != nil {
		return nil, fmt.Errorf("the approval is not proven: %w", err)
	}
	if !covers(got, approval) {
		return nil, fmt.Errorf("the approval is not proven: entry %d says something else than what was approved", out.Entry.Index)
	}
	return out, nil
}

// unresolve puts the names of domains as they were asked for into got, where the
// map in force for the entry at an index resolves them to what it says.
func (c *Client) unresolve(ctx context.Context, index uint64, got, asked *daybookv1.Approval) error {
	if (asked.From == "" || asked.From == got.From) && (asked.To == "" || asked.To == got.To) {
		return nil
	}
	resolve := func(name string) string { return verify.CanonicalDomain([]byte(name)) }
	m, err := c.DomainMapAt(ctx, index)
	var none *NoMapError
	switch {
	case err == nil:
		resolve = m.resolve
	case !errors.As(err, &none):
		return err
	}
	if asked.From != "" && resolve(asked.From) == got.From {
		got.From = asked.From
	}
	if asked.To != "" && resolve(asked.To) == got.To {
		got.To = asked.To
	}
	return nil
}

// covers tells whether got says what was asked; the ledger may have filled in
// what was left empty.
func covers(got, asked *daybookv1.Approval) bool {
	filled := proto.CloneOf(got)
	proto.Merge(filled, asked)
	return proto.Equal(filled, got)
}

// Revoke ends an approval, named by its index or its id, under the client's
// identity. It returns once the revocation is in the log and proven to be.
func (c *Client) Revoke(ctx context.Context, approval, reason, ticket string) (*Approved, error) {
	a, err := c.governance().RevokeApproval(ctx, &apiv1.RevokeApprovalRequest{Approval: approval, Reason: reason, Ticket: ticket})
	if err != nil {
		return nil, governanceError("revoking "+approval, err)
	}
	out := &Approved{State: a.GetApproval()}
	revocation := out.State.GetRevocation()
	if revocation == 0 {
		return nil, errors.New("the revocation is not proven: the answer names no entry")
	}
	if out.Entry, err = c.provenBody(ctx, revocation-1, daybookv1.Kind_KIND_REVOCATION, out.State.GetRevoked()); err != nil {
		return nil, fmt.Errorf("the revocation is not proven: %w", err)
	}
	if got := out.State.GetRevoked(); got.GetApproval() != out.State.GetIndex()+1 || got.GetReason() != reason || got.GetTicket() != ticket {
		return nil, fmt.Errorf("the revocation is not proven: entry %d says something else than what was revoked", out.Entry.Index)
	}
	return out, nil
}

// provenBody fetches an entry with its proof and compares its body.
func (c *Client) provenBody(ctx context.Context, index uint64, kind daybookv1.Kind, body proto.Message) (*Entry, error) {
	e, err := c.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	return e, sameBody(e.Bytes, kind, body)
}

// sameBody checks that an entry has a kind and a body.
func sameBody(entry []byte, kind daybookv1.Kind, body proto.Message) error {
	e, err := verify.ParseEntry(entry)
	if err != nil {
		return err
	}
	if e.Place.Kind != kind {
		return fmt.Errorf("entry %d is of %v", e.Place.Index, e.Place.Kind)
	}
	got := body.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(e.Body, got); err != nil {
		return err
	}
	if !proto.Equal(got, body) {
		return fmt.Errorf("entry %d says something else than the server's answer", e.Place.Index)
	}
	return nil
}

// Approvals calls visit with the approvals that match, newest first, until it
// says false or limit were seen (0: no limit). Lists carry no proofs.
func (c *Client) Approvals(ctx context.Context, filter *apiv1.ListApprovalsRequest, limit int, visit func(*apiv1.ApprovalState) bool) error {
	for seen := 0; ; {
		if limit > 0 {
			filter.PageSize = uint32(min(limit-seen, 1000))
		}
		page, err := c.governance().ListApprovals(ctx, filter)
		if err != nil {
			return governanceError("listing approvals", err)
		}
		for _, a := range page.Approvals {
			if seen++; !visit(a) || seen == limit {
				return nil
			}
		}
		if filter.PageToken = page.NextPageToken; filter.PageToken == "" {
			return nil
		}
	}
}
