package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/identity"
)

// authInfo is the identity of a connection.
type authInfo struct {
	credentials.TLSInfo
	connection *connection
}

// A connection is the chain that a peer presented, and what it is worth. That is
// found once for each generation of the trust, not at each call.
type connection struct {
	trust *identity.Trust
	chain []*x509.Certificate
	found atomic.Pointer[found]
}

// found is what a chain was worth in one generation. Immutable.
type found struct {
	generation uint64
	peer       identity.Peer
	err        error
}

// peer returns who is at the other end, whose credential may not be valid now.
func (c *connection) peer(now time.Time) (identity.Peer, error) {
	generation := c.trust.Generation()
	last := c.found.Load()
	if last == nil || last.generation != generation {
		last = &found{generation: generation}
		last.peer, last.err = c.trust.Identify(c.chain, now)
		c.found.Store(last)
	}
	return last.peer, last.err
}

// mutualTLS is gRPC's TLS with the peer's identity taken at the handshake
// instead of at each call.
type mutualTLS struct {
	credentials.TransportCredentials
	trust *identity.Trust
	now   func() time.Time
	seen  func(identity.Peer) // told of each peer that is accepted
}

// ServerHandshake implements credentials.TransportCredentials. It passes also a
// peer that is known but not accepted, so that it hears why at each call.
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
	at := &connection{trust: c.trust, chain: tlsInfo.State.PeerCertificates}
	id, err := at.peer(c.now())
	var refused *identity.RefusedError
	if err != nil && !(errors.As(err, &refused) && refused.Known) {
		conn.Close()
		return nil, nil, err
	}
	if err == nil {
		c.seen(id)
	}
	return conn, authInfo{tlsInfo, at}, nil
}

// Clone implements credentials.TransportCredentials.
func (c mutualTLS) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}

// admission is one call that was let through, to be held against the gate again.
type admission struct {
	interceptor *interceptor
	method      string
}

type admissionKey struct{}

// admit lets a call through the gate, or records why not. The context it returns
// knows the peer.
func (i *interceptor) admit(ctx context.Context, method string) (context.Context, identity.Peer, error) {
	id, err := i.gate.admit(ctx)
	if err != nil {
		i.record(id, method, err)
		return ctx, id, err
	}
	ctx = context.WithValue(ctx, peerKey{}, id)
	return context.WithValue(ctx, admissionKey{}, admission{i, method}), id, nil
}

// admissionOf returns the admission of a call, to ask it again.
func admissionOf(ctx context.Context) admission {
	a, ok := ctx.Value(admissionKey{}).(admission)
	if !ok {
		panic("server: handler called past its interceptors")
	}
	return a
}

// again is asked before each batch of a stream: the certificate may have ended or
// been revoked since, and another map may be in force.
func (a admission) again(ctx context.Context) error {
	id, err := a.interceptor.gate.admit(ctx)
	if err != nil {
		a.interceptor.record(id, a.method, err)
	}
	return err
}

// record has a refusal written down, where the reason lies in who asks. What
// nobody could be named for is counted in the metrics alone.
func (i *interceptor) record(id identity.Peer, method string, err error) {
	reason := reasonOf(err)
	r := ledger.Refusal{Actor: id.ID, Authentication: "mtls", Listener: i.listener, Method: method, Code: reason, Detail: err.Error()}
	var refused *identity.RefusedError
	switch {
	case errors.As(err, &refused):
		if r.Actor = refused.ID; !refused.Authenticated {
			r.Actor, r.Authentication = "", "" // the name is a claim: it stands in the detail
		}
		if refused.ID == "" {
			return
		}
	case reason != ReasonNotAllowed && reason != ReasonWrongListener:
		return
	}
	i.note(r)
}

// listenerOf names the listener that offers a service.
func listenerOf(service string) string {
	switch service {
	case apiv1.IngestService_ServiceDesc.ServiceName:
		return "ingest"
	case apiv1.QueryService_ServiceDesc.ServiceName:
		return "query"
	case apiv1.AdminService_ServiceDesc.ServiceName:
		return "admin"
	}
	return ""
}

// unknownMethod answers calls of methods that the listener does not offer.
func (i *interceptor) unknownMethod(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	parts := strings.Split(method, "/")
	other := listenerOf(parts[min(1, len(parts)-1)])
	if other == "" || other == i.listener {
		return &requestError{codes.Unimplemented, ReasonBadRequest, "there is no method " + method}
	}
	err := &requestError{codes.Unimplemented, ReasonWrongListener,
		"listener " + i.listener + " does not offer " + method + ": listener " + other + " does, to those who are let in there"}
	i.record(peerOf(ss.Context()), method, err)
	return err
}

// chainOf returns the certificates of a forwarded chain, leaf first.
func chainOf(forwarded []string) ([]*x509.Certificate, error) {
	if len(forwarded) == 0 {
		return nil, errors.New("no forwarded certificate")
	}
	return x509.ParseCertificates([]byte(strings.Join(slices.Clone(forwarded), "")))
}
