// Package token turns the bearer tokens of OIDC issuers into people.
//
// A token is a signed JWT of a configured issuer. It is good on the one listener
// whose audience it names: a token that names none of ours, or those of two, is
// refused. The signature must be of an allowed algorithm, which is never `none`
// nor symmetric, by a key that the issuer publishes. Expiry and not-before are
// kept to within the configured skew of the clocks.
//
//	{"iss": "https://idp.example", "sub": "ann", "aud": "daybook-query", "exp": 1790000000, "groups": ["audit"]}
//
// is on the query listener the person `https://idp.example#ann`, of group audit.
//
// The issuer's keys are fetched when a token first needs them, and again when they
// are 15 minutes old or a token names a key that is not among them, at most every
// 5 seconds. While the issuer cannot be reached the keys that are there are good
// for a day; without any, a check ends in an *UnavailableError.
package token

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/daybook-ledger/daybook/server/access"
)

// Bounds of a token.
const (
	maxToken  = 12 << 10
	maxID     = 512 // of issuer, subject and the # between them
	maxGroups = 1000
)

// Algorithms are those a token may be signed with.
var Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Issuer is an issuer whose tokens are accepted.
type Issuer struct {
	URL        string            // exactly as in its tokens; https
	Audience   map[string]string // by listener
	Roots      *x509.CertPool    // nil: the system's
	Algorithms []string          // some of [Algorithms]
	Groups     string            // claim with the groups
	Skew       time.Duration     // between the clocks
}

// The reasons of a RefusedError: stable codes.
const (
	Malformed = "TOKEN_MALFORMED"
	Untrusted = "TOKEN_ISSUER"
	Algorithm = "TOKEN_ALGORITHM"
	Signature = "TOKEN_SIGNATURE"
	Audience  = "TOKEN_AUDIENCE"
	Expired   = "TOKEN_EXPIRED"
	TooEarly  = "TOKEN_NOT_YET"
)

// RefusedError says why a token was refused.
type RefusedError struct {
	Reason string
	Text   string
	// Person is who the token is of; nil where its signature was not checked.
	Person *access.Person
}

func (e *RefusedError) Error() string { return e.Text }

