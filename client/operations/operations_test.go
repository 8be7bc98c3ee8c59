package operations_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client/operations"
)

const page = `# HELP daybook_size Committed entries.
# TYPE daybook_size gauge
daybook_size 1.2e+06
daybook_call_seconds_bucket{listener="query",method="GetEntry",le="0.1"} 7
daybook_call_seconds_sum{listener="query",method="GetEntry"} 0.5
daybook_call_seconds_sum{listener="query",method="Get}Event"} 0.25
go_info{version="go1.26"} 1 1795000000000
`

var figures = map[string]float64{"daybook_size": 1.2e6, "daybook_call_seconds_sum": 0.75, "go_info": 1}

func TestParse(t *testing.T) {
	got, err := operations.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(figures, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"name", "name x", "name 1 2 3", "{a=\"b\"} 1", "name{a=\"b\"}"} {
		if got, err := operations.Parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}

// FuzzParse: whatever a server says, it is refused or read under plain names.
func FuzzParse(f *testing.F) {
	f.Add(page)
	f.Add("a{b=\"c} d\"} NaN\na 1")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := operations.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for name := range got {
			if name == "" || strings.ContainsAny(name, "{ \n") || strings.HasSuffix(name, "_bucket") {
				t.Errorf("a metric is named %q", name)
			}
		}
	})
}

func TestFigures(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(page))
	}))
	defer s.Close()
	dir := t.TempDir()
	ca, addresses := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "addresses.json")
	write := func(path string, b []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), nil)
	text, err := json.Marshal(map[string]string{"operations": s.Listener.Addr().String()})
	write(addresses, text, err)
	for _, c := range []operations.Config{{Address: s.Listener.Addr().String(), CA: ca}, {Addresses: addresses, CA: ca}} {
		r, err := operations.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Figures(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(figures, got); diff != "" {
			t.Error(diff)
		}
		r.Close()
	}
	if _, err := operations.Open(operations.Config{CA: ca}); !errors.Is(err, operations.ErrNoAddress) {
		t.Errorf("without an address: %v", err)
	}
	if _, err := operations.Open(operations.Config{Address: "127.0.0.1:1", CA: addresses}); err == nil {
		t.Error("a CA that is none was taken")
	}
	write(addresses, []byte("{}"), nil)
	r, err := operations.Open(operations.Config{Addresses: addresses, CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Figures(t.Context()); !errors.Is(err, operations.ErrNoAddress) {
		t.Errorf("without an address in the file: %v", err)
	}
}
