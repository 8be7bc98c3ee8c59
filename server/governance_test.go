package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// firmMap is a map whose author is the producer and whose approver the operator.
func firmMap(more string) []byte {
	return []byte(`firm: Example
approver: cco
people:
  - {id: cco, identities: [spiffe://example.com/operator]}
  - {id: dev, identities: [spiffe://example.com/producer]}
domains:
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital, gateways: [spiffe://example.com/producer]}
  - {id: db, function: database, tier: production, risk: high, owner: Data}
flows:
  - {id: web-to-db, from: web, to: db, actions: [read], purpose: orders, approver: cco, needs: approval}
` + more)
}

// nextFlow makes another version of it.
const nextFlow = "  - {id: db-to-web, from: db, to: web, actions: [read], purpose: x, approver: cco}\n"

// people returns the service for people under an identity.
func (w *world) people(t *testing.T, id string) apiv1.GovernanceServiceClient {
	t.Helper()
	return apiv1.NewGovernanceServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, id, time.Now())))
}

// enforce brings a map into force.
func (w *world) enforce(t *testing.T, yaml []byte) *apiv1.MapVersion {
	t.Helper()
	p, err := w.people(t, producer).ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: yaml})
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.people(t, operator).CreateApproval(t.Context(), mapChange(p.Proposal.Sha256))
	if err != nil || a.InForce == nil {
		t.Fatalf("approving the map: %v, %v", a, err)
	}
	return a.InForce
}

func mapChange(sum []byte) *apiv1.CreateApprovalRequest {
	return &apiv1.CreateApprovalRequest{Approval: &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: sum}}
}

// forAlice approves an actor for an hour that began one ago.
func forAlice(change func(*daybookv1.Approval)) *apiv1.CreateApprovalRequest {
	now := time.Now()
	a := &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: "svc-orders", From: "web", To: "db",
		NotBeforeNs: now.Add(-time.Hour).UnixNano(), NotAfterNs: now.Add(time.Hour).UnixNano()}
	if change != nil {
		change(a)
	}
	return &apiv1.CreateApprovalRequest{Approval: a}
}

// TestGovernance takes a map from its proposal into force, and an access from
// not approved to authorized to revoked.
func TestGovernance(t *testing.T) {
	w := newWorld(t)
	dev, cco := w.people(t, producer), w.people(t, operator)
	_, err := dev.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{})
	wantReason(t, err, "NO_MAP")
	p, err := dev.ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: firmMap("")})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Proposal; got.Author != producer || !slices.Equal(got.Missing, []string{"cco"}) || len(got.Changes) == 0 || got.Parts != 1 {
		t.Errorf("proposed %v", got)
	}
	found, err := cco.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{Sha256: p.Proposal.Sha256})
	if err != nil || found.Proposal == nil || found.Version != nil || len(found.Document) == 0 {
		t.Errorf("the proposal is %v, %v", found, err)
	}
	a, err := cco.CreateApproval(t.Context(), mapChange(p.Proposal.Sha256))
	if err != nil || a.InForce.GetDomains() != 2 || a.Approval.Approval.Approver != operator || a.Approval.Approval.Authentication == "" {
		t.Fatalf("approved %v, %v", a, err)
	}
	listed, err := dev.ListDomainMaps(t.Context(), &apiv1.ListDomainMapsRequest{})
	if err != nil || len(listed.Versions) != 1 || len(listed.Proposals) != 0 || listed.Versions[0].Index != a.InForce.Index {
		t.Errorf("maps %v, %v", listed, err)
	}

	in := w.ingest(t)
	run := openRun(t, in)
	say := func(number uint64) uint64 {
		t.Helper()
		r, err := in.Append(t.Context(), batch(t, run, number, 1))
		if err != nil {
			t.Fatal(err)
		}
		return r.Receipt.Groups[0].FirstIndex
	}
	before := say(1)
	approval, err := cco.CreateApproval(t.Context(), forAlice(func(a *daybookv1.Approval) { a.Ticket = "CHG-1" }))
	if err != nil {
		t.Fatal(err)
	}
	during := say(2)
	if _, err := cco.RevokeApproval(t.Context(), &apiv1.RevokeApprovalRequest{Approval: approval.Approval.Approval.Id, Reason: "over"}); err != nil {
		t.Fatal(err)
	}
	after := say(3)
	for index, want := range map[uint64]daybookv1.Verdict{
		before: daybookv1.Verdict_VERDICT_NOT_APPROVED, during: daybookv1.Verdict_VERDICT_AUTHORIZED, after: daybookv1.Verdict_VERDICT_REVOKED,
	} {
		e, err := w.query(t).GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: index})
		if err != nil {
			t.Fatal(err)
		}
		j := e.Entry.GetJudgement()
		if e.Entry.Place.Verdict != want || j.GetVerdict() != want || j.GetFlow() != "web-to-db" {
			t.Errorf("entry %d: %v, judged %v, want %v", index, e.Entry.Place.Verdict, j, want)
		}
		shown := j.GetApproval()
		if index == before {
			shown = j.GetLater()
		}
		if shown.GetApproval().GetTicket() != "CHG-1" || shown.GetApproval().GetApprover() != operator {
			t.Errorf("entry %d rests on %v", index, j)
		}
	}
	at, err := dev.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{At: before + 1})
	if err != nil || at.Version.Index != a.InForce.Index {
		t.Errorf("the map for entry %d: %v, %v", before, at, err)
	}
	_, err = dev.GetDomainMap(t.Context(), &apiv1.GetDomainMapRequest{At: 1})
	wantReason(t, err, "NO_MAP")
	flow, err := w.query(t).ListEntries(t.Context(), &apiv1.ListEntriesRequest{Flow: "web-to-db", TargetTier: daybookv1.Tier_TIER_PRODUCTION})
	if err != nil || len(flow.Entries) != 3 || flow.Entries[0].Judgement == nil {
		t.Errorf("the accesses of the flow: %v, %v", flow, err)
	}
}

