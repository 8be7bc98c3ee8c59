package server_test

import (
	"crypto/x509"
	"testing"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
)

// TestADomainsProgramsDoNotApprove: before a map is in force whoever is trusted
// may propose and approve; then a program of a domain may not, unless a grant
// names it, and people may as before.
func TestADomainsProgramsDoNotApprove(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		c.Access.Ingest, c.Access.Query = identity.Allow{"*"}, identity.Allow{"*"}
	}})
	app, stranger := w.people(t, "spiffe://web/app"), w.people(t, "spiffe://people.example/sre")
	if _, err := app.CreateApproval(t.Context(), forAlice(nil)); reason(err) == server.ReasonNotAllowed {
		t.Errorf("without a map: %v", err)
	}
	w.enforce(t, firmMap(""))
	_, err := app.CreateApproval(t.Context(), forAlice(nil))
	if wantReason(t, err, server.ReasonNotAllowed); err == nil || !contains(err.Error(), "identity of domain web") {
		t.Errorf("the error does not say why: %v", err)
	}
	if _, err := app.RevokeApproval(t.Context(), &apiv1.RevokeApprovalRequest{Approval: "1", Reason: "x"}); reason(err) != server.ReasonNotAllowed {
		t.Errorf("revoking: %v", err)
	}
	if _, err := app.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{}); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if _, err := stranger.CreateApproval(t.Context(), forAlice(nil)); err != nil {
		t.Errorf("of no domain: %v", err)
	}
	if _, err := w.people(t, operator).CreateApproval(t.Context(), forAlice(nil)); err != nil {
		t.Errorf("one of the map's people: %v", err)
	}
}

// TestWhoIsAnApproverByNameIsOneAlone: `access.query` makes no approvers then, and
// a program that is granted it approves.
func TestWhoIsAnApproverByNameIsOneAlone(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		c.Access.Query = identity.Allow{"*"}
		for _, who := range []string{producer, operator, "spiffe://web/tickets"} {
			c.People.Grants = append(c.People.Grants, access.Grant{SPIFFE: who, Role: "approver"})
		}
	}})
	w.enforce(t, firmMap(""))
	if _, err := w.people(t, "spiffe://web/tickets").CreateApproval(t.Context(), forAlice(nil)); err != nil {
		t.Errorf("the ticket system: %v", err)
	}
	other := w.people(t, "spiffe://people.example/sre")
	_, err := other.CreateApproval(t.Context(), forAlice(nil))
	wantReason(t, err, server.ReasonNotAllowed)
	if _, err := other.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{}); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
}

// TestAConnectionDoesNotOutliveItsCA: the leaf says it is valid for longer.
func TestAConnectionDoesNotOutliveItsCA(t *testing.T) {
	w := newWorld(t)
	chain := []*x509.Certificate{w.tlsOf(t, w.ca, producer, time.Now()).Certificates[0].Leaf}
	peer, err := w.trusted.Check(chain, time.Now())
	if err != nil || !peer.Vouched.Equal(w.ca.Validity().NotAfter) {
		t.Errorf("vouched for until %v, %v; the CA ends at %v", peer.Vouched, err, w.ca.Validity().NotAfter)
	}
	c := server.NewConnection(w.trusted, chain)
	for _, step := range []struct {
		at time.Time
		ok bool
	}{{time.Now(), true}, {w.ca.Validity().NotAfter.Add(time.Second), false}} {
		if err := c(step.at); (err == nil) != step.ok {
			t.Errorf("at %v: %v", step.at, err)
		}
	}
}

// TestALimitedReaderLearnsNothingOfOthersApprovals, nor whether a map is there.
func TestALimitedReaderLearnsNothingOfOthersApprovals(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		c.Access.Query = identity.Allow{producer, operator}
		for who, domain := range map[string]string{"spiffe://people.example/db": "db", "spiffe://people.example/desk": "desk"} {
			c.People.Grants = append(c.People.Grants, access.Grant{SPIFFE: who, Role: "reader", Domains: []string{domain}})
		}
	}})
	none := make([]byte, 32)
	desk, db := w.people(t, "spiffe://people.example/desk"), w.people(t, "spiffe://people.example/db")
	_, before := desk.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{})
	v := w.enforce(t, firmMap(""))
	_, there := desk.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{Sha256: v.GetMap().GetSha256()})
	_, missing := desk.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{Sha256: none})
	if before == nil || there == nil || missing == nil || before.Error() != there.Error() || there.Error() != missing.Error() {
		t.Errorf("three errors tell maps apart:\n%v\n%v\n%v", before, there, missing)
	}
	for range 5 {
		if _, err := w.people(t, operator).CreateApproval(t.Context(), forAlice(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		c    apiv1.GovernanceServiceClient
		want int
	}{"desk": {desk, 0}, "db": {db, 5}, "everything": {w.people(t, operator), 6}} {
		got, token := 0, ""
		for {
			r, err := test.c.ListApprovals(t.Context(), &apiv1.ListApprovalsRequest{PageSize: 2, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			got += len(r.GetApprovals())
			if token = r.GetNextPageToken(); token == "" {
				break
			}
			if len(r.GetApprovals()) != 2 {
				t.Errorf("%s: a page of %d tells that there are others", name, len(r.GetApprovals()))
			}
		}
		if got != test.want {
			t.Errorf("%s sees %d approvals, want %d", name, got, test.want)
		}
	}
}
