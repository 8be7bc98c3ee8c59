package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/gateway"
)

// TestWrongMethodsOfREST asks every path of the description by every method: those
// that it is not asked by are answered 405, with those that it is.
func TestWrongMethodsOfREST(t *testing.T) {
	w := newWorld(t)
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(gateway.OpenAPI, &doc); err != nil || len(doc.Paths) == 0 {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\{[^/]+?\}`)
	for path, methods := range doc.Paths {
		var allowed []string
		for m := range methods {
			allowed = append(allowed, strings.ToUpper(m))
		}
		slices.Sort(allowed)
		for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			r, err := http.NewRequestWithContext(t.Context(), m, "https://"+w.addresses.QueryHTTP+variable.ReplaceAllString(path, "7"), strings.NewReader("\x00"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(allowed, m) {
				if resp.StatusCode == 405 || resp.StatusCode == 501 || resp.Header.Get("Allow") != "" {
					t.Errorf("%s %s: %d %s", m, path, resp.StatusCode, text)
				}
				continue
			}
			if got := resp.Header.Get("Allow"); resp.StatusCode != 405 || got != strings.Join(allowed, ", ") || !strings.Contains(string(text), server.ReasonBadRequest) {
				t.Errorf("%s %s: %d, Allow: %s, want %v: %s", m, path, resp.StatusCode, got, allowed, text)
			}
		}
	}
}