// TestActsAreRefused names the reason of each refusal, which leaves nothing.
func TestActsAreRefused(t *testing.T) {
	w := newWorld(t)
	dev, cco := w.people(t, producer), w.people(t, operator)
	propose := func(c apiv1.GovernanceServiceClient, yaml []byte) error {
		_, err := c.ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: yaml})
		return err
	}
	approve := func(c apiv1.GovernanceServiceClient, change func(*daybookv1.Approval)) error {
		_, err := c.CreateApproval(t.Context(), forAlice(change))
		return err
	}
	revoke := func(name, reason string) error {
		_, err := cco.RevokeApproval(t.Context(), &apiv1.RevokeApprovalRequest{Approval: name, Reason: reason})
		return err
	}
	flow := func(a *daybookv1.Approval) {
		a.Subject, a.Name, a.From, a.To = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW, "web-to-db", "", ""
	}
	wantReason(t, approve(cco, flow), "NO_MAP")
	_, err := w.query(t).ListEntries(t.Context(), &apiv1.ListEntriesRequest{SourceOwner: "Digital"})
	wantReason(t, err, "NO_MAP")
	w.enforce(t, firmMap(""))
	next := firmMap(nextFlow)
	p, err := dev.ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: next})
	if err != nil {
		t.Fatal(err)
	}
	if err := approve(cco, func(a *daybookv1.Approval) { a.Id = "once" }); err != nil {
		t.Fatal(err)
	}
	if err := revoke("once", "over"); err != nil {
		t.Fatal(err)
	}
	sumOf := func(sum []byte) func(*daybookv1.Approval) {
		return func(a *daybookv1.Approval) {
			proto.Reset(a)
			proto.Merge(a, mapChange(sum).Approval)
		}
	}
	size := w.size(t)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"proposed by its approver": {propose(cco, next), "MAP_AUTHOR"},
		"proposed twice":           {propose(dev, next), "MAP_PROPOSED"},
		"unchanged":                {propose(dev, firmMap("")), "MAP_UNCHANGED"},
		"a faulty file":            {propose(dev, []byte("firm: [x]\n")), "MAP_FAULTS"},
		"no file":                  {propose(dev, nil), "BAD_REQUEST"},
		"approved by its author":   {approve(dev, sumOf(p.Proposal.Sha256)), "MAP_AUTHOR"},
		"unknown proposal":         {approve(cco, sumOf(make([]byte, 32))), "NO_PROPOSAL"},
		"no approver":              {approve(w.people(t, "spiffe://example.com/stranger"), sumOf(p.Proposal.Sha256)), "NOT_APPROVER"},
		"for oneself":              {approve(cco, func(a *daybookv1.Approval) { a.Name = operator }), "SELF_APPROVAL"},
		"for oneself, by person":   {approve(cco, func(a *daybookv1.Approval) { a.Name = "cco" }), "SELF_APPROVAL"},
		"asked by oneself":         {approve(cco, func(a *daybookv1.Approval) { a.Requester = "cco" }), "SELF_APPROVAL"},
		"without an end":           {approve(cco, func(a *daybookv1.Approval) { a.NotAfterNs = 0 }), "APPROVAL_WINDOW"},
		"an empty window":          {approve(cco, func(a *daybookv1.Approval) { a.NotAfterNs = a.NotBeforeNs }), "APPROVAL_WINDOW"},
		"too long a window":        {approve(cco, func(a *daybookv1.Approval) { a.NotAfterNs = a.NotBeforeNs + int64(367*24*time.Hour) }), "APPROVAL_WINDOW"},
		"unknown domain":           {approve(cco, func(a *daybookv1.Approval) { a.To = "gone" }), "UNKNOWN_DOMAIN"},
		"unknown flow":             {approve(cco, func(a *daybookv1.Approval) { flow(a); a.Name = "gone" }), "UNKNOWN_FLOW"},
		"another pair's flow":      {approve(cco, func(a *daybookv1.Approval) { flow(a); a.From = "db" }), "APPROVAL_REFUSED"},
		"an id that is taken":      {approve(cco, func(a *daybookv1.Approval) { a.Id = "once" }), "APPROVAL_ID_TAKEN"},
		"without a subject":        {approve(cco, func(a *daybookv1.Approval) { a.Subject = 0 }), "APPROVAL_REFUSED"},
		"too long a purpose":       {approve(cco, func(a *daybookv1.Approval) { a.Purpose = strings.Repeat("x", 257) }), "APPROVAL_REFUSED"},
		"another's name":           {approve(cco, func(a *daybookv1.Approval) { a.Approver = "me" }), "BAD_REQUEST"},
		"revoked twice":            {revoke("once", "again"), "ALREADY_REVOKED"},
		"unknown approval":         {revoke("gone", "x"), "NOT_FOUND"},
		"unknown index":            {revoke("0", "x"), "NOT_FOUND"},
		"without a reason":         {revoke("once", ""), "BAD_REQUEST"},
	} {
		if got := reason(c.err); got != c.want {
			t.Errorf("%s: %v, reason %q, want %q", name, c.err, got, c.want)
		}
	}
	if now := w.size(t); now != size {
		t.Errorf("refused acts left entries: %d, then %d", size, now)
	}
}

