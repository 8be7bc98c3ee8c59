package firm

import (
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// violations adds the violations that are no matter of approvals.
func (m *maker) violations() {
	const hour = time.Hour
	insert := report{class: creates, operation: "insert order", to: "prod-db"}
	with := func(r report, change func(*report)) report {
		change(&r)
		return r
	}
	m.report(report{at: 7 * hour, producer: Database, side: bySource, from: "prod-db", to: "test-db", actor: "masking", class: reads, operation: "copy",
		verdict: daybookv1.Verdict_VERDICT_EXPIRED, planted: "a flow used after its end"})
	m.report(with(insert, func(r *report) {
		r.at, r.producer, r.side, r.from, r.actor = 8*hour, Edge, byGateway, "customer-web", "customer-1@example.org"
		r.verdict, r.planted = daybookv1.Verdict_VERDICT_DENIED, "an access that the gateway denied"
		r.change = func(e *daybookv1.Event) { e.Decision = daybookv1.Decision_DECISION_DENIED }
	}))
	m.report(report{at: 8*hour + time.Minute, producer: Web, side: bySource, from: "customer-web", to: "compliance", actor: "customer-2@example.org",
		class: reads, operation: "GET /cases", verdict: daybookv1.Verdict_VERDICT_UNDECLARED, planted: "an access that no flow declares"})
	m.report(with(insert, func(r *report) {
		r.at, r.producer, r.side, r.from, r.actor = 8*hour+2*time.Minute, TestBench, bySource, "test-db", "runner"
		r.verdict, r.planted = daybookv1.Verdict_VERDICT_FORBIDDEN, "test reaching for production"
	}))
	m.report(report{at: 8*hour + 3*time.Minute, producer: Web, side: bySource, from: "customer-web", to: "partner-api", actor: "customer-3@example.org",
		class: reads, operation: "GET /rates", verdict: daybookv1.Verdict_VERDICT_UNMAPPED, planted: "traffic with a domain that the map does not know"})
	m.report(report{at: 30 * time.Minute, producer: Watch, side: bySource, from: "compliance", to: "prod-db", actor: "surveillance@firm.example",
		class: reads, operation: "select trades", verdict: daybookv1.Verdict_VERDICT_LATE_UNVERIFIED, planted: "a report from before the map came into force",
		change: func(e *daybookv1.Event) { e.OccurredAtNs = m.at(-2 * hour).UnixNano() }})
	m.unproven(8*hour + 4*time.Minute)
	m.report(with(insert, func(r *report) {
		r.at, r.producer, r.side, r.from, r.actor, r.verdict = 8*hour+5*time.Minute, Desk, bySource, "broker-desk", "broker-1@firm.example", authorized
		r.planted = "a crossing that only its source reports"
	}))
	m.report(report{at: 8*hour + 6*time.Minute, producer: Desk, side: bySource, from: "broker-desk", to: "market-data", actor: "broker-2@firm.example",
		class: reads, operation: "subscribe", verdict: authorized, planted: "a clock beyond its domain's limit",
		change: func(e *daybookv1.Event) { e.Clock.OffsetNs = 80_000_000 }})
	m.report(report{at: 8*hour + 7*time.Minute, producer: Web, side: bySource, from: "customer-web", to: "market-data", actor: "customer-4@example.org",
		class: reads, operation: "GET /quotes", verdict: authorized, planted: "a credential of the desk used from the web",
		change: func(e *daybookv1.Event) {
			e.Actor.Credential.HmacSha256 = fingerprint("desk", "broker-3@firm.example")
		}})
	m.report(report{at: 8*hour + 8*time.Minute, producer: Web2, side: bySource, from: "customer-web", to: "market-data", actor: "customer-5@example.org",
		class: reads, operation: "GET /quotes", verdict: authorized, planted: "a producer with another producer's key"})
	m.add(Step{At: m.at(8*hour + 9*time.Minute), Producer: Admin, Lost: 3, Planted: "events that a producer lost"})
	m.silence()
}

// unproven adds an order whose source is only claimed.
func (m *maker) unproven(at time.Duration) {
	crossing := m.serial + 1
	m.report(report{at: at, producer: Desk, side: bySource, from: "broker-desk", to: "prod-db", actor: "broker-4@firm.example", class: creates,
		operation: "insert order", proof: claim, crossing: crossing, verdict: daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE,
		planted: "a source that is only claimed"})
	m.report(report{at: at + time.Second, producer: Database, side: byTarget, from: "broker-desk", to: "prod-db", actor: "broker-4@firm.example",
		class: creates, operation: "insert order", crossing: crossing, verdict: authorized})
}

// silence takes the desk's reports of one hour away, and those of the other side
// of the same crossings.
func (m *maker) silence() {
	from, until := m.at(silentFrom), m.at(silentUntil)
	lost := map[string]bool{}
	for _, s := range m.steps {
		if s.Producer == Desk && !s.At.Before(from) && s.At.Before(until) {
			lost[string(s.Event.CorrelationId)] = true
		}
	}
	kept := m.steps[:0]
	for _, s := range m.steps {
		if s.Event == nil || !lost[string(s.Event.CorrelationId)] {
			kept = append(kept, s)
		}
	}
	m.steps = kept
}

// Expected returns the alerts that the day must raise, once each, by the close
// that ends it, and no others.
func Expected() []Alert {
	return []Alert{
		{daybookv1.AlertType_ALERT_TYPE_SHARED_HOSTING, "vpc-data"},
		{daybookv1.AlertType_ALERT_TYPE_CREDENTIAL_REUSE, ""},
		{daybookv1.AlertType_ALERT_TYPE_KEY_REUSE, ""},
		{daybookv1.AlertType_ALERT_TYPE_UNDECLARED_FLOW, "customer-web"},
		{daybookv1.AlertType_ALERT_TYPE_FORBIDDEN_TIER, "test-db"},
		{daybookv1.AlertType_ALERT_TYPE_UNMAPPED, "partner-api"},
		{daybookv1.AlertType_ALERT_TYPE_REVOKED_USE, "1003"},
		{daybookv1.AlertType_ALERT_TYPE_APPROVAL_UNUSED, "1002"},
		{daybookv1.AlertType_ALERT_TYPE_FLOW_UNUSED, "compliance-to-quotes"},
		{daybookv1.AlertType_ALERT_TYPE_SILENCE, Desk},
		{daybookv1.AlertType_ALERT_TYPE_CLOCK, Desk},
		{daybookv1.AlertType_ALERT_TYPE_ONE_SIDED, "broker-desk"},
		{daybookv1.AlertType_ALERT_TYPE_GAP, Admin},
	}
}
