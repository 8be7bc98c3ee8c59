package domains_test

import (
	"fmt"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const (
	allowed, denied = daybookv1.Decision_DECISION_ALLOWED, daybookv1.Decision_DECISION_DENIED
	success         = daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS
	refused         = daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED
)

// TestRulesVersion1 is golden: a released rules version never changes.
func TestRulesVersion1(t *testing.T) {
	for _, c := range []struct {
		source, target string
		decision       daybookv1.Decision
		outcome        daybookv1.OutcomeResult
		want           daybookv1.Verdict
	}{
		{"web", "web", allowed, success, daybookv1.Verdict_VERDICT_INTERNAL},
		{"web", "web", denied, refused, daybookv1.Verdict_VERDICT_INTERNAL},
		{"web", "db", denied, success, daybookv1.Verdict_VERDICT_DENIED},
		{"web", "db", allowed, refused, daybookv1.Verdict_VERDICT_DENIED},
		{"web", "db", allowed, success, daybookv1.Verdict_VERDICT_UNDECLARED},
		{"web", "db", daybookv1.Decision_DECISION_UNKNOWN, daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN, daybookv1.Verdict_VERDICT_UNDECLARED},
		{"?overflow", "?overflow", allowed, success, daybookv1.Verdict_VERDICT_INTERNAL},
	} {
		for rules, v := range map[uint32]*domains.Version{1: nil, 2: nil} {
			a := domains.Access{Index: 9, Source: c.source, Target: c.target, Event: &verify.EventFields{Decision: c.decision, Outcome: c.outcome}}
			if got, _ := new(domains.Judge).Evaluate(rules, v, &a); got != c.want {
				t.Errorf("rules %d: %s -> %s, %v, %v: %v, want %v", rules, c.source, c.target, c.decision, c.outcome, got, c.want)
			}
		}
	}
	a := domains.Access{Source: "a", Target: "b", Event: &verify.EventFields{}}
	for _, rules := range []uint32{0, domains.RulesVersion + 1} {
		if got, _ := new(domains.Judge).Evaluate(rules, nil, &a); got != daybookv1.Verdict_VERDICT_UNSPECIFIED {
			t.Errorf("rules version %d gave %v", rules, got)
		}
	}
}

// sampleDocument is a map of five domains.
func sampleDocument() *daybookv1.MapDocument {
	domain := func(id string, tier daybookv1.Tier) *daybookv1.Domain {
		return &daybookv1.Domain{Id: id, Aliases: []string{"The-" + id}, Dns: []string{id + ".example.com"}, Function: "f-" + id, Tier: tier,
			Risk: daybookv1.Risk_RISK_HIGH, Owner: "Owner of " + id}
	}
	prod, test := daybookv1.Tier_TIER_PRODUCTION, daybookv1.Tier_TIER_TEST
	flow := func(id, from, to string, actions ...string) *daybookv1.Flow {
		return &daybookv1.Flow{Id: id, From: from, To: to, Actions: actions, Purpose: "p", Approver: "cco", Mode: daybookv1.FlowMode_FLOW_MODE_ENFORCE}
	}
	expired := flow("a-expired", "web", "db", "delete")
	expired.NotAfterNs = 1000
	future := flow("b-future", "web", "db", "configure")
	future.NotBeforeNs = 1 << 40
	needs := flow("d-needs", "desk", "db", "any")
	needs.NeedsApproval = true
	proof := flow("e-proof", "web", "desk", "any")
	proof.LeastProof = daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN
	return &daybookv1.MapDocument{Format: 1, Yaml: []byte("x"), Author: "spiffe://people/author", Firm: "Firm", Approver: "cco",
		Domains: []*daybookv1.Domain{domain("db", prod), domain("desk", prod), domain("stage", daybookv1.Tier_TIER_STAGING), domain("test", test), domain("web", prod)},
		Flows:   []*daybookv1.Flow{expired, future, flow("c-read", "web", "db", "read", "op:GET /q*", "op:PING"), needs, proof, flow("f-test", "test", "db", "any")},
		People: []*daybookv1.Person{{Id: "alice", Identities: []string{"oidc#alice", "spiffe://people/alice"}},
			{Id: "cco", Identities: []string{"spiffe://people/cco"}}}}
}

func compile(t testing.TB, m *daybookv1.MapDocument) *domains.Version {
	t.Helper()
	c, err := domains.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return &domains.Version{Map: c, Index: 10, LogTimeNS: 500}
}

// approval is one of an actor from desk to db.
func approval(index uint64, change func(*daybookv1.Approval)) *daybookv1.Approval {
	m := &daybookv1.Approval{Id: fmt.Sprintf("a-%d", index), Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, From: "desk", To: "db",
		NotBeforeNs: 1000, NotAfterNs: 9000, Approver: "spiffe://people/cco"}
	change(m)
	return m
}

// approve gives the judge an approval.
func approve(t testing.TB, j *domains.Judge, index uint64, logged int64, change func(*daybookv1.Approval)) {
	t.Helper()
	apply(t, j, index, logged, daybookv1.Kind_KIND_APPROVAL, approval(index, change))
}

// TestRulesVersion2 is golden: a released rules version never changes.
func TestRulesVersion2(t *testing.T) {
	for _, force := range []bool{false, true} {
		testRulesVersion2(t, force)
	}
}

// testRulesVersion2 judges by the map, which is that in force or one of the past.
func testRulesVersion2(t *testing.T, force bool) {
	v := compile(t, sampleDocument())
	j := new(domains.Judge)
	if force {
		j.Restore(v)
	}
	for _, e := range goldenEntries() {
		apply(t, j, e.index, e.logged, e.kind, e.message)
	}
	base := goldenBase()
	for _, c := range goldenCases() {
		ev := base
		if c.change != nil {
			c.change(&ev)
		}
		if c.index == 0 {
			c.index = 100
		}
		got, grounds := j.Evaluate(2, v, &domains.Access{Index: c.index, Source: c.source, Target: c.target, Late: c.late, Event: &ev})
		if got != c.want || grounds.Flow.GetId() != c.flow {
			t.Errorf("%s: %v by flow %q, want %v by %q", c.name, got, grounds.Flow.GetId(), c.want, c.flow)
		}
		again, same := j.Reevaluate(2, v, &domains.Access{Index: c.index, Source: c.source, Target: c.target, Late: c.late, Event: &ev})
		if again != got || same.Flow != grounds.Flow || (same.Approval == nil) != (grounds.Approval == nil) {
			t.Errorf("%s: judged again: %v", c.name, again)
		}
	}
}

func grant(actor, id string) func(*verify.EventFields) {
	return func(e *verify.EventFields) { e.ActorID, e.GrantID = []byte(actor), []byte(id) }
}

func purpose(actor, id, purpose string) func(*verify.EventFields) {
	return func(e *verify.EventFields) {
		grant(actor, id)(e)
		e.Purpose = []byte(purpose)
	}
}

func at(ns int64, change func(*verify.EventFields)) func(*verify.EventFields) {
	return func(e *verify.EventFields) {
		change(e)
		e.OccurredAtNS = ns
	}
}

// TestLater finds the approval that came too late to count.
func TestLater(t *testing.T) {
	v := compile(t, sampleDocument())
	j := new(domains.Judge)
	ev := verify.EventFields{OccurredAtNS: 5000, Decision: allowed, Outcome: success, ActionClass: 2, ActorID: []byte("bob")}
	a := domains.Access{Index: 20, Source: "desk", Target: "db", Event: &ev}
	_, grounds := j.Evaluate(2, v, &a)
	if l := j.Later(v, grounds.Flow, &a); l != nil {
		t.Errorf("later approval %+v of none", l)
	}
	approve(t, j, 30, 6000, func(m *daybookv1.Approval) { m.Name = "other" })
	approve(t, j, 31, 6000, func(m *daybookv1.Approval) { m.Name = "bob" })
	approve(t, j, 32, 6000, func(m *daybookv1.Approval) { m.Name = "bob" })
	if l := j.Later(v, grounds.Flow, &a); l == nil || l.Index != 31 {
		t.Errorf("later approval %+v, want entry 31", l)
	}
}

// BenchmarkEvaluate judges accesses by 1,000 domains, 10,000 flows and 10,000
// approvals, every other one by a flow that needs an approval; each access is on
// another flow than the one before.
func BenchmarkEvaluate(b *testing.B) {
	m := &daybookv1.MapDocument{Format: 1, People: []*daybookv1.Person{{Id: "cco"}}, Approver: "cco"}
	for i := range 1000 {
		m.Domains = append(m.Domains, &daybookv1.Domain{Id: fmt.Sprintf("domain-%04d", i), Tier: daybookv1.Tier_TIER_PRODUCTION})
	}
	for i := range 10000 {
		m.Flows = append(m.Flows, &daybookv1.Flow{Id: fmt.Sprintf("flow-%05d", i), From: m.Domains[i%1000].Id, To: m.Domains[(i+1+i/1000)%1000].Id,
			Actions: []string{"read", "op:GET /accounts*"}, Approver: "cco", NeedsApproval: i%2 == 0})
	}
	v := compile(b, m)
	j := new(domains.Judge)
	j.Restore(v)
	for i := range 10000 {
		f := m.Flows[i]
		approve(b, j, uint64(i+20), 2000, func(a *daybookv1.Approval) { a.From, a.To, a.Name = f.From, f.To, fmt.Sprintf("actor-%d", i) })
	}
	events := make([]verify.EventFields, 10000)
	accesses := make([]domains.Access, len(events))
	for i := range events {
		events[i] = verify.EventFields{OccurredAtNS: 5000, Decision: allowed, Outcome: success, ActionClass: 2, ActorID: fmt.Appendf(nil, "actor-%d", i),
			SourceDomain: []byte(m.Flows[i].From), TargetDomain: []byte(m.Flows[i].To)}
		accesses[i] = domains.Access{Index: 1 << 40, Event: &events[i]}
	}
	resolve := func(a *domains.Access) {
		a.Source, _ = v.Resolve(a.Event.SourceDomain)
		a.Target, _ = v.Resolve(a.Event.TargetDomain)
	}
	b.Run("resolve", func(b *testing.B) {
		for i := range b.N {
			resolve(&accesses[i*7919%len(accesses)])
		}
	})
	for i := range accesses {
		resolve(&accesses[i])
	}
	b.Run("judge", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if got, _ := j.Evaluate(2, v, &accesses[i*7919%len(accesses)]); got != daybookv1.Verdict_VERDICT_AUTHORIZED {
				b.Fatal(got)
			}
		}
	})
}
