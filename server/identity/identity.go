// Package identity is who may speak to a listener: the log's private CA, the
// certificates it issues, and the trust by which a peer's certificate becomes a
// SPIFFE id.
//
// A client authenticates with a certificate that has exactly one URI SAN, its
// SPIFFE id `spiffe://<domain>/<name>`. The trust domain is the domain: a chain
// is checked against that domain's own bundle and no other, so the CA of one
// domain cannot vouch for a producer of another. Domains without a bundle of
// their own are the private CA's.
//
// For example, after
//
//	ca, err := identity.NewAuthority("demo.invalid", time.Now())
//	pair, err := ca.IssueClient("spiffe://demo.invalid/producer", nil, time.Now())
//
// a listener that uses ca.Trust() sees a peer with ID
// spiffe://demo.invalid/producer.
//
// Keys: the CA and the listeners have ECDSA P-256 keys, which browsers accept;
// clients have Ed25519 keys, with which a producer also signs its runs.
package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// Peer is an authenticated client.
type Peer struct {
	ID             string    // SPIFFE URI
	Domain         string    // trust domain of ID
	Certificate    []byte    // DER of the leaf; not to be modified
	KeyFingerprint [32]byte  // SHA-256 of the SubjectPublicKeyInfo
	NotAfter       time.Time // the credential is valid until then
}

// ErrExpired: the peer's certificate is not valid now.
var ErrExpired = errors.New("certificate has expired or is not yet valid")

// PeerOf returns the peer that a leaf certificate names. It checks the name
// only; the chain is [Trust]'s.
func PeerOf(leaf *x509.Certificate) (Peer, error) {
	if len(leaf.URIs) != 1 {
		return Peer{}, fmt.Errorf("certificate has %d URI names, a SPIFFE id is exactly one", len(leaf.URIs))
	}
	id := leaf.URIs[0].String()
	domain, err := verify.ProducerDomain(id)
	if err != nil {
		return Peer{}, fmt.Errorf("certificate: %w", err)
	}
	return Peer{
		ID:             id,
		Domain:         domain,
		Certificate:    leaf.Raw,
		KeyFingerprint: sha256.Sum256(leaf.RawSubjectPublicKeyInfo),
		NotAfter:       leaf.NotAfter,
	}, nil
}

// Trust says which CAs vouch for which domains. It is immutable and safe for
// concurrent use.
type Trust struct {
	own     *x509.CertPool            // for domains that are not in domains
	domains map[string]*x509.CertPool // for these, and only these
	hints   *x509.CertPool            // all of them, as a hint to clients
}

// NewTrust returns the trust in own, and for each domain of bundles in its
// bundle alone. Both are PEM.
func NewTrust(own []byte, bundles map[string][]byte) (*Trust, error) {
	t := &Trust{domains: make(map[string]*x509.CertPool, len(bundles)), hints: x509.NewCertPool()}
	var err error
	if t.own, err = t.pool(own); err != nil {
		return nil, fmt.Errorf("bundle of the private CA: %w", err)
	}
	for domain, bundle := range bundles {
		if _, err := verify.ProducerDomain("spiffe://" + domain + "/x"); err != nil {
			return nil, fmt.Errorf("trust: domain %q: %w", domain, err)
		}
		if t.domains[domain], err = t.pool(bundle); err != nil {
			return nil, fmt.Errorf("trust: bundle of domain %s: %w", domain, err)
		}
	}
	return t, nil
}

// pool parses a bundle and adds it to the hints.
func (t *Trust) pool(bundle []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, errors.New("holds no certificate in PEM form")
	}
	t.hints.AppendCertsFromPEM(bundle)
	return pool, nil
}

// Check returns the peer that a presented chain authenticates, leaf first.
func (t *Trust) Check(chain []*x509.Certificate, now time.Time) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, errors.New("no client certificate")
	}
	peer, err := PeerOf(chain[0])
	if err != nil {
		return Peer{}, err
	}
	roots := t.own
	if pool, ok := t.domains[peer.Domain]; ok {
		roots = pool
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return Peer{}, fmt.Errorf("%w: %s until %s", ErrExpired, peer.ID, peer.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return Peer{}, fmt.Errorf("certificate of %s: %w", peer.ID, err)
	}
	return peer, nil
}

// Allow is a list of SPIFFE ids that may use a listener. An element that ends
// in `/*` stands for every id below it, a lone `*` for every authenticated peer.
// A nil list allows nobody.
type Allow []string

// Includes tells whether id is on the list.
func (a Allow) Includes(id string) bool {
	return slices.ContainsFunc(a, func(pattern string) bool {
		if pattern == "*" || pattern == id {
			return true
		}
		prefix, ok := strings.CutSuffix(pattern, "*")
		return ok && strings.HasSuffix(prefix, "/") && len(id) > len(prefix) && strings.HasPrefix(id, prefix)
	})
}

// Check returns an error that names the first malformed pattern.
func (a Allow) Check() error {
	for _, pattern := range a {
		if pattern == "*" {
			continue
		}
		id := pattern
		if prefix, ok := strings.CutSuffix(pattern, "/*"); ok {
			id = prefix + "/x"
		}
		if _, err := verify.ProducerDomain(id); err != nil {
			return fmt.Errorf("%q: %w", pattern, err)
		}
	}
	return nil
}
