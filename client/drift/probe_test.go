package drift_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client/drift"
)

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newAuthority is a root, or with a parent an intermediate.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(9000 * time.Hour)}
	by, key := template, a.key
	if parent != nil {
		by, key = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &a.key.PublicKey, key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate that the server sends with what stands above it,
// except for the root.
func (a *authority) issue(t *testing.T, key *ecdsa.PrivateKey, life time.Duration, names ...string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if a.certificate.CheckSignatureFrom(a.certificate) != nil {
		c.Certificate = append(c.Certificate, a.certificate.Raw)
	}
	return c
}

// serveTLS serves a page and returns a target under a name.
func serveTLS(t *testing.T, name string, c tls.Certificate, page http.HandlerFunc) drift.Target {
	t.Helper()
	s := httptest.NewUnstartedServer(page)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = strings.Contains(name, "test") // both are spoken
	s.StartTLS()
	t.Cleanup(s.Close)
	return drift.Target{Name: name, Address: s.Listener.Addr().String()}
}

const long = 1000 * time.Hour

// TestServers plants one fault of each kind.
func TestServers(t *testing.T) {
	firmRoot, testRoot, public := newAuthority(t, "Firm Root", nil), newAuthority(t, "Test Root", nil), newAuthority(t, "Public Root", nil)
	issuing := newAuthority(t, "Firm Issuing", firmRoot)
	shared := newKey(t)
	none := func(http.ResponseWriter, *http.Request) {}
	targets := []drift.Target{
		// Clean: issued below the declared root, which the server does not send.
		serveTLS(t, "quotes.example.com", issuing.issue(t, newKey(t), long, "quotes.example.com"), none),
		// One key for two domains, the second by the CA of another tier.
		serveTLS(t, "www.example.com", issuing.issue(t, shared, long, "www.example.com"), func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "x", Domain: "example.com"})
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}),
		serveTLS(t, "www.test.example.com", firmRoot.issue(t, shared, 48*time.Hour, "www.test.example.com", "*.example.com"), func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "own", Value: "x", Domain: "www.test.example.com"})
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}),
		serveTLS(t, "db.test.example.com", public.issue(t, newKey(t), -time.Hour, "old.example.com"), func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "wide", Value: "x", Domain: "test.example.com"})
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}),
		{Name: "db.example.com", Address: away(t)},
	}
	r := scan(t, func(c *drift.Config) {
		c.Targets, c.Concurrency = targets, 2
		c.Roots = x509.NewCertPool()
		c.Roots.AddCert(firmRoot.certificate)
		for i, ca := range map[int]*authority{0: firmRoot, 3: testRoot} {
			c.Map.Domains[i].Issuer.CaSha256 = [][]byte{digest(ca.certificate.RawSubjectPublicKeyInfo)}
		}
		c.Map.Domains[1].Issuer.CaSha256 = [][]byte{digest(issuing.certificate.RawSubjectPublicKeyInfo)}
	})
	ports := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	keys := regexp.MustCompile(`[0-9a-f]{64}`)
	for i := range r.Differences {
		d := &r.Differences[i]
		for _, s := range []*string{&d.Subject, &d.Detail} {
			*s = keys.ReplaceAllString(ports.ReplaceAllString(*s, "ADDRESS"), "KEY")
		}
	}
	golden(t, "servers.golden", r)
}

// away is an address at which nobody listens.
func away(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// TestNoHTTP wants the certificate of a server that speaks no HTTP, and wants a
// certificate of the client.
func TestNoHTTP(t *testing.T) {
	root := newAuthority(t, "Root", nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{root.issue(t, newKey(t), long, "*.example.com")},
			ClientAuth: tls.RequireAnyClientCert, MaxVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.(*tls.Conn).Handshake()
				c.Close()
			}
		}()
		r := scan(t, func(c *drift.Config) {
			c.Targets = []drift.Target{{Name: "www.example.com", Address: l.Addr().String()}}
		})
		l.Close()
		<-ended
		if text := lines(r); !strings.Contains(text, "tls-wildcard [web]") || !strings.Contains(text, "low    unreachable [web]") {
			t.Errorf("TLS %x:\n%s", version, text)
		}
	}
}

func TestTargets(t *testing.T) {
	got := drift.Targets(firm(), "443")
	if len(got) != 6 || got[0] != (drift.Target{Name: "db.example.com", Address: "db.example.com:443"}) {
		t.Errorf("targets are %v", got)
	}
}
