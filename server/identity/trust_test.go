package identity_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
)

// refused is the refusal of an error; nil: none.
func refused(err error) *identity.RefusedError {
	var r *identity.RefusedError
	errors.As(err, &r)
	return r
}

func TestRefusalsSayWhyAndWho(t *testing.T) {
	now := time.Now()
	own, desk, stranger := authority(t, "example.com"), authority(t, "desk.example"), authority(t, "example.com")
	tr := trust(t, own.Bundle(), map[string][]byte{"desk.example": desk.Bundle()})
	server, err := own.IssueServer("ingest", []string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	const id, deskID = "spiffe://example.com/a", "spiffe://desk.example/a"
	for _, c := range []struct {
		name   string
		chain  []*x509.Certificate
		reason string
		id     string
		known  bool // the handshake is completed
		sure   bool // it is the one named
	}{
		{"expired", []*x509.Certificate{leaf(t, client(t, own, id, now.Add(-500*24*time.Hour)))}, identity.ReasonExpired, id, true, true},
		{"not yet valid", []*x509.Certificate{leaf(t, client(t, own, id, now.Add(24*time.Hour)))}, identity.ReasonNotYetValid, id, true, true},
		{"the private CA for the desk", []*x509.Certificate{leaf(t, client(t, own, deskID, now))}, identity.ReasonWrongCA, deskID, true, false},
		{"the desk's CA for another", []*x509.Certificate{leaf(t, client(t, desk, id, now))}, identity.ReasonWrongCA, id, true, false},
		{"unknown", []*x509.Certificate{leaf(t, client(t, stranger, id, now))}, identity.ReasonUnknownCA, id, false, false},
		{"expired and unknown", []*x509.Certificate{leaf(t, client(t, stranger, id, now.Add(-500*24*time.Hour)))}, identity.ReasonUnknownCA, id, false, false},
		{"a listener's", []*x509.Certificate{leaf(t, server)}, identity.ReasonNoSPIFFEID, "", false, false},
		{"none", nil, identity.ReasonNoCertificate, "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tr.Check(c.chain, now)
			r := refused(err)
			if r == nil || r.Reason != c.reason || r.ID != c.id || r.Known != c.known || r.Authenticated != c.sure {
				t.Errorf("refusal %+v, want %s of %q, known %v, authenticated %v", r, c.reason, c.id, c.known, c.sure)
			}
			if (c.reason == identity.ReasonExpired) != errors.Is(err, identity.ErrExpired) {
				t.Errorf("%v: is ErrExpired: %v", err, errors.Is(err, identity.ErrExpired))
			}
			if c.reason == identity.ReasonExpired && !strings.Contains(err.Error(), "daybookd identity renew --data DIR --id "+id) {
				t.Errorf("%q names no command", err)
			}
		})
	}
}

