package server_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/verify"
)

// TestCountsAreWhatACallerSees: who is limited to domains counts pairs that touch
// them, and no others; the counts are those of the entries, before and after the
// close.
func TestCountsAreWhatACallerSees(t *testing.T) {
	w := limitedWorld(t)
	random := rand.New(rand.NewPCG(5, 6))
	w.fill(t, random, 80) // ends with a close
	c := apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, "spiffe://example.com/app/1", time.Now())))
	if _, err := c.Append(t.Context(), &apiv1.AppendRequest{Run: openRun(t, c), Epoch: 1, FirstNumber: 1,
		Items: []*apiv1.Item{pairEvent(t, "later", "web", "db"), pairEvent(t, "latest", "web", "db")}}); err != nil {
		t.Fatal(err)
	}
	all := w.readAll(t)
	for who, domains := range limits {
		q := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, who, time.Now())))
		for _, source := range limitedDomains {
			for _, target := range append([]string{"absent"}, limitedDomains...) {
				a, err := q.CountPair(t.Context(), &apiv1.CountPairRequest{Source: source, Target: target})
				if mine := domains == nil || slices.Contains(domains, source) || slices.Contains(domains, target); !mine {
					if status.Code(err) != codes.PermissionDenied || strings.Contains(status.Convert(err).Message(), source) {
						t.Errorf("%s: counts of %s to %s: %v", who, source, target, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				checkCounts(t, a, all, source, target)
			}
		}
	}
}

// checkCounts holds the counts of a pair against the entries: those up to the
// close, and those after it.
func checkCounts(t *testing.T, a *apiv1.CountPairResponse, all []verify.Entry, source, target string) {
	t.Helper()
	cut, closeAt := uint64(0), uint64(0)
	for i := range all {
		if all[i].Place.Kind != daybookv1.Kind_KIND_CLOSE {
			continue
		}
		m, err := verify.CheckCloseEntry(&all[i])
		if err != nil {
			t.Fatal(err)
		}
		cut, closeAt = m.Cut, uint64(i)
	}
	var want [2]uint64
	for i := range all {
		if e := all[i].Place; e.Kind == daybookv1.Kind_KIND_ACCESS && e.Source == source && e.Target == target {
			if uint64(i) < cut {
				want[0]++
			} else {
				want[1]++
			}
		}
	}
	days := a.GetDays()
	if len(days) < 2 || days[len(days)-2].GetCloseIndex() != closeAt || days[len(days)-1].GetPeriodEnd() != nil || a.GetTreeSize() < uint64(len(all)) {
		t.Fatalf("%s to %s, close at %d: %v", source, target, closeAt, a)
	}
	var got [2]uint64
	for i, d := range days {
		sum := uint64(0)
		for _, s := range d.GetStreams() {
			sum += s.GetCount()
		}
		if sum != d.GetCount() {
			t.Errorf("streams sum to %d: %v", sum, d)
		}
		if i == len(days)-1 {
			got[1] = d.GetCount()
		} else {
			got[0] += d.GetCount() // one close, or two where midnight passed
		}
	}
	if got != want {
		t.Errorf("%s to %s: %d before and after the close, want %d", source, target, got, want)
	}
}

func TestCountRequests(t *testing.T) {
	w := newWorld(t)
	manyTargets(t, w, 3)
	q := w.query(t)
	early, late := timestamppb.New(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), timestamppb.New(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, r := range map[string]*apiv1.CountPairRequest{
		"no source":  {Target: "db"},
		"no target":  {Source: "web"},
		"a long id":  {Source: "web", Target: strings.Repeat("d", verify.MaxDomain+1)},
		"backwards":  {Source: "web", Target: "db", LoggedFrom: late, LoggedUntil: early},
		"a bad time": {Source: "web", Target: "db", LoggedFrom: &timestamppb.Timestamp{Seconds: 1 << 60}},
		"a bad end":  {Source: "web", Target: "db", LoggedUntil: &timestamppb.Timestamp{Nanos: -1}},
	} {
		_, err := q.CountPair(t.Context(), r)
		if err == nil {
			t.Errorf("%s was answered", name)
			continue
		}
		wantReason(t, err, server.ReasonBadRequest)
	}
	client := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	for query, periods := range map[string]int{"": 1, "&logged_until=2021-01-01T00:00:00Z": 0, "&logged_from=2021-01-01T00:00:00Z": 1} {
		r, err := client.Get("https://" + w.addresses.QueryHTTP + "/v1/counts?source=web&target=db-001" + query)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var a apiv1.CountPairResponse
		if err := protojson.Unmarshal(b, &a); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%d %v: %s", r.StatusCode, err, b)
		}
		total := uint64(0)
		for _, d := range a.GetDays() {
			total += d.GetCount()
		}
		if len(a.GetDays()) < periods || int(total) != min(periods, 1) || periods == 0 && len(a.GetDays()) != 0 {
			t.Errorf("%q: %s", query, b)
		}
	}
}
