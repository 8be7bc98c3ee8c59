package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/client/drift"
)

const driftMap = `firm: Example Securities LLC
approver: cco
people:
  - {id: cco, identities: [spiffe://people.example/cco]}
domains:
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital, dns: [example.com]}
  - {id: test-web, function: customer-interface, tier: test, risk: low, owner: Digital, dns: [test.example.com]}
`

// TestDriftLooksAtServers asks one server under two declared names, and finds
// one key for both.
func TestDriftLooksAtServers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "x", Domain: "example.com"})
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	domains := write("domains.yaml", []byte(driftMap))
	roots := write("roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	address := s.Listener.Addr().String()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"drift", "--map", domains, "--tls", "example.com=" + address, "--tls", "test.example.com=" + address,
		"--roots", roots, "--path", "/", "--path", "/login", "--json"}, strings.NewReader(""), &stdout, &stderr)
	var result drift.Result
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v, stderr %s", code, err, &stderr)
	}
	found := map[string]int{}
	for _, d := range result.Differences {
		found[d.Check]++
	}
	// Each of the two names sets the cookie for both.
	if found["tls-shared-key"] != 1 || found["http-cookie"] != 2 {
		t.Errorf("it found %v:\n%s", found, &stdout)
	}
}
