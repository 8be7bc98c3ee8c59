package domains_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const (
	wholeHead = "firm: F\napprover: a\npeople: [{id: a, identities: [x]}]\ndomains:\n"
	flowRest  = ", actions: [any], purpose: p, approver: a"
)

// domainLine writes a domain on a line.
func domainLine(id, more string) string {
	return fmt.Sprintf("- {id: %s, risk: low, owner: o, %s}\n", id, more)
}

// TestParseWholes has faults that more than one line makes, and files that are
// no map at all.
func TestParseWholes(t *testing.T) {
	const prod, test = "tier: production, ", "tier: test, "
	two := wholeHead + domainLine("a", prod+"function: f") + domainLine("b", test+"function: f") + "flows:\n"
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "1:1: the file is empty"},
		{"a comment", "# nothing\n", "1:1: the file is empty"},
		{"null", "~", "1:1: the file is empty"},
		{"a list", "[]", "1:1: is a list, not a mapping of firm, approver, unused_after_days, people, domains, flows"},
		{"a word", "map", `1:1: is "map", not a mapping of firm, approver, unused_after_days, people, domains, flows`},
		{"not UTF-8", "firm: a\napprover: \xff\n", "2:1: the line is not UTF-8"},
		{"too large", strings.Repeat("#", domains.MaxFile+1), "1:1: the file has 8388609 bytes, more than 8388608"},
		{"an unfinished list", "firm: [a", "1:1: is not YAML: did not find expected ',' or ']'"},
		{"nothing in it", "firm: F\napprover: a\npeople: []\ndomains: []\n",
			"2:11: approver: no person has the id \"a\"; list the person under people\n3:9: people: is empty: a map has at least one\n4:10: domains: is empty: a map has at least one"},
		{"an alias", "firm: &f F\napprover: *f\n", "1:1: domains: is missing: at least one\n1:1: people: is missing: who approves, at least one\n" +
			"1:7: anchors (&f) are not allowed\n2:11: aliases (*f) are not allowed: write the value out"},
		{"a merge", wholeHead + "- &d {id: a, risk: low, owner: o, tier: test, function: f}\n- {<<: *d, id: b}\n",
			"5:3: anchors (&d) are not allowed\n6:3: domains[b].function: is missing: the one function of the domain, such as customer-interface or database\n" +
				"6:3: domains[b].owner: is missing: who answers for the domain\n6:3: domains[b].risk: is missing: one of low, medium, high\n" +
				"6:3: domains[b].tier: is missing: one of production, staging, test, development\n6:4: domains[b]: merge keys (<<) are not allowed: write the values out\n" +
				"6:8: aliases (*d) are not allowed: write the value out"},
		{"interfaces hosted together", wholeHead +
			domainLine("desk", prod+"function: broker-interface, hosting: {account: A, network: n}") +
			domainLine("desk2", prod+"function: broker-interface, hosting: {account: A, network: n}") +
			domainLine("admin", prod+"function: admin-interface, hosting: {account: A, network: m}") +
			domainLine("db", prod+"function: database, hosting: {account: A, network: n}") +
			domainLine("www", prod+"function: customer-interface, hosting: {network: n, account: A}"),
			`9:91: domains[www].hosting: is the account and network of "desk" too, which is a broker-interface; a customer-interface is hosted apart from it`},
		{"a producer of two domains", wholeHead + domainLine("a", prod+"function: f, collectors: [spiffe://a/x], producers: [{id: spiffe://a/x}]") +
			domainLine("b", prod+"function: f, collectors: [spiffe://a/x], producers: [{id: spiffe://a/x}, {id: spiffe://a/x}]"),
			"6:108: domains[b].producers[1].id: \"spiffe://a/x\" is already the producer of \"a\", on line 5\n" +
				"6:128: domains[b].producers[2].id: \"spiffe://a/x\" is listed twice; the first is on line 6"},
		{"a domain named by its DNS name", wholeHead + domainLine("a.example", prod+"function: f, dns: [a.example]"), ""},
		{"an alias that is the domain's DNS name", wholeHead + domainLine("a", prod+"function: f, dns: [a.example], aliases: [A.EXAMPLE]"),
			`5:91: domains[a].aliases[1]: "A.EXAMPLE" is already the DNS name of "a", on line 5`},
		{"test reaches production", two + "- {id: f, from: b, to: a" + flowRest + "}\n",
			`8:24: flows[f].to: leads from "b", of tier test, to "a", of tier production: test never reaches production, whatever a flow says`},
		{"production reaches test", two + "- {id: f, from: a, to: b" + flowRest + "}\n", ""},
		{"no gateway", two + "- {id: f, from: a, to: b" + flowRest + ", observers: [gateway, source, collector]}\n",
			"8:79: flows[f].observers: expects a collector, and neither \"a\" nor \"b\" has one\n8:79: flows[f].observers: expects a gateway, and neither \"a\" nor \"b\" has one"},
		{"a flow twice", two + "- {id: f, from: a, to: b" + flowRest + "}\n- {id: f, from: a, to: b" + flowRest + "}\n",
			`9:8: flows[f].id: "f" is already the id of "f", on line 8`},
		{"a list for a domain", wholeHead + "- [a]\n", "5:3: domains[1]: is a list, not a mapping of id, function, tier, risk, owner, aliases, dns, hosting, issuer, gateways, collectors, producers, retention_class, clock_limit"},
	} {
		_, err := domains.Parse([]byte(c.file))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if sortLines(got) != sortLines(c.want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// sortLines forgets the order of faults of one place.
func sortLines(s string) string {
	all := strings.Split(s, "\n")
	for i := range all {
		for j := i; j > 0 && all[j] < all[j-1]; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return strings.Join(all, "\n")
}

// TestParseDeep: what nests without end is refused, not followed.
func TestParseDeep(t *testing.T) {
	for _, file := range []string{strings.Repeat("[", 9000), strings.Repeat("a: {", 9000), strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"domains: " + strings.Repeat("[", 20000), strings.Repeat("- ", 20000) + "x"} {
		if _, err := domains.Parse([]byte(file)); err == nil {
			t.Errorf("%.20q is accepted", file)
		}
	}
}

// TestParseLimits takes each text to its limit, and one byte over.
func TestParseLimits(t *testing.T) {
	for _, c := range []struct {
		old, head string
		most      int
	}{
		{"firm: Example Securities LLC", "firm: ", 128},
		{"owner: Digital Channels", "owner: ", 256},
		{"purpose: show quotes", "purpose: ", 256},
		{"ticket: CHG-1", "ticket: ", 128},
		{"id: web-to-quotes", "id: ", 128},
		{"retention_class: trading", "retention_class: ", 64},
		{"network: vpc-web", "network: ", 128},
		{"region: us-east-2", "region: ", 64},
		{"function: customer-interface ", "function: ", 64},
		{"[customer-web]", "- ", 253},
		{"oidc: https://login.example.com", "oidc: https://a.example/", 512 - len("https://a.example/")},
		{"[spiffe://web/gateway]", "- spiffe://web/", 2048 - len("spiffe://web/")},
		{`[read, "op:GET /quotes*"]`, "- op:", 256},
	} {
		for _, over := range []int{0, 1} {
			value := c.head + strings.Repeat("x", c.most+over)
			if item, ok := strings.CutPrefix(value, "- "); ok {
				value = "[" + item + "]"
			}
			if _, err := domains.Parse(edit(t, c.old, value+" ")); (err != nil) != (over == 1) {
				t.Errorf("%s with %d bytes: %v", c.head, c.most+over, err)
			}
		}
	}
}

// FuzzParse: a file is refused with faults that have places, or gives a
// document that is written and read again without a difference.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example(f)))
	f.Add([]byte(before))
	for _, c := range replacements {
		f.Add(edit(f, c.old, c.new))
	}
	f.Add([]byte("? - a\n: *b\n--- !!x &y |\n z"))
	f.Fuzz(func(t *testing.T, file []byte) {
		doc, err := domains.Parse(file)
		if err != nil {
			var faults domains.Faults
			if !errors.As(err, &faults) || len(faults) == 0 || doc != nil {
				t.Fatalf("document %v, error %T %v", doc, err, err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Fatalf("fault %+v", fault)
				}
			}
			return
		}
		checkCompiles(t, doc)
		again, err := domains.Parse(domains.Format(doc, nil))
		if err != nil {
			t.Fatalf("written, it is refused: %v\n%s", err, domains.Format(doc, nil))
		}
		if !bytes.Equal(doc.Yaml, file) {
			t.Fatal("the document holds another file")
		}
		again.Yaml = doc.Yaml
		if !proto.Equal(doc, again) {
			t.Fatalf("written and read it differs:\n%v", domains.Diff(doc, again))
		}
		if _, err := domains.Parse(domains.FormatJSON(doc)); err != nil {
			t.Fatalf("as JSON it is refused: %v", err)
		}
	})
}

// checkCompiles: what Parse accepts can be proposed, and judged by.
func checkCompiles(t testing.TB, doc *daybookv1.MapDocument) {
	t.Helper()
	proposed := proto.Clone(doc).(*daybookv1.MapDocument)
	proposed.Author = "spiffe://people.example/author"
	document, err := domains.MarshalDocument(proposed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := domains.ParseDocument(document)
	if err != nil {
		t.Fatalf("what Parse accepts does not compile: %v\n%s", err, doc.Yaml)
	}
	for _, d := range doc.Domains {
		for _, name := range slices.Concat([]string{d.Id}, d.Aliases, d.Dns) {
			for _, as := range []string{name, name + "."} {
				if id, ok := m.Resolve([]byte(as)); !ok || id != d.Id {
					t.Fatalf("%q means %q, not %q", as, id, d.Id)
				}
			}
		}
	}
}

// largeFile is a map of many domains and flows.
func largeFile(domainCount, flows int) []byte {
	var out bytes.Buffer
	out.WriteString(wholeHead)
	for i := range domainCount {
		fmt.Fprintf(&out, `  - id: domain-%d
    aliases: [alias-%[1]d, other-%[1]d]
    function: database
    tier: production
    risk: high
    owner: Somebody Who Answers
    dns: [d%[1]d.example.com]
    hosting: {account: "%[1]d", network: vpc, region: us-east-1}
    issuer: {oidc: https://idp%[1]d.example.com}
    gateways: [spiffe://domain-%[1]d/gateway]
    producers: [{id: spiffe://domain-%[1]d/app, silence: 5m}]
`, i)
	}
	out.WriteString("flows:\n")
	for i := range flows {
		fmt.Fprintf(&out, `  - id: flow-%d
    from: domain-%d
    to: domain-%d
    actions: [read, "op:GET /path%[1]d*"]
    purpose: what it is for
    approver: a
    valid: {from: 2026-01-01, until: 2027-01-01}
    least_proof: peer-certificate
    observers: [source, target]
    mode: enforce
`, i, i%domainCount, (i+1+i/domainCount)%domainCount)
	}
	return out.Bytes()
}

func BenchmarkParse(b *testing.B) {
	file := largeFile(1000, 10000)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := domains.Parse(file); err != nil {
			b.Fatal(err)
		}
	}
}

// TestParseLarge: a large map is read, and a large one full of faults too.
func TestParseLarge(t *testing.T) {
	file := largeFile(1000, 2000)
	if doc := parse(t, file); len(doc.Domains) != 1000 || len(doc.Flows) != 2000 {
		t.Errorf("%d domains, %d flows", len(doc.Domains), len(doc.Flows))
	} else {
		checkCompiles(t, doc)
	}
	if _, err := domains.Parse(bytes.ReplaceAll(file, []byte("from: domain-"), []byte("from: domian-"))); err == nil {
		t.Error("flows from nowhere are accepted")
	}
}
