package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// richLogs is a folder that TestRichLogs writes bundles to, with what a check says
// of each, for other implementations.
var richLogs = flag.String("rich", "", "folder that TestRichLogs writes its bundles to, with what a check says of each")

// richMap makes every detector find something.
const richMap = `
firm: Example Securities LLC
approver: cco
unused_after_days: 1
people:
  - id: cco
    identities: [spiffe://people.example/cco]
  - id: user-5
    identities: ["oidc#five"]
domains:
  - {id: web, aliases: [customer-web], function: customer-interface, tier: production, risk: high, owner: Digital, dns: [www.example.com], hosting: {account: a1, network: n1}, producers: [{id: "spiffe://web/gateway", silence: 2h}], clock_limit: 500ms}
  - {id: prod-db, function: database, tier: production, risk: high, owner: Data, hosting: {account: a1, network: n1}}
  - {id: test-db, function: database, tier: test, risk: low, owner: Data, hosting: {account: a1}}
  - {id: stage, function: database, tier: staging, risk: low, owner: Data, hosting: {account: a1, network: n1}}
  - {id: desk, function: broker-interface, tier: production, risk: high, owner: Trading, gateways: ["spiffe://desk/app"], producers: [{id: "spiffe://desk/app", silence: 1h30m}]}
flows:
  - {id: web-to-db, from: web, to: prod-db, actions: [read, "op:GET /o*"], purpose: show orders, approver: cco, valid: {from: 2026-01-01, until: 2026-05-19}, least_proof: peer-certificate, observers: [source, target]}
  - {id: desk-to-db, from: desk, to: prod-db, actions: [any], purpose: support, approver: cco, valid: {from: 2026-01-01}, least_proof: signed-token, needs: approval, observers: [source, gateway]}
  - {id: desk-to-test, from: desk, to: test-db, actions: [delete], purpose: never, approver: cco, valid: {from: 2026-01-01}, mode: observe}
`

// richQuestions are asked of each log.
var richQuestions = []string{
	"log: true\n", "{}\n", "from: web\nto: prod-db\n", "from: {tier: production}\nperiod: 2026-05-18\n",
	"from: desk\nperiod: 2026-05-17..2026-05-18\nzone: America/New_York\nby: occurred\n", "to: {tier: test}\nperiod: 2026-W20\n",
	"range: {first: 5, end: 40}\n", "streams: ['access,desk,prod-db,gateway', 'gap,web,', 'alert,,']\n",
}

// richWriter writes a log of which every entry is chosen at random.
type richWriter struct {
	*world
	rnd      *rand.Rand
	runs     []*worldRun
	grants   []uint64
	proposed int
}

func (g *richWriter) open(producer string, p daybookv1.Provenance) {
	g.runs = append(g.runs, g.run(producer, fmt.Sprint(len(g.runs)), p))
}

