package bundle_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

const firstMap = `
firm: Example Securities LLC
approver: cco
people:
  - id: cco
    identities: [spiffe://people.example/cco]
domains:
  - {id: web, aliases: [customer-web], function: customer-interface, tier: production, risk: high, owner: Digital, dns: [www.example.com]}
  - {id: prod-db, function: database, tier: production, risk: high, owner: Data}
  - {id: test-db, function: database, tier: test, risk: low, owner: Data}
  - {id: desk, function: broker-interface, tier: production, risk: high, owner: Trading}
flows:
  - {id: web-to-db, from: web, to: prod-db, actions: [read], purpose: show orders, approver: cco, valid: {from: 2026-01-01}, least_proof: peer-certificate}
  - {id: desk-to-db, from: desk, to: prod-db, actions: [any], purpose: support, approver: cco, valid: {from: 2026-01-01}, least_proof: peer-certificate, needs: approval}
`

var start = time.Date(2026, 5, 17, 9, 0, 0, 0, time.UTC)

// sampleWorld is a log of three days: a map, approvals, runs with heartbeats,
// gaps, late and unmapped accesses, closes and cosigned checkpoints.
func sampleWorld(t testing.TB) *world { return thinnedWorld(t, -1) }

// thinnedWorld is the same without one of its accesses, by its place from 0.
func thinnedWorld(t testing.TB, without int) *world {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	step := func(d time.Duration) { w.now += int64(d) }
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	accesses := 0
	access := func(r *worldRun, source, target string, change func(*daybookv1.Event)) {
		step(time.Minute)
		e := w.event(source, target)
		e.EventId = fmt.Appendf(nil, "event-%06d", accesses)
		if accesses++; accesses == without+1 {
			return
		}
		if change != nil {
			change(e)
		}
		w.append(r, daybookv1.Kind_KIND_ACCESS, e)
	}
	access(web, "web", "prod-db", nil)
	step(time.Minute)
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	access(web, "customer-web", "prod-db", nil)
	access(web, "web", "nowhere.example", nil)
	w.heartbeat(web)
	step(time.Hour)
	desk := w.run("spiffe://desk/app", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	access(desk, "desk", "prod-db", nil)
	grant := w.approve("user-3", "desk", "prod-db", "spiffe://people.example/cco")
	for range 5 {
		access(desk, "desk", "prod-db", func(e *daybookv1.Event) { e.Actor.Id = "user-3" })
		access(web, "web", "prod-db", nil)
	}
	w.archive()
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.heartbeat(web)
	w.heartbeat(desk)
	w.archive()
	step(6 * time.Hour)
	w.revoke(grant, "desk", "prod-db", "spiffe://people.example/cco")
	for range 4 {
		access(desk, "desk", "prod-db", func(e *daybookv1.Event) { e.Actor.Id = "user-3" })
		access(web, "web", "test-db", nil)
		access(web, "web", "prod-db", func(e *daybookv1.Event) { e.OccurredAtNs -= int64(10 * time.Hour); e.Side = daybookv1.Side_SIDE_TARGET })
	}
	w.declined(web)
	w.gap(web, 3)
	access(web, "web", "prod-db", nil)
	w.heartbeat(web)
	late := w.event("web", "prod-db")
	late.Side = daybookv1.Side_SIDE_GATEWAY
	w.oneOff("spiffe://web/gateway", late)
	w.end(desk)
	w.now = start.Add(39 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	access(web, "web", "prod-db", nil)
	w.heartbeat(web)
	w.now = start.Add(63 * time.Hour).UnixNano()
	w.closeAt(w.now)
	access(web, "web", "prod-db", nil)
	w.archive()
	return w
}

func mustRead(t testing.TB, text string) *question.Question {
	t.Helper()
	q, err := question.Read([]byte(text), time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func build(t testing.TB, src bundle.Source, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	spool := newSpool(t)
	built, err := bundle.Build(context.Background(), src, mustRead(t, text), spool, &out)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if built.Size != int64(out.Len()) || spool.open != 0 || spool.made > 12 {
		t.Errorf("%s: size %d of %d, %d of %d temporary files left", text, built.Size, out.Len(), spool.open, spool.made)
	}
	return out.Bytes()
}

func check(t testing.TB, trust bundle.Trust, files ...[]byte) *bundle.Result {
	t.Helper()
	var of []bundle.File
	for _, f := range files {
		of = append(of, bundle.File{R: bytes.NewReader(f), Size: int64(len(f))})
	}
	r, err := bundle.Check(context.Background(), of, trust)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) trust() bundle.Trust {
	p, err := verify.ParsePolicy(w.policy())
	if err != nil {
		w.t.Fatal(err)
	}
	return bundle.Trust{Policy: p}
}

// TestSample builds and checks answers to several questions.
func TestSample(t *testing.T) {
	w := sampleWorld(t)
	for _, text := range []string{
		"from: web\nto: prod-db\n", "period: 2026-05-18\n", "from: desk\nperiod: 2026-05-18\n", "from: {tier: test}\n", "to: {tier: test}\n",
		"period: 2026-05-17\nby: occurred\n", "from: {owner: Trading}\nto: {function: database}\nperiod: 2026\n", "from: nobody\n", "period: 2027\n", "period: 2025\n",
		"streams: ['access,web,prod-db,source', 'gap,web,', 'access,zzz,zzz']\n", "streams: ['alert,,']\nperiod: 2026-05-18\n",
		"streams: ['gap,web,', 'run-opened,desk,', 'close,,', 'approval,desk,prod-db', 'run-heartbeat,web,']\n", "streams: ['run-ended,desk,', 'access,desk,prod-db,source']\nperiod: 2026-05-17\n",
	} {
		b := build(t, w.source(), text)
		if again := build(t, w.source(), text); !bytes.Equal(b, again) {
			t.Errorf("%s: not the same bytes twice", text)
		}
		r := check(t, w.trust(), b)
		if r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
			t.Errorf("%s: %s: %s", text, r.Verdict, r.Reason)
		}
		t.Logf("%d bytes: %s: %s %+v", len(b), text, r.Verdict, r.Claims)
		for _, run := range r.Parts[0].Runs {
			t.Logf("  %+v", run)
		}
	}
}
