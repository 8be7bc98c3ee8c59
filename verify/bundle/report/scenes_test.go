package report

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const (
	sceneOrigin = "log.example-securities.com/2026-0badcafe"
	sceneMap    = `firm: Example Securities LLC
approver: cco
people:
  - {id: cco, identities: [spiffe://people.example/cco]}
  - {id: head-of-trading, identities: [spiffe://people.example/ht]}
domains:
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital Channels}
  - {id: market-data, function: market-data, tier: production, risk: low, owner: Trading Systems}
  - {id: prod-db, function: database, tier: production, risk: high, owner: "Data & Platforms"}
  - {id: load-test, function: testing, tier: test, risk: low, owner: Quality}
flows:
  - {id: web-to-quotes, from: web, to: market-data, actions: [read], purpose: show quotes, approver: cco, ticket: CHG-1, least_proof: peer-certificate, mode: enforce}
  - {id: web-to-positions, from: web, to: prod-db, actions: [read, "op:POST /positions*"], purpose: "show a customer's own positions", approver: head-of-trading, valid: {from: 2026-01-01, until: 2027-01-01}, needs: approval}
`
)

// at is a time of the scene's day.
func at(clock string) int64 {
	tm, err := time.Parse(time.RFC3339Nano, "2026-05-17T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return tm.UnixNano()
}

// scene makes a world entry by entry.
type scene struct {
	t     testing.TB
	world world
	head  verify.BatchHead
	flows map[string]string
}

func newScene(t testing.TB) *scene {
	s := &scene{t: t, flows: map[string]string{}}
	s.head = verify.BatchHead{FormatVersion: 1, Producer: "spiffe://web/gateway", KeyFingerprint: nth(7), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND,
		Run: nth(9), Epoch: 1, MapIndex: 12, RulesVersion: 2}
	doc, err := domains.Parse([]byte(sceneMap))
	if err != nil {
		t.Fatal(err)
	}
	doc.Author = "spiffe://people.example/engineer"
	for _, f := range doc.GetFlows() {
		s.flows[f.GetId()] = hexOf(f)
	}
	h := &s.world.Head
	h.Origin, h.Part, h.Parts, h.Size, h.Root = sceneOrigin, 1, 1, 1234, strings.Repeat("5a", 32)
	h.OpenedNS, h.Cut, h.CloseIndex, h.End = at("00:00:00.000000001"), 1200, 1201, 1200
	h.Close = hexOf(s.close())
	h.Policy = "log " + vkey(sceneOrigin, 1, 1) + "\nwitness east " + vkey("east.example/witness", 4, 2) + " https://east.example/\ngroup both all east\nquorum both\n"
	h.Witnesses = []witness{{"east", at("23:59:59") / 1e9}}
	s.addMap(12, at("00:00:01"), doc)
	return s
}

// vkey returns a verifier key, of signature type 1 or 4.
func vkey(name string, typ, seed byte) string {
	key := append([]byte{typ}, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(key))
}

func (s *scene) addMap(index uint64, ns int64, doc *daybookv1.MapDocument) {
	b, err := domains.MarshalDocument(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	body := &daybookv1.DomainMap{Sha256: make([]byte, 32), FirstPart: index, Parts: 1, Author: doc.GetAuthor()}
	s.world.Summary.Maps = append(s.world.Summary.Maps, mapInput{Index: index, LogTimeNS: ns, Body: hexOf(body), Document: hex.EncodeToString(b)})
}

func (s *scene) entry(index uint64, logged int64, place verify.EntryHead, body proto.Message) string {
	head := s.head
	head.LogTimeNS, place.Index = logged, index
	b, _ := hex.DecodeString(hexOf(body))
	return hex.EncodeToString(verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), b))
}

func (s *scene) close() *daybookv1.Close {
	table := &daybookv1.CloseTable{Rows: 7, Root: make([]byte, 32), Sum: 1200}
	day := at("00:00:00")
	return &daybookv1.Close{PeriodStartNs: day, PeriodEndNs: day + verify.Day, Cut: 1200, PreviousCut: 900, PreviousClose: 901, Root: make([]byte, 32), Streams: table, Runs: table}
}