// richWorld is a log of up to three days.
func richWorld(t testing.TB, seed uint64) *world {
	g := &richWriter{world: newWorld(t, start, "witness.example/a", "witness.example/b"), rnd: rand.New(rand.NewPCG(seed, 1))}
	g.open("spiffe://web/gateway", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	for day := range 3 {
		for range 25 + g.rnd.IntN(40) {
			g.now += int64(time.Duration(g.rnd.IntN(20)) * time.Minute)
			if g.rnd.IntN(3) == 0 {
				g.now += g.rnd.Int64N(1e9)
			}
			g.step()
		}
		g.owed()
		end := start.Add(time.Duration(15+24*day) * time.Hour).UnixNano()
		if g.now > end {
			break
		}
		g.now = end
		g.closeAt(end)
		g.owed()
		g.archive()
	}
	g.owed()
	g.archive()
	return g.world
}

func (g *richWriter) step() {
	r := g.runs[g.rnd.IntN(len(g.runs))]
	switch g.rnd.IntN(22) {
	case 0:
		if g.proposed < 2 {
			g.owed()
			g.propose([]string{firstMap, richMap}[g.proposed], "spiffe://people.example/alice", "spiffe://people.example/cco")
			g.proposed++
		}
	case 1:
		g.heartbeat(r)
	case 2:
		g.gap(r, uint64(1+g.rnd.IntN(4)))
	case 3:
		g.declined(r)
	case 4:
		g.resume(r)
	case 5:
		g.open([]string{"spiffe://web/gateway", "spiffe://desk/app", "spiffe://other.example/x"}[g.rnd.IntN(3)], daybookv1.Provenance(1+g.rnd.IntN(3)))
	case 6:
		if len(g.grants) > 0 {
			g.revoke(g.grants[0], "desk", "prod-db", "spiffe://people.example/cco")
			g.grants = g.grants[1:]
		}
	case 7:
		approver := []string{"spiffe://people.example/cco", "oidc#five"}[g.rnd.IntN(2)]
		g.grants = append(g.grants, g.approve(fmt.Sprintf("user-%d", g.rnd.IntN(7)), "desk", "prod-db", approver))
	case 8:
		g.owed()
	case 9:
		g.archive()
	default:
		if e := g.access(); g.rnd.IntN(10) == 0 {
			g.oneOff(r.producer, e)
		} else {
			g.append(r, daybookv1.Kind_KIND_ACCESS, e)
		}
	}
}

// access is an access that may be about anything.
func (g *richWriter) access() *daybookv1.Event {
	rnd, some := g.rnd, func(n int) bool { return g.rnd.IntN(n) == 0 }
	names := []string{"web", "customer-web", "WWW.example.com.", "prod-db", "test-db", "stage", "desk", "nowhere.example", "x y", "unknown"}
	e := g.event(names[rnd.IntN(len(names))], names[rnd.IntN(len(names))])
	if some(2) {
		e.Source.Domain, e.Target.Domain = "desk", "prod-db"
	} else if some(2) {
		e.Source.Domain, e.Target.Domain = "web", "prod-db"
	}
	e.Side, e.Source.Proof = daybookv1.Side(rnd.IntN(5)), daybookv1.SourceProof(rnd.IntN(6))
	e.Decision, e.Action.Class = daybookv1.Decision(1+rnd.IntN(4)), daybookv1.ActionClass(1+rnd.IntN(10))
	if some(4) {
		e.OccurredAtNs -= rnd.Int64N(int64(30 * time.Hour))
	}
	if some(12) {
		e.OccurredAtNs += rnd.Int64N(int64(3 * time.Second))
	}
	if some(3) {
		e.CorrelationId = fmt.Appendf(nil, "c%d", rnd.IntN(6))
	}
	if some(4) {
		e.Clock = &daybookv1.Clock{Source: []string{"ntp", "ptp", ""}[rnd.IntN(3)], OffsetNs: rnd.Int64N(2e9) - 1e9, UncertaintyNs: uint64(rnd.IntN(2)) * uint64(rnd.Int64N(2e9))}
	}
	if some(4) {
		e.Actor.Credential = &daybookv1.CredentialFingerprint{KeyId: "k", HmacSha256: bytes.Repeat([]byte{byte(1 + rnd.IntN(3))}, 32)}
	}
	if some(6) {
		e.Authorization = &daybookv1.Authorization{Purpose: "support", GrantId: fmt.Sprintf("grant-%d", rnd.IntN(60)), Ticket: "T, \"1\"\n=cmd"}
	}
	if some(6) {
		e.Attributes = []*daybookv1.Attribute{{Key: "a", Value: "é😀\u0001"}, {Key: "b"}}
	}
	if some(8) {
		e.Actor, e.Sealed = nil, []*daybookv1.Sealed{{Field: 7, Commitment: make([]byte, 32)}}
	}
	return e
}

// TestRichLogs asks of random logs in which every detector finds something; the
// whole log is among the questions.
func TestRichLogs(t *testing.T) {
	seeds, checked := uint64(3), 0
	if *richLogs != "" {
		seeds = 40
	}
	for seed := range seeds {
		w := richWorld(t, seed)
		for i, text := range richQuestions {
			var out bytes.Buffer
			if _, err := bundle.Build(context.Background(), w.source(), mustRead(t, text), newSpool(t), &out); err != nil {
				continue // no close yet, or too short a log
			}
			checked++
			r := check(t, w.trust(), out.Bytes())
			if r.Verdict == bundle.Failed || r.Verdict == bundle.Newer {
				t.Errorf("log %d, %s: %s: %s", seed, text, r.Verdict, r.Reason)
			}
			if *richLogs != "" {
				writeRich(t, fmt.Sprintf("%02d-%d", seed, i), out.Bytes(), w.policy(), r)
			}
		}
	}
	if checked < int(seeds)*len(richQuestions)/2 {
		t.Errorf("%d bundles only", checked)
	}
}

// writeRich writes a bundle, its log's policy and what a check says of it.
func writeRich(t *testing.T, name string, file, policy []byte, r *bundle.Result) {
	t.Helper()
	said, err := json.Marshal(map[string]any{"name": name, "verdict": r.Verdict, "reason": r.Reason, "claims": r.Claims})
	if err != nil {
		t.Fatal(err)
	}
	for suffix, b := range map[string][]byte{".zip": file, ".policy": policy, ".json": said} {
		if err := os.WriteFile(filepath.Join(*richLogs, name+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
