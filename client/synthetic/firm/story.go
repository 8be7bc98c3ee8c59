package firm

import (
	"bytes"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// MapWith is Map, with a collector of the compliance department's.
func MapWith(collector string) []byte {
	const owner = "    owner: Compliance\n"
	return bytes.Replace(Map(), []byte(owner), []byte(owner+"    collectors: [\""+collector+"\"]\n"), 1)
}

// Story returns what happens at the firm within a moment, once the map is in
// force: an allowed flow, test reaching for production, an approval that is
// missing and then given, and a credential that is used from two domains. Event
// ids begin with run, so that the story can be told again in the same log.
func Story(now time.Time, run string) []Step {
	m := &maker{day: now, run: run}
	dba := "dba-" + run + "@firm.example" // whom nobody approved before
	order := m.serial + 1
	for _, r := range []report{{producer: Desk, side: bySource, from: "broker-desk"}, {producer: Database, side: byTarget, from: "desk.firm.example"}} {
		r.to, r.actor, r.class, r.operation, r.crossing, r.verdict = "prod-db", "broker-1@firm.example", creates, "insert order", order, authorized
		m.report(r)
	}
	for range 2 {
		m.report(report{producer: TestBench, side: bySource, from: "test-db", to: "prod-db", actor: "runner", class: reads, operation: "select accounts",
			verdict: daybookv1.Verdict_VERDICT_FORBIDDEN, planted: "test reaching for production"})
	}
	m.maintain(0, dba, daybookv1.Verdict_VERDICT_NOT_APPROVED, "an approval that is missing")
	m.approve(0, run+"-1", dba, 0, 8*time.Hour, "")
	m.maintain(time.Second, dba, authorized, "")
	m.report(report{producer: Web, side: bySource, from: "customer-web", to: "market-data", actor: "customer-1@example.org", class: reads,
		operation: "GET /quotes", verdict: authorized, planted: "a credential of the desk used from the web",
		change: func(e *daybookv1.Event) {
			e.Actor.Credential.HmacSha256 = fingerprint("broker-desk", "broker-1@firm.example")
		}})
	return m.steps
}
