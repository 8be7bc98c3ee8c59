package firm

import (
	"fmt"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// The hour in which the desk's producer is silent.
const (
	silentFrom  = 19 * time.Hour
	silentUntil = 20 * time.Hour
)

// usual adds what is as it should be.
func (m *maker) usual() {
	for minute := range 24 * 60 {
		at := time.Duration(minute)*time.Minute + time.Duration(m.random.IntN(20_000))*time.Millisecond
		customer := fmt.Sprintf("customer-%d@example.org", m.random.IntN(40))
		switch minute % 4 {
		case 0:
			m.report(report{at: at, producer: Web, side: bySource, from: "customer-web", to: "market-data", actor: customer,
				class: reads, operation: "GET /quotes", verdict: authorized})
		case 1:
			m.report(report{at: at, producer: Edge, side: byGateway, from: "www.firm.example", to: "prod-db", actor: customer,
				class: daybookv1.ActionClass_ACTION_CLASS_OTHER, operation: "POST /orders/new", verdict: authorized})
		case 2:
			m.order(at)
		case 3:
			m.report(report{at: at, producer: Desk, side: bySource, from: "desk", to: "market-data", actor: m.broker(), class: reads,
				operation: "subscribe", verdict: authorized})
		}
	}
	for hour := range 24 {
		at := time.Duration(hour)*time.Hour + 31*time.Minute
		m.report(report{at: at, producer: Watch, side: bySource, from: "compliance", to: "prod-db", actor: "surveillance@firm.example",
			class: reads, operation: "select trades", verdict: authorized})
		m.report(report{at: at + time.Minute, producer: Admin, side: bySource, from: "admin-console", to: "test-db", actor: "ops@firm.example",
			class: configures, operation: "reset", verdict: authorized})
		m.report(report{at: at + 2*time.Minute, producer: Database, side: bySource, from: "prod-db", to: "prod-db", actor: "vacuum",
			class: daybookv1.ActionClass_ACTION_CLASS_EXECUTE, operation: "vacuum", verdict: daybookv1.Verdict_VERDICT_INTERNAL})
	}
	m.report(report{at: 5 * time.Hour, producer: Database, side: bySource, from: "prod-db", to: "test-db", actor: "masking",
		class: reads, operation: "copy", verdict: authorized})
}

func (m *maker) broker() string {
	return fmt.Sprintf("broker-%d@firm.example", m.random.IntN(12))
}

// order adds an order of the desk, reported by both sides.
func (m *maker) order(at time.Duration) {
	broker, crossing := m.broker(), m.serial+1
	for _, r := range []report{
		{at: at, producer: Desk, side: bySource, from: "broker-desk"},
		{at: at + time.Second, producer: Database, side: byTarget, from: "desk.firm.example"},
	} {
		r.to, r.actor, r.class, r.operation, r.crossing, r.verdict = "prod-db", broker, creates, "insert order", crossing, authorized
		m.report(r)
	}
}

// approve adds an approval of an actor, or with an empty actor of the flow, from
// the administrators' console to the production database.
func (m *maker) approve(at time.Duration, id, actor string, from, until time.Duration, planted string) {
	a := &daybookv1.Approval{Id: id, Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: actor, From: "admin-console", To: "prod-db",
		Purpose: "maintenance", NotBeforeNs: m.at(from).UnixNano(), NotAfterNs: m.at(until).UnixNano(), Ticket: "INC-" + id}
	if actor == "" {
		a.Subject, a.Name = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW, "admin-to-prod-db"
	}
	m.add(Step{At: m.at(at), Person: DataOwner, Approve: a, Planted: planted})
}

// maintain adds an access of an administrator to the production database.
func (m *maker) maintain(at time.Duration, actor string, verdict daybookv1.Verdict, planted string) {
	m.report(report{at: at, producer: Core, side: byGateway, from: "admin-console", to: "prod-db", actor: actor, class: configures,
		operation: "alter table", verdict: verdict, planted: planted})
}

// approvals adds what is approved, used, revoked, and used all the same.
func (m *maker) approvals() {
	const hour = time.Hour
	m.approve(9*hour, "1001", "alice@firm.example", 9*hour, 12*hour, "")
	m.maintain(10*hour, "alice@firm.example", authorized, "")
	m.approve(9*hour+time.Minute, "1002", "bob@firm.example", 10*hour, 11*hour, "an approval that nobody uses")
	m.approve(9*hour+2*time.Minute, "1003", "carl@firm.example", 9*hour+2*time.Minute, 17*hour, "")
	m.maintain(11*hour, "carl@firm.example", authorized, "")
	m.add(Step{At: m.at(13 * hour), Person: CCO, Revoke: "1003"})
	m.maintain(14*hour, "carl@firm.example", daybookv1.Verdict_VERDICT_REVOKED, "an approval used after its revocation")
	m.approve(15*hour+10*time.Minute, "1004", "dora@firm.example", 15*hour-10*time.Minute, 16*hour-time.Minute, "")
	m.report(report{at: 15*hour + 20*time.Minute, producer: Core, side: byGateway, from: "admin-console", to: "prod-db", actor: "dora@firm.example",
		class: configures, operation: "alter table", verdict: daybookv1.Verdict_VERDICT_APPROVED_AFTER, planted: "an approval that came after the access",
		change: func(e *daybookv1.Event) { e.OccurredAtNs = m.at(15 * hour).UnixNano() }})
	m.maintain(15*hour+30*time.Minute, "dora@firm.example", authorized, "")
	m.approve(16*hour, "1005", "", 16*hour, 17*hour, "")
	m.maintain(16*hour+30*time.Minute, Diane, daybookv1.Verdict_VERDICT_SELF_APPROVED, "an approver who uses the approval himself")
	m.maintain(16*hour+40*time.Minute, "eve@firm.example", authorized, "")
	m.maintain(18*hour, "mallory@firm.example", daybookv1.Verdict_VERDICT_NOT_APPROVED, "an approval that is missing")
}
