package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/token"
	"github.com/daybook-ledger/daybook/server/token/tokentest"
)

// TestServeTakesTokens of the issuer that the configuration file names, for the
// people it grants something, and records what they read.
func TestServeTakesTokens(t *testing.T) {
	issuer, folder := tokentest.New(t), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("idp.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.CA})))
	file := write("daybook.yaml", fmt.Sprintf(`
people:
  oidc:
    - {issuer: %[1]q, audience: {query: q, query_http: h, admin: a}, ca: idp.pem}
  grants:
    - {issuer: %[1]q, group: audit, role: reader}
    - {issuer: %[1]q, subject: lee, role: reader, domains: [web]}
    - {issuer: %[1]q, subject: late, role: reader, until: 2026-01-01}
`, issuer.URL))
	ctx, cancel := context.WithCancel(context.Background())
	dir := datadir.Dir(filepath.Join(folder, "log"))
	s, err := startServer(ctx, serveOptions{Dir: dir, Config: file, Dev: true, Listen: freePorts, Stderr: io.Discard})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
	}()
	bundle, err := os.ReadFile(dir.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	ask := func(path string, authorization ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Addresses.QueryHTTP+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = authorization
		resp, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	good := "Bearer " + issuer.Token(t, "ann", "h", "audit")
	for _, test := range []struct {
		name          string
		authorization []string
		path          string
		code          int
		says          string
	}{
		{"good", []string{good}, "/v1/entries", 200, "entries"},
		{"nothing", nil, "/v1/entries", 401, "UNAUTHENTICATED"},
		{"another listener's", []string{"Bearer " + issuer.Token(t, "ann", "q", "audit")}, "/v1/entries", 401, token.Audience},
		{"no grant", []string{"Bearer " + issuer.Token(t, "bob", "h")}, "/v1/entries", 403, "NOT_ALLOWED"},
		{"a grant that ended", []string{"Bearer " + issuer.Token(t, "late", "h")}, "/v1/entries", 403, "ended at 2026-01-01"},
		{"two", []string{good, good}, "/v1/entries", 401, token.Malformed},
		{"a bad one behind a good one", []string{good, "Bearer x"}, "/v1/entries", 401, token.Malformed},
		{"two in one line", []string{good + ", " + good}, "/v1/entries", 401, token.Malformed},
		{"a password", []string{"Basic YW5uOmFubg=="}, "/v1/entries", 401, token.Malformed},
		{"the map, limited", []string{"Bearer " + issuer.Token(t, "lee", "h")}, "/v1/domain-map", 403, "limited to some domains"},
		{"values, limited", []string{"Bearer " + issuer.Token(t, "lee", "h")}, "/v1/values/source", 403, "limited to some domains"},
		{"activity, limited", []string{"Bearer " + issuer.Token(t, "lee", "h")}, "/v1/entries?kind=KIND_ACTIVITY", 200, `"entries":[]`},
		{"what was read", []string{good}, "/v1/entries?kind=KIND_ACTIVITY", 200, issuer.URL + "#ann"},
	} {
		if code, text := ask(test.path, test.authorization...); code != test.code || !strings.Contains(strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(test.says, " ", "")) {
			t.Errorf("%s: %d, want %d and %q in\n%.600s", test.name, code, test.code, test.says, text)
		}
	}
}
