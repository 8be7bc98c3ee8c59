package server_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// limits are the domains of each limited reader of the test.
var limits = map[string][]string{
	"spiffe://people.example/web":   {"web"},
	"spiffe://people.example/two":   {"db", "desk.example"},
	"spiffe://people.example/none":  {"nowhere"},
	"spiffe://people.example/most":  {"web", "db", "console", "desk"},
	"spiffe://people.example/whole": nil,
}

var limitedDomains = []string{"web", "db", "console", "desk", "quotes"}

func limitedWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, world{config: func(c *config.Config) {
		c.Access.Ingest = identity.Allow{"spiffe://example.com/*", "spiffe://desk.example/*"}
		for who, domains := range limits {
			c.People.Grants = append(c.People.Grants, access.Grant{SPIFFE: who, Role: "reader", Domains: domains})
		}
	}})
}

// pairEvent is an event between two domains.
func pairEvent(t *testing.T, id, source, target string) *apiv1.Item {
	t.Helper()
	e := new(daybookv1.Event)
	if err := proto.Unmarshal(event(t, id, target), e); err != nil {
		t.Fatal(err)
	}
	e.Source.Domain = source
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return &apiv1.Item{Body: b}
}

// fill appends crossings of random pairs by two producers, a gap, and a close.
func (w *world) fill(t *testing.T, random *rand.Rand, n int) {
	t.Helper()
	for _, id := range []string{"spiffe://example.com/app/1", "spiffe://desk.example/app"} {
		c := apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, id, time.Now())))
		run := openRun(t, c)
		r := &apiv1.AppendRequest{Run: run, Epoch: 1, FirstNumber: 1}
		for i := range n {
			pick := func() string { return limitedDomains[random.IntN(len(limitedDomains))] }
			r.Items = append(r.Items, pairEvent(t, fmt.Sprintf("e%d", i%7), pick(), pick()))
		}
		if _, err := c.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	admin := apiv1.NewAdminServiceClient(dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, operator, time.Now())))
	if _, err := admin.CloseNow(t.Context(), &apiv1.CloseNowRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.log.Record(t.Context(), &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_ADMIN, Actor: "somebody", Count: 1}); err != nil {
		t.Fatal(err)
	}
}

// twin says, in the simplest way, whether a reader of some domains sees an entry.
func twin(e *verify.Entry, domains []string) bool {
	if domains == nil {
		return true
	}
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_CLOSE:
		return true
	case daybookv1.Kind_KIND_ACTIVITY, daybookv1.Kind_KIND_DOMAIN_MAP, daybookv1.Kind_KIND_PART, daybookv1.Kind_KIND_HOLD:
		return false
	}
	return slices.Contains(domains, e.Place.Source) || slices.Contains(domains, e.Place.Target)
}

// readAll are all entries of the log.
func (w *world) readAll(t *testing.T) []verify.Entry {
	t.Helper()
	var all []verify.Entry
	err := w.log.Entries(t.Context(), 0, w.log.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(bytes.Clone(raw))
		all = append(all, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestALimitedReaderSeesWhatTheTwinSees(t *testing.T) {
	w := limitedWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	w.fill(t, random, 120)
	all := w.readAll(t)
	for who, domains := range limits {
		t.Run(who, func(t *testing.T) {
			q := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, who, time.Now())))
			for range 40 {
				checkList(t, q, all, domains, random)
			}
			w.checkEntries(t, q, all, domains)
			checkEvents(t, q, all, domains)
			checkRuns(t, q, all, domains)
			checkRows(t, q, domains)
			_, err := q.ListValues(t.Context(), &apiv1.ListValuesRequest{Field: "source"})
			if (status.Code(err) == codes.PermissionDenied) != (domains != nil) {
				t.Errorf("values: %v", err)
			}
		})
	}
}

// checkList holds a random list, page by page, against the twin.
func checkList(t *testing.T, q apiv1.QueryServiceClient, all []verify.Entry, domains []string, random *rand.Rand) {
	t.Helper()
	r := &apiv1.ListEntriesRequest{Ascending: random.IntN(2) == 0, PageSize: int32(1 + random.IntN(90))}
	if random.IntN(2) == 0 {
		r.Source = limitedDomains[random.IntN(len(limitedDomains))]
	}
	if random.IntN(3) == 0 {
		r.Target = limitedDomains[random.IntN(len(limitedDomains))]
	}
	if random.IntN(3) == 0 {
		r.Kind = []daybookv1.Kind{daybookv1.Kind_KIND_ACCESS, daybookv1.Kind_KIND_CLOSE, daybookv1.Kind_KIND_ACTIVITY, daybookv1.Kind_KIND_RUN_OPENED}[random.IntN(4)]
	}
	var want []uint64
	for i := range all {
		e := &all[i]
		if twin(e, domains) && (r.Source == "" || e.Place.Source == r.Source) && (r.Target == "" || e.Place.Target == r.Target) && (r.Kind == 0 || e.Place.Kind == r.Kind) {
			want = append(want, uint64(i))
		}
	}
	if !r.Ascending {
		slices.Reverse(want)
	}
	var got []uint64
	for {
		page, err := q.ListEntries(t.Context(), r)
		if err != nil {
			t.Fatalf("list %v: %v", r, err)
		}
		for _, e := range page.GetEntries() {
			if e.GetIndex() < uint64(len(all)) { // refusals are entries, too, and come meanwhile
				got = append(got, e.GetIndex())
			}
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("list %v:\ngot  %v\nwant %v", r, got, want)
	}
}

// checkEntries reads every entry by its index, with its proof, and in receipts.
func (w *world) checkEntries(t *testing.T, q apiv1.QueryServiceClient, all []verify.Entry, domains []string) {
	t.Helper()
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		at, seen := uint64(i), twin(&all[i], domains)
		got, err := q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: at})
		_, batchErr := q.GetReceiptBatch(t.Context(), &apiv1.GetReceiptBatchRequest{Ranges: []*apiv1.IndexRange{{FirstIndex: at, Count: 1}}})
		_, receiptErr := q.GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{at}})
		for name, err := range map[string]error{"entry": err, "batch": batchErr, "receipt": receiptErr} {
			if seen != (err == nil) || !seen && status.Code(err) != codes.PermissionDenied {
				t.Fatalf("%s %d, kind %v: %v, the twin sees it: %v", name, at, all[i].Place.Kind, err, seen)
			}
			if text := status.Convert(err).Message(); !seen && (strings.Contains(text, all[i].Place.Source) && all[i].Place.Source != "" || strings.Contains(text, "KIND")) {
				t.Errorf("the refusal of %d tells of it: %s", at, text)
			}
		}
		if !seen {
			continue
		}
		c, err := policy.OpenCheckpoint(got.GetCheckpoint())
		if err != nil {
			t.Fatal(err)
		}
		leaf := verify.HashLeaf(got.GetEntry().GetEntry())
		if err := verify.CheckRange(at, c.Size, []verify.Hash{leaf}, split(got.GetProof()), c.Root); err != nil {
			t.Fatalf("entry %d does not prove: %v", at, err)
		}
	}
	if domains != nil && len(all) > 10 {
		_, err := q.GetReceiptBatch(t.Context(), &apiv1.GetReceiptBatchRequest{Ranges: []*apiv1.IndexRange{{FirstIndex: 0, Count: uint64(len(all))}}})
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("the whole log at once: %v", err)
		}
	}
}

