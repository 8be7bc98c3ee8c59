package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A declaredWorld is a log whose domain map changes while accesses come in, and
// what a dumb reading of its entries says of each.
type declaredWorld struct {
	t       *testing.T
	r       *rand.Rand
	l       *ledger.Ledger
	s       *speaker
	domains []string // of the map in force
}

const worldGateway = "spiffe://edge/gw"

// drawMap draws a map file: which domains there are, what they are, and which
// flows lead where.
func (w *declaredWorld) drawMap() []byte {
	r := w.r
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	b.WriteString("firm: Example\napprover: cco\npeople:\n  - {id: cco, identities: [spiffe://people.example/cco]}\ndomains:\n")
	tiers := map[string]string{}
	w.domains = nil
	for i := range 8 {
		if i > 1 && r.IntN(3) == 0 {
			continue
		}
		id := fmt.Sprintf("d%d", i)
		w.domains, tiers[id] = append(w.domains, id), pick("production", "production", "staging", "test")
		fmt.Fprintf(&b, "  - {id: %s, function: %s, tier: %s, risk: low, owner: %s, gateways: [%q]}\n",
			id, pick("database", "market-data", "laboratory"), tiers[id], pick("Ann", "Bob"), worldGateway)
	}
	b.WriteString("flows:\n  - {id: f-always, from: d0, to: d1, actions: [authenticate], purpose: x, approver: cco}\n")
	if tiers["d0"] != "production" && tiers["d1"] == "production" {
		return w.drawMap()
	}
	for i := range 10 {
		from, to := pick(w.domains...), pick(w.domains...)
		if from == to || tiers[from] != "production" && tiers[to] == "production" {
			continue
		}
		needs := pick("", ", needs: approval")
		fmt.Fprintf(&b, "  - {id: f%d, from: %s, to: %s, actions: [%s], purpose: x, approver: cco%s}\n", i, from, to, pick("any", "read", "update", "read, update"), needs)
	}
	return []byte(b.String())
}

// enforce brings another map into force.
func (w *declaredWorld) enforce() {
	for {
		p, err := w.l.ProposeMap(w.t.Context(), author, w.drawMap())
		if errors.Is(err, domains.ErrUnchanged) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		_, v, err := w.l.Approve(w.t.Context(), cco, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: p.SHA256[:]})
		if err != nil || v == nil {
			w.t.Fatalf("no version is in force: %v", err)
		}
		return
	}
}

// grow appends accesses, most of them between domains of the map.
func (w *declaredWorld) grow(n int) {
	ids := append(slices.Clone(w.domains), "d0", "d1", "d2", "nowhere")
	items := make([]ledger.Item, n)
	for i := range items {
		m := &daybookv1.Event{EventId: fmt.Appendf(nil, "e-%d", w.s.next+uint64(i)), OccurredAtNs: time.Now().UnixNano(), Side: daybookv1.Side_SIDE_GATEWAY,
			Source: &daybookv1.Source{Domain: append(w.domains, "d0")[w.r.IntN(len(w.domains)+1)]}, Target: &daybookv1.Target{Domain: ids[w.r.IntN(len(ids))]},
			Actor: &daybookv1.Actor{Id: fmt.Sprintf("actor-%d", w.r.IntN(3))}, Action: &daybookv1.Action{Class: daybookv1.ActionClass(2 + w.r.IntN(2)), Operation: "x"},
			Decision: daybookv1.Decision(1 + w.r.IntN(2)), Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS}}
		body, err := proto.Marshal(m)
		if err != nil {
			w.t.Fatal(err)
		}
		items[i].Body = body
	}
	if _, err := w.l.Append(w.t.Context(), w.s.p, ledger.Batch{Run: w.s.run, Epoch: 1, First: w.s.next, Items: items}); err != nil {
		w.t.Fatal(err)
	}
	w.s.next += uint64(n)
}

// approve approves an actor on some pair.
func (w *declaredWorld) approve() {
	from, to := w.domains[w.r.IntN(len(w.domains))], w.domains[w.r.IntN(len(w.domains))]
	if _, _, err := w.l.Approve(w.t.Context(), cco, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR,
		Name: fmt.Sprintf("actor-%d", w.r.IntN(3)), From: from, To: to, NotAfterNs: time.Now().Add(time.Hour).UnixNano()}); err != nil {
		w.t.Fatal(err)
	}
}

// A readEntry is what the entries alone say of one of them.
type readEntry struct {
	entry          verify.Entry
	actor          string
	flow           string
	source, target *daybookv1.Domain // nil: the map of the time has none, or there was none
}

