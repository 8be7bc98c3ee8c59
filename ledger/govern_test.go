package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

var (
	cco    = ledger.Person{ID: "spiffe://people.example/cco", Authentication: "mtls"}
	author = ledger.Person{ID: "spiffe://people.example/author", Authentication: "mtls"}
)

// firmMap is a map file of three domains; extra are further flows.
func firmMap(extra string) []byte {
	return []byte(`firm: Example
approver: cco
people:
  - {id: cco, identities: ["spiffe://people.example/cco"]}
  - {id: author, identities: ["spiffe://people.example/author"]}
  - {id: alice, identities: ["alice@example"]}
domains:
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital, aliases: [web.test], collectors: ["spiffe://ops/collector"], gateways: ["spiffe://edge/gw"]}
  - {id: db, function: database, tier: production, risk: high, owner: Data}
  - {id: lab, function: database, tier: test, risk: low, owner: Data}
flows:
  - {id: web-db, from: web, to: db, actions: [read], purpose: quotes, approver: cco, mode: enforce}
` + extra)
}

const needsApproval = `  - {id: web-db-write, from: web, to: db, actions: [update], purpose: orders, approver: cco, needs: approval, mode: enforce}
`

// bringIntoForce proposes a map file and approves it.
func bringIntoForce(t testing.TB, l *ledger.Ledger, file []byte) *domains.Version {
	t.Helper()
	p, err := l.ProposeMap(t.Context(), author, file)
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := l.Approve(t.Context(), cco, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: p.SHA256[:]})
	if err != nil {
		t.Fatal(err)
	}
	if v == nil || l.MapInForce() != v {
		t.Fatalf("in force is %+v, not %+v", l.MapInForce(), v)
	}
	return v
}

// proposeMap proposes a map file and returns the sum of its document.
func proposeMap(t testing.TB, l *ledger.Ledger, file []byte) []byte {
	t.Helper()
	p, err := l.ProposeMap(t.Context(), author, file)
	if err != nil {
		t.Fatal(err)
	}
	return p.SHA256[:]
}

// A speaker appends events of one producer in one run.
type speaker struct {
	l    *ledger.Ledger
	p    ledger.Producer
	run  verify.Hash
	next uint64
}

func newSpeaker(t testing.TB, l *ledger.Ledger, id, name string, p daybookv1.Provenance) *speaker {
	t.Helper()
	s := &speaker{l: l, p: ledger.Producer{ID: id}, next: 1}
	copy(s.run[:], name)
	if _, err := l.OpenRun(t.Context(), s.p, &daybookv1.RunOpened{Run: s.run[:], Provenance: p}, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// say appends one event and returns its entry.
func (s *speaker) say(t testing.TB, change func(*daybookv1.Event)) (*verify.Entry, error) {
	t.Helper()
	m := &daybookv1.Event{EventId: fmt.Appendf(nil, "e-%x-%d", s.run[:4], s.next), OccurredAtNs: time.Now().UnixNano(),
		Source: &daybookv1.Source{Domain: "WEB"}, Target: &daybookv1.Target{Domain: "db"}, Side: daybookv1.Side_SIDE_SOURCE,
		Actor: &daybookv1.Actor{Id: "alice@example"}, Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision: daybookv1.Decision_DECISION_ALLOWED, Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS}}
	change(m)
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.l.Append(t.Context(), s.p, ledger.Batch{Run: s.run, Epoch: 1, First: s.next, Items: []ledger.Item{{Body: body}}})
	if err != nil {
		return nil, err
	}
	s.next++
	raw, err := s.l.Entry(t.Context(), r.Size-1)
	for at := r.Size - 1; err == nil; at-- {
		e, perr := verify.ParseEntry(raw)
		if perr != nil {
			t.Fatal(perr)
		}
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			return &e, nil
		}
		raw, err = s.l.Entry(t.Context(), at-1)
	}
	t.Fatal(err)
	return nil, nil
}

func (s *speaker) verdict(t testing.TB, want daybookv1.Verdict, change func(*daybookv1.Event)) *verify.Entry {
	t.Helper()
	e, err := s.say(t, change)
	if err != nil {
		t.Fatal(err)
	}
	if e.Place.Verdict != want {
		t.Errorf("%s -> %s: verdict %v, want %v", e.Place.Source, e.Place.Target, e.Place.Verdict, want)
	}
	return e
}