func TestRevoked(t *testing.T) {
	now := time.Now()
	a := authority(t, "example.com")
	first, second := client(t, a, "spiffe://example.com/a", now), client(t, a, "spiffe://example.com/a", now)
	key := sha256.Sum256(leaf(t, first).RawSubjectPublicKeyInfo)
	ca := sha256.Sum256(caOf(t, a).RawSubjectPublicKeyInfo)
	serial := identity.Revocation{Issuer: leaf(t, first).Issuer.String(), Serial: identity.FormatSerial(leaf(t, first).SerialNumber)}
	upper := identity.Revocation{Issuer: serial.Issuer, Serial: "00:" + strings.ToUpper(serial.Serial)}
	for _, c := range []struct {
		name          string
		list          []identity.Revocation
		first, second bool // revoked
	}{
		{"nothing", nil, false, false},
		{"key", []identity.Revocation{{SPKI: hex.EncodeToString(key[:])}}, true, false},
		{"serial and issuer", []identity.Revocation{serial}, true, false},
		{"serial as others write it", []identity.Revocation{upper}, true, false},
		{"serial of another issuer", []identity.Revocation{{Issuer: "CN=other", Serial: serial.Serial}}, false, false},
		{"the CA's key", []identity.Revocation{{SPKI: hex.EncodeToString(ca[:])}}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := trust(t, a.Bundle(), nil)
			before := tr.Generation()
			if err := tr.Replace(a.Bundle(), nil, c.list); err != nil {
				t.Fatal(err)
			}
			if tr.Generation() == before {
				t.Error("the generation did not change")
			}
			for pair, want := range map[*identity.Pair]bool{&first: c.first, &second: c.second} {
				_, err := tr.Check([]*x509.Certificate{leaf(t, *pair)}, now)
				if r := refused(err); (r != nil && r.Reason == identity.ReasonRevoked && r.Authenticated) != want {
					t.Errorf("%v, want revoked %v", err, want)
				}
			}
		})
	}
	for _, bad := range []identity.Revocation{{}, {SPKI: "ab"}, {Serial: "1"}, {Issuer: "CN=a"}, {Issuer: "CN=a", Serial: "x"}, {SPKI: strings.Repeat("0", 64), Serial: "1"}} {
		if bad.Check() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func caOf(t *testing.T, a *identity.Authority) *x509.Certificate {
	t.Helper()
	cas, err := identity.ParseBundle(a.Bundle())
	if err != nil || len(cas) != 1 {
		t.Fatalf("bundle of %d: %v", len(cas), err)
	}
	return cas[0]
}

// TestABrokenBundleChangesNothing: what was trusted stays.
func TestABrokenBundleChangesNothing(t *testing.T) {
	a := authority(t, "example.com")
	tr := trust(t, a.Bundle(), nil)
	before := tr.Generation()
	for name, replace := range map[string]func() error{
		"private": func() error { return tr.Replace([]byte("nothing"), nil, nil) },
		"domain":  func() error { return tr.Replace(a.Bundle(), map[string][]byte{"desk.example": a.Bundle()[:100]}, nil) },
		"name":    func() error { return tr.Replace(a.Bundle(), map[string][]byte{"DESK": a.Bundle()}, nil) },
		"revoked": func() error { return tr.Replace(a.Bundle(), nil, []identity.Revocation{{}}) },
	} {
		if replace() == nil || tr.Generation() != before {
			t.Errorf("%s: was accepted", name)
		}
	}
	if _, err := tr.Check([]*x509.Certificate{leaf(t, client(t, a, "spiffe://example.com/a", time.Now()))}, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestIssuersBindDomainsToTheirCAs: three domains; web and db list their CAs, ops
// none.
func TestIssuersBindDomainsToTheirCAs(t *testing.T) {
	now := time.Now()
	own, web, db := authority(t, "example.com"), authority(t, "web"), authority(t, "db")
	domain := func(id string, cas ...*identity.Authority) *daybookv1.Domain {
		d := &daybookv1.Domain{Id: id, Issuer: new(daybookv1.Issuer)}
		for _, a := range cas {
			sum := sha256.Sum256(caOf(t, a).RawSubjectPublicKeyInfo)
			d.Issuer.CaSha256 = append(d.Issuer.CaSha256, sum[:])
		}
		return d
	}
	names := map[string]string{"web": "web", "www.example.com": "web", "db": "db", "ops": "ops"}
	issuers := identity.NewIssuers(
		&daybookv1.MapDocument{Domains: []*daybookv1.Domain{domain("db", db), domain("ops"), domain("web", web)}},
		func(name []byte) (string, bool) { id, ok := names[string(name)]; return id, ok })
	// Whoever configured these bundles trusts every CA everywhere: the map does not.
	all := append(append(append([]byte{}, own.Bundle()...), web.Bundle()...), db.Bundle()...)
	tr := trust(t, all, nil)
	for _, c := range []struct {
		ca *identity.Authority
		id string
		ok bool
	}{
		{web, "spiffe://web/a", true},
		{web, "spiffe://www.example.com/a", true},
		{own, "spiffe://web/a", false},
		{db, "spiffe://web/a", false},
		{db, "spiffe://db/a", true},
		{own, "spiffe://ops/a", true},
		{web, "spiffe://ops/a", false},
		{own, "spiffe://unmapped/a", true},
		{db, "spiffe://unmapped/a", false},
	} {
		peer, err := tr.Check([]*x509.Certificate{leaf(t, client(t, c.ca, c.id, now))}, now)
		if err != nil {
			t.Fatal(err)
		}
		err = issuers.Check(&peer)
		if r := refused(err); (err == nil) != c.ok || err != nil && (r == nil || r.Reason != identity.ReasonWrongCA || r.Authenticated) {
			t.Errorf("%s by the CA of %s: %v, want accepted %v", c.id, c.ca.Domain(), err, c.ok)
		}
		var none *identity.Issuers
		if err := none.Check(&peer); err != nil {
			t.Errorf("without a map: %v", err)
		}
	}
}

// TestNewConnectionsSeeTheNewCertificate: a connection that is open goes on, and
// resumption does not bring the old one back.
func TestNewConnectionsSeeTheNewCertificate(t *testing.T) {
	a := authority(t, "example.com")
	issue := func() identity.Pair {
		pair, err := a.IssueServer("ingest", []string{"localhost"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	first, second := issue(), issue()
	credential, err := identity.NewCredential(first)
	if err != nil {
		t.Fatal(err)
	}
	config := trust(t, a.Bundle(), nil).ServerTLS(credential, time.Now, nil, "h2")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Bundle())
	pair := client(t, a, "spiffe://example.com/a", time.Now())
	own, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	var served *x509.Certificate
	connect := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}, Certificates: []tls.Certificate{own},
		VerifyConnection: func(s tls.ConnectionState) error { served = s.PeerCertificates[0]; return nil }}
	for _, pair := range []identity.Pair{first, second} {
		if err := credential.Replace(pair); err != nil {
			t.Fatal(err)
		}
		if err := credential.Replace(identity.Pair{Certificate: first.Certificate, Key: second.Key}); err == nil {
			t.Error("a certificate with another's key was taken")
		}
		if err := handshake(t, config, connect); err != nil {
			t.Fatal(err)
		}
		if !served.Equal(leaf(t, pair)) {
			t.Error("another certificate was served")
		}
	}
}
