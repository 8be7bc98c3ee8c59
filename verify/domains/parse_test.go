package domains_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// example returns the map file of Parse's doc comment.
func example(t testing.TB) string {
	t.Helper()
	source, err := os.ReadFile("parse.go")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(source)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			out.WriteString(text)
		}
	}
	return out.String()
}

// edit replaces the one place of old in the example.
func edit(t testing.TB, pairs ...string) []byte {
	t.Helper()
	text := example(t)
	for i := 0; i+1 < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("the example holds %q %d times", pairs[i], strings.Count(text, pairs[i]))
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return []byte(text)
}

// parse parses a file without a fault.
func parse(t testing.TB, file []byte) *daybookv1.MapDocument {
	t.Helper()
	doc, err := domains.Parse(file)
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, file)
	}
	return doc
}

func TestParseExample(t *testing.T) {
	file := []byte(example(t))
	got := parse(t, file)
	checkCompiles(t, got)
	digest := []byte("\x5f\xec\xeb\x66\xff\xc8\x6f\x38\xd9\x52\x78\x6c\x6d\x69\x6c\x79\xc2\xdb\xc2\x39\xdd\x4e\x91\xb4\x67\x29\xd7\x3a\x27\xfb\x57\xe9")
	want := &daybookv1.MapDocument{
		Format: 1, Yaml: file, Firm: "Example Securities LLC", Approver: "cco", UnusedDays: 90,
		People: []*daybookv1.Person{{Id: "cco", Identities: []string{"https://idp.example#cco", "spiffe://people.example/cco"}}},
		Domains: []*daybookv1.Domain{
			{Id: "market-data", Function: "market-data", Tier: daybookv1.Tier_TIER_PRODUCTION, Risk: daybookv1.Risk_RISK_LOW, Owner: "Trading Systems",
				Hosting: &daybookv1.Hosting{Account: "444455556666", Network: "vpc-md", Region: "us-east-2"}},
			{Id: "web", Aliases: []string{"customer-web"}, Function: "customer-interface", Tier: daybookv1.Tier_TIER_PRODUCTION,
				Risk: daybookv1.Risk_RISK_HIGH, Owner: "Digital Channels", Dns: []string{"www.example.com"},
				Hosting:        &daybookv1.Hosting{Account: "111122223333", Network: "vpc-web", Region: "us-east-1"},
				Issuer:         &daybookv1.Issuer{CaSha256: [][]byte{digest}, Oidc: "https://login.example.com"},
				Gateways:       []string{"spiffe://web/gateway"},
				Collectors:     []string{"spiffe://ops/collector"},
				Producers:      []*daybookv1.ExpectedProducer{{Id: "spiffe://web/app", SilenceLimitNs: 300e9}},
				RetentionClass: "trading", ClockLimitNs: 50e6},
		},
		Flows: []*daybookv1.Flow{{
			Id: "web-to-quotes", From: "web", To: "market-data", Actions: []string{"op:GET /quotes*", "read"}, Purpose: "show quotes",
			Approver: "cco", Ticket: "CHG-1", NotBeforeNs: 1767225600e9, NotAfterNs: 1798761600e9,
			LeastProof:    daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE,
			Observers:     []uint64{1, 2},
			NeedsApproval: true, CrossesRegion: true, Mode: daybookv1.FlowMode_FLOW_MODE_ENFORCE,
		}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

// TestParseKeepsFile: the document owns its file.
func TestParseKeepsFile(t *testing.T) {
	file := []byte(example(t))
	doc := parse(t, file)
	clear(file)
	if !bytes.Equal(doc.Yaml, []byte(example(t))) {
		t.Error("the document's file changed with the caller's bytes")
	}
}

// TestParseOrder: the order of the file changes nothing but the file.
func TestParseOrder(t *testing.T) {
	const (
		head  = "firm: F\napprover: a\npeople:\n"
		alice = "- {id: a, identities: [y, x]}\n"
		bob   = "- {identities: [z], id: b}\n"
		web   = "- {id: web, function: f, tier: test, risk: low, owner: o, dns: [b.x, a.x], aliases: [q, p]}\n"
		db    = "- {owner: o, risk: low, tier: test, function: f, id: db}\n"
		up    = "- {id: up, from: web, to: db, actions: [read, any-not], purpose: p, approver: a, observers: [target, source]}\n"
		down  = "- {id: down, from: db, to: web, actions: [update, create], purpose: p, approver: b}\n"
	)
	up2 := strings.Replace(up, "any-not", "delete", 1)
	one := parse(t, []byte(head+alice+bob+"domains:\n"+web+db+"flows:\n"+up2+down))
	other := parse(t, []byte("flows:\n"+down+up2+"domains:\n"+db+web+head+bob+alice))
	one.Yaml, other.Yaml = nil, nil
	if diff := cmp.Diff(one, other, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if one.Domains[0].Id != "db" || one.Flows[0].Id != "down" || one.Flows[1].Actions[0] != "delete" ||
		one.Flows[1].Observers[0] != uint64(daybookv1.Side_SIDE_SOURCE) || one.People[0].Identities[0] != "x" || one.Domains[1].Dns[0] != "a.x" {
		t.Errorf("not ascending: %v", one)
	}
	again := parse(t, []byte(head+alice+bob+"domains:\n"+web+db+"flows:\n"+up2+down))
	again.Yaml = nil
	a, _ := proto.MarshalOptions{Deterministic: true}.Marshal(one)
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(again)
	if !bytes.Equal(a, b) {
		t.Error("two parses of one file differ")
	}
}

// TestParseAllFaults: every fault is reported at once, in the order of places.
func TestParseAllFaults(t *testing.T) {
	_, err := domains.Parse(edit(t, "tier: production             #", "teir: production #", "from: web", "from: wbe",
		"www.example.com", "'*.example.com'", "risk: low", "risk: small"))
	var faults domains.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error %T, want Faults", err)
	}
	want := []string{
		`8:5: domains[web].tier: is missing: one of production, staging, test, development`,
		`11:5: domains[web]: unknown key "teir"; did you mean "tier"?`,
		`14:11: domains[web].dns[1]: "*.example.com" is a wildcard: it would take names into the domain that nobody decided on; list each exact name`,
		`28:11: domains[market-data].risk: "small" is none of low, medium, high`,
		`33:11: flows[web-to-quotes].from: no domain has the id "wbe"; did you mean "web"?`,
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
		t.Error(diff)
	}
}

// TestParseManyFaults: what is reported is bounded.
func TestParseManyFaults(t *testing.T) {
	_, err := domains.Parse([]byte(strings.Repeat("x:\n", 5000)))
	var faults domains.Faults
	if !errors.As(err, &faults) || len(faults) != domains.MaxFaults+1 {
		t.Fatalf("%d faults of a file with over 5000", len(faults))
	}
	if last := faults[domains.MaxFaults].Message; last != "and 4004 more faults" {
		t.Errorf("last fault %q", last)
	}
}