func unchanged(*daybookv1.Event) {}

func write(m *daybookv1.Event) { m.Action.Class = daybookv1.ActionClass_ACTION_CLASS_UPDATE }

// TestGovernance brings two maps into force, approves and revokes, and finds the
// same verdicts after a restart, by fsck, and by judging again.
func TestGovernance(t *testing.T) {
	g := create(t, ledgertest.Options{})
	s := newSpeaker(t, g.L, "spiffe://web.test/app", "web", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	e := s.verdict(t, daybookv1.Verdict_VERDICT_UNDECLARED, unchanged)
	if e.Place.Source != "web" || e.Head.MapIndex != 0 {
		t.Errorf("without a map: %+v", e.Place)
	}
	v := bringIntoForce(t, g.L, firmMap(""))
	e = s.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, func(m *daybookv1.Event) { m.Source.Domain = "Web.Test." })
	if e.Place.Source != "web" || e.Head.MapIndex != v.Index {
		t.Errorf("an alias is resolved to %q, map index %d", e.Place.Source, e.Head.MapIndex)
	}
	s.verdict(t, daybookv1.Verdict_VERDICT_UNDECLARED, write)
	s.verdict(t, daybookv1.Verdict_VERDICT_UNMAPPED, func(m *daybookv1.Event) { m.Target.Domain = "nowhere" })
	lab := newSpeaker(t, g.L, "spiffe://lab/app", "lab", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	lab.verdict(t, daybookv1.Verdict_VERDICT_FORBIDDEN, func(m *daybookv1.Event) { m.Source.Domain = "lab" })

	second := bringIntoForce(t, g.L, firmMap(needsApproval))
	if second.Body.Previous != v.Index+1 {
		t.Errorf("previous map %d, want %d", second.Body.Previous, v.Index+1)
	}
	before := s.verdict(t, daybookv1.Verdict_VERDICT_NOT_APPROVED, write)
	approval := approveActor(t, g.L, "alice")
	after := s.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, write)
	j, err := g.L.Judgement(after, event(t, after))
	if err != nil || j.Flow.GetId() != "web-db-write" || j.Approval == nil || j.Approval.Index != approval.Index {
		t.Errorf("judged again: %+v, %v", j, err)
	}
	if j, err = g.L.Judgement(before, event(t, before)); err != nil || j.Verdict != daybookv1.Verdict_VERDICT_NOT_APPROVED || j.Later != nil {
		t.Errorf("the access before, which the approval does not cover: %+v, %v", j, err)
	}
	g.Close()
	if g, err = ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor}); err != nil {
		t.Fatal(err)
	}
	s.l = g.L
	s.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, write)
	if _, err := g.L.Revoke(t.Context(), cco, approval.Body.Id, "over", "T-2"); err != nil {
		t.Fatal(err)
	}
	s.verdict(t, daybookv1.Verdict_VERDICT_REVOKED, write)
	if _, err := g.L.Revoke(t.Context(), cco, approval.Body.Id, "again", ""); err == nil {
		t.Error("revoked twice")
	}
	n := 0
	if err := g.L.MapVersions(func(*domains.Version) bool { n++; return true }); err != nil || n != 2 {
		t.Errorf("%d versions, %v", n, err)
	}
	if got, err := g.L.MapAt(e.Place.Index); err != nil || got.Index != v.Index {
		t.Errorf("map at %d: %+v, %v", e.Place.Index, got, err)
	}
	g.Check()
	checkFsck(t, g)
}

