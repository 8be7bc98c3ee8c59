// Package tokentest is an OIDC issuer for tests.
package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer publishes its configuration and keys on loopback, over TLS. Its methods
// are safe for concurrent use.
type Issuer struct {
	URL   string
	Roots *x509.CertPool // that vouch for its certificate
	CA    []byte         // the same, DER of the certificate

	server  *httptest.Server
	mu      sync.Mutex
	keys    map[string]crypto.Signer // published; guarded by mu
	newest  string                   // id of the key that signs; guarded by mu
	down    bool                     // guarded by mu
	fetches int                      // guarded by mu
}

// New starts an issuer with one key. It ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{keys: make(map[string]crypto.Signer)}
	i.server = httptest.NewTLSServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	i.URL, i.CA = i.server.URL, i.server.Certificate().Raw
	i.Roots = x509.NewCertPool()
	i.Roots.AddCert(i.server.Certificate())
	i.Rotate()
	return i
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q, "authorization_endpoint": %q, "token_endpoint": %q}`, i.URL, i.URL+"/keys", i.URL+"/a", i.URL+"/t")
	case "/keys":
		i.fetches++
		var set jose.JSONWebKeySet
		for id, key := range i.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig", Algorithm: "ES256"})
		}
		json.NewEncoder(w).Encode(set)
	default:
		http.NotFound(w, r)
	}
}

// Rotate begins to sign with a new key; the old ones stay published.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprint("tokentest: making a key: ", err))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.newest = fmt.Sprintf("key-%d", len(i.keys)+1)
	i.keys[i.newest] = key
}

// Withdraw stops publishing all keys but the newest.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.keys, func(id string, _ crypto.Signer) bool { return id != i.newest })
}

// Down takes the issuer out of reach, or brings it back.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Fetches is how often the keys were fetched.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Claims are the claims of a token that is good for an hour.
func (i *Issuer) Claims(subject, audience string, groups ...string) map[string]any {
	return map[string]any{"iss": i.URL, "sub": subject, "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "groups": groups}
}

// Sign signs claims with the newest key.
func (i *Issuer) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	i.mu.Lock()
	id, key := i.newest, i.keys[i.newest]
	i.mu.Unlock()
	return SignWith(t, jose.ES256, key, id, claims)
}

// Token is a token of a person that is good for an hour.
func (i *Issuer) Token(t testing.TB, subject, audience string, groups ...string) string {
	t.Helper()
	return i.Sign(t, i.Claims(subject, audience, groups...))
}

// SignWith signs claims with any key.
func SignWith(t testing.TB, algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Unsigned is a token of algorithm `none`.
func Unsigned(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + "."
}

// PublicKey is the newest key's public part.
func (i *Issuer) PublicKey() crypto.PublicKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[i.newest].Public()
}
