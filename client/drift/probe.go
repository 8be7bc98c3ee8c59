package drift

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Target is a server that speaks TLS under a declared name.
type Target struct {
	// Name that the map declares, and that is asked for.
	Name string
	// Address to connect to, host:port.
	Address string
}

// Targets returns a target for each DNS name that a map declares, at a port.
func Targets(m *daybookv1.MapDocument, port string) []Target {
	var out []Target
	for _, name := range declare(m).dnsNames() {
		out = append(out, Target{name, net.JoinHostPort(name, port)})
	}
	return out
}

// A probed is what one target showed.
type probed struct {
	Target
	domain string // by id; empty: the map does not know the name
	chain  []*x509.Certificate
	err    error // no certificate was shown
	pages  []page
	asked  error // the HTTP request failed
}

// Advice of checks on certificates.
const (
	adviceOwnKey  = "give each domain a key and a certificate of its own, for its own names only"
	adviceExact   = "issue a certificate for the exact names"
	adviceIssuer  = "issue it from the domain's own CA, or declare the CA under `issuer` after review"
	adviceExpiry  = "renew it now"
	adviceTLSName = "issue a certificate for the name, or correct where the name points to"
)

// scanTargets probes every target and judges what they show together.
func (s *scan) scanTargets(ctx context.Context) []Difference {
	ps := make([]probed, len(s.c.Targets))
	s.each(ctx, "servers", len(ps), func(ctx context.Context, i int) {
		ps[i].Target = s.c.Targets[i]
		ps[i].domain = s.d.dns[canonical(ps[i].Name)]
		s.probe(ctx, &ps[i])
	})
	var out []Difference
	for i := range ps {
		p := &ps[i]
		if p.err != nil {
			out = append(out, Difference{"unreachable", Medium, p.domain, "", p.Name + " at " + p.Address, p.err.Error(), adviceAsk})
			continue
		}
		out = append(out, s.judgeCertificate(p)...)
		if p.asked != nil {
			out = append(out, Difference{"unreachable", Low, p.domain, "", "https://" + p.Name + " at " + p.Address, p.asked.Error(),
				"none is needed where the server speaks no HTTP"})
		}
		out = append(out, s.judgePages(p)...)
	}
	s.scanned("tls", fmt.Sprintf("%d targets", len(ps)), len(ps), "")
	return append(out, s.sharedKeys(ps)...)
}

// probe makes a handshake, which shows the certificate even where the server
// goes on to want one of ours, and then asks for pages. Nothing is trusted: the
// chain is what is judged.
func (s *scan) probe(ctx context.Context, p *probed) {
	config := inspect(p.Name, &p.chain)
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		p.err = err
		return
	}
	conn := tls.Client(raw, config)
	err = conn.HandshakeContext(ctx)
	conn.Close()
	if p.chain == nil {
		if p.err = err; err == nil {
			p.err = errors.New("the server showed no certificate")
		}
		return
	}
	for _, path := range s.c.Paths {
		got, err := fetch(ctx, p.Target, path)
		if err != nil {
			p.asked = err
			return
		}
		p.pages = append(p.pages, got)
	}
}

// inspect is a TLS configuration that accepts any certificate and notes the
// chain; it is for looking at servers only, nothing is sent to them.
func inspect(name string, chain *[]*x509.Certificate) *tls.Config {
	return &tls.Config{
		ServerName: strings.TrimSuffix(name, "."), InsecureSkipVerify: true, MinVersion: tls.VersionTLS10,
		VerifyConnection: func(state tls.ConnectionState) error {
			if chain != nil {
				*chain = state.PeerCertificates
			}
			return nil
		},
	}
}

func spki(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return string(sum[:])
}

// judgeCertificate judges the certificate of one target.
func (s *scan) judgeCertificate(p *probed) []Difference {
	leaf := p.chain[0]
	var out []Difference
	add := func(check string, severity Severity, other, detail, advice string) {
		out = append(out, Difference{check, severity, p.domain, other, p.Name + " at " + p.Address, detail, advice})
	}
	if err := leaf.VerifyHostname(p.Name); err != nil {
		add("tls-name", Medium, "", err.Error(), adviceTLSName)
	}
	now := s.c.Now()
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		add("tls-expiry", High, "", "its certificate ended at "+leaf.NotAfter.UTC().Format(time.RFC3339), adviceExpiry)
	case left < s.c.Expiry:
		add("tls-expiry", Medium, "", fmt.Sprintf("its certificate ends at %s, in %d days", leaf.NotAfter.UTC().Format(time.RFC3339), int(left.Hours()/24)), adviceExpiry)
	case now.Before(leaf.NotBefore):
		add("tls-expiry", Medium, "", "its certificate is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339), "issue one that is valid")
	}
	foreign := map[string][]string{} // names of other domains that the certificate is valid for
	for _, san := range leaf.DNSNames {
		of, wild := strings.CutPrefix(canonical(san), "*.")
		if wild {
			add("tls-wildcard", s.wildcardSeverity(p.domain, of), "", "its certificate is valid for "+san, adviceExact)
		}
		covered := []string{of}
		if wild {
			covered = s.d.beside[of]
		}
		for _, name := range covered {
			if id := s.d.dns[name]; id != "" && id != p.domain {
				foreign[id] = append(foreign[id], name)
			}
		}
	}
	for id, names := range foreign {
		slices.Sort(names)
		add("tls-foreign-name", High, id, "its certificate is valid for "+some(slices.Compact(names), 4)+" of "+id, adviceOwnKey)
	}
	return append(out, s.judgeIssuer(p)...)
}

