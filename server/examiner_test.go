package server_test

import (
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
)

func TestAnExaminerReadsWhileAnApprovalStands(t *testing.T) {
	const examiner, cco, head = "spiffe://sec.example/eve", "spiffe://people.example/cco", "spiffe://people.example/head"
	w := newWorldOn(t, world{options: recorded().options, config: func(c *config.Config) {
		c.People.Grants = []access.Grant{{SPIFFE: examiner, Role: "examiner", Until: time.Now().Add(time.Hour), Requester: cco}}
	}})
	q := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, examiner, time.Now())))
	read := func() error {
		_, err := q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{})
		return err
	}
	approve := func(who string) string {
		a, _, err := w.log.Approve(t.Context(), ledger.Person{ID: who, Authentication: "mtls"}, &daybookv1.Approval{
			Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER, Name: examiner, Purpose: "examination 7", NotAfterNs: time.Now().Add(time.Hour).UnixNano()})
		if err != nil {
			t.Fatal(err)
		}
		return a.Body.GetId()
	}
	wantReason(t, read(), server.ReasonNotAllowed)
	approve(cco)
	if err := read(); reason(err) != server.ReasonNotAllowed || !contains(err.Error(), "asked for it") {
		t.Errorf("after the requester's own approval: %v", err)
	}
	id := approve(head)
	if err := read(); err != nil {
		t.Errorf("approved: %v", err)
	}
	if reads := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ); len(reads) != 1 || reads[0].GetApproval() == 0 {
		t.Errorf("the read does not name its approval: %v", reads)
	}
	if _, err := w.log.Revoke(t.Context(), ledger.Person{ID: cco, Authentication: "mtls"}, id, "over", ""); err != nil {
		t.Fatal(err)
	}
	wantReason(t, read(), server.ReasonNotAllowed)
}
