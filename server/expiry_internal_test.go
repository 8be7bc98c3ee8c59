package server

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
)

// TestExpiryRaisesOnceAtEachStep: a certificate of a year raises an alert 30, 7
// and 1 days before its end, one of an hour none; a renewed one begins anew.
func TestExpiryRaisesOnceAtEachStep(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	now := start
	type raised struct {
		Day     int
		Subject string
		Days    float64 // from the beginning of the period to the end of the certificate
	}
	var got []raised
	end := start.Add(365 * day)
	ids := map[[2]int64]bool{}
	e := newExpiry(func() time.Time { return now }, func(a *daybookv1.Alert) {
		got = append(got, raised{int(now.Sub(start) / day), a.Subject, end.Sub(time.Unix(0, a.PeriodStartNs)).Hours() / 24})
		if a.Type != daybookv1.AlertType_ALERT_TYPE_EXPIRY || ids[[2]int64{a.PeriodStartNs, a.PeriodEndNs}] {
			t.Errorf("alert %v, period known %v", a, ids)
		}
		ids[[2]int64{a.PeriodStartNs, a.PeriodEndNs}] = true
	})
	const id = "spiffe://web/app"
	e.peer(identity.Peer{ID: id, Validity: identity.Validity{NotBefore: start, NotAfter: end}})
	e.set("listener", "ingest", identity.Validity{NotBefore: start, NotAfter: start.Add(800 * day)})
	for hour := range 366 * 24 {
		now = start.Add(time.Duration(hour) * time.Hour)
		e.set("producer", "spiffe://short/lived", identity.Validity{NotBefore: now, NotAfter: now.Add(2 * time.Hour)})
		e.look()
	}
	want := []raised{{335, id, 30}, {358, id, 7}, {364, id, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	got, end = nil, end.Add(365*day)
	e.peer(identity.Peer{ID: id, Validity: identity.Validity{NotBefore: start, NotAfter: end}})
	now = end.Add(-20 * day)
	e.look()
	if diff := cmp.Diff([]raised{{710, id, 30}}, got); diff != "" {
		t.Errorf("after the renewal (-want +got):\n%s", diff)
	}
}

func TestExpiryIsBounded(t *testing.T) {
	e := newExpiry(time.Now, func(*daybookv1.Alert) {})
	for i := range 2 * expirySubjects {
		e.peer(identity.Peer{ID: "spiffe://web/" + time.Duration(i).String(), Validity: identity.Validity{NotAfter: time.Now()}})
	}
	e.replace("ca", map[string]identity.Validity{"private": {}, "web": {}})
	e.replace("ca", map[string]identity.Validity{"web": {}})
	if len(e.subjects) != expirySubjects+1 {
		t.Errorf("%d certificates are watched, want %d", len(e.subjects), expirySubjects+1)
	}
}
