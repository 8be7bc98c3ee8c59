package identity_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server/identity"
)

func authority(t *testing.T, domain string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(domain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func client(t *testing.T, a *identity.Authority, id string, now time.Time) identity.Pair {
	t.Helper()
	pair, err := a.IssueClient(id, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func leaf(t *testing.T, pair identity.Pair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(pair.Certificate)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func trust(t *testing.T, own []byte, bundles map[string][]byte) *identity.Trust {
	t.Helper()
	tr, err := identity.NewTrust(own, bundles)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestPeerIsTheCertificatesSPIFFEID(t *testing.T) {
	a := authority(t, "example.com")
	c := leaf(t, client(t, a, "spiffe://desk.example/app/7", time.Now()))
	peer, err := trust(t, a.Bundle(), nil).Check([]*x509.Certificate{c}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if peer.ID != "spiffe://desk.example/app/7" || peer.Domain != "desk.example" {
		t.Errorf("peer is %s of domain %s", peer.ID, peer.Domain)
	}
	if peer.KeyFingerprint != sha256.Sum256(c.RawSubjectPublicKeyInfo) {
		t.Error("the fingerprint is not the SPKI's SHA-256")
	}
	if string(peer.Certificate) != string(c.Raw) || !peer.NotAfter.Equal(c.NotAfter) {
		t.Error("certificate or end of validity differ")
	}
}

func TestADomainWithItsOwnCAIsNobodyElses(t *testing.T) {
	own, desk := authority(t, "example.com"), authority(t, "desk.example")
	tr := trust(t, own.Bundle(), map[string][]byte{"desk.example": desk.Bundle()})
	tests := []struct {
		name string
		ca   *identity.Authority
		id   string
		ok   bool
	}{
		{"the private CA for its own", own, "spiffe://example.com/a", true},
		{"the private CA for a domain without a bundle", own, "spiffe://broker.example/a", true},
		{"the desk's CA for the desk", desk, "spiffe://desk.example/a", true},
		{"the private CA for the desk", own, "spiffe://desk.example/a", false},
		{"the desk's CA for another domain", desk, "spiffe://example.com/a", false},
		{"a stranger's CA", authority(t, "example.com"), "spiffe://example.com/a", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chain := []*x509.Certificate{leaf(t, client(t, test.ca, test.id, time.Now()))}
			if _, err := tr.Check(chain, time.Now()); (err == nil) != test.ok {
				t.Errorf("check: %v, want accepted: %v", err, test.ok)
			}
		})
	}
}

func TestCertificatesAreRefused(t *testing.T) {
	a := authority(t, "example.com")
	tr := trust(t, a.Bundle(), nil)
	old := leaf(t, client(t, a, "spiffe://example.com/a", time.Now().Add(-3*365*24*time.Hour)))
	if _, err := tr.Check([]*x509.Certificate{old}, time.Now()); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	server, err := a.IssueServer("ingest", []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Check([]*x509.Certificate{leaf(t, server)}, time.Now()); err == nil {
		t.Error("a listener's certificate passed for a client's")
	}
	if _, err := tr.Check(nil, time.Now()); err == nil {
		t.Error("no certificate passed")
	}
	for _, id := range []string{"", "https://example.com/a", "spiffe://EXAMPLE.com/a", "spiffe://example.com", "spiffe://example.com/", "spiffe://example.com/a?b", "spiffe://example.com/a b"} {
		if _, err := a.IssueClient(id, nil, time.Now()); err == nil {
			t.Errorf("a certificate was issued for %q", id)
		}
	}
}

func TestRenewalKeepsTheKey(t *testing.T) {
	a := authority(t, "example.com")
	first := client(t, a, "spiffe://example.com/a", time.Now().Add(-320*24*time.Hour))
	if reason := a.Stale(first, nil, time.Now()); !strings.Contains(reason, "ends") {
		t.Errorf("a certificate with 77 days left is not stale: %q", reason)
	}
	second, err := a.IssueClient("spiffe://example.com/a", &first, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Key) != string(second.Key) {
		t.Error("the key changed")
	}
	if reason := a.Stale(second, nil, time.Now()); reason != "" {
		t.Errorf("a new certificate is stale: %s", reason)
	}
}

func TestStale(t *testing.T) {
	a := authority(t, "example.com")
	pair, err := a.IssueServer("ingest", []string{"localhost", "127.0.0.1", "::1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, err := a.IssueServer("query", []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		pair  identity.Pair
		by    *identity.Authority
		hosts []string
		stale bool
	}{
		{"fresh", pair, a, []string{"localhost", "127.0.0.1", "::1"}, false},
		{"another host", pair, a, []string{"audit.example.com"}, true},
		{"another CA", pair, authority(t, "example.com"), nil, true},
		{"another key", identity.Pair{Certificate: pair.Certificate, Key: other.Key}, a, nil, true},
		{"no certificate", identity.Pair{Key: pair.Key}, a, nil, true},
		{"no key", identity.Pair{Certificate: pair.Certificate}, a, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if reason := test.by.Stale(test.pair, test.hosts, time.Now()); (reason != "") != test.stale {
				t.Errorf("stale: %q, want %v", reason, test.stale)
			}
		})
	}
}

func TestAuthorityRoundTrip(t *testing.T) {
	a := authority(t, "example.com")
	pair, err := a.Pair()
	if err != nil {
		t.Fatal(err)
	}
	b, err := identity.ParseAuthority(pair)
	if err != nil {
		t.Fatal(err)
	}
	c := leaf(t, client(t, b, "spiffe://example.com/a", time.Now()))
	if _, err := trust(t, a.Bundle(), nil).Check([]*x509.Certificate{c}, time.Now()); err != nil {
		t.Errorf("what the parsed CA issued is refused: %v", err)
	}
	notCA := client(t, a, "spiffe://example.com/a", time.Now())
	if _, err := identity.ParseAuthority(notCA); err == nil {
		t.Error("a client's pair passed for a CA's")
	}
}

func TestAllow(t *testing.T) {
	list := identity.Allow{"spiffe://example.com/operator", "spiffe://desk.example/*", "spiffe://b.example/app/*"}
	if err := list.Check(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{
		"spiffe://example.com/operator":   true,
		"spiffe://example.com/operator2":  false,
		"spiffe://example.com/operator/x": false,
		"spiffe://desk.example/a/b":       true,
		"spiffe://desk.example.evil/a":    false,
		"spiffe://desk.example/":          false,
		"spiffe://b.example/app/1":        true,
		"spiffe://b.example/apple":        false,
	} {
		if list.Includes(id) != want {
			t.Errorf("%s: want allowed %v", id, want)
		}
	}
	if identity.Allow(nil).Includes("spiffe://example.com/a") {
		t.Error("an empty list allows")
	}
	for _, bad := range []string{"operator", "spiffe://*", "spiffe://a.example/x*", "https://a/*", "**"} {
		if err := (identity.Allow{bad}).Check(); err == nil {
			t.Errorf("pattern %q was accepted", bad)
		}
	}
}

// handshake runs one TLS handshake over a pipe and returns the server's view.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		c := tls.Client(b, client)
		_, err := io.Copy(io.Discard, c)
		b.Close()
		done <- err
	}()
	s := tls.Server(a, server)
	err := s.Handshake()
	a.Close()
	<-done
	return err
}

func TestListenersNeedAClientTheyTrust(t *testing.T) {
	a := authority(t, "example.com")
	pair, err := a.IssueServer("ingest", []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	credential, err := identity.NewCredential(pair)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	config := trust(t, a.Bundle(), nil).ServerTLS(credential, time.Now, func(reason string) { reasons = append(reasons, reason) }, "h2")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Bundle())
	with := func(pair identity.Pair) *tls.Config {
		c, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}, Certificates: []tls.Certificate{c}}
	}
	if err := handshake(t, config, with(client(t, a, "spiffe://example.com/a", time.Now()))); err != nil {
		t.Errorf("a trusted client was refused: %v", err)
	}
	if err := handshake(t, config, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}}); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if err := handshake(t, config, with(client(t, authority(t, "example.com"), "spiffe://example.com/a", time.Now()))); err == nil {
		t.Error("a client of another CA was let in")
	}
	if want := []string{identity.ReasonNoCertificate, identity.ReasonUnknownCA}; !slices.Equal(reasons, want) {
		t.Errorf("reasons are %v, want %v", reasons, want)
	}
	old := with(client(t, a, "spiffe://example.com/a", time.Now()))
	old.MaxVersion = tls.VersionTLS12
	if err := handshake(t, config, old); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}
