package client_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// liarPeople is the service for people of a liar. Guarded by its mu.
type liarPeople struct {
	apiv1.UnimplementedGovernanceServiceServer
	*liar
	bendMap      func(*apiv1.GetDomainMapResponse)
	bendApproval func(*apiv1.ApprovalState)
	refuse       error
	version      *apiv1.MapVersion
	last         *apiv1.ApprovalState
}

func canonical(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// own appends an entry of the ledger's own and returns its index.
func (p *liarPeople) own(kind daybookv1.Kind, body []byte) uint64 {
	index := uint64(len(p.log.entries))
	h := verify.BatchHead{Producer: p.log.origin, Run: verify.Hash{1}, Epoch: 1, Provenance: 1}
	if p.version != nil {
		h.MapIndex = p.version.Index
	}
	p.log.add(p.log.head(h), kind, index, body)
	return index
}

// enforce puts a map of two parts into the log and into force.
func (p *liarPeople) enforce(yaml string) {
	document := canonical(&daybookv1.MapDocument{Format: 1, Yaml: []byte(yaml), Author: "spiffe://example.com/dev", Firm: "Example", Approver: "cco"})
	sum := sha256.Sum256(document)
	first := p.own(daybookv1.Kind_KIND_PART, canonical(&daybookv1.Part{Sha256: sum[:], Part: 1, Parts: 2, Data: document[:9]}))
	p.own(daybookv1.Kind_KIND_PART, canonical(&daybookv1.Part{Sha256: sum[:], Part: 2, Parts: 2, Data: document[9:]}))
	m := &daybookv1.DomainMap{Sha256: sum[:], FirstPart: first + 1, Parts: 2, Author: "spiffe://example.com/dev"}
	if p.version != nil {
		m.Previous = p.version.Index + 1
	}
	index := p.own(daybookv1.Kind_KIND_DOMAIN_MAP, canonical(m))
	p.version = &apiv1.MapVersion{Index: index, Map: m}
}

// GetDomainMap implements GovernanceService.
func (p *liarPeople) GetDomainMap(context.Context, *apiv1.GetDomainMapRequest) (*apiv1.GetDomainMapResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return nil, p.refuse
	}
	a := &apiv1.GetDomainMapResponse{Version: proto.CloneOf(p.version)}
	if p.bendMap != nil {
		p.bendMap(a)
	}
	return a, nil
}

// CreateApproval implements GovernanceService.
func (p *liarPeople) CreateApproval(_ context.Context, r *apiv1.CreateApprovalRequest) (*apiv1.CreateApprovalResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return nil, p.refuse
	}
	m := proto.CloneOf(r.Approval)
	m.Approver, m.Authentication, m.Id = producerID, "certificate", "made"
	p.last = &apiv1.ApprovalState{Index: p.own(daybookv1.Kind_KIND_APPROVAL, canonical(m)), Approval: m}
	a := proto.CloneOf(p.last)
	if p.bendApproval != nil {
		p.bendApproval(a)
	}
	return &apiv1.CreateApprovalResponse{Approval: a}, nil
}

// RevokeApproval implements GovernanceService.
func (p *liarPeople) RevokeApproval(_ context.Context, r *apiv1.RevokeApprovalRequest) (*apiv1.RevokeApprovalResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := proto.CloneOf(p.last)
	a.Revoked = &daybookv1.Revocation{Approval: a.Index + 1, Reason: r.Reason, Ticket: r.Ticket, Revoker: producerID}
	a.Revocation = p.own(daybookv1.Kind_KIND_REVOCATION, canonical(a.Revoked)) + 1
	if p.bendApproval != nil {
		p.bendApproval(a)
	}
	return &apiv1.RevokeApprovalResponse{Approval: a}, nil
}

func newLiarPeople(t *testing.T) *liarPeople {
	t.Helper()
	l := newLiar(t)
	l.grow(t, 3)
	l.set(func(l *liar) { l.people.enforce("firm: Example") })
	return l.people
}

func TestDomainMapIsProven(t *testing.T) {
	p := newLiarPeople(t)
	c := p.dial(t, nil)
	m, err := c.DomainMap(t.Context()) // its entry is the newest
	must(t, err)
	if string(m.Document.Yaml) != "firm: Example" || m.HasEntry || m.Size != m.Version.Index+1 {
		t.Errorf("the map is %+v", m)
	}
	var judged uint64
	p.set(func(*liar) { judged = p.own(daybookv1.Kind_KIND_ACTIVITY, activity()) })
	m, err = c.DomainMap(t.Context())
	must(t, err)
	if !m.HasEntry || m.ForEntry != judged {
		t.Errorf("the map in force is proven for %+v", m)
	}
	m, err = c.DomainMapAt(t.Context(), judged)
	must(t, err)
	if m.ForEntry != judged || m.Version.Index != judged-1 {
		t.Errorf("the map at %d is %+v", judged, m)
	}
	sum := sha256.Sum256(m.Bytes)
	_, err = c.DomainMapBySum(t.Context(), sum)
	must(t, err)
	if _, err := c.DomainMapAt(t.Context(), 1); err == nil {
		t.Error("an entry from before the map was proven to be judged by it")
	}
	if _, err := c.DomainMapBySum(t.Context(), verify.Hash{1}); err == nil {
		t.Error("another document was returned")
	}
}

