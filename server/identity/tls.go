package identity

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A Credential is a listener's certificate and key. It may be replaced at any
// time: connections go on, new ones see the new certificate. Safe for concurrent
// use.
type Credential struct {
	now atomic.Pointer[tls.Certificate]
}

// NewCredential returns the credential of a pair.
func NewCredential(pair Pair) (*Credential, error) {
	c := new(Credential)
	return c, c.Replace(pair)
}

// Replace puts another certificate in the place of the one before. After an error
// nothing has changed.
func (c *Credential) Replace(pair Pair) error {
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return fmt.Errorf("certificate of a listener: %w", err)
	}
	c.now.Store(&certificate)
	return nil
}

// Validity is how long the certificate is valid.
func (c *Credential) Validity() Validity { return ValidityOf(c.now.Load().Leaf) }

func (c *Credential) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil }

// ServerTLS returns the configuration of a listener with this certificate, for
// clients whose certificate a known CA signed; every other handshake fails, and
// refused is told the reason (it may be nil). The listener must hold each call
// against [Trust.Check]: a completed handshake alone permits nothing. Each
// listener has its own configuration, so that a resumption ticket of one means
// nothing to another. Protocols are the ALPN names, such as `h2`.
func (t *Trust) ServerTLS(c *Credential, now func() time.Time, refused func(reason string), protocols ...string) *tls.Config {
	config := OpenTLS(c, protocols...)
	// The chain is checked in VerifyConnection, which also runs for resumed
	// connections, against the bundle of the peer's own domain.
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := t.Check(state.PeerCertificates, now())
		var why *RefusedError
		if err == nil || errors.As(err, &why) && why.Known {
			return nil
		}
		if refused != nil && why != nil {
			refused(why.Reason)
		}
		return err
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		fresh := config.Clone() // keeps the ticket keys
		fresh.ClientCAs = t.now.Load().all
		fresh.GetConfigForClient = nil
		return fresh, nil
	}
	return config
}

// OpenTLS returns the configuration of a listener that does not ask for a
// client certificate.
func OpenTLS(c *Credential, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: c.get,
		NextProtos:     protocols,
	}
}
