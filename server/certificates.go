package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/identity"
)

// takeCertificates makes the credentials of the listeners.
func (s *Server) takeCertificates() error {
	s.own = make(map[string]*identity.Credential)
	var faults []error
	for _, name := range append(slices.Clone(CertificateNames), access.Public) {
		if _, ok := s.o.Certificates[name]; !ok && name == access.Public {
			continue
		}
		credential, err := identity.NewCredential(s.o.Certificates[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("listener %s: %w", name, err))
			continue
		}
		s.own[name] = credential
		s.expiry.set("listener", name, credential.Validity())
	}
	return errors.Join(faults...)
}

// mutual is the TLS of a listener that asks for a client certificate.
func (s *Server) mutual(name string, protocols ...string) *tls.Config {
	refused := func(reason string) { s.o.Metrics.refusedHandshake(name, reason) }
	return s.trustOf(name).ServerTLS(s.own[name], s.o.Now, refused, protocols...)
}

// trustOf is what a listener trusts.
func (s *Server) trustOf(name string) *identity.Trust {
	if t := s.o.Trusts[name]; t != nil {
		return t
	}
	return s.o.Trust
}

// publicTLS is the TLS of the public listener; nil: it speaks plain HTTP. Where
// tiles are not for everybody it takes client certificates, and asks for none.
func (s *Server) publicTLS() *tls.Config {
	credential := s.own[access.Public]
	if credential == nil {
		return nil
	}
	if s.o.Log.PublicTiles() {
		return identity.OpenTLS(credential, "h2", "http/1.1")
	}
	config := s.mutual(access.Public, "h2", "http/1.1")
	optionalCertificate(config)
	return config
}

// ReplaceCertificate gives a listener another certificate, for the connections
// that are made from now on. After an error nothing has changed.
func (s *Server) ReplaceCertificate(listener string, pair identity.Pair) error {
	credential := s.own[listener]
	if credential == nil {
		return fmt.Errorf("no listener %s has a certificate", listener)
	}
	if err := credential.Replace(pair); err != nil {
		return fmt.Errorf("listener %s: %w", listener, err)
	}
	s.expiry.set("listener", listener, credential.Validity())
	return nil
}

// WatchCAs has the ends of CA certificates told in the metrics and raised as
// alerts: by the name under which each is told.
func (s *Server) WatchCAs(all map[string]identity.Validity) { s.expiry.replace("ca", all) }
