package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// Lifetimes of what an authority issues.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 397 * 24 * time.Hour
	// RenewBefore is how long before its end a certificate should be replaced.
	RenewBefore = 90 * 24 * time.Hour
	// backdate lets peers whose clocks are behind accept a new certificate.
	backdate = 5 * time.Minute
)

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate []byte
	Key         []byte // PKCS #8; to be kept in a file of mode 0600
}

// Authority is a log's private CA. It is immutable and safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes a CA for a trust domain.
func NewAuthority(domain string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a CA key: %w", err)
	}
	uri, err := url.Parse("spiffe://" + domain)
	if err != nil {
		return nil, fmt.Errorf("making a CA: domain %q: %w", domain, err)
	}
	template := &x509.Certificate{
		URIs:                  []*url.URL{uri}, // the trust domain (SPIFFE X509-SVID)
		Subject:               pkix.Name{CommonName: "Daybook private CA for " + domain},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a CA certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a CA certificate: %w", err)
	}
	return &Authority{certificate, key}, nil
}

// ParseAuthority reads what Pair returned.
func ParseAuthority(pair Pair) (*Authority, error) {
	certificate, err := parseCertificate(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	key, err := parseKey(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	if !certificate.IsCA {
		return nil, errors.New("CA certificate: is not a CA's")
	}
	if len(certificate.URIs) != 1 {
		return nil, errors.New("CA certificate: names no trust domain")
	}
	if err := samePublic(certificate, key); err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	return &Authority{certificate, key}, nil
}

// Pair returns the CA's own certificate and key.
func (a *Authority) Pair() (Pair, error) {
	key, err := formatKey(a.key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: a.Bundle(), Key: key}, nil
}

// Domain returns the trust domain that the CA was made for.
func (a *Authority) Domain() string { return a.certificate.URIs[0].Host }

// KeyDigest returns the SHA-256 of the CA's SubjectPublicKeyInfo, as a domain map
// lists it under issuer.cas.
func (a *Authority) KeyDigest() [32]byte {
	return sha256.Sum256(a.certificate.RawSubjectPublicKeyInfo)
}

// Validity is how long the CA's certificate is valid.
func (a *Authority) Validity() Validity { return ValidityOf(a.certificate) }

// Bundle returns what a client trusts: the CA's certificate in PEM.
func (a *Authority) Bundle() []byte { return formatCertificate(a.certificate.Raw) }

// IssueServer makes a certificate for a listener at these hosts: names and IP
// addresses.
func (a *Authority) IssueServer(listener string, hosts []string, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key for listener %s: %w", listener, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Daybook " + listener},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template, key, now, leafLife)
}

// IssueClient makes a certificate for a SPIFFE id. It keeps the key of an
// earlier pair, so that a renewed producer has the fingerprint it had; old is
// nil for a new one.
func (a *Authority) IssueClient(id string, old *Pair, now time.Time) (Pair, error) {
	return a.IssueClientFor(id, old, now, leafLife)
}

// IssueClientFor is IssueClient for a certificate that lasts so long; not over 397
// days, nor over the CA.
func (a *Authority) IssueClientFor(id string, old *Pair, now time.Time, life time.Duration) (Pair, error) {
	if _, err := verify.ProducerDomain(id); err != nil {
		return Pair{}, fmt.Errorf("issuing a client certificate: %w", err)
	}
	uri, err := url.Parse(id)
	if err != nil || uri.String() != id {
		return Pair{}, fmt.Errorf("issuing a client certificate: %q is no SPIFFE id", id)
	}
	var key crypto.Signer
	if old != nil {
		if key, err = parseKey(old.Key); err != nil {
			return Pair{}, fmt.Errorf("renewing the certificate of %s: %w", id, err)
		}
	} else if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return Pair{}, fmt.Errorf("making a key for %s: %w", id, err)
	}
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: id},
		URIs:        []*url.URL{uri},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, now, life)
}

// issue completes and signs a leaf.
func (a *Authority) issue(template *x509.Certificate, key crypto.Signer, now time.Time, life time.Duration) (Pair, error) {
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(min(life, leafLife))
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	template.BasicConstraintsValid = true
	der, err := sign(template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate: %w", err)
	}
	keyPEM, err := formatKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: formatCertificate(der), Key: keyPEM}, nil
}

// sign gives the template a random serial number and signs it.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

// Stale tells why a listener's or client's pair should be issued anew: it does
// not parse, ends within RenewBefore, is not the authority's, or does not cover
// the hosts. Empty: it should not.
func (a *Authority) Stale(pair Pair, hosts []string, now time.Time) string {
	leaf, err := parseCertificate(pair.Certificate)
	if err != nil {
		return "the certificate does not parse"
	}
	key, err := parseKey(pair.Key)
	if err != nil || samePublic(leaf, key) != nil {
		return "the key is not the certificate's"
	}
	if leaf.CheckSignatureFrom(a.certificate) != nil {
		return "the certificate is not the private CA's"
	}
	if a.expiring(leaf, now) {
		return "the certificate ends " + leaf.NotAfter.UTC().Format(time.RFC3339)
	}
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			return "the certificate does not name " + host
		}
	}
	return ""
}

// Expiring tells whether a pair that this authority issued ends within
// RenewBefore. It is false for anybody else's.
func (a *Authority) Expiring(pair Pair, now time.Time) bool {
	leaf, err := parseCertificate(pair.Certificate)
	return err == nil && leaf.CheckSignatureFrom(a.certificate) == nil && a.expiring(leaf, now)
}

// Issued tells whether the CA signed a certificate.
func (a *Authority) Issued(c *x509.Certificate) bool {
	return c.CheckSignatureFrom(a.certificate) == nil
}

// expiring: a new certificate would last longer.
func (a *Authority) expiring(leaf *x509.Certificate, now time.Time) bool {
	return now.After(leaf.NotAfter.Add(-RenewBefore)) && leaf.NotAfter.Before(a.certificate.NotAfter)
}

func formatCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func formatKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("formatting a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Leaf returns the certificate of the pair.
func (p Pair) Leaf() (*x509.Certificate, error) { return parseCertificate(p.Certificate) }

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM form")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PKCS #8 key in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key of type %T does not sign", key)
	}
	return signer, nil
}

func samePublic(certificate *x509.Certificate, key crypto.Signer) error {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if !bytes.Equal(spki, certificate.RawSubjectPublicKeyInfo) {
		return errors.New("the key is not the certificate's")
	}
	return nil
}
