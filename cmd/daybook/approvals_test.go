package main

import (
	"strings"
	"testing"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// TestNamesSteerNoTerminal: what people and producers chose is shown without what
// would move a cursor, set a title or turn the direction of text.
func TestNamesSteerNoTerminal(t *testing.T) {
	const bad = "a\x1b]0;x\a\u202e\nb"
	state := &apiv1.ApprovalState{Revocation: 9, Revoked: &daybookv1.Revocation{Revoker: bad, Reason: bad},
		Approval: &daybookv1.Approval{Id: bad, Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: bad, Purpose: bad, Ticket: bad, Approver: bad, Requester: bad}}
	view := &apiv1.EntryView{Head: new(daybookv1.BatchHead), Place: new(daybookv1.EntryHead),
		Body: &apiv1.EntryView_Event{Event: &daybookv1.Event{Actor: &daybookv1.Actor{Id: bad}, Action: &daybookv1.Action{Operation: bad}}}, Judgement: &apiv1.Judgement{Approval: state, Later: state}}
	var out strings.Builder
	if err := printApprovals(&out, []*apiv1.ApprovalState{state}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := printTable(&out, []*apiv1.EntryView{view}, 1); err != nil {
		t.Fatal(err)
	}
	out.WriteString(approvalText(state) + judgementText(view))
	if text := out.String(); strings.ContainsAny(text, "\x1b\a\u202e") || strings.Contains(text, "\nb") || strings.Count(text, "a?]0;x???b") < 12 {
		t.Errorf("printed %q", text)
	}
}