// event returns a plain event for others to change.
func event(occurred int64) *daybookv1.Event {
	return &daybookv1.Event{
		EventId: []byte("01970f6e-1"), OccurredAtNs: occurred, Side: daybookv1.Side_SIDE_TARGET,
		Source:   &daybookv1.Source{Domain: "web", Address: "10.1.2.3", Service: "quotes-ui", Proof: daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE},
		Target:   &daybookv1.Target{Domain: "market-data", Service: "quotes", Resource: "quotes/AAPL", Type: "quote", Classification: "public"},
		Actor:    &daybookv1.Actor{Id: "spiffe://web/quotes-ui", Type: daybookv1.ActorType_ACTOR_TYPE_SERVICE, Authentication: "mtls"},
		Action:   &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "GET /quotes", Protocol: "https", ReadOnly: proto.Bool(true)},
		Decision: daybookv1.Decision_DECISION_ALLOWED, Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, Code: "200"},
		CorrelationId: []byte{0xde, 0xad, 0xbe, 0xef},
	}
}

// access adds an answer. change, where it is not nil, changes the event and the place.
func (s *scene) access(index uint64, verdict daybookv1.Verdict, section Section, flow string, approved *approval, change func(*daybookv1.Event, *verify.EntryHead)) {
	ev := event(at("10:00:00.12345") + int64(index)*1e9)
	place := verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Number: index, Source: "web", Target: "market-data", Side: daybookv1.Side_SIDE_TARGET, Position: index / 2, Verdict: verdict}
	if change != nil {
		change(ev, &place)
	}
	a := answer{Entry: s.entry(index, ev.OccurredAtNs+1e9, place, ev), Section: section.String(), Flow: s.flows[flow], Approval: approved}
	s.world.Answers = append(s.world.Answers, a)
}

// approvals are one that holds and one that was revoked.
func approvals() (holds, revoked *approval) {
	a := &daybookv1.Approval{Id: "APP-17", Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: "spiffe://web/positions", From: "web", To: "prod-db", Purpose: "positions",
		NotBeforeNs: at("00:00:00"), NotAfterNs: at("00:00:00") + 30*verify.Day, Ticket: "CHG-7", Approver: "spiffe://people.example/ht", Authentication: "mtls", Requester: "spiffe://people.example/engineer"}
	holds = &approval{Index: 20, LogTimeNS: at("00:10:00"), Body: hexOf(a)}
	a.Id, a.Name = "APP-18", "=cmd|' /C calc'!A0"
	r := &daybookv1.Revocation{Approval: 22, From: "web", To: "prod-db", Reason: "left the firm,\r\nsee HR", Ticket: "HR-1", Revoker: "spiffe://people.example/cco", Authentication: "oidc+mfa"}
	revoked = &approval{Index: 21, LogTimeNS: at("00:11:00"), Body: hexOf(a), Revocation: 26, RevokedNS: at("09:00:00"), Revoked: hexOf(r)}
	return holds, revoked
}

func toDB(ev *daybookv1.Event, p *verify.EntryHead) {
	ev.Target = &daybookv1.Target{Domain: "Prod-DB.", Service: "positions", Resource: "positions/4711"}
	ev.Action = &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_UPDATE, Operation: "POST /positions/4711"}
	p.Target = "prod-db"
}

