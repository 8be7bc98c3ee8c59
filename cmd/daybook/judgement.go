package main

import (
	"fmt"
	"strings"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// judgementText says in lines why an access has its verdict, and what came later;
// empty where nothing is known.
func judgementText(v *apiv1.EntryView) string {
	j := v.GetJudgement()
	if j == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "verdict     %s\n", word(j.Verdict.String(), "VERDICT_"))
	if j.Flow != "" {
		fmt.Fprintf(&b, "flow        %s\n", j.Flow)
	}
	if a := j.Approval; a != nil {
		fmt.Fprintf(&b, "approval    %s\n", approvedText(a, v))
	}
	if a := j.Later; a != nil {
		fmt.Fprintf(&b, "later       %s; it does not change the verdict\n", approvedText(a, v))
	}
	return b.String()
}

// approvedText says who approved an access, when and under which ticket, and
// whether before the access or after.
func approvedText(a *apiv1.ApprovalState, v *apiv1.EntryView) string {
	text := fmt.Sprintf("entry %d by %s at %s", a.Index, printable(a.GetApproval().GetApprover()), timeText(a.LogTimeNs))
	if t := a.GetApproval().GetTicket(); t != "" {
		text += ", ticket " + printable(t)
	}
	text += ", " + beforeOrAfter(a, v)
	if a.Revocation != 0 {
		text += fmt.Sprintf("; revoked at %s by entry %d", timeText(a.RevokedNs), a.Revocation-1)
	}
	return text
}

// beforeOrAfter compares an approval's log time with that of the access.
func beforeOrAfter(a *apiv1.ApprovalState, v *apiv1.EntryView) string {
	if a.LogTimeNs <= v.GetEvent().GetOccurredAtNs() {
		return "before the access"
	}
	return "after the access"
}

// approvalCell is approvedText for a table.
func approvalCell(v *apiv1.EntryView) string {
	j := v.GetJudgement()
	a := j.GetApproval()
	if a == nil {
		a = j.GetLater()
	}
	if a == nil {
		return ""
	}
	text := shorten(a.GetApproval().GetApprover(), 40)
	if t := a.GetApproval().GetTicket(); t != "" {
		text += ", " + printable(t)
	}
	return text + ", " + beforeOrAfter(a, v)
}

// judged tells whether any of the entries says why it has its verdict.
func judged(views []*apiv1.EntryView) bool {
	for _, v := range views {
		if v.GetJudgement() != nil {
			return true
		}
	}
	return false
}
