package server_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
)

// TestNoHeaderMakesAnotherPerson: whatever is sent as an identity, over gRPC or
// REST, the caller is who its certificate or token says.
func TestNoHeaderMakesAnotherPerson(t *testing.T) {
	w, issuer := peopled(t)
	forged := string(w.tlsOf(t, w.ca, "spiffe://people.example/reader", time.Now()).Certificates[0].Certificate[0])
	bearer := "Bearer " + issuer.Token(t, "tina", "h", "readers")
	nobody := w.tlsOf(t, w.ca, "spiffe://people.example/nobody", time.Now())
	pairs := []string{server.ForwardedKey, forged, "daybook-forwarded-authorization-bin", bearer, "daybook-forwarded-address", "127.0.0.1"}
	for listener, address := range map[string]string{access.Ingest: w.addresses.Ingest, access.Query: w.addresses.Query, access.Admin: w.addresses.Admin} {
		conn := dial(t, address, nobody)
		for _, m := range methods() {
			if m.Parent().Name() == "Health" || !w.serves(listener, string(m.Parent().FullName())) {
				continue
			}
			err := conn.Invoke(metadata.AppendToOutgoingContext(t.Context(), pairs...), "/"+string(m.Parent().FullName())+"/"+string(m.Name()),
				&apiv1.GetEntryRequest{}, &apiv1.GetEntryResponse{})
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s on %s: %v", nameOf(m), listener, err)
			}
		}
	}
	c := web(t, nobody)
	for _, header := range []string{"Grpc-Metadata-Authorization", "Grpc-Metadata-" + server.ForwardedKey, "Grpc-Metadata-daybook-forwarded-authorization-bin",
		server.ForwardedKey, "daybook-forwarded-authorization-bin", "X-Forwarded-Client-Cert", "X-Forwarded-Authorization", "Proxy-Authorization", "Cookie"} {
		for _, value := range []string{bearer, base64.StdEncoding.EncodeToString([]byte(forged)), base64.StdEncoding.EncodeToString([]byte(bearer))} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addresses.QueryHTTP+"/v1/entries?access_token="+issuer.Token(t, "tina", "h", "readers"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(header, value)
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				t.Errorf("%s: %d", header, resp.StatusCode)
			}
		}
	}
}

// TestNoPathGoesAroundTheRoles: the same resource under other spellings.
func TestNoPathGoesAroundTheRoles(t *testing.T) {
	w, _ := peopled(t)
	c := web(t, w.tlsOf(t, w.ca, "spiffe://people.example/nobody", time.Now()))
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{
		"/v1/entries", "//v1/entries", "/v1//entries", "/v1/./entries", "/x/../v1/entries", "/v1/entries/", "/v1%2Fentries", "/V1/entries", "/v1/entries:x",
		"/daybook.api.v1.QueryService/ListEntries", "/openapi.json/../v1/entries", "/openapi.json/", "/v1/entries/0", "/v1/entries/%30", "/v1/events/a%2F..%2F..%2Fentries",
		"/metrics", "/healthz", "/debug/pprof/",
	} {
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "get"} {
			r, err := http.NewRequestWithContext(t.Context(), verb, "https://"+w.addresses.QueryHTTP+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Http-Method-Override", "GET")
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode < 300 {
				t.Errorf("%s %s: %d %.80s (%v)", verb, path, resp.StatusCode, text, err)
			}
		}
	}
}

// TestWhoBringsNothingHoldsNoCall: a call without an identity ends with its
// headers, though no message ever comes.
func TestWhoBringsNothingHoldsNoCall(t *testing.T) {
	w, _ := peopled(t)
	conn := dial(t, w.addresses.Query, w.tlsOf(t, w.ca, "", time.Now()))
	for _, method := range []string{"/daybook.api.v1.QueryService/GetEntry", "/grpc.health.v1.Health/Watch", "/x.Y/Z"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		err = s.RecvMsg(&apiv1.GetEntryResponse{})
		if wantReason(t, err, server.ReasonUnauthenticated); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// TestAPageOfAnotherSiteApprovesNothing: a browser sends its person's certificate
// along with whatever a page has it send.
func TestAPageOfAnotherSiteApprovesNothing(t *testing.T) {
	w, _ := peopled(t)
	c := web(t, w.tlsOf(t, w.ca, "spiffe://people.example/approver", time.Now()))
	post := func(headers ...string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.addresses.QueryHTTP+"/v1/approvals", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		if text := post(headers...); !strings.Contains(text, server.ReasonCrossSite) {
			t.Errorf("%v: %s", headers, text)
		}
	}
	for _, headers := range [][]string{nil, {"Sec-Fetch-Site", "same-origin"}, {"Origin", "https://" + w.addresses.QueryHTTP}} {
		if text := post(headers...); !strings.Contains(text, server.ReasonBadRequest) {
			t.Errorf("%v: %s", headers, text)
		}
	}
}

// TestEveryErrorOfRESTHasItsReason, also where no service was asked.
func TestEveryErrorOfRESTHasItsReason(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		c.Listeners.QueryHTTP = config.Listener{RequestsPerSecond: 0.001, Burst: 3}
	}})
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	for _, test := range []struct {
		verb, path, body string
		code             int
		reason           string
	}{
		{"GET", "/v1/nothing", "", 404, server.ReasonNotFound},
		{"DELETE", "/v1/entries", "", 405, server.ReasonBadRequest},
		{"POST", "/v1/approvals", "{", 400, server.ReasonBadRequest},
		{"POST", "/v1/approvals", `{"colour": 1}`, 400, server.ReasonBadRequest},
		{"POST", "/v1/approvals", strings.Repeat(" ", 1<<20) + "{}", 400, server.ReasonBadRequest},
		{"GET", "/v1/entries?sorce=web", "", 400, "no parameter"},
		{"GET", "/v1/entries?source.domain=web", "", 400, "no parameter"},
		{"GET", "/v1/entries?page_size=x", "", 400, server.ReasonBadRequest},
		{"GET", "/v1/entries/18446744073709551616", "", 400, server.ReasonBadRequest},
		{"GET", "/v1/entries/7", "", 404, server.ReasonNotFound},
		{"GET", "/v1/entries/7", "", 404, server.ReasonNotFound},
		{"GET", "/v1/entries/7", "", 404, server.ReasonNotFound},
		{"GET", "/v1/entries/7", "", 429, server.ReasonRate},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.verb, "https://"+w.addresses.QueryHTTP+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != test.code || !strings.Contains(string(text), test.reason) {
			t.Errorf("%s %s: %d %.300s (%v), want %d and %s", test.verb, test.path, resp.StatusCode, text, err, test.code, test.reason)
		}
		if (resp.Header.Get("Retry-After") != "") != (test.code == 429) {
			t.Errorf("%s %s: to be tried again after %q", test.verb, test.path, resp.Header.Get("Retry-After"))
		}
	}
}