// fullScene has every verdict, section, kind of value and oddity.
func fullScene(t testing.TB) *world {
	s := newScene(t)
	holds, revoked := approvals()
	s.world.Head.Question = &question.Question{Format: question.FormatName, Case: "2026-0417", Item: "3(b)", AskedBy: "FINRA, Member Supervision", Recipient: "J. Doe <j.doe@finra.example>",
		From: question.Selector{Tier: "production", Owner: "Digital Channels"},
		Period: &question.Period{Text: "2026-05-17", Zone: "America/New_York", By: question.ByOccurred, Start: "2026-05-17T04:00:00Z", End: "2026-05-18T04:00:00Z",
			Offsets: []question.Offset{{From: "0001-01-01T00:00:00Z", Seconds: -17762, Name: "LMT"}, {From: "2026-03-08T07:00:00Z", Seconds: -14400, Name: "EDT"}}}}
	s.world.Head.Sources, s.world.Head.Targets, s.world.Head.Selected = []string{"?overflow", "?unmapped", "web"}, nil, 9
	s.world.Head.Unknown = []string{`to: no domain map has a domain of owner "Digitl"`}
	s.world.Summary.Losses = []Loss{{"", false, 0, 1}, {"spiffe://ops/collector", false, 1200, 2}, {"spiffe://web/gateway", true, 1, 0}}
	for i, add := range []func(uint64){
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_AUTHORIZED, SectionFirstHand, "web-to-quotes", nil, nil)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_AUTHORIZED, SectionFirstHand, "web-to-positions", holds, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_REVOKED, SectionFirstHand, "web-to-positions", revoked, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_APPROVED_AFTER, SectionFirstHand, "web-to-positions", holds, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_SELF_APPROVED, SectionFirstHand, "web-to-positions", holds, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_NOT_APPROVED, SectionFirstHand, "web-to-positions", nil, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_EXPIRED, SectionFirstHand, "web-to-positions", nil, toDB)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE, SectionFirstHand, "web-to-quotes", nil, claimed)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_LATE_UNVERIFIED, SectionLate, "web-to-quotes", nil, late)
		},
		func(i uint64) {
			s.access(i, daybookv1.Verdict_VERDICT_UNDECLARED, SectionFirstHand, "", nil, sealedEvent)
		},
		func(i uint64) { s.access(i, daybookv1.Verdict_VERDICT_FORBIDDEN, SectionFirstHand, "", nil, hostile) },
		func(i uint64) { s.access(i, daybookv1.Verdict_VERDICT_UNMAPPED, SectionUnmapped, "", nil, unmapped) },
		func(i uint64) { s.access(i, daybookv1.Verdict_VERDICT_DENIED, SectionFirstHand, "", nil, denied) },
		func(i uint64) { s.access(i, daybookv1.Verdict_VERDICT_INTERNAL, SectionFirstHand, "", nil, internal) },
		func(i uint64) {
			s.head.Provenance, s.head.Producer = daybookv1.Provenance_PROVENANCE_SECOND_HAND, "spiffe://ops/collector"
			s.access(i, daybookv1.Verdict_VERDICT_AUTHORIZED, SectionSecondHand, "web-to-quotes", nil, bare)
		},
		func(i uint64) {
			s.head.Provenance, s.head.MapIndex = daybookv1.Provenance_PROVENANCE_BACKFILL, 0
			s.access(i, daybookv1.Verdict_VERDICT_UNDECLARED, SectionBackfill, "", nil, whole)
		},
	} {
		add(uint64(100 + 3*i))
	}
	s.alertsAndCloses()
	s.world.Summary.Approvals = []approval{*holds, *revoked}
	s.finish()
	return &s.world
}

func claimed(ev *daybookv1.Event, _ *verify.EntryHead) {
	ev.Source.Proof = daybookv1.SourceProof_SOURCE_PROOF_CALLER_CLAIM
	ev.Outcome = &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_THROTTLED, Code: "429", Reason: "too many"}
}

func late(ev *daybookv1.Event, p *verify.EntryHead) {
	p.Late, ev.OccurredAtNs = true, ev.OccurredAtNs-2*verify.Day
	ev.Clock = &daybookv1.Clock{UncertaintyNs: 50e6, OriginalText: "15/May/2026:10:00:24 -0400", Source: "chrony:NIST", OffsetNs: -1200}
}

// sealedEvent has sealed values: a field, a field of a message, two columns, an attribute.
func sealedEvent(ev *daybookv1.Event, _ *verify.EntryHead) {
	ev.Actor.Id, ev.Source.Address, ev.Authorization = "", "", nil
	ev.Actor.Type = daybookv1.ActorType_ACTOR_TYPE_HUMAN
	ev.Attributes = []*daybookv1.Attribute{{Key: "customer"}, {Key: "http.status", Value: "200"}}
	for _, n := range []uint32{9, 502, 701, 704, 1500} {
		ev.Sealed = append(ev.Sealed, &daybookv1.Sealed{Field: n, Commitment: make([]byte, 32)})
	}
}