// checkEvents searches every event id.
func checkEvents(t *testing.T, q apiv1.QueryServiceClient, all []verify.Entry, domains []string) {
	t.Helper()
	for id := range 8 {
		name := fmt.Sprintf("e%d", id)
		var want, got []uint64
		for i := range all {
			if all[i].Place.Kind != daybookv1.Kind_KIND_ACCESS || !twin(&all[i], domains) {
				continue
			}
			e, err := verify.ParseEvent(all[i].Body)
			if err != nil {
				t.Fatal(err)
			}
			if string(e.EventID) == name {
				want = append(want, uint64(i))
			}
		}
		answer, err := q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: name})
		if len(want) == 0 && status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			t.Fatalf("event %s: %v", name, err)
		}
		for _, e := range answer.GetEntries() {
			got = append(got, e.GetEntry().GetIndex())
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("event %s: %v, want %v", name, got, want)
		}
	}
}

// checkRuns lists the runs, one a page, and asks for each by its id.
func checkRuns(t *testing.T, q apiv1.QueryServiceClient, all []verify.Entry, domains []string) {
	t.Helper()
	want, got := 0, 0
	for i := range all {
		e := &all[i]
		if e.Place.Kind != daybookv1.Kind_KIND_RUN_OPENED || !strings.HasPrefix(e.Head.Producer, "spiffe:") {
			continue
		}
		seen := twin(e, domains)
		if seen {
			want++
		}
		_, err := q.GetRun(t.Context(), &apiv1.GetRunRequest{Run: fmt.Sprintf("%x", e.Head.Run)})
		if seen != (err == nil) || !seen && status.Code(err) != codes.NotFound {
			t.Errorf("run of %s: %v, the twin sees it: %v", e.Head.Producer, err, seen)
		}
	}
	r := &apiv1.ListRunsRequest{PageSize: 1}
	for {
		page, err := q.ListRuns(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		got += len(page.GetRuns())
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			break
		}
	}
	if got != want {
		t.Errorf("%d runs are listed, want %d", got, want)
	}
}

// checkRows reads both tables of the close.
func checkRows(t *testing.T, q apiv1.QueryServiceClient, domains []string) {
	t.Helper()
	if _, err := q.GetClose(t.Context(), &apiv1.GetCloseRequest{}); err != nil {
		t.Errorf("a close: %v", err)
	}
	rows := 0
	for _, table := range []apiv1.CloseTableKind{apiv1.CloseTableKind_CLOSE_TABLE_KIND_STREAMS, apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS} {
		answer, err := q.ListCloseRows(t.Context(), &apiv1.ListCloseRowsRequest{Table: table, PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range answer.GetRows() {
			rows++
			if domains == nil {
				continue
			}
			if s := row.GetStream(); s != nil {
				var e verify.Entry
				e.Place.Kind, e.Place.Source, e.Place.Target = s.GetKind(), s.GetSource(), s.GetTarget()
				if !twin(&e, domains) {
					t.Errorf("row of stream %v", s)
				}
			}
			if r := row.GetRun(); r != nil {
				if d, err := verify.ProducerDomain(r.GetProducer()); err != nil || !slices.Contains(domains, d) {
					t.Errorf("row of a run of %s", r.GetProducer())
				}
			}
		}
	}
	if domains == nil && rows < 10 {
		t.Errorf("only %d rows", rows)
	}
	for _, source := range limitedDomains {
		for _, target := range append([]string{"absent"}, limitedDomains...) {
			_, err := q.GetCloseRow(t.Context(), &apiv1.GetCloseRowRequest{Stream: &apiv1.StreamName{
				Kind: daybookv1.Kind_KIND_ACCESS, Source: source, Target: target}})
			mine := domains == nil || slices.Contains(domains, source) || slices.Contains(domains, target)
			if !mine && status.Code(err) != codes.PermissionDenied {
				t.Errorf("row %s to %s: %v", source, target, err)
			}
			if mine && target != "absent" && err != nil && status.Code(err) != codes.PermissionDenied {
				t.Errorf("row %s to %s: %v", source, target, err)
			}
		}
	}
}
