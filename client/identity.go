package client

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// identity is who the client is, as its files said it once. Immutable.
type identity struct {
	// producer is the URI of the certificate.
	producer string
	// leaf is the certificate, DER.
	leaf []byte
	// spki is the certificate's public key, DER.
	spki []byte
	// signer is the certificate's key.
	signer crypto.Signer
	// tls is the configuration of every connection that is made with it.
	tls *tls.Config
}

// loadIdentity reads the certificate, its key and the bundle of the server's CA.
func loadIdentity(c *Config) (*identity, error) {
	pair, err := c.pair()
	if err != nil {
		return nil, fmt.Errorf("loading certificate: %w", err)
	}
	producer, err := verify.CertificateURI(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.Certificate, err)
	}
	spki, err := verify.CertificateSPKI(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.Certificate, err)
	}
	signer, err := runSigner(pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", c.Key, err)
	}
	bundle, err := readBounded(c.CA)
	if err != nil {
		return nil, fmt.Errorf("reading ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("ca %s: holds no certificate", c.CA)
	}
	return &identity{
		producer: producer, leaf: pair.Certificate[0], spki: spki, signer: signer,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots,
			// A ticket stands for the certificate it was given to: each identity has its own.
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
	}, nil
}

// pair reads certificate and key.
func (c *Config) pair() (tls.Certificate, error) {
	if c.Pair == nil {
		return tls.LoadX509KeyPair(c.Certificate, c.Key)
	}
	certificate, key, err := c.Pair()
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, key)
}

// runSigner refuses keys that verify.CheckRunSignature does not know.
func runSigner(key crypto.PrivateKey) (crypto.Signer, error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize == 256 {
			return k, nil
		}
	}
	return nil, errors.New("neither Ed25519 nor ECDSA P-256")
}

// sameKey tells whether a certificate, DER, is of the identity's key.
func (id *identity) sameKey(certificate []byte) bool {
	spki, err := verify.CertificateSPKI(certificate)
	return err == nil && bytes.Equal(spki, id.spki)
}

// sign signs a heartbeat or an end: Ed25519 over the message, ECDSA over its
// SHA-256, in ASN.1 form.
func (id *identity) sign(message []byte) ([]byte, error) {
	if k, ok := id.signer.(ed25519.PrivateKey); ok {
		return ed25519.Sign(k, message), nil
	}
	sum := sha256.Sum256(message)
	sig, err := id.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return sig, nil
}
