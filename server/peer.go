package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
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

// authInfo is the identity of a connection, found once at its handshake.
type authInfo struct {
	credentials.TLSInfo
	peer identity.Peer
}

// mutualTLS is gRPC's TLS with the peer's identity taken at the handshake
// instead of at each call.
type mutualTLS struct {
	credentials.TransportCredentials
	trust *identity.Trust
	now   func() time.Time
}

// ServerHandshake implements credentials.TransportCredentials.
func (c mutualTLS) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		conn.Close()
		return nil, nil, fmt.Errorf("handshake gave %T", info)
	}
	id, err := c.trust.Check(tlsInfo.State.PeerCertificates, c.now())
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, authInfo{tlsInfo, id}, nil
}

// Clone implements credentials.TransportCredentials.
func (c mutualTLS) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}

// forwardedKey carries the leaf certificate of a REST client to the query
// service. It is believed on the in-process connection alone, which no other
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

// forwardIdentity is what the REST handler attaches to a call: the certificate
// that its own TLS connection authenticated.
func forwardIdentity(_ context.Context, r *http.Request) metadata.MD {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return metadata.Pairs(forwardedKey, string(r.TLS.PeerCertificates[0].Raw))
}

// authenticate returns the peer of a call.
func authenticate(ctx context.Context) (identity.Peer, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.Peer{}, errors.New("no peer")
	}
	switch info := p.AuthInfo.(type) {
	case authInfo:
		return info.peer, nil
	case inProcess:
		md, _ := metadata.FromIncomingContext(ctx)
		forwarded := md.Get(forwardedKey)
		if len(forwarded) != 1 {
			return identity.Peer{}, errors.New("no forwarded certificate")
		}
		leaf, err := x509.ParseCertificate([]byte(forwarded[0]))
		if err != nil {
			return identity.Peer{}, err
		}
		return identity.PeerOf(leaf)
	}
	return identity.Peer{}, errors.New("connection without an identity")
}

// gate lets calls of one listener through: authenticated, still valid, allowed.
type gate struct {
	allow identity.Allow
	now   func() time.Time
}

func (g gate) admit(ctx context.Context) (identity.Peer, error) {
	id, err := authenticate(ctx)
	if err != nil {
		return id, &requestError{codes.Unauthenticated, ReasonUnauthenticated, "no client identity: " + err.Error()}
	}
	if g.now().After(id.NotAfter) {
		return id, fmt.Errorf("%w: %s until %s", identity.ErrExpired, id.ID, id.NotAfter.UTC().Format(time.RFC3339))
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
