package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/token"
)

// caller is who makes a call, and what it may.
type caller struct {
	peer   identity.Peer // of a token: its person's id and its end alone
	person access.Person // the same, as grants name it
	held   access.Held
	rule   access.Rule
	scope  access.Scope
	until  time.Time // when credential or grants end
}

type callerKey struct{}

// callerOf returns the caller that the interceptors let through.
func callerOf(ctx context.Context) *caller {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		panic("server: handler called past its interceptors")
	}
	return c
}

// peerOf returns the peer that the interceptors let through: of a person with a
// token its ID is `<issuer>#<subject>`, and it has no certificate.
func peerOf(ctx context.Context) identity.Peer { return callerOf(ctx).peer }

// scopeOf returns what the caller may see.
func scopeOf(ctx context.Context) access.Scope { return callerOf(ctx).scope }

// credential is what a call came with.
type credential struct {
	peer    identity.Peer // ID empty: no certificate
	tokens  []string      // Authorization headers
	address string        // host of the client
}

// gate lets calls of one listener through: authenticated, still valid, allowed,
// not too many.
type gate struct {
	listener  string
	trust     *identity.Trust
	issuers   func() *identity.Issuers // of the map in force
	inForce   func() DomainMap         // nil answer: no map is in force
	grants    *access.Grants
	tokens    *token.Verifier // nil: none are accepted
	approvals access.Approvals
	now       func() time.Time
	calls     *callLimit
}

// admit returns the caller of a method. Where it fails the caller is who was
// refused, nil where nobody was authenticated.
func (g *gate) admit(ctx context.Context, rule access.Rule, method string) (*caller, error) {
	from, err := g.credentialOf(ctx)
	return g.let(ctx, from, err, rule, method)
}

// again is admit for a stream that was let in: it is not one call more.
func (g *gate) again(ctx context.Context, rule access.Rule, method string) (*caller, error) {
	from, err := g.credentialOf(ctx)
	c, err := g.identify(ctx, from, err)
	if err != nil {
		return c, err
	}
	return c, g.authorize(ctx, c, rule, method)
}

// let authenticates and authorizes a call of what; bad is why its certificate is
// none.
func (g *gate) let(ctx context.Context, from credential, bad error, rule access.Rule, what string) (*caller, error) {
	c, err := g.identify(ctx, from, bad)
	if err != nil {
		return c, err
	}
	if err := g.calls.take("id "+c.person.ID, g.now()); err != nil {
		return nil, err // counted, not recorded: the caller tries again
	}
	return c, g.authorize(ctx, c, rule, what)
}

// identify authenticates a call. A token is whose it says; a bad one never falls
// back to the certificate of the connection, nor a good one over a bad certificate.
func (g *gate) identify(ctx context.Context, from credential, bad error) (*caller, error) {
	if len(from.tokens) == 0 || bad != nil {
		return g.certified(from.peer, bad)
	}
	// Whoever sends bad tokens has few tries, and costs no more signatures then.
	if err := g.calls.wait("bad "+from.address, g.now()); err != nil {
		return nil, err
	}
	c, err := g.bearer(ctx, from.tokens)
	if refused := (*token.RefusedError)(nil); errors.As(err, &refused) {
		g.calls.spend("bad "+from.address, g.now())
		if refused.Person != nil {
			c = &caller{person: *refused.Person}
		} else if by, err := g.certified(from.peer, nil); err == nil {
			c = by // who sent it is known, though not whose it is
		}
	}
	return c, err
}

// errNobody refuses a call without any identity.
var errNobody = &requestError{codes.Unauthenticated, ReasonUnauthenticated, "no client identity: send a client certificate or a token"}

// certified authenticates by the certificate of the connection.
func (g *gate) certified(id identity.Peer, err error) (*caller, error) {
	if err == nil && id.ID == "" {
		return nil, errNobody
	}
	if err == nil {
		err = id.Valid(g.now())
	}
	if err == nil {
		err = g.issuers().Check(&id)
	}
	c := &caller{peer: id, person: access.Person{ID: id.ID, Authentication: access.MTLS}, until: id.NotAfter}
	var refused *identity.RefusedError
	if errors.As(err, &refused) {
		return c, refused
	}
	if err != nil {
		return nil, &requestError{codes.Unauthenticated, ReasonUnauthenticated, "no client identity: " + err.Error()}
	}
	return c, nil
}

// bearer checks a token.
func (g *gate) bearer(ctx context.Context, headers []string) (*caller, error) {
	scheme, raw, _ := strings.Cut(headers[0], " ")
	switch {
	case len(headers) != 1:
		return nil, &token.RefusedError{Reason: token.Malformed, Text: "more than one token"}
	case !strings.EqualFold(scheme, "Bearer") || raw == "":
		return nil, &token.RefusedError{Reason: token.Malformed, Text: "authorization is by `Bearer TOKEN`"}
	case !g.tokens.Accepts(g.listener):
		return nil, &token.RefusedError{Reason: token.Audience, Text: "listener " + g.listener + " takes no tokens: use a client certificate"}
	}
	p, until, err := g.tokens.Check(ctx, g.listener, raw)
	if err != nil {
		return nil, err
	}
	return &caller{peer: identity.Peer{ID: p.ID, Validity: identity.Validity{NotAfter: until}}, person: *p, until: until}, nil
}

// authorize finds what the caller holds, and whether it suffices.
func (g *gate) authorize(ctx context.Context, c *caller, rule access.Rule, what string) error {
	held, err := g.grants.Of(ctx, &c.person, g.listener, g.now(), g.approvals)
	if err != nil {
		return err
	}
	if domain := g.workload(c); domain != "" {
		held.Withhold(access.Approver, "it is an identity of domain "+domain+" and none of the map's people, so that it approves only where `people.grants` names it")
	}
	c.held, c.rule = held, rule
	if !held.May(rule, g.listener) {
		return &requestError{codes.PermissionDenied, ReasonNotAllowed, g.refusal(c, what)}
	}
	c.scope = held.Scope(rule, c.person.ID)
	if end := held.Until; !end.IsZero() && end.Before(c.until) {
		c.until = end
	}
	return nil
}

// workload is the domain of the map in force that a certificate belongs to; empty
// where it belongs to none, or to one of the map's people. A domain's own programs
// do not approve what the domain does.
func (g *gate) workload(c *caller) string {
	m := g.inForce()
	if m == nil || c.peer.Domain == "" || g.approvals.Person(c.person.ID) != c.person.ID {
		return ""
	}
	domain, known := m.Resolve([]byte(c.peer.Domain))
	if !known {
		return ""
	}
	return domain
}

// refusal says why a caller may not call what.
func (g *gate) refusal(c *caller, what string) string {
	text := c.person.ID + " may not use this listener: its operator lists who may under `access` and `people` in the configuration"
	if names := c.held.Roles.Names(); len(names) > 0 {
		text = c.person.ID + " may not call " + what[strings.LastIndexByte(what, '/')+1:] + " as " + strings.Join(names, ", ")
	}
	if len(c.held.Withheld) > 0 {
		text += ": " + strings.Join(slices.Compact(c.held.Withheld), "; ")
	}
	return text
}

// ends is the cause by which a stream ends with its credential or grant.
func (c *caller) ends() error {
	if err := c.peer.Valid(c.until.Add(1)); c.person.Authentication == access.MTLS && err != nil {
		return err
	}
	return &token.RefusedError{Reason: token.Expired, Text: "the token or grant of " + c.person.ID + " ended at " + c.until.UTC().Format(time.RFC3339), Person: &c.person}
}
