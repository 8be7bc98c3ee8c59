package domains_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// before is a small map with an approver for each flow.
const before = `firm: Example Securities LLC
approver: cco
people:
  - {id: cco, identities: [x]}
  - {id: desk, identities: [y]}
  - {id: ops, identities: [z]}
domains:
  - {id: db, function: database, tier: production, risk: high, owner: Data}
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital, dns: [a.example, b.example]}
flows:
  - {id: feed, from: db, to: web, actions: [read], purpose: feed, approver: ops}
  - {id: orders, from: web, to: db, actions: [read, update], purpose: orders, approver: desk}
`

// lines writes changes for comparison.
func lines(changes []domains.Change) string {
	var out strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&out, "%s %s %s, needs %s\n", c.What, c.ID, c.How, strings.Join(c.Approvers, " "))
		for _, d := range c.Details {
			fmt.Fprintf(&out, "  %s\n", d)
		}
	}
	return out.String()
}

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name   string
		edits  []string // pairs: old, new
		want   string
		needed string
	}{
		{"nothing", nil, "", ""},
		{"the text alone", []string{"firm: Example", "firm:  Example"},
			"map  changed, needs cco\n  the file's text alone: comments, order or notation\n", "cco"},
		{"approver of a flow", []string{"approver: ops}", "approver: desk}"},
			"flow feed changed, needs desk ops\n  approver: ops -> desk\n", "desk ops"},
		{"a domain", []string{"dns: [a.example, b.example]", "dns: [c.example, a.example], clock_limit: 50ms"},
			"domain web changed, needs cco\n  dns: -b.example +c.example\n  clock_limit: (not said) -> 50ms\n", "cco"},
		{"a flow's actions", []string{"actions: [read, update]", "actions: [read]"},
			"flow orders changed, needs desk\n  actions: -update\n", "desk"},
		{"a flow's validity", []string{"purpose: feed", "purpose: feed, valid: {until: 2027-01-01}"},
			"flow feed changed, needs ops\n  valid.until: (not said) -> 2027-01-01\n", "ops"},
		{"a flow removed", []string{"  - {id: feed, from: db, to: web, actions: [read], purpose: feed, approver: ops}\n", ""},
			"flow feed removed, needs ops\n  from: db\n  to: web\n  actions: read\n  purpose: feed\n  approver: ops\n  mode: observe\n", "ops"},
		{"the approver", []string{"approver: cco\n", "approver: ops\n"},
			"map  changed, needs cco ops\n  approver: cco -> ops\n", "cco ops"},
		{"a person", []string{"[y]", "[y, w]"}, "person desk changed, needs cco\n  identities: +w\n", "cco"},
		{"a flow renamed, a domain's owner", []string{"id: orders", "id: trades", "owner: Data", "owner: Records"},
			"domain db changed, needs cco\n  owner: Data -> Records\n" +
				"flow orders removed, needs desk\n  from: web\n  to: db\n  actions: read, update\n  purpose: orders\n  approver: desk\n  mode: observe\n" +
				"flow trades added, needs desk\n  from: web\n  to: db\n  actions: read, update\n  purpose: orders\n  approver: desk\n  mode: observe\n", "cco desk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := before
			for i := 0; i+1 < len(c.edits); i += 2 {
				after = strings.Replace(after, c.edits[i], c.edits[i+1], 1)
			}
			old, new := parse(t, []byte(before)), parse(t, []byte(after))
			if diff := cmp.Diff(c.want, lines(domains.Diff(old, new))); diff != "" {
				t.Errorf("Diff (-want +got):\n%s", diff)
			}
			if got := strings.Join(domains.Needed(old, new), " "); got != c.needed {
				t.Errorf("Needed = %q, want %q", got, c.needed)
			}
		})
	}
}

// TestDiffFirst: against nothing, everything is added and every approver needed.
func TestDiffFirst(t *testing.T) {
	doc := parse(t, []byte(before))
	changes := domains.Diff(nil, doc)
	if len(changes) != 1+2+2+3 {
		t.Errorf("%d changes:\n%s", len(changes), lines(changes))
	}
	for _, c := range changes {
		if c.How != domains.Added || len(c.Details) == 0 {
			t.Errorf("%+v", c)
		}
	}
	if got := strings.Join(domains.Needed(nil, doc), " "); got != "cco desk ops" {
		t.Errorf("Needed = %q", got)
	}
	if got := lines(domains.Diff(doc, &daybookv1.MapDocument{})); !strings.Contains(got, "domain web removed, needs cco") {
		t.Errorf("against an empty map:\n%s", got)
	}
}

// TestFormat: what Format and FormatJSON write gives the same messages again.
func TestFormat(t *testing.T) {
	for _, file := range []string{before, example(t)} {
		doc := parse(t, []byte(file))
		text := domains.Format(doc, nil)
		for _, again := range [][]byte{text, domains.FormatJSON(doc)} {
			got := parse(t, again)
			if changes := domains.Diff(doc, got); len(changes) != 1 || !strings.HasPrefix(changes[0].Details[0], "the file's text") {
				t.Errorf("written and read:\n%s%s", lines(changes), again)
			}
		}
		if again := domains.Format(parse(t, text), nil); string(again) != string(text) {
			t.Errorf("Format is not stable:\n%s", cmp.Diff(string(text), string(again)))
		}
	}
}

// TestFormatNotes puts comments behind values and above all else.
func TestFormatNotes(t *testing.T) {
	doc := parse(t, []byte(before))
	text := string(domains.Format(doc, func(path string) string {
		switch path {
		case "domains[web]":
			return "seen 3 times\nlast today"
		case "domains[web].tier":
			return "decide: tier"
		case "flows":
			return "what was seen"
		}
		return ""
	}))
	for _, want := range []string{"  # seen 3 times\n  # last today\n  - id: web\n", "tier: production # decide: tier\n", "# what was seen\nflows:\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	parse(t, []byte(text))
}

// TestFormatQuotes: text that looks like something else in YAML stays text.
func TestFormatQuotes(t *testing.T) {
	doc := parse(t, []byte(before))
	for _, owner := range []string{"null", "~", "yes", "true", "12", "1e3", "0x1f", ".5", "2026-01-01", "2026-01-01T00:00:00Z", "- a", "a: b", "a #b", "#c", "*a", "&a",
		"!a", "[a]", "{a}", "'a'", `"a"`, `a\b`, "?", "-", "<<", "=", "@a", "`a", "%a", "|", ">", "---", "...", "é漢字😀", "a,b", ":", "a:"} {
		doc.Domains[0].Owner, doc.Flows[0].Purpose, doc.People[0].Identities = owner, owner, []string{owner}
		for _, text := range [][]byte{domains.Format(doc, nil), domains.FormatJSON(doc)} {
			again, err := domains.Parse(text)
			if err != nil {
				t.Errorf("%q: %v", owner, err)
				continue
			}
			again.Yaml = doc.Yaml
			if changes := domains.Diff(doc, again); len(changes) > 0 {
				t.Errorf("%q: %s", owner, lines(changes))
			}
		}
	}
}
