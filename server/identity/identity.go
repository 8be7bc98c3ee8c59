// Package identity is who may speak to a listener: the log's private CA, the
// certificates it issues, and the trust by which a peer's certificate becomes a
// SPIFFE id.
//
// A client authenticates with a certificate that has exactly one URI SAN, its
// SPIFFE id `spiffe://<domain>/<name>`. The trust domain is the domain: a chain
// is checked against that domain's own bundle and no other, so the CA of one
// domain cannot vouch for a producer of another. Domains without a bundle of
// their own are the private CA's. Once a domain map is in force, [Issuers] binds
// each domain to the CAs that it lists.
//
// A certificate that a known CA signed, but that is not accepted, completes the
// handshake all the same, so that its holder hears at each call why it is refused:
// a [RefusedError]. Everybody else's handshake fails.
//
// Certificates, bundles and the list of revoked certificates are replaced while
// connections go on: see [Trust], [Credential] and [Watcher].
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
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/daybook-ledger/daybook/verify"
)

// Peer is an authenticated client.
type Peer struct {
	ID             string   // SPIFFE URI
	Domain         string   // trust domain of ID
	Certificate    []byte   // DER of the leaf; not to be modified
	KeyFingerprint [32]byte // SHA-256 of the SubjectPublicKeyInfo
	Validity                // of the credential
	// Vouched is when the last of the chains ends, by the CAs in it: then the peer is
	// to be identified again.
	Vouched time.Time
	// Chains are the SHA-256 digests of the SubjectPublicKeyInfo of the CAs of each
	// verified chain, the leaf's issuer first; not to be modified.
	Chains [][][32]byte
}

// Validity is how long a certificate is valid.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// ValidityOf returns how long a certificate is valid.
func ValidityOf(c *x509.Certificate) Validity { return Validity{c.NotBefore, c.NotAfter} }

// PeerOf returns the peer that a leaf certificate names. It checks the name
// only; the chain is [Trust]'s.
func PeerOf(leaf *x509.Certificate) (Peer, error) {
	id, err := x509svid.IDFromCert(leaf)
	if err != nil {
		return Peer{}, &RefusedError{Reason: ReasonNoSPIFFEID, Text: "the certificate names no SPIFFE id: " + err.Error()}
	}
	domain, err := verify.ProducerDomain(id.String())
	if err != nil {
		return Peer{}, &RefusedError{Reason: ReasonNoSPIFFEID, Text: "the certificate names no SPIFFE id: " + err.Error()}
	}
	return Peer{
		ID:             id.String(),
		Domain:         domain,
		Certificate:    leaf.Raw,
		KeyFingerprint: sha256.Sum256(leaf.RawSubjectPublicKeyInfo),
		Validity:       ValidityOf(leaf),
	}, nil
}

// Valid returns a *RefusedError where the credential is not valid at a time.
func (p *Peer) Valid(now time.Time) error {
	e := &RefusedError{ID: p.ID, Known: true, Authenticated: true}
	switch {
	case now.After(p.NotAfter):
		e.Reason = ReasonExpired
		e.Text = fmt.Sprintf("the certificate of %s ended at %s: renew it, by `daybookd identity renew --data DIR --id %s` on the log's machine or by its own issuer; "+
			"nothing that was acknowledged is lost, and a client sends the rest once the new certificate lies in the old one's place",
			p.ID, p.NotAfter.UTC().Format(time.RFC3339), p.ID)
	case now.Before(p.NotBefore):
		e.Reason = ReasonNotYetValid
		e.Text = fmt.Sprintf("the certificate of %s begins at %s: look at the clocks of both machines", p.ID, p.NotBefore.UTC().Format(time.RFC3339))
	default:
		return nil
	}
	return e
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