func (w *world) size(t *testing.T) uint64 {
	t.Helper()
	c, err := w.query(t).GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Size
}

// TestMapFaultsHavePlaces: each fault of a file comes with its line and column.
func TestMapFaultsHavePlaces(t *testing.T) {
	w := newWorld(t)
	_, err := w.people(t, producer).ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{
		Yaml: firmMap("  - {id: web-to-gone, from: web, to: gone, actions: [fly], purpose: x, approver: cco}\n")})
	var fields []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				fields = append(fields, v.Field)
			}
		}
	}
	if want := []string{"yaml:11:38", "yaml:11:54"}; !slices.Equal(fields, want) {
		t.Errorf("faults at %v, want %v: %v", fields, want, err)
	}
	many := "firm: x\n" + strings.Repeat("unknown: key\n", 2000)
	_, err = w.people(t, producer).ProposeDomainMap(t.Context(), &apiv1.ProposeDomainMapRequest{Yaml: []byte(many)})
	wantReason(t, err, "MAP_FAULTS")
}

// TestListApprovalsPages pages through approvals, filtered.
func TestListApprovalsPages(t *testing.T) {
	w := newWorld(t)
	cco := w.people(t, operator)
	var want []uint64
	for i := range 7 {
		a, err := cco.CreateApproval(t.Context(), forAlice(func(a *daybookv1.Approval) { a.Name = fmt.Sprintf("actor-%d", i%2) }))
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			want = append([]uint64{a.Approval.Index}, want...)
		}
	}
	var got []uint64
	r := &apiv1.ListApprovalsRequest{Name: "actor-0", PageSize: 3}
	for pages := 1; ; pages++ {
		page, err := cco.ListApprovals(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Approvals {
			got = append(got, a.Index)
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("approvals %v, want %v", got, want)
	}
	valid := func(at time.Time) int {
		page, err := cco.ListApprovals(t.Context(), &apiv1.ListApprovalsRequest{ValidAtNs: at.UnixNano(), From: "web"})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Approvals)
	}
	if _, err := cco.RevokeApproval(t.Context(), &apiv1.RevokeApprovalRequest{Approval: fmt.Sprint(want[0]), Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if now, later := valid(time.Now()), valid(time.Now().Add(2*time.Hour)); now != 6 || later != 0 {
		t.Errorf("%d are valid now, %d in two hours", now, later)
	}
	_, err := cco.ListApprovals(t.Context(), &apiv1.ListApprovalsRequest{PageSize: 1001})
	wantReason(t, err, "BAD_REQUEST")
	_, err = cco.ListApprovals(t.Context(), &apiv1.ListApprovalsRequest{PageToken: "x"})
	wantReason(t, err, "BAD_PAGE_TOKEN")
}

// post sends JSON to REST under an identity.
func (w *world) post(t *testing.T, id, path string, body any) (int, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := web(t, w.tlsOf(t, w.ca, id, time.Now())).Post("https://"+w.addresses.QueryHTTP+path, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	out := map[string]any{}
	raw, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatalf("POST %s: %s: %v: %.200s", path, answer.Status, err, raw)
	}
	return answer.StatusCode, out
}

// TestApprovalsByREST: a ticket system approves and revokes under its own
// certificate, and that is who stands in the log.
func TestApprovalsByREST(t *testing.T) {
	const tickets = "spiffe://example.com/tickets"
	w := newWorld(t)
	w.enforce(t, firmMap(""))
	now := time.Now()
	code, made := w.post(t, tickets, "/v1/approvals", map[string]any{"approval": map[string]any{
		"id": "CHG 7", "subject": "APPROVAL_SUBJECT_ACTOR", "name": "alice", "from": "web", "to": "db", "ticket": "CHG-7",
		"notBeforeNs": fmt.Sprint(now.UnixNano()), "notAfterNs": fmt.Sprint(now.Add(time.Hour).UnixNano())}})
	if code != http.StatusOK {
		t.Fatalf("approving: %d %v", code, made)
	}
	code, refused := w.post(t, tickets, "/v1/approvals", map[string]any{"approval": map[string]any{
		"subject": "APPROVAL_SUBJECT_ACTOR", "name": tickets, "from": "web", "to": "db", "notAfterNs": fmt.Sprint(now.Add(time.Hour).UnixNano())}})
	if text := fmt.Sprint(refused); code != http.StatusForbidden || !contains(text, "SELF_APPROVAL") || !contains(text, "approver") {
		t.Errorf("a self-approval: %d %v", code, refused)
	}
	code, revoked := w.post(t, tickets, "/v1/approvals/"+url.PathEscape("CHG 7")+":revoke", map[string]any{"reason": "done", "ticket": "CHG-8"})
	if code != http.StatusOK {
		t.Fatalf("revoking: %d %v", code, revoked)
	}
	state := new(apiv1.ApprovalState)
	text, err := json.Marshal(revoked["approval"])
	if err == nil {
		err = protojson.Unmarshal(text, state)
	}
	if err != nil {
		t.Fatal(err)
	}
	for index, kind := range map[uint64]daybookv1.Kind{state.Index: daybookv1.Kind_KIND_APPROVAL, state.Revocation - 1: daybookv1.Kind_KIND_REVOCATION} {
		e, err := w.query(t).GetEntry(t.Context(), &apiv1.GetEntryRequest{Index: index})
		if err != nil {
			t.Fatal(err)
		}
		who := e.Entry.GetApproval().GetApprover() + e.Entry.GetRevocation().GetRevoker()
		if parsed, err := verify.ParseEntry(e.Entry.Entry); err != nil || parsed.Place.Kind != kind || who != tickets {
			t.Errorf("entry %d is of %v by %q, %v", index, e.Entry.Place.Kind, who, err)
		}
	}
	for _, path := range []string{"/v1/domain-map", "/v1/domain-maps", "/v1/approvals?subject=APPROVAL_SUBJECT_ACTOR&name=alice", "/v1/entries?source_tier=TIER_PRODUCTION&flow=web-to-db"} {
		if code, body := get(t, web(t, w.tlsOf(t, w.ca, tickets, time.Now())), "https://"+w.addresses.QueryHTTP+path); code != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
	// A map is larger than other requests.
	padded := append(firmMap(nextFlow), bytes.Repeat([]byte("# review\n"), 10_000)...)
	if code, got := w.post(t, producer, "/v1/domain-maps", map[string]any{"yaml": base64.StdEncoding.EncodeToString(padded)}); code != http.StatusOK {
		t.Errorf("proposing %d bytes: %d %v", len(padded), code, got)
	}
	if code, _ := w.post(t, tickets, "/v1/approvals", map[string]any{"approval": map[string]any{"purpose": strings.Repeat("x", 70<<10)}}); code == http.StatusOK {
		t.Error("a body of 70 KiB was taken")
	}
}
