package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server/identity"
)

// A signer signs certificates as it is told to: for what no honest CA issues.
type signer struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

// sign makes a certificate by s, or one of its own where s is nil.
func (s *signer) sign(t *testing.T, change func(*x509.Certificate), uris ...string) *signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "x"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	if change != nil {
		change(c)
	}
	by := s
	if s == nil {
		by = &signer{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{made, key}
}

// ca makes a template a CA's.
func ca(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	c.Subject.CommonName = "CA " + c.SerialNumber.String()
}

// TestHostileCertificates: what a CA of one domain, or who has one of its
// certificates, may try.
func TestHostileCertificates(t *testing.T) {
	root := (*signer)(nil).sign(t, ca, "spiffe://web")
	other := (*signer)(nil).sign(t, ca, "spiffe://db")
	middle := root.sign(t, ca)
	narrow := root.sign(t, func(c *x509.Certificate) {
		ca(c)
		c.PermittedURIDomains, c.PermittedDNSDomainsCritical = []string{"elsewhere"}, true
	})
	old := root.sign(t, func(c *x509.Certificate) { ca(c); c.NotAfter = time.Now().Add(-time.Minute) })
	text := func(s *signer) []byte { return pemOf(s.certificate) }
	tr := trust(t, text(other), map[string][]byte{"web": text(root), "db": text(other)})
	leaf := root.sign(t, nil, "spiffe://web/app")
	for _, test := range []struct {
		name   string
		chain  []*signer
		reason string
	}{
		{"good", []*signer{leaf}, ""},
		{"through an intermediate", []*signer{middle.sign(t, nil, "spiffe://web/app"), middle}, ""},
		{"without its intermediate", []*signer{middle.sign(t, nil, "spiffe://web/app")}, identity.ReasonUnknownCA},
		{"through one that has ended", []*signer{old.sign(t, nil, "spiffe://web/app"), old}, identity.ReasonUnknownCA},
		{"through one for other names", []*signer{narrow.sign(t, nil, "spiffe://web/app"), narrow}, identity.ReasonUnknownCA},
		{"by a leaf", []*signer{leaf.sign(t, nil, "spiffe://web/other"), leaf}, identity.ReasonUnknownCA},
		{"the CA itself", []*signer{root}, identity.ReasonNoSPIFFEID},
		{"a CA with an id", []*signer{root.sign(t, ca, "spiffe://web/app")}, identity.ReasonUsage},
		{"a leaf that may sign", []*signer{root.sign(t, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "spiffe://web/app")}, identity.ReasonUsage},
		{"two ids", []*signer{root.sign(t, nil, "spiffe://web/app", "spiffe://db/app")}, identity.ReasonNoSPIFFEID},
		{"an id twice", []*signer{root.sign(t, nil, "spiffe://web/app", "spiffe://web/app")}, identity.ReasonNoSPIFFEID},
		{"a page beside the id", []*signer{root.sign(t, nil, "spiffe://web/app", "https://web/")}, identity.ReasonNoSPIFFEID},
		{"no id", []*signer{root.sign(t, nil)}, identity.ReasonNoSPIFFEID},
		{"an id with a query", []*signer{root.sign(t, nil, "spiffe://web/app?a=b")}, identity.ReasonNoSPIFFEID},
		{"an id with a port", []*signer{root.sign(t, nil, "spiffe://web:1/app")}, identity.ReasonNoSPIFFEID},
		{"an id with a user", []*signer{root.sign(t, nil, "spiffe://db@web/app")}, identity.ReasonNoSPIFFEID},
		{"an id with dots", []*signer{root.sign(t, nil, "spiffe://web/../db/app")}, identity.ReasonNoSPIFFEID},
		{"an id that is escaped", []*signer{root.sign(t, nil, "spiffe://web/%61pp")}, identity.ReasonNoSPIFFEID},
		{"of another domain", []*signer{root.sign(t, nil, "spiffe://db/app")}, identity.ReasonWrongCA},
		{"a server's", []*signer{root.sign(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "spiffe://web/app")}, identity.ReasonUsage},
		{"its own CA beside it", []*signer{(*signer)(nil).sign(t, nil, "spiffe://web/app"), root}, identity.ReasonUnknownCA},
	} {
		t.Run(test.name, func(t *testing.T) {
			var chain []*x509.Certificate
			for _, s := range test.chain {
				chain = append(chain, s.certificate)
			}
			peer, err := tr.Check(chain, time.Now())
			got := ""
			if r := refused(err); r != nil {
				got = r.Reason
			}
			if got != test.reason || (err == nil) != (test.reason == "") {
				t.Errorf("%v, reason %q, want %q", err, got, test.reason)
			}
			if err == nil && peer.ID != "spiffe://web/app" {
				t.Errorf("it is %s", peer.ID)
			}
		})
	}
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
