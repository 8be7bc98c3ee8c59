package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/identity"
)

func TestWhoMayCallWhat(t *testing.T) {
	w := newWorld(t)
	stranger, err := identity.NewAuthority("example.com", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ended := time.Now().Add(-2 * 397 * 24 * time.Hour)
	appendOne := func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := apiv1.NewIngestServiceClient(c).Append(ctx, &apiv1.AppendRequest{})
		return err
	}
	read := func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := apiv1.NewQueryServiceClient(c).GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{})
		return err
	}
	administer := func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := apiv1.NewAdminServiceClient(c).GetStatus(ctx, &apiv1.GetStatusRequest{})
		return err
	}
	check := func(ctx context.Context, c *grpc.ClientConn) error {
		stream, err := apiv1.NewAdminServiceClient(c).Fsck(ctx, &apiv1.FsckRequest{})
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	a := w.addresses
	tests := []struct {
		name    string
		ca      *identity.Authority
		id      string
		issued  time.Time
		address string
		call    func(context.Context, *grpc.ClientConn) error
		code    codes.Code
	}{
		{"producer appends", w.ca, producer, time.Now(), a.Ingest, appendOne, codes.InvalidArgument}, // let in: the run id is missing
		{"app below a pattern appends", w.ca, "spiffe://example.com/app/7", time.Now(), a.Ingest, appendOne, codes.InvalidArgument},
		{"operator may not append", w.ca, operator, time.Now(), a.Ingest, appendOne, codes.PermissionDenied},
		{"producer reads", w.ca, producer, time.Now(), a.Query, read, codes.OK},
		{"operator administers", w.ca, operator, time.Now(), a.Admin, administer, codes.OK},
		{"operator checks", w.ca, operator, time.Now(), a.Admin, check, codes.OK},
		{"producer may not administer", w.ca, producer, time.Now(), a.Admin, administer, codes.PermissionDenied},
		{"producer may not check", w.ca, producer, time.Now(), a.Admin, check, codes.PermissionDenied},
		{"operator of another domain", w.ca, "spiffe://other.example/operator", time.Now(), a.Admin, administer, codes.PermissionDenied},
		{"no certificate on ingest", w.ca, "", time.Now(), a.Ingest, appendOne, codes.Unavailable},
		{"no certificate on query", w.ca, "", time.Now(), a.Query, read, codes.Unavailable},
		{"no certificate on admin", w.ca, "", time.Now(), a.Admin, administer, codes.Unavailable},
		{"another CA on ingest", stranger, producer, time.Now(), a.Ingest, appendOne, codes.Unavailable},
		{"another CA on query", stranger, producer, time.Now(), a.Query, read, codes.Unavailable},
		{"another CA on admin", stranger, operator, time.Now(), a.Admin, administer, codes.Unavailable},
		{"an expired certificate", w.ca, producer, ended, a.Ingest, appendOne, codes.Unauthenticated},
		{"admin service on ingest", w.ca, producer, time.Now(), a.Ingest, administer, codes.Unimplemented},
		{"ingest service on query", w.ca, producer, time.Now(), a.Query, appendOne, codes.Unimplemented},
		{"ingest service on admin", w.ca, operator, time.Now(), a.Admin, appendOne, codes.Unimplemented},
		{"query service on ingest", w.ca, producer, time.Now(), a.Ingest, read, codes.Unimplemented},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, test.address, w.tlsOf(t, test.ca, test.id, test.issued))
			if err := test.call(t.Context(), conn); status.Code(err) != test.code {
				t.Errorf("answer: %v, want %v", err, test.code)
			}
		})
	}
}

func TestForwardedIdentityIsBelievedInProcessOnly(t *testing.T) {
	w := newWorld(t)
	forged := string(w.tlsOf(t, w.ca, operator, time.Now()).Certificates[0].Certificate[0])
	ctx := metadata.AppendToOutgoingContext(t.Context(), server.ForwardedKey, forged)
	conn := dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, producer, time.Now()))
	_, err := apiv1.NewAdminServiceClient(conn).GetStatus(ctx, &apiv1.GetStatusRequest{})
	wantReason(t, err, server.ReasonNotAllowed)
}

func TestHealthIsForEveryPeer(t *testing.T) {
	w := newWorld(t)
	for address, service := range map[string]string{
		w.addresses.Ingest: "daybook.api.v1.IngestService", w.addresses.Query: "", w.addresses.Admin: "daybook.api.v1.AdminService",
	} {
		conn := dial(t, address, w.tlsOf(t, w.ca, "spiffe://example.com/probe", time.Now()))
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, answer, err)
		}
	}
}

// get returns status code and body.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOperationsAndPublicNeedNoCertificate(t *testing.T) {
	w := newWorld(t)
	openRun(t, w.ingest(t))
	c := web(t, w.tlsOf(t, w.ca, "", time.Now()))
	for _, test := range []struct {
		url  string
		code int
		part string
	}{
		{"https://" + w.addresses.Operations + "/healthz", 200, "ok"},
		{"https://" + w.addresses.Operations + "/readyz", 200, "ready"},
		{"https://" + w.addresses.Operations + "/metrics", 200, "daybook_size "},
		{"https://" + w.addresses.Operations + "/metrics", 200, "daybook_commit_seconds_count"},
		{"https://" + w.addresses.Operations + "/metrics", 200, `daybook_build_info{version="test"} 1`},
		{"https://" + w.addresses.Operations + "/checkpoint", 404, ""},
		{"http://" + w.addresses.Public + "/checkpoint", 200, "example.com/audit/00000000\n"},
		{"http://" + w.addresses.Public + "/metrics", 404, ""},
		{"http://" + w.addresses.Public + "/v1/checkpoint", 404, ""},
	} {
		code, body := get(t, c, test.url)
		if code != test.code || !contains(body, test.part) {
			t.Errorf("GET %s: %d %.200s, want %d %q", test.url, code, body, test.code, test.part)
		}
	}
}

func TestRESTNeedsACertificateAndIgnoresForgedHeaders(t *testing.T) {
	w := newWorld(t)
	if resp, err := web(t, w.tlsOf(t, w.ca, "", time.Now())).Get("https://" + w.addresses.QueryHTTP + "/v1/checkpoint"); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: %s", resp.Status)
	}
	// A header must not become a second forwarded certificate beside the true one.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addresses.QueryHTTP+"/v1/checkpoint", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Grpc-Metadata-"+server.ForwardedKey, "AAAA")
	resp, err := web(t, w.tlsOf(t, w.ca, producer, time.Now())).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a forged header changed the answer: %s", resp.Status)
	}
}

func TestOpenAPIDescribesEveryPath(t *testing.T) {
	w := newWorld(t)
	code, body := get(t, web(t, w.tlsOf(t, w.ca, producer, time.Now())), "https://"+w.addresses.QueryHTTP+"/openapi.json")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	var document struct {
		Info  struct{ Title, Version string }
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	if document.Info.Title != "Daybook query API" || document.Info.Version != "v1" {
		t.Errorf("info is %+v", document.Info)
	}
	for _, path := range []string{"/v1/entries", "/v1/entries/{index}", "/v1/events/{eventId}", "/v1/checkpoint", "/v1/consistency", "/v1/receipts", "/v1/values/{field}", "/v1/runs", "/v1/runs/{run}"} {
		if document.Paths[path]["get"] == nil {
			t.Errorf("GET %s is not described", path)
		}
	}
	if document.Paths["/v1/receipts:batch"]["post"] == nil {
		t.Error("POST /v1/receipts:batch is not described")
	}
}