func event(t testing.TB, e *verify.Entry) *verify.EventFields {
	t.Helper()
	ev, err := verify.ParseEvent(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &ev
}

func approveActor(t testing.TB, l *ledger.Ledger, actor string) domains.Approved {
	t.Helper()
	a, _, err := l.Approve(t.Context(), cco, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: actor,
		From: "web", To: "db", NotAfterNs: time.Now().Add(time.Hour).UnixNano(), Ticket: "T-1"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// checkFsck closes the log and derives it anew.
func checkFsck(t testing.TB, g *ledgertest.Log) {
	t.Helper()
	g.Close()
	engine, err := ledgertest.OpenStore(g.FS, g.Dir, func(s string) { t.Error(s) })
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	r, err := ledger.Fsck(context.Background(), engine, func(uint64, uint64) {})
	if err != nil || !r.OK {
		t.Errorf("fsck: %+v, %v", r, err)
	}
}

func TestMaySpeak(t *testing.T) {
	g := create(t, ledgertest.Options{})
	web := newSpeaker(t, g.L, "spiffe://web/app", "web", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	first, err := web.say(t, unchanged)
	if err != nil {
		t.Fatal(err)
	}
	bringIntoForce(t, g.L, firmMap(""))
	for name, c := range map[string]struct {
		id   string
		p    daybookv1.Provenance
		side daybookv1.Side
		ok   bool
	}{
		"source":               {"spiffe://web/x", 1, daybookv1.Side_SIDE_SOURCE, true},
		"target":               {"spiffe://db/x", 1, daybookv1.Side_SIDE_TARGET, true},
		"target as source":     {"spiffe://db/x", 1, daybookv1.Side_SIDE_SOURCE, false},
		"another":              {"spiffe://lab/x", 1, daybookv1.Side_SIDE_SOURCE, false},
		"gateway":              {"spiffe://edge/gw", 1, daybookv1.Side_SIDE_GATEWAY, true},
		"no gateway":           {"spiffe://edge/other", 1, daybookv1.Side_SIDE_GATEWAY, false},
		"collector":            {"spiffe://ops/collector", 2, daybookv1.Side_SIDE_COLLECTOR, true},
		"collector first hand": {"spiffe://ops/collector", 1, daybookv1.Side_SIDE_COLLECTOR, false},
	} {
		s := newSpeaker(t, g.L, c.id, name, c.p)
		_, err := s.say(t, func(m *daybookv1.Event) { m.Side = c.side })
		var refused *ledger.RefusedError
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &refused) || refused.Field != "source.domain" || refused.Code == "" || len(refused.Declined) == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is in the log stays answered, whatever the map says since.
	lab := newSpeaker(t, g.L, "spiffe://lab/x", "lab2", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	if _, err := lab.say(t, unchanged); err == nil {
		t.Error("lab speaks for web")
	}
	web.next = 1
	again, err := g.L.Append(t.Context(), web.p, ledger.Batch{Run: web.run, Epoch: 1, First: 1, Items: []ledger.Item{{Body: first.Body}}})
	if err != nil || again.Groups[0].FirstIndex != first.Place.Index {
		t.Errorf("repeat: %+v, %v", again, err)
	}
	checkFsck(t, g)
}

func TestApprovalsAreRefused(t *testing.T) {
	g := create(t, ledgertest.Options{})
	bringIntoForce(t, g.L, firmMap(needsApproval))
	hour := time.Now().Add(time.Hour).UnixNano()
	good := &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: "alice", From: "web", To: "db", NotAfterNs: hour}
	for field, change := range map[string]func(*daybookv1.Approval){
		"subject":      func(m *daybookv1.Approval) { m.Subject = 0 },
		"name":         func(m *daybookv1.Approval) { m.Name = "" },
		"from":         func(m *daybookv1.Approval) { m.From = "nowhere" },
		"to":           func(m *daybookv1.Approval) { m.To = "" },
		"not_after_ns": func(m *daybookv1.Approval) { m.NotAfterNs = 0 },
		"approver":     func(m *daybookv1.Approval) { m.Name = "spiffe://people.example/cco" },
		"purpose":      func(m *daybookv1.Approval) { m.Purpose = strings.Repeat("x", 257) },
		"sha256":       func(m *daybookv1.Approval) { m.Subject = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE },
	} {
		m := proto.CloneOf(good)
		change(m)
		size := g.L.Head().Size
		_, _, err := g.L.Approve(t.Context(), cco, m)
		var refused *ledger.RefusedError
		if !errors.As(err, &refused) || refused.Field != field || g.L.Head().Size != size {
			t.Errorf("%s: %v", field, err)
		}
	}
	self := proto.CloneOf(good)
	self.Requester = "cco"
	if _, _, err := g.L.Approve(t.Context(), cco, self); err == nil {
		t.Error("approved what he asked for himself")
	}
	if _, err := g.L.ProposeMap(t.Context(), author, firmMap(needsApproval)); !errors.Is(err, domains.ErrUnchanged) {
		t.Errorf("the same map again: %v", err)
	}
	var own *domains.AuthorError
	if _, err := g.L.ProposeMap(t.Context(), cco, firmMap("")); !errors.As(err, &own) {
		t.Errorf("the approver's own proposal: %v", err)
	}
	var faults domains.Faults
	if _, err := g.L.ProposeMap(t.Context(), author, []byte("firm: [x]\n")); !errors.As(err, &faults) {
		t.Errorf("a bad file: %v", err)
	}
	now := proto.CloneOf(good)
	now.Subject, now.Sha256 = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, proposeMap(t, g.L, firmMap(""))
	now.NotAfterNs = 1
	if _, _, err := g.L.Approve(t.Context(), cco, now); !errors.Is(err, ledger.ErrWindow) {
		t.Errorf("approved a map until long ago: %v", err)
	}
	first := approveActor(t, g.L, "alice")
	numbered := proto.CloneOf(good)
	numbered.Id = fmt.Sprint(first.Index)
	second, _, err := g.L.Approve(t.Context(), cco, numbered)
	if err != nil {
		t.Fatal(err)
	}
	var two *ledger.RefusedError
	if _, err := g.L.Revoke(t.Context(), cco, numbered.Id, "", ""); !errors.As(err, &two) || two.Field != "approval" {
		t.Errorf("revoking what is one's index and the other's id: %v", err)
	}
	if a, err := g.L.Revoke(t.Context(), cco, fmt.Sprint(second.Index), "", ""); err != nil || a.Index != second.Index {
		t.Errorf("revoking by index: %+v, %v", a, err)
	}
	if _, err := g.L.Revoke(t.Context(), cco, "none", "", ""); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("revoking nothing: %v", err)
	}
	checkFsck(t, g)
}

// TestFirstUseOfRules: the first open by a program of newer rules leaves an
// entry, and only that one.
func TestFirstUseOfRules(t *testing.T) {
	fs := vfs.NewMem()
	engine, err := ledgertest.OpenStore(fs, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	anchor := &ledgertest.MemAnchor{}
	cfg := ledger.CreateConfig{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Anchor: anchor}
	if err := errors.Join(ledger.CreateUnderRules(cfg, 1), engine.Close()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Anchor: anchor})
		if err != nil {
			t.Fatal(err)
		}
		newSpeaker(t, g.L, "spiffe://web/app", rand.Text(), daybookv1.Provenance_PROVENANCE_FIRST_HAND)
		n := 0
		if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
			e, err := verify.ParseEntry(raw)
			if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
				return err
			}
			var m daybookv1.Activity
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_RULES {
				n++
			}
			return nil
		}); err != nil || n != 1 {
			t.Errorf("%d entries about rules, %v", n, err)
		}
		checkFsck(t, g)
	}
}

