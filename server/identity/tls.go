package identity

import (
	"crypto/tls"
	"fmt"
	"time"
)

// ServerTLS returns the configuration of a listener with this certificate, for
// clients that trust vouches for; every handshake without such a client
// fails. Each listener has its own, so that a resumption ticket of one means
// nothing to another. Protocols are the ALPN names, such as `h2`.
func (t *Trust) ServerTLS(pair Pair, now func() time.Time, protocols ...string) (*tls.Config, error) {
	config, err := OpenTLS(pair, protocols...)
	if err != nil {
		return nil, err
	}
	// The chain is checked in VerifyConnection, which also runs for resumed
	// connections, against the bundle of the peer's own domain.
	config.ClientAuth = tls.RequireAnyClientCert
	config.ClientCAs = t.hints
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := t.Check(state.PeerCertificates, now())
		return err
	}
	return config, nil
}

// OpenTLS returns the configuration of a listener that does not ask for a
// client certificate.
func OpenTLS(pair Pair, protocols ...string) (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of a listener: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   protocols,
	}, nil
}
