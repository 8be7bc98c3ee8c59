package domains_test

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/domains"
)

// replacements are edits of the example that make one fault each.
var replacements = []struct{ old, new, want string }{
	// the file
	{"firm: Example Securities LLC", "firm: [a]", "1:7: firm: is a list, not text"},
	{"firm: Example Securities LLC", "firm: 12", `1:7: firm: is a number, not text; put it in quotes: "12"`},
	{"firm: Example Securities LLC", "firm:", "1:1: firm: has no value; the name of the firm"},
	{"firm: Example Securities LLC", "firm: \"a\\u202eb\"", "1:7: firm: holds U+202E, which cannot be seen"},
	{"firm: Example Securities LLC", "firm: \" a\"", "1:7: firm: begins or ends with white space"},
	{"firm: Example Securities LLC", "firm: " + strings.Repeat("x", 129), "1:7: firm: has 129 bytes, more than 128"},
	{"firm: Example Securities LLC", "firm: &a b", "1:7: anchors (&a) are not allowed"},
	{"firm: Example Securities LLC", "firm: !!str b", "1:7: tags (!!str) are not allowed"},
	{"firm: Example Securities LLC", "firm: x\nfirm: y", "2:1: firm: stands here a second time; the first is on line 1"},
	{"firm: Example Securities LLC", "firm: x\n? [a]\n: b", "2:3: a key is a list, not a word"},
	{"firm: Example Securities LLC\n", "", "1:1: firm: is missing: the name of the firm"},
	{"firm: Example Securities LLC", "frim: x", "1:1: unknown key \"frim\"; did you mean \"firm\"?\n1:1: firm: is missing: the name of the firm"},
	{"firm: Example Securities LLC", "firm: a: b", "1:1: is not YAML: mapping values are not allowed in this context"},
	{"mode: enforce                ", "mode: enforce\n---\na: b", "45:1: a second document begins here; a map is one document"},
	{"unused_after_days: 90", "unused_after_days: -1", "3:20: unused_after_days: is a number, not a number of days from 1 to 3650"},
	{"unused_after_days: 90", "unused_after_days: soon", `3:20: unused_after_days: is "soon", not a number of days from 1 to 3650`},
	// people
	{"approver: cco                    #", "approver: coo #", `2:11: approver: no person has the id "coo"; did you mean "cco"?`},
	{"approver: cco                    #", "approver: spiffe://people.example/cco #", `2:11: approver: "spiffe://people.example/cco" is an identity of "cco"; write the person's id`},
	{"approver: cco                    #", "approver: c o #", `2:11: approver: no person has the id "c o"; did you mean "cco"?`},
	{"  - id: cco\n", "  - id: ccö\n", `2:11: approver: no person has the id "cco"; list the person under people
5:9: people[ccö].id: "ccö" is no person's id: letters, digits and . _ @ + -, a letter or digit first
37:15: flows[web-to-quotes].approver: no person has the id "cco"; list the person under people`},
	{"spiffe://people.example/cco,", "spiffe://people.example,", `6:18: people[cco].identities[1]: "spiffe://people.example": want spiffe://<domain>/<path>`},
	{"https://idp.example#cco", "https://idp.example", "6:47: people[cco].identities[2]: want <OIDC issuer>#<subject>"},
	{`spiffe://people.example/cco, "https://idp.example#cco"`, "", "6:17: people[cco].identities: is empty: want the names under which the person is authenticated or acts"},
	{"  - id: cco\n", "  - {id: ops, identities: [spiffe://people.example/cco]}\n  - id: cco\n",
		`7:18: people[cco].identities[1]: "spiffe://people.example/cco" is already the identity of "ops", on line 5`},
	{"  - id: cco\n", "  - {id: cco, identities: [x]}\n  - id: cco\n", `6:9: people[cco].id: "cco" is already the id of "cco", on line 5`},
	// domains
	{"  - id: web\n", "  - id: Web\n", `8:9: domains[Web].id: "Web" is no id: 'W' is none of a-z, 0-9, dot and dash
33:11: flows[web-to-quotes].from: no domain has the id "web"; list it under domains`},
	{"  - id: market-data\n", "  - id: web\n", `25:9: domains[web].id: "web" is already the id of "web", on line 8
34:9: flows[web-to-quotes].to: no domain has the id "market-data"; list it under domains`},
	{"  - id: market-data\n", "  - id: unknown\n", `25:9: domains[unknown].id: "unknown" is reserved for events that do not know better
34:9: flows[web-to-quotes].to: no domain has the id "market-data"; list it under domains`},
	{"  - id: market-data\n", "  - id: market-\n", `25:9: domains[market-].id: "market-" is no id: it, and what stands between dots, begins and ends with a letter or a digit
34:9: flows[web-to-quotes].to: no domain has the id "market-data"; list it under domains`},
	{"aliases: [customer-web] ", "aliases: [a.]", `9:15: domains[web].aliases[1]: "a." ends with a dot; write it without: it means both`},
	{"aliases: [customer-web] ", "aliases: [Market-Data]", `9:15: domains[web].aliases[1]: "Market-Data" is already the id of "market-data", on line 25`},
	{"aliases: [customer-web] ", "aliases: [a, a]", `9:18: domains[web].aliases[2]: "a" is listed twice; the first is on line 9`},
	{"aliases: [customer-web] ", "aliases: WEB", `9:14: domains[web].aliases: is "WEB", not a list`},
	{"function: customer-interface #", "function: [customer-interface, database] #", "10:15: domains[web].function: is a list; a domain has exactly one function: make a domain for each"},
	{"function: customer-interface #", "function: web,database #", `10:15: domains[web].function: "web,database" names several functions; a domain has exactly one: make a domain for each`},
	{"function: customer-interface #", "function: custmer-interface #", `10:15: domains[web].function: "custmer-interface" is too near to "customer-interface"; did you mean that?`},
	{"tier: production             #", "tier: prod #", `11:11: domains[web].tier: "prod" is none of production, staging, test, development`},
	{"    owner: Digital Channels\n", "", "8:5: domains[web].owner: is missing: who answers for the domain"},
	{"dns: [www.example.com]", "dns: ['*.example.com']", `14:11: domains[web].dns[1]: "*.example.com" is a wildcard: it would take names into the domain that nobody decided on; list each exact name`},
	{"dns: [www.example.com]", "dns: [https://www.example.com]", `14:11: domains[web].dns[1]: "https://www.example.com" is a URL or a path; write the host name alone`},
	{"dns: [www.example.com]", "dns: ['www.example.com:443']", `14:11: domains[web].dns[1]: "www.example.com:443" holds a port or is an address; write the host name alone`},
	{"dns: [www.example.com]", "dns: [10.0.0.1]", `14:11: domains[web].dns[1]: "10.0.0.1" is an address, not a DNS name`},
	{"dns: [www.example.com]", "dns: [WWW.example.com]", `14:11: domains[web].dns[1]: "WWW.example.com" is not in lower case`},
	{"dns: [www.example.com]", "dns: [www.example.com.]", `14:11: domains[web].dns[1]: "www.example.com." ends with a dot; write it without`},
	{"dns: [www.example.com]", "dns: [www..com]", `14:11: domains[web].dns[1]: "www..com" is no DNS name: a label has 0 bytes, not 1 to 63`},
	{"dns: [www.example.com]", "dns: [bücher.example]", `14:11: domains[web].dns[1]: "bücher.example" is no DNS name: 'ü' is not ASCII; write it as xn--`},
	{"dns: [www.example.com]", "dns: [market-data]", `14:11: domains[web].dns[1]: "market-data" is already the id of "market-data", on line 25`},
	{`account: "111122223333"`, "account: 111122223333", `15:24: domains[web].hosting.account: is a number, not text; put it in quotes: "111122223333"`},
	{`hosting: {account: "111122223333", network: vpc-web, region: us-east-1}`, "hosting: {}", "15:14: domains[web].hosting: is empty: leave the key out, or give it one of account, network, region"},
	{"cas: [5f", "cas: [ff", ""},
	{"cas: [5f", "cas: [5", `17:13: domains[web].issuer.cas[1]: "5eceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9" is no SHA-256: 64 lower-case hexadecimal digits, of the CA's SubjectPublicKeyInfo`},
	{"https://login.example.com", "http://login.example.com", `18:13: domains[web].issuer.oidc: "http://login.example.com" is no https URL`},
	{"https://login.example.com", "https://login.example.com/?x", `18:13: domains[web].issuer.oidc: "https://login.example.com/?x": an issuer has no query, fragment, user or space`},
	{"    owner: Trading Systems\n", "    owner: Trading Systems\n    issuer: {oidc: https://login.example.com/}\n",
		`30:20: domains[market-data].issuer.oidc: issues credentials of "web" too (line 18); each domain has its own issuer`},
	{"    owner: Trading Systems\n", "    owner: Trading Systems\n    issuer: {cas: [5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9]}\n",
		`30:20: domains[market-data].issuer.cas[1]: issues credentials of "web" too (line 17); each domain has its own issuer`},
	{"gateways: [spiffe://web/gateway]", "gateways: [web/gateway]", `19:16: domains[web].gateways[1]: "web/gateway" is no SPIFFE id: want spiffe://<domain>/<path>`},
	{"silence: 5m", "silence: 500ms", `22:41: domains[web].producers[1].silence: "500ms" is outside 1s to 31d`},
	{"silence: 5m", "silence: 32d", `22:41: domains[web].producers[1].silence: "32d" is outside 1s to 31d`},
	{"silence: 5m", "silence: 5", `22:41: domains[web].producers[1].silence: is a number, not text; put it in quotes: "5"`},
	{"silence: 5m", "silence: often", `22:41: domains[web].producers[1].silence: "often" is no length of time, such as 50ms, 5m, 1h30m or 7d`},
	{"{id: spiffe://web/app, silence: 5m}", "{id: spiffe://db/app}", `22:14: domains[web].producers[1].id: "spiffe://db/app" is of trust domain "db" and neither a gateway nor a collector of "web": it may not report here`},
	{"{id: spiffe://web/app, silence: 5m}", "{id: spiffe://ops/collector}", ""},
	{"{id: spiffe://web/app, silence: 5m}", "{id: spiffe://customer-web/app}", ""},
	{"clock_limit: 50ms", "clock_limit: 2h", `24:18: domains[web].clock_limit: "2h" is outside 1µs to 1m`},
	// flows
	{"from: web\n", "from: customer-web\n", `33:11: flows[web-to-quotes].from: no domain has the id "customer-web"; it is the alias of "web": write that`},
	{"to: market-data\n", "to: web\n", `34:9: flows[web-to-quotes].to: is where it comes from; inside of "web" nothing needs a flow`},
	{"tier: production             #", "tier: test #", `34:9: flows[web-to-quotes].to: leads from "web", of tier test, to "market-data", of tier production: test never reaches production, whatever a flow says`},
	{`actions: [read, "op:GET /quotes*"]`, "actions: [raed]", `35:15: flows[web-to-quotes].actions[1]: "raed" is no action: one of create, read, update, delete, execute, authenticate, configure, connect, other, unknown, any, or op:<operation>; did you mean "read"?`},
	{`actions: [read, "op:GET /quotes*"]`, "actions: [any, read]", "35:15: flows[web-to-quotes].actions[1]: any is everything; it stands alone"},
	{`actions: [read, "op:GET /quotes*"]`, "actions: ['op:*']", "35:15: flows[web-to-quotes].actions[1]: op:* is every operation; write any"},
	{`actions: [read, "op:GET /quotes*"]`, "actions: ['op:GET /*/x']", `35:15: flows[web-to-quotes].actions[1]: "op:GET /*/x": a * stands only at the end`},
	{`actions: [read, "op:GET /quotes*"]`, "actions: []", "35:14: flows[web-to-quotes].actions: is empty: write what may be done, or [any]"},
	{"approver: cco\n    ticket", "approver: desk\n    ticket", `37:15: flows[web-to-quotes].approver: no person has the id "desk"; list the person under people`},
	{"until: 2027-01-01", "until: 2026-01-01", "39:12: flows[web-to-quotes].valid: ends on 2026-01-01, which is not after its begin on 2026-01-01"},
	{"until: 2027-01-01", "until: 1970-01-01", `39:38: flows[web-to-quotes].valid.until: "1970-01-01" is outside the years 2000 to 2200`},
	{"until: 2027-01-01", "until: 2027-02-30", `39:38: flows[web-to-quotes].valid.until: "2027-02-30" is neither a date such as 2026-01-31 nor a time such as 2026-01-31T09:30:00Z`},
	{"least_proof: peer-certificate", "least_proof: peer", `40:18: flows[web-to-quotes].least_proof: "peer" is none of peer-certificate, signed-token, network-zone, trusted-gateway, caller-claim`},
	{"observers: [source, target]", "observers: [source, gatway]", `41:25: flows[web-to-quotes].observers[2]: "gatway" is none of source, target, gateway, collector; did you mean "gateway"?`},
	{"observers: [source, target]", "observers: [gateway, collector]", ""},
	{"observers: [source, target]", "observers: [any]", `41:17: flows[web-to-quotes].observers[1]: "any" is none of source, target, gateway, collector`},
	{"needs: approval ", "needs: approvals ", `42:12: flows[web-to-quotes].needs: is "approvals"; the one word it may be is approval`},
	{"crosses_region: true ", "crosses_region: yes ", `43:21: flows[web-to-quotes].crosses_region: is "yes", neither true nor false`},
	{"    crosses_region: true ", "    # ", `32:5: flows[web-to-quotes].crosses_region: is not said, and the flow leads from region "us-east-1" to "us-east-2": write crosses_region: true if it is meant to`},
	{"region: us-east-2", "region: us-east-1", `43:21: flows[web-to-quotes].crosses_region: is said, and both domains are in region "us-east-1"`},
	{", region: us-east-2", "", ""},
	{"mode: enforce ", "mode: on ", `44:11: flows[web-to-quotes].mode: "on" is none of observe, enforce`},
}

// TestParseFaults makes one fault at a time.
func TestParseFaults(t *testing.T) {
	for _, c := range replacements {
		file := edit(t, c.old, c.new)
		_, err := domains.Parse(file)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q for %q: %v", c.new, c.old, err)
		case c.want != "" && err == nil:
			t.Errorf("%q for %q is accepted, want\n%s", c.new, c.old, c.want)
		case err != nil && err.Error() != c.want:
			t.Errorf("%q for %q:\ngot  %v\nwant %s", c.new, c.old, err, c.want)
		}
	}
}