// TestActsOfWhoLeaves: a caller that leaves early gets its context's error, or the
// whole answer, and nothing half; the act itself goes on.
func TestActsOfWhoLeaves(t *testing.T) {
	g := create(t, ledgertest.Options{})
	bringIntoForce(t, g.L, firmMap(needsApproval))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		id := fmt.Sprintf("left-%d", i)
		a, _, err := g.L.Approve(ctx, cco, &daybookv1.Approval{Id: id, Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: "alice",
			From: "web", To: "db", NotAfterNs: time.Now().Add(time.Hour).UnixNano()})
		if (a.Body == nil) != (err != nil) || err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("approval %+v with %v", a, err)
		}
		if p, err := g.L.ProposeMap(ctx, author, firmMap(fmt.Sprintf("# %d\n", i))); (p == nil) != (err != nil) {
			t.Fatalf("proposal %+v with %v", p, err)
		}
		if index, err := g.L.Record(ctx, &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_READ, Actor: "x", Count: 1}); (index == 0) != (err != nil) {
			t.Fatalf("activity %d with %v", index, err)
		}
	}
	if _, err := g.L.Revoke(t.Context(), cco, "left-19", "", ""); err != nil {
		t.Errorf("the last approval is not in the log: %v", err)
	}
	checkFsck(t, g)
}
