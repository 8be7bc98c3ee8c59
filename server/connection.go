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
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/token"
)

// authInfo is the identity of a connection.
type authInfo struct {
	credentials.TLSInfo
	connection *connection // nil: no certificate was sent
}

// A connection is the chain that a peer presented, and what it is worth. That is
// found once for each generation of the trust, and again once a CA has ended, not
// at each call.
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
	if last == nil || last.generation != generation || last.err == nil && now.After(last.peer.Vouched) {
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
	// optional lets in who has no certificate: each call then needs a token.
	optional bool
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
	if c.optional && len(tlsInfo.State.PeerCertificates) == 0 {
		return conn, authInfo{TLSInfo: tlsInfo}, nil
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
// knows the caller.
func (i *interceptor) admit(ctx context.Context, rule access.Rule, method string) (context.Context, *caller, error) {
	c, err := i.gate.admit(ctx, rule, method)
	if err != nil {
		i.record(c, method, err)
		return ctx, c, err
	}
	ctx = context.WithValue(ctx, callerKey{}, c)
	return context.WithValue(ctx, admissionKey{}, admission{i, method}), c, nil
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
	c, err := a.interceptor.gate.again(ctx, callerOf(ctx).rule, a.method)
	if err != nil {
		a.interceptor.record(c, a.method, err)
	}
	return err
}

// record has a refusal written down, where the reason lies in who asks. What
// nobody could be named for is counted in the metrics alone.
func (i *interceptor) record(c *caller, method string, err error) {
	if r, ok := refusalBy(i.listener, c, method, err); ok {
		i.note(r)
	}
}

// refusalBy says whom a listener refused what; false where nobody can be named.
func refusalBy(listener string, c *caller, method string, err error) (ledger.Refusal, bool) {
	if c == nil {
		return ledger.Refusal{}, false
	}
	reason := reasonOf(err)
	r := ledger.Refusal{Actor: c.person.ID, Authentication: c.person.Authentication, Listener: listener, Method: shortMethod(method), Code: reason, Detail: err.Error()}
	var refused *identity.RefusedError
	var bad *token.RefusedError
	switch {
	case errors.As(err, &refused):
		if r.Actor = refused.ID; !refused.Authenticated {
			r.Actor, r.Authentication = "", "" // the name is a claim: it stands in the detail
		}
		return r, refused.ID != ""
	case errors.As(err, &bad):
		return r, r.Actor != ""
	}
	return r, reason == ReasonNotAllowed || reason == ReasonWrongListener
}

// unknownMethod answers calls of methods that the listener does not offer.
func (i *interceptor) unknownMethod(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	rule, ok := access.RuleOf(method)
	if !ok || rule.On(i.listener) {
		return &requestError{codes.Unimplemented, ReasonBadRequest, "there is no method " + method}
	}
	err := &requestError{codes.Unimplemented, ReasonWrongListener,
		"listener " + i.listener + " does not offer " + method + ": listener " + rule.Listeners[0] + " does, to those who are let in there"}
	i.record(callerOf(ss.Context()), method, err)
	return err
}

// chainOf returns the certificates of a forwarded chain, leaf first.
func chainOf(forwarded []string) ([]*x509.Certificate, error) {
	if len(forwarded) == 0 {
		return nil, errors.New("no forwarded certificate")
	}
	return x509.ParseCertificates([]byte(strings.Join(slices.Clone(forwarded), "")))
}