// hostile has what breaks out of bad writers.
func hostile(ev *daybookv1.Event, p *verify.EntryHead) {
	p.Source = "load-test"
	ev.Source.Domain, ev.Source.Service = "load-test", "</li><script>alert(1)</script>"
	ev.Actor.Id = "=HYPERLINK(\"http://evil.example\",\"click\")"
	ev.Actor.Authentication = "a\u202eb\u0000c\u2028d\u200be"
	ev.Target.Resource = "+1, \"quoted\" and 'single' & \\back\\ “curly” " + strings.Repeat("long ", 60) + "\r\nend"
	ev.Action.Operation, ev.Outcome.Reason, ev.Outcome.Code = "-2+3", "@SUM(A1)\ttab", "'apostrophe"
	ev.EventId, ev.CorrelationId = []byte("0xff"), []byte("=plain <b>")
	ev.Attributes = []*daybookv1.Attribute{{Key: "\"k\"", Value: "é 日本 😀 \u007f"}}
}

func unmapped(ev *daybookv1.Event, p *verify.EntryHead) {
	p.Target, ev.Target.Domain = domains.Unmapped, "Legacy.Box"
	ev.Actor = &daybookv1.Actor{Id: "anonymous", Type: daybookv1.ActorType_ACTOR_TYPE_ANONYMOUS}
}

func denied(ev *daybookv1.Event, _ *verify.EntryHead) {
	ev.Decision, ev.Outcome = daybookv1.Decision_DECISION_DENIED, &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED, Code: "403"}
	ev.Authorization = &daybookv1.Authorization{PolicyId: "gateway", PolicyVersion: "41", Rule: "deny-all", GrantId: "G-1", Approver: "cco", Ticket: "CHG-9", Purpose: "support", BreakGlass: true}
	ev.Actor.Type = daybookv1.ActorType_ACTOR_TYPE_HUMAN
	ev.Actor.Delegation = []*daybookv1.Delegate{{Id: "robot", Type: daybookv1.ActorType_ACTOR_TYPE_WORKLOAD}, {Id: "alice"}}
	ev.Actor.Credential = &daybookv1.CredentialFingerprint{KeyId: "k1", HmacSha256: make([]byte, 32)}
	ev.Actor.LoginSession = "s-1"
}

func internal(ev *daybookv1.Event, p *verify.EntryHead) {
	ev.Target.Domain, p.Target = "web", "web"
	ev.Outcome.Result = daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN
}

// bare has only what every event has.
func bare(ev *daybookv1.Event, p *verify.EntryHead) {
	*ev = daybookv1.Event{EventId: []byte{1}, OccurredAtNs: at("10:30:00"), Source: &daybookv1.Source{Domain: "web"}, Target: &daybookv1.Target{Domain: "market-data"},
		Actor: &daybookv1.Actor{Id: "unknown", Type: daybookv1.ActorType_ACTOR_TYPE_UNKNOWN}, Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_UNKNOWN, Operation: "?"},
		Decision: daybookv1.Decision_DECISION_UNKNOWN, Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_ERROR}}
	p.Side = daybookv1.Side_SIDE_UNSPECIFIED
}

// whole has whole messages sealed, and a foreign record.
func whole(ev *daybookv1.Event, _ *verify.EntryHead) {
	ev.Actor, ev.Action, ev.Corrects, ev.RetentionClass = nil, nil, []byte("01970f6e-0"), "trading"
	ev.Original = &daybookv1.Original{Sha256: make([]byte, 32), FileSha256: make([]byte, 32), Record: 17, Mapping: "cloudtrail/1"}
	for _, n := range []uint32{7, 8} {
		ev.Sealed = append(ev.Sealed, &daybookv1.Sealed{Field: n, Commitment: make([]byte, 32)})
	}
}

