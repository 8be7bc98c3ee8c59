package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/daybook-ledger/daybook/server/token"
	"github.com/daybook-ledger/daybook/server/token/tokentest"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newVerifier(t *testing.T, i *tokentest.Issuer) (*token.Verifier, *clock) {
	t.Helper()
	c := &clock{at: time.Now()}
	v, err := token.New([]token.Issuer{{
		URL: i.URL, Roots: i.Roots, Algorithms: []string{"ES256", "RS256"}, Groups: "groups", Skew: 30 * time.Second,
		Audience: map[string]string{"query": "q", "admin": "a"},
	}}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return v, c
}

func TestAGoodTokenIsAPerson(t *testing.T) {
	i := tokentest.New(t)
	v, c := newVerifier(t, i)
	p, until, err := v.Check(t.Context(), "query", i.Token(t, "ann", "q", "audit", "desk"))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != i.URL+"#ann" || p.Issuer != i.URL || p.Subject != "ann" || !slices.Equal(p.Groups, []string{"audit", "desk"}) {
		t.Errorf("person is %+v", p)
	}
	if d := until.Sub(c.now()); d < time.Hour-time.Minute || d > time.Hour+time.Minute {
		t.Errorf("the token is good for %v", d)
	}
	claims := i.Claims("ann", "q")
	claims["groups"] = "audit"
	if p, _, err := v.Check(t.Context(), "query", i.Sign(t, claims)); err != nil || !slices.Equal(p.Groups, []string{"audit"}) {
		t.Errorf("one group as text: %+v, %v", p, err)
	}
	if v.Accepts("query_http") || !v.Accepts("query") || (*token.Verifier)(nil).Accepts("query") {
		t.Error("Accepts is wrong")
	}
}

func TestTokensAreRefused(t *testing.T) {
	i, other := tokentest.New(t), tokentest.New(t)
	v, _ := newVerifier(t, i)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(i.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) string {
		claims := i.Claims("ann", "q")
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return i.Sign(t, claims)
	}
	good := i.Token(t, "ann", "q")
	letter := byte('A')
	if good[len(good)-10] == letter {
		letter = 'B'
	}
	flipped := good[:len(good)-10] + string(letter) + good[len(good)-9:]
	for _, test := range []struct {
		name, raw, reason string
		known             bool // whose it is
	}{
		{"empty", "", token.Malformed, false},
		{"no JWT", "a.b.c", token.Malformed, false},
		{"too long", good + strings.Repeat("a", 13<<10), token.Malformed, false},
		{"unsigned", tokentest.Unsigned(t, i.Claims("ann", "q")), token.Algorithm, false},
		{"signed with the public key as a secret", tokentest.SignWith(t, jose.HS256, public, "key-1", i.Claims("ann", "q")), token.Algorithm, false},
		{"another issuer's", other.Token(t, "ann", "q"), token.Untrusted, false},
		{"another issuer's in our issuer's name", other.Sign(t, i.Claims("ann", "q")), token.Signature, false},
		{"a stranger's key under a published id", tokentest.SignWith(t, jose.ES256, key, "key-1", i.Claims("ann", "q")), token.Signature, false},
		{"an unknown key", tokentest.SignWith(t, jose.ES256, key, "key-9", i.Claims("ann", "q")), token.Signature, false},
		{"a flipped bit", flipped, token.Signature, false},
		{"another listener's", i.Token(t, "ann", "a"), token.Audience, true},
		{"nobody's audience", i.Token(t, "ann", "x"), token.Audience, true},
		{"no audience", with("aud", nil), token.Audience, true},
		{"both listeners'", with("aud", []string{"q", "a"}), token.Audience, true},
		{"expired", with("exp", time.Now().Add(-time.Minute).Unix()), token.Expired, true},
		{"without an end", with("exp", nil), token.Malformed, true},
		{"not yet", with("nbf", time.Now().Add(time.Minute).Unix()), token.TooEarly, true},
		{"nbf a text", with("nbf", "soon"), token.Malformed, false},
		{"without a subject", with("sub", nil), token.Malformed, false},
		{"a subject with a line end", with("sub", "ann\nbob"), token.Malformed, false},
		{"a long subject", with("sub", strings.Repeat("a", 600)), token.Malformed, false},
		{"another claim in the subject's place", with("SUB", "root"), token.Malformed, false},
		{"another claim in the end's place", with("Exp", time.Now().Add(9*time.Hour).Unix()), token.Malformed, false},
		{"groups a number", with("groups", 7), token.Malformed, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := v.Check(t.Context(), "query", test.raw)
			var refused *token.RefusedError
			if !errors.As(err, &refused) || refused.Reason != test.reason {
				t.Fatalf("error %v (%+v), want %s", err, refused, test.reason)
			}
			if (refused.Person != nil) != test.known {
				t.Errorf("person is %+v", refused.Person)
			}
		})
	}
	for name, raw := range map[string]string{
		"ended within the skew":     with("exp", time.Now().Add(-10*time.Second).Unix()),
		"begins within the skew":    with("nbf", time.Now().Add(10*time.Second).Unix()),
		"a further audience beside": with("aud", []string{"q", "someone-else"}),
	} {
		if _, _, err := v.Check(t.Context(), "query", raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	i := tokentest.New(t)
	v, c := newVerifier(t, i)
	old := i.Token(t, "ann", "q")
	check := func(raw string) error {
		_, _, err := v.Check(t.Context(), "query", raw)
		return err
	}
	if err := check(old); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := check(old); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.Fetches(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	i.Rotate()
	c.move(6 * time.Second)
	if err := check(i.Token(t, "ann", "q")); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if err := check(old); err != nil {
		t.Errorf("the old key is published still: %v", err)
	}
	i.Withdraw()
	c.move(16 * time.Minute)
	var refused *token.RefusedError
	if err := check(old); !errors.As(err, &refused) || refused.Reason != token.Signature {
		t.Errorf("a withdrawn key: %v", err)
	}
}

func TestAnIssuerOutOfReachIsNoCrash(t *testing.T) {
	i := tokentest.New(t)
	v, c := newVerifier(t, i)
	check := func() error {
		_, _, err := v.Check(t.Context(), "query", i.Token(t, "ann", "q"))
		return err
	}
	i.Down(true)
	var away *token.UnavailableError
	if err := check(); !errors.As(err, &away) || away.RetryAfter <= 0 {
		t.Fatalf("without keys: %v", err)
	}
	i.Down(false)
	if err := check(); !errors.As(err, &away) {
		t.Errorf("asked again at once: %v", err)
	}
	c.move(6 * time.Second)
	if err := check(); err != nil {
		t.Errorf("back again: %v", err)
	}
	i.Down(true)
	c.move(20 * time.Minute)
	if err := check(); err != nil {
		t.Errorf("the keys that are there: %v", err)
	}
	c.move(25 * time.Hour)
	claims := i.Claims("ann", "q")
	claims["exp"] = c.now().Add(time.Hour).Unix()
	if _, _, err := v.Check(t.Context(), "query", i.Sign(t, claims)); !errors.As(err, &away) {
		t.Errorf("keys of the day before: %v", err)
	}
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	i := tokentest.New(t)
	v, _ := newVerifier(t, i)
	raw := i.Token(t, "ann", "q")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, _, err := v.Check(t.Context(), "query", raw); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := i.Fetches(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestAlgorithmsThatProveNothingAreRefused(t *testing.T) {
	for _, a := range []string{"none", "HS256", "", "es256"} {
		if _, err := token.New([]token.Issuer{{URL: "https://idp.example", Algorithms: []string{a}}}, time.Now); err == nil {
			t.Errorf("algorithm %q was accepted", a)
		}
	}
	if _, err := token.New([]token.Issuer{{URL: "https://idp.example"}}, time.Now); err == nil {
		t.Error("no algorithm was accepted")
	}
}

func FuzzCheck(f *testing.F) {
	i := tokentest.New(f)
	v, err := token.New([]token.Issuer{{URL: i.URL, Roots: i.Roots, Algorithms: []string{"ES256"}, Audience: map[string]string{"query": "q"}}}, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	good := i.Token(f, "ann", "q")
	f.Add(good)
	f.Add("..")
	f.Add(tokentest.Unsigned(f, i.Claims("ann", "q")))
	f.Fuzz(func(t *testing.T, raw string) {
		if p, _, err := v.Check(t.Context(), "query", raw); err == nil && p.Subject != "ann" {
			t.Errorf("%q passed for %s", raw, p.ID)
		}
	})
}
