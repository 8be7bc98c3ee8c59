package domains_test

import (
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A goldenEntry is an entry that the golden cases' judgement follows from.
type goldenEntry struct {
	index   uint64
	logged  int64
	kind    daybookv1.Kind
	message proto.Message
}

// goldenEntries stand after the map, sampleDocument, came into force at log time
// 500 by entry 10.
func goldenEntries() []goldenEntry {
	return []goldenEntry{
		{20, 2000, daybookv1.Kind_KIND_APPROVAL, approval(20, func(m *daybookv1.Approval) { m.Name = "bob" })},
		{21, 2000, daybookv1.Kind_KIND_APPROVAL, approval(21, func(m *daybookv1.Approval) { m.Name = "alice" })}, // a person's id stands for her identities
		{22, 2000, daybookv1.Kind_KIND_APPROVAL, approval(22, func(m *daybookv1.Approval) { m.Name, m.Approver = "carol", "carol" })},
		{23, 2000, daybookv1.Kind_KIND_APPROVAL, approval(23, func(m *daybookv1.Approval) { m.Name, m.Purpose = "dave", "migration" })},
		{24, 2000, daybookv1.Kind_KIND_APPROVAL, approval(24, func(m *daybookv1.Approval) { m.Name = "erin" })},
		{25, 3000, daybookv1.Kind_KIND_REVOCATION, &daybookv1.Revocation{Approval: 25, From: "desk", To: "db", Revoker: "x"}},
		{26, 2000, daybookv1.Kind_KIND_APPROVAL, approval(26, func(m *daybookv1.Approval) {
			m.Subject, m.Name, m.Id = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW, "d-needs", "grant-of-the-flow"
		})},
	}
}

// goldenBase is the access of the golden cases, before a case changes it.
func goldenBase() verify.EventFields {
	return verify.EventFields{OccurredAtNS: 5000, Decision: allowed, Outcome: success, ActionClass: daybookv1.ActionClass_ACTION_CLASS_READ,
		ActorID: []byte("zoe"), GrantID: []byte("none")}
}

// A goldenCase is an access and its verdict.
type goldenCase struct {
	name           string
	source, target string
	index          uint64
	late           bool
	change         func(*verify.EventFields)
	want           daybookv1.Verdict
	flow           string
}

// goldenCases never change: rules version 2 is released.
func goldenCases() []goldenCase {
	return []goldenCase{
		{name: "internal", source: "db", target: "db", want: daybookv1.Verdict_VERDICT_INTERNAL},
		{name: "unmapped is no domain", source: domains.Unmapped, target: domains.Unmapped, want: daybookv1.Verdict_VERDICT_UNMAPPED},
		{name: "unknown is no domain", source: "unknown", target: "unknown", want: daybookv1.Verdict_VERDICT_UNMAPPED},
		{name: "denied", source: "web", target: "db", change: func(e *verify.EventFields) { e.Decision = denied }, want: daybookv1.Verdict_VERDICT_DENIED},
		{name: "denied before unmapped", source: domains.Unmapped, target: "db", change: func(e *verify.EventFields) { e.Outcome = refused }, want: daybookv1.Verdict_VERDICT_DENIED},
		{name: "unmapped source", source: domains.Unmapped, target: "db", want: daybookv1.Verdict_VERDICT_UNMAPPED},
		{name: "unmapped target", source: "web", target: domains.Unmapped, want: daybookv1.Verdict_VERDICT_UNMAPPED},
		{name: "forbidden whatever a flow says", source: "test", target: "db", want: daybookv1.Verdict_VERDICT_FORBIDDEN},
		{name: "forbidden from staging", source: "stage", target: "web", want: daybookv1.Verdict_VERDICT_FORBIDDEN},
		{name: "production to test", source: "db", target: "test", want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "between lower tiers", source: "test", target: "stage", want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "no flow", source: "db", target: "web", want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "other action", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass = 3 }, want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "not yet valid", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass = 7 }, want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "expired", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass = 4 }, want: daybookv1.Verdict_VERDICT_EXPIRED, flow: "a-expired"},
		{name: "not expired then", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass, e.OccurredAtNS = 4, 999 }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "a-expired"},
		{name: "authorized", source: "web", target: "db", want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "c-read"},
		{name: "by operation", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass, e.Operation = 9, []byte("GET /q/1") }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "c-read"},
		{name: "by exact operation", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass, e.Operation = 9, []byte("PING") }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "c-read"},
		{name: "not a prefix", source: "web", target: "db", change: func(e *verify.EventFields) { e.ActionClass, e.Operation = 9, []byte("PING2") }, want: daybookv1.Verdict_VERDICT_UNDECLARED},
		{name: "late, map since", source: "web", target: "db", late: true, change: func(e *verify.EventFields) { e.OccurredAtNS = 499 }, want: daybookv1.Verdict_VERDICT_LATE_UNVERIFIED, flow: "c-read"},
		{name: "late, no map since", source: "web", target: "db", late: true, change: func(e *verify.EventFields) { e.OccurredAtNS = 500 }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "c-read"},
		{name: "proof not said", source: "web", target: "desk", want: daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE, flow: "e-proof"},
		{name: "weak proof", source: "web", target: "desk", change: func(e *verify.EventFields) { e.SourceProof = 3 }, want: daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE, flow: "e-proof"},
		{name: "least proof", source: "web", target: "desk", change: func(e *verify.EventFields) { e.SourceProof = 2 }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "e-proof"},
		{name: "strongest proof", source: "web", target: "desk", change: func(e *verify.EventFields) { e.SourceProof = 1 }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "e-proof"},
		{name: "not approved", source: "desk", target: "db", want: daybookv1.Verdict_VERDICT_NOT_APPROVED, flow: "d-needs"},
		{name: "approved by grant of the flow", source: "desk", target: "db", change: func(e *verify.EventFields) { e.GrantID = []byte("grant-of-the-flow") }, want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "approved flow before its entry only", source: "desk", target: "db", index: 26, change: func(e *verify.EventFields) { e.GrantID = []byte("grant-of-the-flow") }, want: daybookv1.Verdict_VERDICT_NOT_APPROVED, flow: "d-needs"},
		{name: "approved actor", source: "desk", target: "db", change: grant("bob", "a-20"), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "another's grant", source: "desk", target: "db", change: grant("zoe", "a-20"), want: daybookv1.Verdict_VERDICT_NOT_APPROVED, flow: "d-needs"},
		{name: "person by identity", source: "desk", target: "db", change: grant("oidc#alice", "a-21"), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "self approved", source: "desk", target: "db", change: grant("carol", "a-22"), want: daybookv1.Verdict_VERDICT_SELF_APPROVED, flow: "d-needs"},
		{name: "purpose", source: "desk", target: "db", change: purpose("dave", "a-23", "migration"), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "other purpose", source: "desk", target: "db", change: purpose("dave", "a-23", "curiosity"), want: daybookv1.Verdict_VERDICT_NOT_APPROVED, flow: "d-needs"},
		{name: "revoked", source: "desk", target: "db", change: grant("erin", "a-24"), want: daybookv1.Verdict_VERDICT_REVOKED, flow: "d-needs"},
		{name: "before the revocation", source: "desk", target: "db", change: at(2999, grant("erin", "a-24")), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "revocation came after the entry", source: "desk", target: "db", index: 25, change: grant("erin", "a-24"), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
		{name: "approved after", source: "desk", target: "db", change: at(1999, grant("bob", "a-20")), want: daybookv1.Verdict_VERDICT_APPROVED_AFTER, flow: "d-needs"},
		{name: "outside of the window", source: "desk", target: "db", change: at(9000, grant("bob", "a-20")), want: daybookv1.Verdict_VERDICT_NOT_APPROVED, flow: "d-needs"},
		{name: "last moment of the window", source: "desk", target: "db", change: at(8999, grant("bob", "a-20")), want: daybookv1.Verdict_VERDICT_AUTHORIZED, flow: "d-needs"},
	}
}