func (s *scene) alertsAndCloses() {
	s.head.Producer, s.head.Provenance = s.world.Head.Origin, daybookv1.Provenance_PROVENANCE_FIRST_HAND
	alert := &daybookv1.Alert{Id: make([]byte, 32), Type: daybookv1.AlertType_ALERT_TYPE_UNDECLARED_FLOW, DetectorVersion: 1, Subject: "load-test -> market-data under map 12",
		Source: "load-test", Target: "market-data", PeriodStartNs: at("00:00:00"), PeriodEndNs: at("00:00:00") + verify.Day, Entries: []uint64{131, 140}, Detail: "first crossing that no flow declares", Producer: "spiffe://web/gateway"}
	gap := &daybookv1.Alert{Id: make([]byte, 32), Type: daybookv1.AlertType_ALERT_TYPE_GAP, DetectorVersion: 1, Subject: "run 0909 of spiffe://web/gateway, numbers 7-9"}
	for i, a := range []*daybookv1.Alert{alert, gap} {
		s.world.Alerts = append(s.world.Alerts, s.entry(uint64(500+i), at("12:00:00"), verify.EntryHead{Kind: daybookv1.Kind_KIND_ALERT, Number: uint64(i + 1), Source: a.Source, Target: a.Target}, a))
	}
	s.world.Closes = []string{s.entry(1201, at("23:59:59.999999999")+2, verify.EntryHead{Kind: daybookv1.Kind_KIND_CLOSE, Number: 3}, s.close())}
}

// finish fills in the summary.
func (s *scene) finish() {
	sum := &s.world.Summary
	sum.Claims = []Claim{
		{ClaimUnaltered, Proved, "all 16 answers and 7 other entries are in the log at size 1,234"},
		{ClaimAccepted, Proved, "9 streams below entry 1,200"},
		{ClaimNumbered, NotClaimed, "1 of 2 runs; 1 is not signed yet"},
		{ClaimAuthorized, Proved, ""},
		{ClaimCountersigned, Failed, "the quorum <both> did not cosign."},
	}
	opened := &daybookv1.RunOpened{Run: make([]byte, 32), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Software: "gateway/1.2",
		Import: &daybookv1.Import{FileSha256: make([]byte, 32), Mapping: "cloudtrail", MappingVersion: 1, FileName: "a,b.json", Bytes: 5}}
	sum.Runs = []run{
		{Producer: "spiffe://ops/collector", Run: strings.Repeat("08", 32), Answers: 1, First: 142, Last: 142, Gaps: 1, Lost: 1500, Reason: "no signature covers its numbers yet"},
		{Producer: "spiffe://web/gateway", Run: strings.Repeat("09", 32), Opened: hexOf(opened), Answers: 14, First: 100, Last: 145, Signed: 150, Declined: 2, Ended: true, Proved: true},
	}
	sum.OneOffs, sum.Checkpoints = 1, 3
}

// emptyScene answers a range of a demonstration with nothing, in the second of three
// parts, without a map, witness or close.
func emptyScene(t testing.TB) *world {
	s := newScene(t)
	h := &s.world.Head
	h.Origin, h.Policy, h.Witnesses, h.Close, h.OpenedNS = "demo.invalid/log-0badcafe", "", nil, "", 0
	h.Question = &question.Question{Format: question.FormatName, Range: &question.Range{First: 0, End: 300}}
	h.Part, h.Parts, h.First, h.End, h.Size = 2, 3, 100, 200, 1
	s.world.Summary.Maps = nil
	s.world.Summary.Claims = []Claim{{ClaimUnaltered, Proved, ""}}
	return &s.world
}

// manyScene has more accesses than the report lists, in the stream of a question
// in UTC.
func manyScene(t testing.TB) *world {
	s := newScene(t)
	s.world.Head.Question = &question.Question{Format: question.FormatName, Case: "=1+1", Streams: []question.Stream{"access,web,market-data,target", "access,web,prod-db,target,late"},
		Period: &question.Period{Text: "2026-W20", Zone: "UTC", By: question.ByLogged, Start: "2026-05-11T00:00:00Z", End: "2026-05-18T00:00:00Z",
			Offsets: []question.Offset{{From: "0001-01-01T00:00:00Z", Name: "UTC"}}}}
	s.access(1, daybookv1.Verdict_VERDICT_AUTHORIZED, SectionFirstHand, "web-to-quotes", nil, nil)
	s.access(2, daybookv1.Verdict_VERDICT_UNDECLARED, SectionLate, "", nil, nil)
	s.world.Repeat = 1005
	return &s.world
}
