package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/server/identity"
)

// forwardedKey carries the certificates of a REST client, leaf first, to the
// query service. It is believed on the in-process connection alone, which no other
// process can reach; every other listener ignores it.
const forwardedKey = "daybook-forwarded-certificate-bin"

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
// whose key its own TLS connection has seen.
func forwardIdentity(_ context.Context, r *http.Request) metadata.MD {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	md := metadata.MD{}
	for _, c := range r.TLS.PeerCertificates {
		md.Append(forwardedKey, string(c.Raw))
	}
	return md
}

// authenticate returns the peer of a call, whose credential may not be valid now.
func (g gate) authenticate(ctx context.Context) (identity.Peer, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.Peer{}, errors.New("no peer")
	}
	switch info := p.AuthInfo.(type) {
	case authInfo:
		return info.connection.peer(g.now())
	case inProcess:
		md, _ := metadata.FromIncomingContext(ctx)
		chain, err := chainOf(md.Get(forwardedKey))
		if err != nil {
			return identity.Peer{}, err
		}
		return g.trust.Identify(chain, g.now())
	}
	return identity.Peer{}, errors.New("connection without an identity")
}

// gate lets calls of one listener through: authenticated, still valid, by a CA
// that the map in force lists, allowed.
type gate struct {
	allow   identity.Allow
	trust   *identity.Trust
	issuers func() *identity.Issuers // of the map in force
	now     func() time.Time
}

func (g gate) admit(ctx context.Context) (identity.Peer, error) {
	id, err := g.authenticate(ctx)
	if err == nil {
		err = id.Valid(g.now())
	}
	if err == nil {
		err = g.issuers().Check(&id)
	}
	var refused *identity.RefusedError
	if errors.As(err, &refused) {
		return id, refused
	}
	if err != nil {
		return id, &requestError{codes.Unauthenticated, ReasonUnauthenticated, "no client identity: " + err.Error()}
	}
	if !g.allow.Includes(id.ID) {
		return id, &requestError{codes.PermissionDenied, ReasonNotAllowed,
			id.ID + " may not use this listener: its operator lists who may under `access` in the configuration"}
	}
	return id, nil
}

type peerKey struct{}

// peerOf returns the peer that the interceptors let through.
func peerOf(ctx context.Context) identity.Peer {
	id, ok := ctx.Value(peerKey{}).(identity.Peer)
	if !ok {
		panic("server: handler called past its interceptors")
	}
	return id
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