// TestNoMapIsProven: that no map was in force is what the entry says, not what the
// server says.
func TestNoMapIsProven(t *testing.T) {
	p := newLiarPeople(t)
	var judged uint64
	p.set(func(*liar) { judged = p.own(daybookv1.Kind_KIND_ACTIVITY, activity()) })
	c := p.dial(t, nil)
	p.set(func(*liar) { p.refuse = refusal(codes.NotFound, "NO_MAP") })
	var none *client.NoMapError
	if _, err := c.DomainMapAt(t.Context(), 1); !errors.As(err, &none) || none.Entry != 1 || none.Size != judged+1 {
		t.Errorf("the map for entry 1: %v", err)
	}
	if _, err := c.DomainMapAt(t.Context(), judged); err == nil || errors.As(err, &none) {
		t.Errorf("that no map was in force for an entry which names one: %v", err)
	}
}

func activity() []byte {
	return canonical(&daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_ADMIN, Actor: "a", Count: 1})
}

// TestLiesAboutMaps: no answer that the log does not hold is returned.
func TestLiesAboutMaps(t *testing.T) {
	p := newLiarPeople(t)
	var other *apiv1.MapVersion
	p.set(func(*liar) {
		other = p.version
		p.enforce("firm: Other")
		p.own(daybookv1.Kind_KIND_ACTIVITY, activity())
	})
	c := p.dial(t, nil)
	for name, lie := range map[string]func(*apiv1.GetDomainMapResponse){
		"nothing":        func(a *apiv1.GetDomainMapResponse) { a.Version = nil },
		"an old version": func(a *apiv1.GetDomainMapResponse) { a.Version = other },
		"another sum":    func(a *apiv1.GetDomainMapResponse) { a.Version.Map.Sha256[0] ^= 1 },
		"another author": func(a *apiv1.GetDomainMapResponse) { a.Version.Map.Author = "me" },
		"another entry":  func(a *apiv1.GetDomainMapResponse) { a.Version.Index++ },
		"one part":       func(a *apiv1.GetDomainMapResponse) { a.Version.Map.Parts = 1 },
		"no part":        func(a *apiv1.GetDomainMapResponse) { a.Version.Map.Parts = 0 },
		"many parts":     func(a *apiv1.GetDomainMapResponse) { a.Version.Map.Parts = 1 << 31 },
		"other parts":    func(a *apiv1.GetDomainMapResponse) { a.Version.Map.FirstPart = other.Map.FirstPart },
		"no first part":  func(a *apiv1.GetDomainMapResponse) { a.Version.Map.FirstPart = 0 },
		"no map":         func(a *apiv1.GetDomainMapResponse) { a.Version.Map = nil },
	} {
		p.set(func(*liar) { p.bendMap = lie })
		if m, err := c.DomainMap(t.Context()); err == nil {
			t.Errorf("%s: %+v was returned", name, m)
		}
	}
	p.set(func(*liar) { p.bendMap = nil })
	_, err := c.DomainMap(t.Context())
	must(t, err)
}

// TestApprovalsAreProven: what was approved and revoked is in the log as said.
func TestApprovalsAreProven(t *testing.T) {
	p := newLiarPeople(t)
	c := p.dial(t, nil)
	asked := &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: "alice", From: "web", To: "db", NotAfterNs: 9}
	a, err := c.Approve(t.Context(), asked)
	must(t, err)
	if a.State.Approval.Id != "made" || a.Entry.Index != a.State.Index {
		t.Errorf("approved %+v", a)
	}
	r, err := c.Revoke(t.Context(), "made", "done", "T-1")
	must(t, err)
	if r.Entry.Index != r.State.Revocation-1 {
		t.Errorf("revoked %+v", r)
	}
	for name, lie := range map[string]func(*apiv1.ApprovalState){
		"another entry":    func(a *apiv1.ApprovalState) { a.Index = 1 },
		"no entry":         func(a *apiv1.ApprovalState) { a.Index, a.Revocation = 1<<40, 0 },
		"other words":      func(a *apiv1.ApprovalState) { a.Approval.Ticket = "T-2" },
		"nothing approved": func(a *apiv1.ApprovalState) { a.Approval = nil },
	} {
		p.set(func(*liar) { p.bendApproval = lie })
		if a, err := c.Approve(t.Context(), asked); err == nil {
			t.Errorf("%s: %+v was returned", name, a)
		}
	}
	p.set(func(*liar) { p.bendApproval = func(a *apiv1.ApprovalState) { a.Index-- } })
	if a, err := c.Revoke(t.Context(), "made", "done", ""); err == nil {
		t.Errorf("a revocation of another approval: %+v was returned", a)
	}
}

// TestRefusalsOfPeople gives the server's reasons and faults.
func TestRefusalsOfPeople(t *testing.T) {
	p := newLiarPeople(t)
	c := p.dial(t, nil)
	p.set(func(*liar) { p.refuse = refusal(codes.NotFound, "NO_MAP") })
	if _, err := c.DomainMap(t.Context()); client.Reason(err) != "NO_MAP" {
		t.Errorf("reason %q of %v", client.Reason(err), err)
	}
	p.set(func(*liar) {
		p.refuse = refusal(codes.InvalidArgument, "MAP_FAULTS", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "yaml:12:5", Description: "domains[web]: missing"}, {Field: "yaml:99:x", Description: "more"}}})
	})
	_, err := c.Approve(t.Context(), &daybookv1.Approval{})
	var faults *client.MapFaultsError
	if !errors.As(err, &faults) || len(faults.Faults) != 2 || faults.Faults[0] != (client.MapFault{Line: 12, Column: 5, Message: "domains[web]: missing"}) {
		t.Errorf("faults of %v", err)
	}
	if client.Reason(errors.New("x")) != "" || client.Reason(nil) != "" {
		t.Error("a reason where there is none")
	}
}
