package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// TestAFaultOnDiskIsLoud damages the record of the first commit, and wants status,
// readiness and metrics to say so while the log goes on.
func TestAFaultOnDiskIsLoud(t *testing.T) {
	w := newWorld(t)
	w.end(t)
	w.verify = time.Millisecond
	w.wrap = func(e store.Engine) store.Engine {
		d := &ledgertest.Damage{Engine: e}
		d.Alter(store.Commits.Key(1), ledgertest.Flip(0))
		return d
	}
	w.serve(t)
	c := apiv1.NewAdminServiceClient(dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, operator, time.Now())))
	var v *apiv1.Verification
	for v.GetFault() == "" || v.GetLastEndTime() == nil {
		answer, err := c.GetStatus(t.Context(), &apiv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		v = answer.GetVerification()
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(v.GetFault(), "commits: ") || v.GetFirstBadIndex() != 0 || v.GetLastFaults() == 0 || v.GetPeriod().AsDuration() != w.verify {
		t.Errorf("status %v", v)
	}
	client := web(t, w.tlsOf(t, w.ca, operator, time.Now()))
	for path, wants := range map[string][]string{
		"/readyz":  {"ready\n", "INTEGRITY FAULT", "index 0: commits"},
		"/metrics": {"daybook_integrity_faults_total ", "daybook_integrity_first_bad_index 0\n", "daybook_verification_last_end_timestamp_seconds 1."},
	} {
		r, err := client.Get("https://" + w.addresses.Operations + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%s: %s, %v", path, r.Status, err)
		}
		for _, want := range wants {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	openRun(t, w.ingest(t))
}
