package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
)

const peopled = `
people:
  oidc:
    - issuer: https://idp.example
      audience: {query: q, query_http: h, admin: a}
      ca: idp.pem
  grants:
    - {spiffe: "spiffe://people.example/*", role: reader, domains: [web]}
    - {issuer: https://idp.example, subject: eve, role: examiner, until: 2027-01-01, requester: spiffe://people.example/cco}
listeners:
  query: {requests_per_second: 10, deadline: 5s}
`

func TestPeopleAreRead(t *testing.T) {
	c, err := config.Load([]byte(peopled), "/srv", config.Flags{}, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	o := c.People.OIDC[0]
	if o.CA != "/srv/idp.pem" || o.Groups != "groups" || *o.ClockSkew != 30*time.Second || len(o.Algorithms) == 0 {
		t.Errorf("issuer is %+v", o)
	}
	if c.Access.Query != nil || c.Access.Admin == nil || c.Access.Ingest == nil {
		t.Errorf("access is %+v: readers are granted, operators and producers are not", c.Access)
	}
	if q := c.Listeners.Query; q.RequestsPerSecond != 10 || q.Burst != 20 || q.Deadline != 5*time.Second || q.MaxConnections != config.DefaultListeners().Query.MaxConnections {
		t.Errorf("limits of query are %+v", q)
	}
	if until := c.People.Grants[1].Until; !until.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the examiner's grant ends at %v", until)
	}
}

func TestEveryFaultOfPeopleAndListenersIsReported(t *testing.T) {
	_, err := config.Load([]byte(`
colour: red
listen: {query_http: "10.0.0.7:7403", operations: "10.0.0.7:7406"}
allow_remote: true
people:
  oidc:
    - {issuer: "http://idp.example", audience: {query: q, admin: q, ingest: i}, algorithms: [HS256, none], clock_skew: 1h}
    - {issuer: "https://idp.example"}
  grants:
    - {role: reader}
    - {spiffe: "spiffe://a/b", role: examiner}
listeners:
  ingest: {max_message_bytes: 2000}
  query: {max_connections: -1, deadline: 5ms, requests_per_second: .nan}
  admin: {host: "a b"}
`), "/", config.Flags{}, "example.com")
	if err == nil {
		t.Fatal("a faulty configuration was accepted")
	}
	for _, want := range []string{
		"unknown key colour", "people.oidc[0]: issuer", "ingest\" is no listener for people", "a token of one would do", `"HS256"`, `"none"`, "clock_skew",
		"people.oidc[1]: audience", "people.grants[0]: name exactly one", "people.grants[1]: until", "people.grants[1]: requester",
		"listeners.ingest.max_message_bytes", "listeners.query.max_connections", "listeners.query.deadline", "listeners.query.requests_per_second",
		"listeners.admin.host", "query_http and operations are reached by browsers under one name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestTwoBrowserListenersNeedTwoNames(t *testing.T) {
	for _, test := range []struct {
		name, text string
		ok         bool
	}{
		{"loopback", "", true},
		{"one remote", `listen: {query_http: "10.0.0.7:1"}`, true},
		{"two on one address", `listen: {query_http: "10.0.0.7:1", operations: "10.0.0.7:2"}`, false},
		{"two on every address", `listen: {query_http: ":1", operations: "0.0.0.0:2"}`, false},
		{"two addresses", `listen: {query_http: "10.0.0.7:1", operations: "10.0.0.8:2"}`, true},
		{"two names", "listen: {query_http: ':1', operations: ':2'}\nlisteners: {query_http: {host: a.example}, operations: {host: b.example}}", true},
		{"one name twice", "listen: {query_http: ':1', operations: ':2'}\nlisteners: {query_http: {host: a.example}, operations: {host: a.example}}", false},
		{"one on every address, one on one", `listen: {query_http: "0.0.0.0:1", operations: "10.0.0.8:2"}`, false},
		{"one on every address, one with a name", "listen: {query_http: '[::]:1', operations: ':2'}\nlisteners: {operations: {host: b.example}}", false},
		{"one address in two ways", `listen: {query_http: "10.0.0.8:1", operations: "[::ffff:10.0.0.8]:2"}`, false},
		{"one name in two ways", "listen: {query_http: ':1', operations: ':2'}\nlisteners: {query_http: {host: a.example}, operations: {host: a.example.}}", false},
		{"a name bound in capitals", "listen: {query_http: 'A.example:1', operations: 'a.example:2'}", false},
		{"public behind a proxy under the console's name", "listeners: {public: {host: a.example}, query_http: {host: a.example}}", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Load([]byte(test.text), "/", config.Flags{AllowRemote: true}, "example.com")
			if (err == nil) != test.ok {
				t.Errorf("error is %v, want accepted: %v", err, test.ok)
			}
		})
	}
}

