package token

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// How an issuer's keys are fetched and kept.
const (
	keysFresh    = 15 * time.Minute // then they are fetched again
	keysLast     = 24 * time.Hour   // then they are no longer believed
	fetchEvery   = 5 * time.Second  // at most
	renewEvery   = time.Minute      // at most, while those that are there will do
	fetchTimeout = 5 * time.Second
	maxDocument  = 1 << 20
	maxKeys      = 100
)

// keys are the public keys of an issuer. It is safe for concurrent use.
type keys struct {
	issuer string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	list    []jose.JSONWebKey // guarded by mu; replaced, never changed
	fetched time.Time         // guarded by mu: when list came
	tried   time.Time         // guarded by mu: when the last fetch ended
	failed  error             // guarded by mu: how it ended
}

func newKeys(issuer string, roots *x509.CertPool, now func() time.Time) *keys {
	return &keys{issuer: issuer, now: now, client: &http.Client{
		Timeout: fetchTimeout,
		Transport: limited{&http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, // a fetch is seldom
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("an issuer does not redirect") },
	}}
}

// limited bounds what an answer may hold, and insists on TLS.
type limited struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, errors.New("an issuer is reached by https")
	}
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	}
	return resp, err
}

// verify checks the signature of a token and returns what was signed.
func (k *keys) verify(ctx context.Context, raw, id string, allowed []jose.SignatureAlgorithm) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(raw, allowed)
	if err != nil {
		return nil, refuse(Malformed, "the token is no signed JWT")
	}
	list, err := k.get(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Algorithm != "" && list[i].Algorithm != signed.Signatures[0].Header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(list[i].Key); err == nil {
			return payload, nil
		}
	}
	return nil, refuse(Signature, "the token is not signed by a key of its issuer")
}

// get returns the keys of an id, every key where the token names none.
func (k *keys) get(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	list, wait, err := k.cached(id)
	if !wait {
		return list, err
	}
	// One fetch serves all who wait; it does not end with the call that began it.
	k.flight.Do("keys", func() (any, error) {
		return nil, k.fetch(context.WithoutCancel(ctx))
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	list, _, err = k.cached(id)
	return list, err
}

// cached returns what is there, and whether to fetch first. Keys that are there
// are used where the issuer cannot be reached.
func (k *keys) cached(id string) (list []jose.JSONWebKey, fetch bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	age := now.Sub(k.fetched)
	if k.list != nil && age < keysLast {
		list = withID(k.list, id)
	}
	if len(list) > 0 && age < keysFresh {
		return list, false, nil
	}
	every := fetchEvery
	if len(list) > 0 {
		every = renewEvery
	}
	switch {
	case k.tried.IsZero() || now.Sub(k.tried) >= every:
		return nil, true, nil
	case len(list) > 0:
		return list, false, nil
	}
	if k.failed != nil {
		return nil, false, &UnavailableError{k.issuer, fetchEvery - now.Sub(k.tried), k.failed}
	}
	return nil, false, refuse(Signature, "the token names a key that its issuer does not publish")
}

func withID(list []jose.JSONWebKey, id string) []jose.JSONWebKey {
	if id == "" {
		return list
	}
	var match []jose.JSONWebKey
	for _, key := range list {
		if key.KeyID == id {
			match = append(match, key)
		}
	}
	return match
}

// fetch asks the issuer where its keys are, and for them.
func (k *keys) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	list, err := k.download(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = k.now(), err
	if err == nil {
		k.list, k.fetched = list, k.tried
	}
	return err
}

func (k *keys) download(ctx context.Context) ([]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
	if err != nil {
		return nil, err
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&found); err != nil || !strings.HasPrefix(found.Keys, "https://") {
		return nil, errors.New("the issuer does not say by https where its keys are")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, found.Keys, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer's keys: %s", resp.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("the issuer's keys: %w", err)
	}
	return usable(set.Keys)
}

// usable are the keys that may sign a token: public, asymmetric, for signatures.
// A key of a kind that is not known here is left out.
func usable(raw []json.RawMessage) ([]jose.JSONWebKey, error) {
	var list []jose.JSONWebKey
	for _, r := range raw {
		var key jose.JSONWebKey
		if err := json.Unmarshal(r, &key); err != nil || !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if list = append(list, key); len(list) == maxKeys {
			break
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the issuer publishes no key for signatures")
	}
	return list, nil
}
