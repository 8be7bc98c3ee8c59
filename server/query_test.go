package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/verify"
)

// filled is a world with events from web: 30 to db, 20 to mail, ids e-0 to e-49.
func filled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	c := w.ingest(t)
	request := &apiv1.AppendRequest{Run: openRun(t, c), Epoch: 1, FirstNumber: 1}
	for i := range 50 {
		target := "db"
		if i%5 > 2 {
			target = "mail"
		}
		request.Items = append(request.Items, &apiv1.Item{Body: event(t, fmt.Sprint("e-", i), target)})
	}
	if _, err := c.Append(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEntryIsProvenByItsBytes(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	for index := range uint64(10) {
		answer, err := q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: index})
		if err != nil {
			t.Fatal(err)
		}
		c, err := policy.OpenCheckpoint(answer.GetCheckpoint())
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckInclusion(index, c.Size, verify.HashLeaf(answer.GetEntry().GetEntry()), split(answer.GetProof()), c.Root); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
		if answer.GetEntry().GetPlace().GetIndex() != index || answer.GetEntry().GetBody() == nil {
			t.Errorf("entry %d shows %v", index, answer.GetEntry())
		}
	}
	_, err = q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: 1 << 40})
	wantReason(t, err, server.ReasonNotFound)
	_, err = q.GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: 0, TreeSize: 1 << 40})
	wantReason(t, err, server.ReasonNotFound)
}

func TestReceiptFilesVerifyOffline(t *testing.T) {
	w := filled(t)
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.query(t).GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{9, 0, 20}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{9, 0, 20} {
		file := answer.GetReceipts()[i]
		if _, err := verify.CheckReceipt(policy, file.GetProof(), file.GetEntry()); err != nil || file.GetIndex() != want {
			t.Errorf("receipt %d of index %d: %v", i, file.GetIndex(), err)
		}
	}
	_, err = w.query(t).GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = w.query(t).GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: make([]uint64, 1001)})
	wantReason(t, err, server.ReasonBadRequest)
}

func TestConsistencyBetweenCommits(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	old, err := q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	first, err := policy.OpenCheckpoint(old.GetCheckpoint())
	if err != nil || first.Size != 1 {
		t.Fatalf("checkpoint of size 1: %+v, %v", first, err)
	}
	answer, err := q.GetConsistencyProof(t.Context(), &apiv1.GetConsistencyProofRequest{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := policy.OpenCheckpoint(answer.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckConsistency(first.Size, second.Size, first.Root, second.Root, split(answer.GetProof())); err != nil {
		t.Error(err)
	}
	_, err = q.GetConsistencyProof(t.Context(), &apiv1.GetConsistencyProofRequest{})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = q.GetConsistencyProof(t.Context(), &apiv1.GetConsistencyProofRequest{First: 1 << 40})
	wantReason(t, err, server.ReasonBadRequest)
}

// list reads every page and returns the indexes.
func list(t *testing.T, q apiv1.QueryServiceClient, r *apiv1.ListEntriesRequest) []uint64 {
	t.Helper()
	var indexes []uint64
	for {
		page, err := q.ListEntries(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			indexes = append(indexes, e.GetIndex())
		}
		if page.GetNextPageToken() == "" {
			return indexes
		}
		if len(page.GetEntries()) == 0 {
			t.Fatal("an empty page that is not the last")
		}
		r.PageToken = page.GetNextPageToken()
	}
}

func TestListPagesThroughAPair(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	for _, ascending := range []bool{true, false} {
		got := list(t, q, &apiv1.ListEntriesRequest{Source: "web", Target: "mail", PageSize: 7, Ascending: ascending})
		if len(got) != 20 {
			t.Fatalf("ascending %v: %d entries, want 20: %v", ascending, len(got), got)
		}
		for i := 1; i < len(got); i++ {
			if (got[i] > got[i-1]) != ascending {
				t.Errorf("ascending %v: order %v", ascending, got)
			}
		}
	}
	everything := list(t, q, &apiv1.ListEntriesRequest{PageSize: 1000, Ascending: true})
	if len(everything) != 54 {
		t.Errorf("%d entries in all, want 54", len(everything))
	}
	if got := list(t, q, &apiv1.ListEntriesRequest{Kind: daybookv1.Kind_KIND_ORIGIN_OPENED}); len(got) != 1 || got[0] != 0 {
		t.Errorf("entries of kind origin opened: %v", got)
	}
	hour := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d * time.Hour)) }
	if got := list(t, q, &apiv1.ListEntriesRequest{OccurredFrom: hour(-1), OccurredUntil: hour(1), LoggedFrom: hour(-1), LoggedUntil: hour(1)}); len(got) != 50 {
		t.Errorf("%d entries occurred in these two hours, want 50", len(got))
	}
	if got := list(t, q, &apiv1.ListEntriesRequest{LoggedFrom: hour(1)}); len(got) != 0 {
		t.Errorf("%d entries were logged in the future", len(got))
	}
}

