package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
)

// rich is an event that has a value in each searched field.
func rich(t *testing.T, i int) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId: fmt.Appendf(nil, "rich-%d", i), OccurredAtNs: time.Now().UnixNano(),
		Source: &daybookv1.Source{Domain: "web", Proof: daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN},
		Target: &daybookv1.Target{Domain: "db", Resource: fmt.Sprintf("/accounts/%d", i)},
		Actor: &daybookv1.Actor{Id: fmt.Sprintf("alice%d@broker.example", i%3),
			Credential: &daybookv1.CredentialFingerprint{KeyId: "k", HmacSha256: []byte(strings.Repeat("c", 31) + string(rune('a'+i%3)))}},
		Action:        &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_DELETE, Operation: fmt.Sprintf("drop-%d", i%2)},
		Authorization: &daybookv1.Authorization{GrantId: "grant-7", Approver: "carol@broker.example", Ticket: "CHG-4711", Purpose: "settlement"},
		Decision:      daybookv1.Decision_DECISION_DENIED,
		Outcome:       &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED},
		CorrelationId: fmt.Appendf(nil, "trace-%d", i/2),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSearchByEachField finds 6 entries among 50 others by each field that they
// have in common, and some of them by the others.
func TestSearchByEachField(t *testing.T) {
	w := filled(t)
	c := w.ingest(t)
	request := &apiv1.AppendRequest{Run: openRun(t, c), Epoch: 1, FirstNumber: 1}
	for i := range 6 {
		request.Items = append(request.Items, &apiv1.Item{Body: rich(t, i)})
	}
	if _, err := c.Append(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	q := w.query(t)
	for name, test := range map[string]struct {
		r    *apiv1.ListEntriesRequest
		want int
	}{
		"actor":              {&apiv1.ListEntriesRequest{Actor: "alice1@broker.example"}, 2},
		"actor prefix":       {&apiv1.ListEntriesRequest{ActorPrefix: "alice"}, 6},
		"two matches":        {&apiv1.ListEntriesRequest{ActorPrefix: "alice", Actor: "alice2@broker.example"}, 2},
		"operation":          {&apiv1.ListEntriesRequest{Operation: "drop-0"}, 3},
		"operation prefix":   {&apiv1.ListEntriesRequest{OperationPrefix: "drop"}, 6},
		"resource":           {&apiv1.ListEntriesRequest{Resource: "/accounts/3"}, 1},
		"resource prefix":    {&apiv1.ListEntriesRequest{ResourcePrefix: "/acc"}, 6},
		"approver":           {&apiv1.ListEntriesRequest{Approver: "carol@broker.example"}, 6},
		"ticket":             {&apiv1.ListEntriesRequest{Ticket: "CHG-4711", Kind: daybookv1.Kind_KIND_ACCESS}, 6},
		"ticket prefix":      {&apiv1.ListEntriesRequest{TicketPrefix: "CHG", SourcePrefix: "w", TargetPrefix: "d"}, 6},
		"purpose":            {&apiv1.ListEntriesRequest{Purpose: "settlement"}, 6},
		"grant":              {&apiv1.ListEntriesRequest{GrantId: "grant-7"}, 6},
		"event id":           {&apiv1.ListEntriesRequest{EventId: "rich-5"}, 1},
		"event id in hex":    {&apiv1.ListEntriesRequest{EventId: "hex:726963682d35"}, 1},
		"correlation id":     {&apiv1.ListEntriesRequest{CorrelationId: "trace-1"}, 2},
		"credential":         {&apiv1.ListEntriesRequest{Credential: strings.Repeat("63", 31) + "62"}, 2},
		"run":                {&apiv1.ListEntriesRequest{Run: fmt.Sprintf("%x", request.Run), ResourcePrefix: "/"}, 6},
		"action class":       {&apiv1.ListEntriesRequest{ActionClass: daybookv1.ActionClass_ACTION_CLASS_DELETE}, 6},
		"decision":           {&apiv1.ListEntriesRequest{Decision: daybookv1.Decision_DECISION_DENIED}, 6},
		"outcome":            {&apiv1.ListEntriesRequest{Outcome: daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED}, 6},
		"verdict":            {&apiv1.ListEntriesRequest{Verdict: daybookv1.Verdict_VERDICT_DENIED}, 6},
		"source proof":       {&apiv1.ListEntriesRequest{SourceProof: daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN}, 6},
		"producer and actor": {&apiv1.ListEntriesRequest{ProducerPrefix: "spiffe://", ActorPrefix: "alice0"}, 2},
		"no alert":           {&apiv1.ListEntriesRequest{AlertType: daybookv1.AlertType_ALERT_TYPE_SILENCE}, 0},
		"none is late":       {&apiv1.ListEntriesRequest{Late: true}, 0},
	} {
		test.r.PageSize = 4
		if got := list(t, q, test.r); len(got) != test.want {
			t.Errorf("%s: %d entries, want %d", name, len(got), test.want)
		}
	}
	for name, r := range map[string]*apiv1.ListEntriesRequest{
		"long ticket": {Ticket: strings.Repeat("x", 129)}, "bad run": {Run: "12"}, "bad hex": {EventId: "hex:z"},
		"long id": {CorrelationId: strings.Repeat("x", 65)}, "negative": {Verdict: -1},
	} {
		_, err := q.ListEntries(t.Context(), r)
		if wantReason(t, err, server.ReasonBadRequest); err == nil {
			t.Errorf("%s went through", name)
		}
	}
}

func TestValuesOfAField(t *testing.T) {
	w := filled(t)
	q := w.query(t)
	for i := range 3 {
		if _, err := w.ingest(t).AppendOneOff(t.Context(), &apiv1.AppendOneOffRequest{Event: rich(t, i)}); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := q.ListValues(t.Context(), &apiv1.ListValuesRequest{Field: "actor", Prefix: "al", Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"alice0@broker.example", "alice1@broker.example"}, answer.GetValues()); diff != "" || !answer.GetMore() || answer.GetTreeSize() == 0 {
		t.Errorf("%v: %s", answer, diff)
	}
	for name, r := range map[string]*apiv1.ListValuesRequest{
		"unknown": {Field: "color"}, "none": {}, "number": {Field: "verdict"}, "id": {Field: "event_id"}, "of a map": {Field: "flow"},
		"limit": {Field: "actor", Limit: 1001}, "long": {Field: "ticket", Prefix: strings.Repeat("x", 129)},
	} {
		_, err := q.ListValues(t.Context(), r)
		if wantReason(t, err, server.ReasonBadRequest); err == nil {
			t.Errorf("%s went through", name)
		}
	}
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	var page struct{ Values []string }
	code, body := get(t, c, "https://"+w.addresses.QueryHTTP+"/v1/values/target?prefix=d")
	if err := json.Unmarshal([]byte(body), &page); err != nil || code != 200 || len(page.Values) != 1 || page.Values[0] != "db" {
		t.Errorf("%d %s: %v", code, body, err)
	}
	code, body = get(t, c, "https://"+w.addresses.QueryHTTP+"/v1/entries?actorPrefix=alice&decision=DECISION_DENIED")
	if code != 200 || !contains(body, "alice2@broker.example") {
		t.Errorf("%d %.300s", code, body)
	}
}
