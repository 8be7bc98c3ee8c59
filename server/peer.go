package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/daybook-ledger/daybook/ledger"
)

// What is forwarded of a REST client to the services: its certificates, leaf first,
// its authorization headers and its address. It is believed on the in-process
// connection alone, which no other process can reach; every other listener ignores
// it.
const (
	forwardedKey        = "daybook-forwarded-certificate-bin"
	forwardedTokenKey   = "daybook-forwarded-authorization-bin"
	forwardedAddressKey = "daybook-forwarded-address"
)

// inProcess is the AuthInfo of the in-process connection.
type inProcess struct{ credentials.CommonAuthInfo }

// AuthType implements credentials.AuthInfo.
func (inProcess) AuthType() string { return "in-process" }

// inProcessCredentials marks connections of the in-process listener.
type inProcessCredentials struct{}

func (inProcessCredentials) info() inProcess {
	return inProcess{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
}

// ServerHandshake implements credentials.TransportCredentials.
func (c inProcessCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return raw, c.info(), nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (c inProcessCredentials) ClientHandshake(_ context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return raw, c.info(), nil
}

// Info implements credentials.TransportCredentials.
func (inProcessCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "in-process"}
}

// Clone implements credentials.TransportCredentials.
func (c inProcessCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials.
func (inProcessCredentials) OverrideServerName(string) error { return nil }

// forwardIdentity is what the REST handler attaches to a call: the certificates
// whose key its own TLS connection has seen, and the tokens to be checked.
func forwardIdentity(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.Pairs(forwardedAddressKey, hostOf(r.RemoteAddr))
	if r.TLS != nil {
		for _, c := range r.TLS.PeerCertificates {
			md.Append(forwardedKey, string(c.Raw))
		}
	}
	md.Append(forwardedTokenKey, r.Header.Values("Authorization")...)
	return md
}

// credentialOf returns what a call came with.
func (g *gate) credentialOf(ctx context.Context) (credential, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return credential{}, errors.New("no peer")
	}
	switch info := p.AuthInfo.(type) {
	case authInfo:
		c := credential{tokens: metadata.ValueFromIncomingContext(ctx, "authorization")}
		if len(c.tokens) > 0 {
			c.address = hostOf(p.Addr.String())
		}
		if info.connection == nil {
			return c, nil
		}
		var err error
		c.peer, err = info.connection.peer(g.now())
		return c, err
	case inProcess:
		return g.forwardedCredential(ctx)
	}
	return credential{}, errors.New("connection without an identity")
}

// forwardedCredential is what the REST handler attached.
func (g *gate) forwardedCredential(ctx context.Context) (credential, error) {
	c := credential{tokens: metadata.ValueFromIncomingContext(ctx, forwardedTokenKey),
		address: strings.Join(metadata.ValueFromIncomingContext(ctx, forwardedAddressKey), " ")}
	forwarded := metadata.ValueFromIncomingContext(ctx, forwardedKey)
	if len(forwarded) == 0 {
		return c, nil
	}
	chain, err := chainOf(forwarded)
	if err != nil {
		return c, err
	}
	c.peer, err = g.trust.Identify(chain, g.now())
	return c, err
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// producerOf returns the peer as the ledger knows it.
func producerOf(ctx context.Context) ledger.Producer {
	id := peerOf(ctx)
	return ledger.Producer{ID: id.ID, Certificate: id.Certificate, KeyFingerprint: id.KeyFingerprint}
}

// streamContext replaces the context of a stream.
type streamContext struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s streamContext) Context() context.Context { return s.ctx }