func TestPageTokenPinsSizeAndFilter(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	first, err := q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{Target: "db", PageSize: 10, Ascending: true})
	if err != nil {
		t.Fatal(err)
	}
	// Entries that come later are not on the pages that follow.
	if _, err := w.ingest(t).AppendOneOff(t.Context(), &apiv1.AppendOneOffRequest{Event: event(t, "later", "db")}); err != nil {
		t.Fatal(err)
	}
	rest := list(t, q, &apiv1.ListEntriesRequest{Target: "db", PageSize: 10, Ascending: true, PageToken: first.GetNextPageToken()})
	if len(rest) != 20 {
		t.Errorf("%d entries on the other pages, want 20", len(rest))
	}
	for _, r := range []*apiv1.ListEntriesRequest{
		{Target: "mail", Ascending: true}, {Target: "db"}, {Target: "db", Ascending: true, LoggedFrom: timestamppb.Now()},
	} {
		r.PageToken = first.GetNextPageToken()
		_, err := q.ListEntries(t.Context(), r)
		wantReason(t, err, server.ReasonPageToken)
	}
	_, err = q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{PageToken: "nonsense"})
	wantReason(t, err, server.ReasonPageToken)
	_, err = q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{PageSize: 1001})
	wantReason(t, err, server.ReasonBadRequest)
}

func TestEventIsFoundByItsID(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	for _, id := range []string{"a/b", "hex-like", "plain"} {
		if _, err := w.ingest(t).AppendOneOff(t.Context(), &apiv1.AppendOneOffRequest{Event: event(t, id, "db")}); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: "hex:706c61696e"})
	if err != nil || len(answer.GetEntries()) != 1 || string(answer.GetEntries()[0].GetEntry().GetEvent().GetEventId()) != "plain" {
		t.Errorf("hex: %v, %v", answer, err)
	}
	_, err = q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: "nobody"})
	wantReason(t, err, server.ReasonNotFound)
	_, err = q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: "hex:zz"})
	wantReason(t, err, server.ReasonBadRequest)

	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	for _, path := range []string{"a%2Fb", "hex:612f62"} {
		code, body := get(t, c, "https://"+w.addresses.QueryHTTP+"/v1/events/"+path)
		if code != 200 || !contains(body, base64.StdEncoding.EncodeToString([]byte("a/b"))) {
			t.Errorf("GET /v1/events/%s: %d %.200s", path, code, body)
		}
	}
}

func TestRESTAnswersAsGRPC(t *testing.T) {
	w := filled(t)
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	base := "https://" + w.addresses.QueryHTTP
	var page struct {
		Entries       []struct{ Index, Entry string }
		NextPageToken string
		TreeSize      string
	}
	code, body := get(t, c, base+"/v1/entries?target=mail&pageSize=3&ascending=true")
	if err := json.Unmarshal([]byte(body), &page); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if len(page.Entries) != 3 || page.NextPageToken == "" || page.TreeSize != "54" {
		t.Errorf("page is %+v", page)
	}
	for _, test := range []struct {
		path   string
		code   int
		reason string
	}{
		{"/v1/entries/0", 200, ""},
		{"/v1/entries/99999", 404, server.ReasonNotFound},
		{"/v1/entries/minus-one", 400, ""},
		{"/v1/entries?pageToken=AAAA", 400, server.ReasonPageToken},
		{"/v1/entries?loggedFrom=2026-01-01T00:00:00Z", 200, ""},
		{"/v1/consistency?first=1", 200, ""},
		{"/v1/receipts?indexes=1&indexes=2", 200, ""},
		{"/v1/receipts", 400, server.ReasonBadRequest},
		{"/v1/nosuch", 404, ""},
	} {
		code, body := get(t, c, base+test.path)
		if code != test.code || !json.Valid([]byte(body)) || !contains(body, test.reason) {
			t.Errorf("GET %s: %d %.300s, want %d %s in JSON", test.path, code, body, test.code, test.reason)
		}
	}
}
