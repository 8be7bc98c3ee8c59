package server_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
)

// TestAShutLogReadsAndSignsNothing serves a log that keeps evidence of a fork.
func TestAShutLogReadsAndSignsNothing(t *testing.T) {
	w := filled(t)
	w.enforce(t, firmMap(""))
	if _, err := w.people(t, producer).ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: firmMap(nextFlow)}); err != nil {
		t.Fatal(err)
	}
	w.end(t)
	if err := os.MkdirAll(filepath.Join(w.dir, "evidence"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "evidence", "presented"), []byte("note"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	q := w.query(t)

	answer, err := q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: 5})
	if err != nil || answer.GetEntry().GetEvent() == nil || len(answer.GetCheckpoint()) != 0 {
		t.Errorf("entry 5: %v, %v; want it without a signature", answer, err)
	}
	if got := list(t, q, &apiv1.ListEntriesRequest{Target: "mail"}); len(got) != 20 {
		t.Errorf("%d entries listed, want 20", len(got))
	}
	if found, err := q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: "e-7"}); err != nil || len(found.GetEntries()) != 1 {
		t.Errorf("event: %v, %v", found, err)
	}
	_, err = q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{})
	wantReason(t, err, server.ReasonShut)
	_, err = q.GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{1}})
	wantReason(t, err, server.ReasonShut)
	if maps, err := w.people(t, producer).ListDomainMaps(t.Context(), &apiv1.ListDomainMapsRequest{}); err != nil || len(maps.Versions) != 1 || len(maps.Proposals) != 1 {
		t.Errorf("maps: %v, %v; want the one in force, and its proposed successor", maps, err)
	}
	if m, err := w.people(t, producer).GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{}); err != nil || m.Version == nil {
		t.Errorf("map: %v, %v", m, err)
	}
	_, err = w.people(t, operator).CreateApproval(t.Context(), forAlice(nil))
	wantReason(t, err, server.ReasonShut)
	_, err = w.people(t, producer).ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: firmMap("# other\n")})
	wantReason(t, err, server.ReasonShut)
	_, err = w.ingest(t).AppendOneOff(t.Context(), &apiv1.AppendOneOffRequest{Event: event(t, "x", "db")})
	if status.Code(err) != codes.Unavailable || !contains(err.Error(), "fork") {
		t.Errorf("append: %v", err)
	}
	wantReason(t, err, server.ReasonShut)

	c := web(t, w.tlsOf(t, w.ca, "", time.Now()))
	for _, url := range []string{"https://" + w.addresses.Operations + "/readyz", "http://" + w.addresses.Public + "/checkpoint"} {
		if code, body := get(t, c, url); code != 503 || !contains(body, "fork") {
			t.Errorf("GET %s: %d %s, want 503 and why", url, code, body)
		}
	}
	conn := dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, producer, time.Now()))
	health, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "daybook.api.v1.IngestService"})
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health of ingest: %v, %v", health, err)
	}
}