func refuse(reason, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// UnavailableError says that an issuer's keys are not to be had now.
type UnavailableError struct {
	Issuer     string
	RetryAfter time.Duration
	Err        error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the keys of issuer %s cannot be fetched now: %v", e.Issuer, e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer
	now     func() time.Time
}

type issuer struct {
	Issuer
	keys *keys
}

// New returns a verifier. Issuers without an algorithm, or with one that is not
// among [Algorithms], are an error; nothing is fetched yet.
func New(issuers []Issuer, now func() time.Time) (*Verifier, error) {
	v := &Verifier{issuers: make(map[string]*issuer, len(issuers)), now: now}
	for _, i := range issuers {
		if len(i.Algorithms) == 0 {
			return nil, fmt.Errorf("issuer %s: no algorithm is allowed", i.URL)
		}
		for _, a := range i.Algorithms {
			if !slices.Contains(Algorithms, a) {
				return nil, fmt.Errorf("issuer %s: algorithm %q is none of %s", i.URL, a, strings.Join(Algorithms, ", "))
			}
		}
		v.issuers[i.URL] = &issuer{i, newKeys(i.URL, i.Roots, now)}
	}
	return v, nil
}

// Accepts tells whether any token is good on a listener.
func (v *Verifier) Accepts(listener string) bool {
	if v == nil {
		return false
	}
	for _, i := range v.issuers {
		if i.Audience[listener] != "" {
			return true
		}
	}
	return false
}

// Check returns whom a token is of and when it ends, for one listener. The error
// is a *RefusedError, an *UnavailableError, or the context's.
func (v *Verifier) Check(ctx context.Context, listener, raw string) (*access.Person, time.Time, error) {
	header, claims, err := peek(raw)
	if err != nil {
		return nil, time.Time{}, err
	}
	i, ok := v.issuers[claims.Issuer]
	if !ok {
		return nil, time.Time{}, refuse(Untrusted, "the token's issuer is not one of this server's")
	}
	if !slices.Contains(i.Algorithms, header.Algorithm) {
		return nil, time.Time{}, refuse(Algorithm, "tokens of %s are signed with %s", i.URL, strings.Join(i.Algorithms, ", "))
	}
	signed, err := i.keys.verify(ctx, raw, header.KeyID, algorithms(i.Algorithms))
	if err != nil {
		return nil, time.Time{}, err
	}
	person, parsed, err := i.person(ctx, raw, signed)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := i.timely(parsed, v.now()); err != nil {
		err.Person = person
		return nil, time.Time{}, err
	}
	if err := v.forListener(i, parsed.Audience, listener); err != nil {
		err.Person = person
		return nil, time.Time{}, err
	}
	return person, parsed.Expiry.Add(i.Skew), nil
}

// forListener: a token names the audience of this listener, and of no other.
func (v *Verifier) forListener(i *issuer, audience []string, listener string) *RefusedError {
	want := i.Audience[listener]
	if want == "" || !slices.Contains(audience, want) {
		return refuse(Audience, "the token is not for listener %s: ask %s for one with its audience", listener, i.URL)
	}
	for other, name := range i.Audience {
		if other != listener && slices.Contains(audience, name) {
			return refuse(Audience, "the token is for listeners %s and %s at once: ask for one with a single audience", listener, other)
		}
	}
	return nil
}

// timely checks expiry and not-before. A token without an expiry is refused.
func (i *issuer) timely(t *oidc.IDToken, now time.Time) *RefusedError {
	var c struct {
		NotBefore json.Number `json:"nbf"`
	}
	if err := t.Claims(&c); err != nil {
		return refuse(Malformed, "the token's nbf is no number")
	}
	if t.Expiry.IsZero() || t.Expiry.Unix() <= 0 {
		return refuse(Malformed, "the token has no expiry")
	}
	if !now.Before(t.Expiry.Add(i.Skew)) {
		return refuse(Expired, "the token ended at %s", t.Expiry.UTC().Format(time.RFC3339))
	}
	if c.NotBefore != "" {
		seconds, err := c.NotBefore.Float64()
		if err != nil || seconds > 1<<40 || seconds < 0 {
			return refuse(Malformed, "the token's nbf is no time")
		}
		if from := time.Unix(int64(seconds), 0); now.Add(i.Skew).Before(from) {
			return refuse(TooEarly, "the token begins at %s", from.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// registered are the claims that say whose a token is, for whom, and when.
var registered = []string{"iss", "sub", "aud", "exp", "nbf"}

// clip bounds what is repeated of a token.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 16)], "") }

// signedPayload is an oidc.KeySet for a token whose signature was checked.
type signedPayload []byte

// VerifySignature implements oidc.KeySet.
func (p signedPayload) VerifySignature(context.Context, string) ([]byte, error) { return p, nil }

// person parses the claims of a token whose signature was checked.
func (i *issuer) person(ctx context.Context, raw string, signed []byte) (*access.Person, *oidc.IDToken, error) {
	t, err := oidc.NewVerifier(i.URL, signedPayload(signed), &oidc.Config{
		SupportedSigningAlgs: i.Algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true,
	}).Verify(ctx, raw)
	if err != nil {
		return nil, nil, refuse(Malformed, "the token's claims are malformed")
	}
	p := &access.Person{ID: i.URL + "#" + t.Subject, Authentication: access.OIDC, Issuer: i.URL, Subject: t.Subject}
	if t.Subject == "" || len(p.ID) > maxID || strings.ContainsFunc(t.Subject, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return nil, nil, refuse(Malformed, "the token's subject is empty, too long or not plain text")
	}
	var claims map[string]json.RawMessage
	if err := t.Claims(&claims); err != nil {
		return nil, nil, refuse(Malformed, "the token's claims are malformed")
	}
	// Package json takes Sub for sub: a claim of another name must not stand in for it.
	for name := range claims {
		for _, ours := range registered {
			if name != ours && strings.EqualFold(name, ours) {
				return nil, nil, refuse(Malformed, "the token has a claim %s beside or instead of %s", clip(name), ours)
			}
		}
	}
	if value, ok := claims[i.Groups]; ok && i.Groups != "" {
		if p.Groups, err = groupsOf(value); err != nil {
			return nil, nil, refuse(Malformed, "the token's claim %s is neither a text nor a list of texts", i.Groups)
		}
	}
	return p, t, nil
}

// groupsOf reads a claim that is one text or a list of texts.
func groupsOf(value json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}, nil
	}
	var list []string
	if err := json.Unmarshal(value, &list); err != nil || len(list) > maxGroups {
		return nil, errors.New("no list of texts")
	}
	return list, nil
}

func algorithms(names []string) []jose.SignatureAlgorithm {
	list := make([]jose.SignatureAlgorithm, len(names))
	for i, n := range names {
		list[i] = jose.SignatureAlgorithm(n)
	}
	return list
}

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

type unverified struct {
	Issuer string `json:"iss"`
}

// peek reads what must be known before the signature can be checked.
func peek(raw string) (h header, c unverified, err error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxToken || len(parts) != 3 {
		return h, c, refuse(Malformed, "the token is no signed JWT of at most %d bytes", maxToken)
	}
	for _, p := range []struct {
		text string
		to   any
	}{{parts[0], &h}, {parts[1], &c}} {
		b, err := base64.RawURLEncoding.DecodeString(p.text)
		if err != nil || json.Unmarshal(b, p.to) != nil {
			return h, c, refuse(Malformed, "the token is no signed JWT")
		}
	}
	return h, c, nil
}
