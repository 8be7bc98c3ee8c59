package server_test

import (
	"testing"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/config"
)

// TestMissedScans wants an alert for each period without a scan, across
// restarts, and none more.
func TestMissedScans(t *testing.T) {
	w := newWorldOn(t, world{})
	w.end(t)
	w.drift = config.Drift{Every: 20 * time.Millisecond, Grace: new(time.Duration)}
	const typ = daybookv1.AlertType_ALERT_TYPE_SCAN_MISSED
	w.serve(t)
	alerts := alertsOf(t, w.query(t), typ, 3)
	w.end(t)
	w.serve(t)
	alerts = alertsOf(t, w.query(t), typ, len(alerts)+3)
	for i, a := range alerts {
		if a.Subject != "drift scan" || len(a.Entries) != 1 || a.PeriodEndNs <= a.PeriodStartNs {
			t.Errorf("alert %v", a)
		}
		if i > 0 && a.PeriodStartNs != alerts[i-1].PeriodEndNs {
			t.Errorf("after the period until %d comes that from %d", alerts[i-1].PeriodEndNs, a.PeriodStartNs)
		}
	}

	// What they rest on is the entry that says since when scans are expected.
	e, err := w.query(t).GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: alerts[0].Entries[0] - 1})
	if err != nil || e.GetEntry().GetActivity().GetCode() != "EXPECTED" {
		t.Fatalf("they rest on %v, %v", e.GetEntry().GetActivity(), err)
	}

	// A scan begins the periods anew.
	g := apiv1.NewGovernanceServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, operator, time.Now())))
	answer, err := g.RecordDrift(t.Context(), scanOf(0))
	if err != nil {
		t.Fatal(err)
	}
	for n := len(alerts); ; n++ {
		alerts = alertsOf(t, w.query(t), typ, n)
		if alerts[len(alerts)-1].Entries[0] == answer.Index+1 {
			break
		}
	}
}