func TestTokensOfThePublicListenerNeedTLS(t *testing.T) {
	const people = "people: {oidc: [{issuer: 'https://idp.example', audience: {public: p}}]}\n"
	for text, ok := range map[string]bool{people: false, people + "listeners: {public: {certificate: c.pem, key: c.key}}": true} {
		if _, err := config.Load([]byte(text), "/", config.Flags{}, "example.com"); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEachListenerHasItsAddress(t *testing.T) {
	for text, ok := range map[string]bool{
		`listen: {query: "127.0.0.1:7401"}`:                                   false,
		`listen: {query: "127.0.0.1:0", admin: "127.0.0.1:0"}`:                true,
		`listen: {query: "[::ffff:127.0.0.1]:9000", admin: "127.0.0.1:9000"}`: false,
	} {
		if _, err := config.Load([]byte(text), "/", config.Flags{}, "example.com"); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestExplainNamesTheOriginOfEveryValue(t *testing.T) {
	text := []byte(peopled + "listen: {ingest: 127.0.0.1:1, query: 127.0.0.1:2}\n")
	flags := config.Flags{Listen: config.Listen{Query: "127.0.0.1:9"}}
	c, err := config.Load(text, "/srv", flags, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Explain(c, text, flags)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range settings {
		got[s.Key] = s.Origin + " " + s.Value
	}
	for key, want := range map[string]string{
		"listen.ingest":                       "file 127.0.0.1:1",
		"listen.query":                        "flag 127.0.0.1:9",
		"listen.admin":                        "default 127.0.0.1:7404",
		"access.admin":                        "default ['spiffe://example.com/operator']",
		"people.oidc[0].audience.query":       "file q",
		"people.oidc[0].clock_skew":           "default 30s",
		"people.grants[0].domains":            "file [web]",
		"listeners.query.requests_per_second": "file 10",
		"listeners.query.max_connections":     "default 1024",
		"allow_remote":                        "default false",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

func TestExposureSaysWhoMayDoWhat(t *testing.T) {
	c, err := config.Load([]byte(peopled), "/srv", config.Flags{AllowRemote: true, Listen: config.Listen{Query: "0.0.0.0:7402"}}, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Exposed()
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]config.Exposure)
	for _, e := range list {
		of[e.Listener] = e
	}
	q := of[access.Query]
	who := strings.Join(q.Who, "\n")
	if !q.Remote || !strings.Contains(q.Secured, "or a token") || !strings.Contains(who, "spiffe://people.example/* as reader of web") ||
		!strings.Contains(who, "https://idp.example#eve as examiner until 2027-01-01T00:00:00Z, while somebody other than spiffe://people.example/cco") {
		t.Errorf("query: %+v", q)
	}
	if in := of[access.Ingest]; in.Remote || strings.Contains(in.Secured, "token") || !strings.Contains(in.Who[0], "every certificate that is trusted, as producer") {
		t.Errorf("ingest: %+v", in)
	}
	if p := of[access.Public]; !strings.Contains(p.Secured, "plain HTTP") || len(p.Who) != 1 || !strings.Contains(p.Who[0], "/checkpoint") {
		t.Errorf("public: %+v", p)
	}
	c.Listeners.Public.Certificate, c.Listeners.Public.Key = "c.pem", "c.key"
	list, err = c.Exposed()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if who := strings.Join(e.Who, "\n"); e.Listener == access.Public && (!strings.Contains(e.Secured, "TLS") || !strings.Contains(who, "https://idp.example#eve as examiner")) {
			t.Errorf("public under TLS: %+v", e)
		}
	}
}
