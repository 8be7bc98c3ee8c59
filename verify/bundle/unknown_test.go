package bundle_test

import (
	"strings"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// TestUnknownNames asks about names that no map knows, and about some that one does.
func TestUnknownNames(t *testing.T) {
	mapped := sampleWorld(t)
	bare := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := bare.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	bare.append(web, daybookv1.Kind_KIND_ACCESS, bare.event("web", "prod-db"))
	bare.heartbeat(web)
	bare.now = start.Add(15 * time.Hour).UnixNano()
	bare.closeAt(bare.now)
	bare.archive()
	for _, c := range []struct {
		w        *world
		question string
		texts    []string // a piece of each
	}{
		{mapped, "from: web\nto: prod-db\n", nil},
		{mapped, "from: CUSTOMER-WEB.\n", nil},
		{mapped, "to: {tier: test, owner: Data}\n", nil},
		{mapped, "to: {domain: www.example.com, owner: Digital}\n", nil},
		{mapped, "{}\n", nil},
		{mapped, "streams: ['access,web,prod-bd,source']\n", nil},
		{mapped, "from: prod-bd\n", []string{`from: no domain map in force up to the close knows a domain "prod-bd", and no stream`}},
		{mapped, "from: nowhere.example\n", []string{`from: no domain map`}},
		{mapped, "to: {tier: staging}\n", []string{`to: no domain map in force up to the close has a domain of tier "staging": zero accesses to such`}},
		{mapped, "to: {function: databse}\nfrom: {owner: tradng}\n", []string{`from: no domain map in force up to the close has a domain of owner "tradng"`, `to: no domain map in force up to the close has a domain of function "databse"`}},
		{mapped, "to: {tier: test, owner: Trading}\n", []string{`to: no domain map in force up to the close has one domain of all of tier "test", owner "Trading": zero`}},
		{mapped, "to: {domain: web, tier: test, owner: Nobody}\n", []string{`to: no domain map in force up to the close has a domain of owner "Nobody"`}},
		{bare, "from: web\n", nil},
		{bare, "from: Web.\nto: prod-db\n", nil},
		{bare, "from: prod\n", []string{`from: no domain map was in force up to the close, and no stream of accesses in this file has the name "prod"`}},
		{bare, "from: \"we\\\"b\"\n", []string{`has the name "we\"b": zero accesses from it say nothing of a domain`}},
		{bare, "from: {tier: production}\nto: {owner: Data}\n", []string{`the log knows no domain of tier "production": zero accesses from such`, `the log knows no domain of owner "Data"`}},
		{bare, "from: {domain: web, tier: production}\n", []string{`the log knows no domain of tier "production"`}},
	} {
		b := build(t, c.w.source(), c.question)
		r := check(t, c.w.trust(), b)
		if r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
			t.Fatalf("%q: %s: %s", c.question, r.Verdict, r.Reason)
		}
		said, accepted := r.Parts[0].Head.Unknown, r.Claims[1]
		if len(said) != len(c.texts) {
			t.Errorf("%q: %+v", c.question, said)
			continue
		}
		if (accepted.State == report.NotClaimed) != (len(c.texts) > 0) {
			t.Errorf("%q: %s: %s", c.question, accepted.State, accepted.Detail)
		}
		members := unzip(t, b)
		for i, text := range c.texts {
			if !strings.Contains(said[i].Text, text) || !strings.Contains(accepted.Detail, said[i].Said) || !strings.Contains(string(members["README.txt"]), text) {
				t.Errorf("%q: %q in %q and in the README", c.question, said[i].Text, accepted.Detail)
			}
		}
		if html := string(members["report.html"]); strings.Contains(html, "a name that the log does not know") != (len(c.texts) > 0) || len(c.texts) > 0 && strings.Contains(html, "The file proves that like any other answer") {
			t.Errorf("%q: the report", c.question)
		}
	}
}

// TestNearest suggests what was meant.
func TestNearest(t *testing.T) {
	w := sampleWorld(t)
	for text, want := range map[string]string{"from: prod-bd\n": "prod-db", "from: custmer-web\n": "customer-web", "from: {owner: Tradng}\n": "Trading",
		"from: {function: databse}\n": "database", "from: {tier: staging}\n": "", "from: somewhere-else\n": "", "from: {tier: test, owner: Trading}\n": ""} {
		s := check(t, w.trust(), build(t, w.source(), text)).Parts[0]
		if got := bundle.Nearest(s, s.Head.Unknown[0]); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