// wildcardSeverity is high where a wildcard covers a name of another domain.
func (s *scan) wildcardSeverity(domain, of string) Severity {
	for _, name := range s.d.beside[of] {
		if s.d.dns[name] != domain {
			return High
		}
	}
	return Medium
}

// judgeIssuer holds the chain against the CAs that the domain declares.
func (s *scan) judgeIssuer(p *probed) []Difference {
	declaredCAs := s.d.byID[p.domain].GetIssuer().GetCaSha256()
	chain := s.issuers(p.chain)
	other := ""
	for _, ca := range chain {
		owner := s.d.cas[spki(ca)]
		if owner != "" && owner == p.domain {
			return nil
		}
		if owner != "" {
			other = owner
		}
	}
	subject := p.Name + " at " + p.Address
	if other != "" {
		return []Difference{{"tls-issuer", High, p.domain, other, subject, "its certificate is issued by the CA of " + other, adviceIssuer}}
	}
	if len(declaredCAs) == 0 {
		return nil // the domain declares none: nothing to compare with
	}
	issuer := p.chain[0].Issuer.String()
	if len(chain) > 0 {
		sum := spki(chain[len(chain)-1])
		issuer = fmt.Sprintf("%s (key %s)", chain[len(chain)-1].Subject, hex.EncodeToString([]byte(sum)))
	}
	return []Difference{{"tls-issuer", High, p.domain, "", subject, "its certificate leads to " + issuer + ", which the domain does not declare", adviceIssuer}}
}

// maxDepth bounds the certificates of a chain that are looked at.
const maxDepth = 10

// issuers are the CAs whose keys vouch for a leaf: as far as the server sent
// them, and from there as the roots complete them. A self-signed leaf is its own.
func (s *scan) issuers(sent []*x509.Certificate) []*x509.Certificate {
	sent = sent[:min(len(sent), maxDepth)]
	at := sent[0]
	var out []*x509.Certificate
	for range maxDepth {
		next := slices.IndexFunc(sent, func(c *x509.Certificate) bool { return !c.Equal(at) && at.CheckSignatureFrom(c) == nil })
		if next < 0 {
			break
		}
		at = sent[next]
		out = append(out, at)
	}
	if at.CheckSignature(at.SignatureAlgorithm, at.RawTBSCertificate, at.Signature) == nil && len(out) == 0 {
		return []*x509.Certificate{at}
	}
	pool := x509.NewCertPool()
	for _, c := range sent[1:] {
		pool.AddCert(c)
	}
	// Time and name are judged elsewhere: here only who issued it.
	chains, err := sent[0].Verify(x509.VerifyOptions{Intermediates: pool, Roots: s.c.Roots, CurrentTime: sent[0].NotBefore.Add(time.Second),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return out
	}
	for _, chain := range chains {
		for _, c := range chain[1:] {
			if !slices.ContainsFunc(out, c.Equal) {
				out = append(out, c)
			}
		}
	}
	return out
}

// sharedKeys looks for one key behind names of two domains.
func (s *scan) sharedKeys(ps []probed) []Difference {
	var out []Difference
	first := map[string]map[string]*probed{} // key: domain: the first target with it
	for i := range ps {
		p := &ps[i]
		if p.err != nil || p.domain == "" {
			continue
		}
		key := spki(p.chain[0])
		if first[key] == nil {
			first[key] = map[string]*probed{}
		}
		for domain, q := range first[key] {
			if domain == p.domain {
				continue
			}
			a, b := q, p
			if a.domain > b.domain {
				a, b = b, a
			}
			out = append(out, Difference{"tls-shared-key", High, a.domain, b.domain, "key " + hex.EncodeToString([]byte(key)),
				fmt.Sprintf("%s of %s and %s of %s show one key", a.Name, s.d.named(a.domain), b.Name, s.d.named(b.domain)), adviceOwnKey})
		}
		if first[key][p.domain] == nil {
			first[key][p.domain] = p
		}
	}
	return out
}