// read reads the whole log the dumb way.
func (w *declaredWorld) read(size uint64) []readEntry {
	var out []readEntry
	var judge domains.Judge
	if err := w.l.Entries(w.t.Context(), 0, size, func(i uint64, raw []byte) error {
		e, err := verify.ParseEntry(slices.Clone(raw))
		if err != nil {
			return err
		}
		one, v := readEntry{entry: e}, judge.InForce()
		if (v == nil) != (e.Head.MapIndex == 0) || v != nil && v.Index != e.Head.MapIndex {
			w.t.Fatalf("entry %d names the map at %d", i, e.Head.MapIndex)
		}
		if v != nil {
			one.source, one.target = v.Domain(e.Place.Source), v.Domain(e.Place.Target)
		}
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			ev, err := verify.ParseEvent(e.Body)
			if err != nil {
				return err
			}
			one.actor = string(ev.ActorID)
			_, grounds := judge.Evaluate(e.Head.RulesVersion, v, &domains.Access{Index: i, Source: e.Place.Source, Target: e.Place.Target, Late: e.Place.Late, Event: &ev})
			one.flow = grounds.Flow.GetId()
		}
		if e.Place.Kind == daybookv1.Kind_KIND_APPROVAL {
			m := new(daybookv1.Approval)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				return err
			}
			one.actor = m.Name
		}
		out = append(out, one)
		return judge.Apply(i, e.Head.LogTimeNS, e.Place.Kind, e.Body)
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// holds is the filter, said otherwise.
func (o *readEntry) holds(f *ledger.ListFilter) bool {
	for _, side := range []struct {
		words ledger.DomainWords
		is    *daybookv1.Domain
	}{{f.Declared.Source, o.source}, {f.Declared.Target, o.target}} {
		if side.words == (ledger.DomainWords{}) {
			continue
		}
		if side.is == nil || side.words.Tier != 0 && side.is.Tier != side.words.Tier ||
			side.words.Function != "" && side.is.Function != side.words.Function || side.words.Owner != "" && side.is.Owner != side.words.Owner {
			return false
		}
	}
	if f.Declared.Flow != "" && o.flow != f.Declared.Flow {
		return false
	}
	for _, m := range f.Where {
		if m.Field == index.Actor && o.actor != string(m.Value) {
			return false
		}
	}
	return (f.Source == "" || o.entry.Place.Source == f.Source) && (f.Target == "" || o.entry.Place.Target == f.Target)
}

func (w *declaredWorld) drawFilter() ledger.ListFilter {
	r := w.r
	f := ledger.ListFilter{Ascending: r.IntN(2) == 0}
	words := func() (d ledger.DomainWords) {
		if r.IntN(2) == 0 {
			d.Tier = daybookv1.Tier(1 + r.IntN(4))
		}
		if r.IntN(4) == 0 {
			d.Function = []string{"database", "market-data", "none"}[r.IntN(3)]
		}
		if r.IntN(4) == 0 {
			d.Owner = []string{"Ann", "Bob"}[r.IntN(2)]
		}
		return d
	}
	switch r.IntN(3) {
	case 0:
		f.Declared.Flow = fmt.Sprintf("f%d", r.IntN(11))
	case 1:
		f.Declared.Source = words()
	default:
		f.Declared.Source, f.Declared.Target = words(), words()
	}
	if r.IntN(4) == 0 {
		f.Source = "d1"
	}
	if r.IntN(4) == 0 {
		f.Where = append(f.Where, ledger.Match{Field: index.Actor, Value: []byte("actor-1")})
	}
	return f
}

// TestListByMapEqualsScan holds lists by flow, tier, function and owner against a
// reading of all entries, over maps that change.
func TestListByMapEqualsScan(t *testing.T) {
	for seed := range uint64(3) {
		g := create(t, ledgertest.Options{})
		w := &declaredWorld{t: t, r: rand.New(rand.NewPCG(seed, 7)), l: g.L, domains: []string{"d0", "d1"}}
		w.s = newSpeaker(t, g.L, worldGateway, "gateway", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
		w.grow(10)
		if _, err := g.L.List(t.Context(), ledger.ListFilter{Declared: ledger.Declared{Flow: "f1"}}, g.L.Head().Size, g.L.Head().Size, 10); !errors.Is(err, ledger.ErrNoMap) {
			t.Errorf("a list by flow without a map: %v", err)
		}
		for range 4 {
			w.enforce()
			w.grow(20 + w.r.IntN(30))
			w.approve()
			w.grow(1 + w.r.IntN(30))
		}
		hits, all := 0, w.read(g.L.Head().Size)
		for range 150 {
			hits += w.checkList(w.drawFilter(), all[:len(all)-w.r.IntN(40)])
		}
		if hits < 500 {
			t.Errorf("seed %d: only %d hits: the test tests little", seed, hits)
		}
		g.Close()
	}
}

// checkList pages through one list of a log and returns how many entries it has.
func (w *declaredWorld) checkList(f ledger.ListFilter, log []readEntry) int {
	want, got := []uint64{}, []uint64{}
	for i := range log {
		if log[i].holds(&f) {
			want = append(want, uint64(i))
		}
	}
	size := uint64(len(log))
	from := size
	if f.Ascending {
		from = 0
	} else {
		slices.Reverse(want)
	}
	for {
		page, err := w.l.List(w.t.Context(), f, size, from, 1+w.r.IntN(30))
		if err != nil {
			w.t.Fatal(err)
		}
		if got = append(got, page.Indexes...); !page.More {
			break
		}
		from = page.Next
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("%+v at size %d: %v, want %v", f, size, got, want)
	}
	return len(got)
}
