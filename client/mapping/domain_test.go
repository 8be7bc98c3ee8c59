package mapping

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

func TestDomainName(t *testing.T) {
	for name, want := range map[string]string{
		"":                  "unknown",
		"123456789012":      "123456789012",
		"ec2.amazonaws.com": "ec2.amazonaws.com",
		"DOM1":              "dom1",
		"PLAYGROUND/ORG/2908758-4/MonitoringClient": "playground.org.2908758-4.monitoringclient",
		"unknown":               "unknown-b23a6a84",
		"Anonymous":             "anonymous-e7a8aa2d",
		"a b":                   "a-b-c8687a08",
		"a_b":                   "a-b-648fa9b3",
		"a.b/c":                 "a.b.c-fc7cd9c4",
		"a..b":                  "a..b-f62b4241",
		".a":                    "a-36797c3a",
		"_":                     "d2e2adf7",
		strings.Repeat("a", 63): strings.Repeat("a", 63),
		strings.Repeat("a", 64): strings.Repeat("a", 54) + "-ffe054fe",
	} {
		if got := domainName(name); got != want {
			t.Errorf("domainName(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzDomainName checks that a name's id is its own canonical form, and that
// two names have one id only where they differ in case, or in `/` and `.`.
func FuzzDomainName(f *testing.F) {
	f.Add("a b", "a_b")
	f.Add("unknown", "")
	f.Add(strings.Repeat("a/", 40), strings.Repeat("a.", 40))
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := domainName(a), domainName(b)
		for _, id := range []string{x, y} {
			if verify.CanonicalDomain([]byte(id)) != id {
				t.Fatalf("%q is not its own canonical form", id)
			}
		}
		same := strings.EqualFold(strings.ReplaceAll(a, "/", "."), strings.ReplaceAll(b, "/", "."))
		if x == y && !same {
			t.Fatalf("%q and %q both give %q", a, b, x)
		}
	})
}
