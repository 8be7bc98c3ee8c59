package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/daybook-ledger/daybook/verify"
)

// Trust says which CAs vouch for which domains, and which certificates are
// revoked. It may be replaced at any time: what it says of a chain counts for the
// generation in which it was said. It is safe for concurrent use.
type Trust struct {
	now atomic.Pointer[trusted]
}

// trusted is what is trusted in one generation. Immutable.
type trusted struct {
	generation uint64
	own        []*x509.Certificate // for domains that have no bundle
	domains    *x509bundle.Set     // of those that do
	all        *x509.CertPool      // every CA: a hint to clients
	revoked    revoked
}

// NewTrust returns the trust in own, and for each domain of bundles in its
// bundle alone. Both are PEM.
func NewTrust(own []byte, bundles map[string][]byte) (*Trust, error) {
	t := new(Trust)
	return t, t.Replace(own, bundles, nil)
}

// Replace puts other CAs in the place of those before. Where own is nil, nobody
// vouches for a domain without a bundle. After an error nothing has changed.
func (t *Trust) Replace(own []byte, bundles map[string][]byte, list []Revocation) error {
	next := &trusted{generation: 1, domains: x509bundle.NewSet(), all: x509.NewCertPool()}
	if before := t.now.Load(); before != nil {
		next.generation = before.generation + 1
	}
	var err error
	if next.revoked, err = newRevoked(list); err != nil {
		return err
	}
	if own != nil {
		private, err := next.bundle("private.invalid", own)
		if err != nil {
			return fmt.Errorf("bundle of the private CA: %w", err)
		}
		next.own = private.X509Authorities()
	}
	for domain, text := range bundles {
		if _, err := verify.ProducerDomain("spiffe://" + domain + "/x"); err != nil {
			return fmt.Errorf("trust: domain %q: %w", domain, err)
		}
		bundle, err := next.bundle(domain, text)
		if err != nil {
			return fmt.Errorf("trust: bundle of domain %s: %w", domain, err)
		}
		next.domains.Add(bundle)
	}
	t.now.Store(next)
	return nil
}

// bundle parses the bundle of a domain and adds it to all.
func (t *trusted) bundle(domain string, text []byte) (*x509bundle.Bundle, error) {
	name, err := spiffeid.TrustDomainFromString(domain)
	if err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Parse(name, text)
	if err != nil {
		return nil, err
	}
	if bundle.Empty() {
		return nil, errors.New("holds no certificate in PEM form")
	}
	for _, ca := range bundle.X509Authorities() {
		t.all.AddCert(ca)
	}
	return bundle, nil
}

// GetX509BundleForTrustDomain implements x509bundle.Source.
func (t *trusted) GetX509BundleForTrustDomain(name spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	if bundle, ok := t.domains.Get(name); ok {
		return bundle, nil
	}
	return x509bundle.FromX509Authorities(name, t.own), nil
}

// Generation changes with each [Trust.Replace].
func (t *Trust) Generation() uint64 { return t.now.Load().generation }

// Check returns the peer that a presented chain authenticates now, leaf first.
// The error is a *RefusedError.
func (t *Trust) Check(chain []*x509.Certificate, now time.Time) (Peer, error) {
	peer, err := t.Identify(chain, now)
	if err != nil {
		return Peer{}, err
	}
	return peer, peer.Valid(now)
}

// Identify is Check without [Peer.Valid]: the CAs must be valid now, the leaf need
// not. The error is a *RefusedError.
func (t *Trust) Identify(chain []*x509.Certificate, now time.Time) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, &RefusedError{Reason: ReasonNoCertificate, Text: "no client certificate"}
	}
	trusted := t.now.Load()
	peer, err := PeerOf(chain[0])
	leaf := *chain[0]
	leaf.NotBefore, leaf.NotAfter = now, now
	chain = slices.Concat([]*x509.Certificate{&leaf}, chain[1:])
	if refused := new(RefusedError); errors.As(err, &refused) {
		refused.Known = trusted.knows(chain, now)
		return Peer{}, refused
	}
	_, chains, err := x509svid.Verify(chain, trusted, x509svid.WithTime(now))
	if err != nil {
		return Peer{}, trusted.stranger(peer.ID, chain, now, err)
	}
	known := RefusedError{ID: peer.ID, Known: true, Authenticated: true}
	if chains = slices.DeleteFunc(chains, notForClients); len(chains) == 0 {
		known.Reason, known.Text = ReasonUsage, "the certificate of "+peer.ID+" is not for TLS clients"
		return Peer{}, &known
	}
	if chains = slices.DeleteFunc(chains, trusted.revoked.any); len(chains) == 0 {
		known.Reason, known.Text = ReasonRevoked, "the certificate of "+peer.ID+", or its CA's, is revoked: have another issued, with another key"
		return Peer{}, &known
	}
	for _, verified := range chains {
		cas := make([][32]byte, 0, len(verified)-1)
		end := verified[len(verified)-1].NotAfter
		for _, ca := range verified[1:] {
			if ca.NotAfter.Before(end) {
				end = ca.NotAfter
			}
			cas = append(cas, sha256.Sum256(ca.RawSubjectPublicKeyInfo))
		}
		peer.Chains = append(peer.Chains, cas)
		if end.After(peer.Vouched) {
			peer.Vouched = end
		}
	}
	return peer, nil
}

// knows tells whether any CA, whosever it is, signed a chain.
func (t *trusted) knows(chain []*x509.Certificate, now time.Time) bool {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: t.all, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// stranger is the refusal of a chain that the id's own domain does not vouch for.
func (t *trusted) stranger(id string, chain []*x509.Certificate, now time.Time, cause error) error {
	if leaf := chain[0]; leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		if t.knows(chain, now) {
			return &RefusedError{Reason: ReasonUsage, ID: id, Known: true, Text: "the certificate of " + id + " is a CA's: have it issue one that may not sign others"}
		}
	} else if t.knows(chain, now) {
		return &RefusedError{Reason: ReasonWrongCA, ID: id, Known: true,
			Text: fmt.Sprintf("the CA of the certificate of %s, %q, does not vouch for its domain: have the domain's own CA issue one", id, chain[0].Issuer)}
	}
	return &RefusedError{Reason: ReasonUnknownCA, ID: id, Text: fmt.Sprintf("certificate of %s: %v", id, cause)}
}

// notForClients tells whether a verified chain is limited to other uses than TLS
// clients.
func notForClients(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(c *x509.Certificate) bool {
		limited := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
		return limited && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	})
}

// ParseBundle returns the CA certificates of a PEM bundle.
func ParseBundle(text []byte) ([]*x509.Certificate, error) {
	bundle, err := (&trusted{all: x509.NewCertPool()}).bundle("bundle.invalid", bytes.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	return bundle.X509Authorities(), nil
}
