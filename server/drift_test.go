package server_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
)

// scanOf is a whole result with n high differences.
func scanOf(n int) *apiv1.RecordDriftRequest {
	sum := sha256.Sum256([]byte{byte(n)})
	r := &apiv1.RecordDriftRequest{StartedNs: 1795000000000000000, EndedNs: 1795000001000000000, Sha256: sum[:], MapSha256: sum[:], High: uint32(n), Medium: 2,
		Scanned: []string{"zone example.com.zone", "resolver 127.0.0.1:53"}}
	for i := range n {
		r.Differences = append(r.Differences, &apiv1.DriftDifference{Check: "tls-shared-key", Domain: "web", Other: "test-web", Subject: fmt.Sprintf("key %d\nand more", i),
			Detail: strings.Repeat("x", 100)})
	}
	return r
}

// alertsOf waits until the log has n alerts of a type, and returns them oldest
// first.
func alertsOf(t *testing.T, q apiv1.QueryServiceClient, typ daybookv1.AlertType, n int) []*daybookv1.Alert {
	t.Helper()
	for {
		page, err := q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{AlertType: typ, Ascending: true, PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) < n {
			time.Sleep(time.Millisecond)
			continue
		}
		var out []*daybookv1.Alert
		for _, e := range page.Entries {
			out = append(out, e.GetAlert())
		}
		return out
	}
}

func TestRecordDrift(t *testing.T) {
	w := newWorld(t)
	conn := dial(t, w.addresses.Query, w.tlsOf(t, w.ca, operator, time.Now()))
	g, q := apiv1.NewGovernanceServiceClient(conn), apiv1.NewQueryServiceClient(conn)
	r := scanOf(2)
	answer, err := g.RecordDrift(t.Context(), r)
	if err != nil || answer.Alerts != 2 {
		t.Fatalf("%v, %v", answer, err)
	}
	entry, err := q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: answer.Index})
	if err != nil {
		t.Fatal(err)
	}
	m := entry.GetEntry().GetActivity()
	if m.GetType() != daybookv1.ActivityType_ACTIVITY_TYPE_DRIFT || m.GetActor() != operator || m.GetCode() != "DIFFERENCES" || m.GetFirstNs() != r.StartedNs || m.GetLastNs() != r.EndedNs {
		t.Errorf("activity %v", m)
	}
	for _, want := range []string{"drift: 2 high, 2 medium, 0 low; report sha256 " + fmt.Sprintf("%x", r.Sha256), "; zone example.com.zone; resolver", "\nhigh tls-shared-key key 1 and more [web test-web]: xxx"} {
		if !strings.Contains(m.GetDetail(), want) {
			t.Errorf("detail lacks %q:\n%s", want, m.GetDetail())
		}
	}
	alerts := alertsOf(t, q, daybookv1.AlertType_ALERT_TYPE_DRIFT, 2)
	if a := alerts[0]; len(alerts) != 2 || a.Subject != "tls-shared-key key 0 and more" || a.Source != "web" || a.Target != "test-web" || len(a.Entries) != 1 || a.Entries[0] != answer.Index+1 {
		t.Errorf("alerts %v", alerts)
	}

	// The same again on the same day: another entry, no further alerts. More than
	// has room: as many as have, and one for the rest.
	if answer, err = g.RecordDrift(t.Context(), r); err != nil || answer.Alerts != 2 {
		t.Fatalf("%v, %v", answer, err)
	}
	if answer, err = g.RecordDrift(t.Context(), scanOf(200)); err != nil || answer.Alerts < 10 || answer.Alerts > 100 {
		t.Fatalf("%v, %v", answer, err)
	}
	alerts = alertsOf(t, q, daybookv1.AlertType_ALERT_TYPE_DRIFT, int(answer.Alerts))
	if last := alerts[len(alerts)-1]; !strings.HasPrefix(last.Subject, "drift report ") || !strings.Contains(last.Detail, "more high differences") {
		t.Errorf("the last alert is %v", last)
	}
}

func TestRecordDriftRefuses(t *testing.T) {
	w := newWorld(t)
	g := apiv1.NewGovernanceServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, operator, time.Now())))
	for name, change := range map[string]func(*apiv1.RecordDriftRequest){
		"no start":         func(r *apiv1.RecordDriftRequest) { r.StartedNs = 0 },
		"end before start": func(r *apiv1.RecordDriftRequest) { r.EndedNs = r.StartedNs - 1 },
		"short sum":        func(r *apiv1.RecordDriftRequest) { r.Sha256 = r.Sha256[1:] },
		"no map":           func(r *apiv1.RecordDriftRequest) { r.MapSha256 = nil },
		"more than high":   func(r *apiv1.RecordDriftRequest) { r.High = 1 },
		"too many":         func(r *apiv1.RecordDriftRequest) { *r = *proto.CloneOf(scanOf(1001)) },
		"domain":           func(r *apiv1.RecordDriftRequest) { r.Differences[0].Domain = "Web Site" },
		"check":            func(r *apiv1.RecordDriftRequest) { r.Differences[0].Check = "tls key" },
		"subject":          func(r *apiv1.RecordDriftRequest) { r.Differences[1].Subject = "" },
	} {
		r := scanOf(2)
		change(r)
		_, err := g.RecordDrift(t.Context(), r)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		wantReason(t, err, server.ReasonBadRequest)
	}
}

func TestRecordDriftByREST(t *testing.T) {
	w := newWorld(t)
	client := web(t, w.tlsOf(t, w.ca, operator, time.Now()))
	body := `{"startedNs":"1","endedNs":"2","sha256":"` + strings.Repeat("A", 43) + `=","mapSha256":"` + strings.Repeat("A", 43) + `="}`
	r, err := client.Post("https://"+w.addresses.QueryHTTP+"/v1/drift", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("status %s", r.Status)
	}
}
