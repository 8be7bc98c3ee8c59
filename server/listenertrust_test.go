package server_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
)

// TestAListenerHasItsOwnTrust: people's CA on admin and query_http, which lets in
// no producer of the private CA, and nobody by it elsewhere.
func TestAListenerHasItsOwnTrust(t *testing.T) {
	people, err := identity.NewAuthority("people.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := identity.NewTrust(nil, map[string][]byte{"people.example": people.Bundle()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, world{
		config: func(c *config.Config) {
			c.Access.Ingest, c.Access.Query, c.Access.Admin = identity.Allow{"*"}, identity.Allow{"*"}, identity.Allow{"*"}
		},
		options: func(o *server.Options) {
			o.Trusts = map[string]*identity.Trust{access.Admin: own, access.QueryHTTP: own}
		},
	})
	for _, test := range []struct {
		name    string
		who     *tls.Config
		private bool
	}{
		{"the private CA's", insist(w.tlsOf(t, w.ca, operator, time.Now())), true},
		{"the private CA's for people", insist(w.tlsOf(t, w.ca, "spiffe://people.example/a", time.Now())), true},
		{"the people's CA's", insist(w.tlsOf(t, people, "spiffe://people.example/a", time.Now())), false},
	} {
		for _, listener := range []string{access.Ingest, access.Query, access.QueryHTTP, access.Admin} {
			got := w.present(t, listener, presented{certificate: func() *tls.Config { return test.who }})
			admits := got != "TLS" && got != server.ReasonWrongCA
			if want := test.private == (listener == access.Ingest || listener == access.Query); admits != want {
				t.Errorf("%s on %s: %q, want let in: %v", test.name, listener, got, want)
			}
		}
	}
}

// TestPublicSpeaksTLSWithACertificate of its own.
func TestPublicSpeaksTLSWithACertificate(t *testing.T) {
	w := newWorldOn(t, world{options: func(o *server.Options) { o.Certificates[access.Public] = o.Certificates["operations"] }})
	code, text := get(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "https://"+w.addresses.Public+"/checkpoint")
	if code != http.StatusOK || !strings.HasPrefix(text, "example.com/audit/") {
		t.Errorf("%d %s", code, text)
	}
}
