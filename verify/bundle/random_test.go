package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

var logs = flag.Uint64("logs", 8, "random logs that are tried")

// randomWorld writes a log of some days at random: several producers and runs,
// maps that change, late, unmapped, denied and one-off accesses, declined numbers
// and gaps, approvals, closes at midnight and between, checkpoints.
func randomWorld(t testing.TB, seed uint64, steps int) *world {
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t, start.Add(time.Duration(rnd.IntN(86400))*time.Second), "witness.example/a")
	g := &randomWriter{world: w, rnd: rnd, midnight: verify.DayStart(w.now) + verify.Day}
	for range steps {
		g.step()
	}
	w.owed()
	w.closeAt(w.now + 1)
	for range rnd.IntN(4) {
		g.access()
	}
	w.archive()
	return w
}

type randomWriter struct {
	*world
	rnd      *rand.Rand
	runs     []*worldRun
	maps     int
	midnight int64
	grants   []uint64
}

// names are of domains, of which the maps know some.
var names = []string{"web", "customer-web", "prod-db", "test-db", "desk", "nowhere.example", "WEB.", "www.example.com", "Odd Name"}

func (g *randomWriter) step() {
	g.now += int64(g.rnd.IntN(900)) * 1e9
	for g.now >= g.midnight {
		now := g.now
		g.closeAt(g.midnight)
		g.now, g.midnight = max(now, g.now), g.midnight+verify.Day
	}
	switch n := g.rnd.IntN(100); {
	case n < 4 || len(g.runs) == 0:
		producer := fmt.Sprintf("spiffe://%s/app-%d", []string{"web", "desk", "ops"}[g.rnd.IntN(3)], g.rnd.IntN(2))
		g.runs = append(g.runs, g.run(producer, fmt.Sprint(len(g.entries)), daybookv1.Provenance(1+g.rnd.IntN(3))))
	case n < 70:
		g.access()
	case n < 80:
		g.heartbeat(g.pick())
	case n < 83:
		g.declined(g.pick())
	case n < 84:
		g.gap(g.pick(), 1+g.rnd.Uint64N(5))
	case n < 86:
		g.resume(g.pick())
	case n < 88:
		i := g.rnd.IntN(len(g.runs))
		g.end(g.runs[i])
		g.runs = slices.Delete(g.runs, i, i+1)
	case n < 91:
		g.archive()
	case n < 93:
		g.change()
	case n < 96:
		g.grants = append(g.grants, g.approve(fmt.Sprintf("user-%d", g.rnd.IntN(7)), "desk", "prod-db", "spiffe://people.example/cco"))
	case n < 97 && len(g.grants) > 0:
		g.revoke(g.grants[0], "desk", "prod-db", "spiffe://people.example/cco")
		g.grants = g.grants[1:]
	case n < 98:
		g.closeAt(g.now + 1)
	}
}

func (g *randomWriter) pick() *worldRun { return g.runs[g.rnd.IntN(len(g.runs))] }

// change brings the next version of the map into force.
func (g *randomWriter) change() {
	text := firstMap
	switch g.maps {
	case 0:
	case 1:
		text = strings.ReplaceAll(strings.ReplaceAll(firstMap, "id: test-db, function: database, tier: test", "id: test-db, function: database, tier: staging"), "owner: Trading", "owner: Brokerage")
	case 2:
		text = strings.ReplaceAll(firstMap, "aliases: [customer-web]", "aliases: [nowhere.example]")
	default:
		return
	}
	g.maps++
	g.propose(text, "spiffe://people.example/alice", "spiffe://people.example/cco")
}

func (g *randomWriter) access() {
	e := g.event(names[g.rnd.IntN(len(names))], names[g.rnd.IntN(len(names))])
	e.Side = daybookv1.Side(g.rnd.IntN(5))
	if g.rnd.IntN(6) == 0 {
		e.OccurredAtNs -= g.rnd.Int64N(40 * 3600 * 1e9)
	}
	if g.rnd.IntN(12) == 0 {
		e.Decision = daybookv1.Decision_DECISION_DENIED
	}
	if g.rnd.IntN(10) == 0 {
		g.oneOff("spiffe://desk/curl", e)
		return
	}
	if len(g.runs) > 0 {
		g.append(g.pick(), daybookv1.Kind_KIND_ACCESS, e)
	}
}

// A twin answers a question by looking at every entry of the log.
type twin struct {
	w    *world
	q    *question.Question
	maps []*domains.Map
	cut  uint64
}

func newTwin(t testing.TB, w *world, q *question.Question, src *worldSource) *twin {
	out := &twin{w: w, q: q}
	e := w.heads[src.close]
	c, err := verify.CheckCloseEntry(&e)
	if err != nil {
		t.Fatal(err)
	}
	out.cut = c.Cut
	var j domains.Judge
	for i := range out.cut {
		e := &w.heads[i]
		if err := j.Apply(i, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
			t.Fatal(err)
		}
		if e.Place.Kind == daybookv1.Kind_KIND_DOMAIN_MAP {
			out.maps = append(out.maps, j.InForce().Map)
		}
	}
	return out
}

// side tells whether an id is meant by a selector.
func (w *twin) side(s *question.Selector, id string) bool {
	if *s == (question.Selector{}) || id == "?unmapped" || id == "?overflow" || s.Domain != "" && id == verify.CanonicalDomain([]byte(s.Domain)) {
		return true
	}
	for _, m := range w.maps {
		for _, d := range m.Document().Domains {
			known := append(append([]string{d.Id}, d.Aliases...), d.Dns...)
			named := func(name string) bool {
				name = strings.ToLower(strings.TrimSuffix(name, "."))
				return slices.ContainsFunc(known, func(k string) bool { return strings.ToLower(k) == name })
			}
			meant := (s.Domain == "" || named(s.Domain)) && (s.Tier == "" || s.Tier == domains.Word(d.Tier)) && (s.Owner == "" || s.Owner == d.Owner) && (s.Function == "" || s.Function == d.Function)
			if meant && slices.ContainsFunc(known, func(k string) bool { return verify.CanonicalDomain([]byte(k)) == id }) {
				return true
			}
		}
	}
	return false
}

// answers returns the indexes of the answers.
func (w *twin) answers(t testing.TB) []uint64 {
	var out []uint64
	for i := range w.cut {
		e := &w.w.heads[i]
		if e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
			continue
		}
		ev, err := verify.ParseEvent(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if p := w.q.Period; p != nil {
			start, _ := time.Parse(time.RFC3339, p.Start)
			end, _ := time.Parse(time.RFC3339, p.End)
			at := e.Head.LogTimeNS
			if p.By == question.ByOccurred {
				at = ev.OccurredAtNS
			}
			if at < start.UnixNano() || at >= end.UnixNano() {
				continue
			}
		}
		meant := w.side(&w.q.From, e.Place.Source) && w.side(&w.q.To, e.Place.Target)
		if len(w.q.Streams) > 0 {
			meant = slices.Contains(w.q.Streams, question.FormatStream(verify.StreamKeyOf(&e.Place)))
		}
		if meant {
			out = append(out, i)
		}
	}
	return out
}

// indexes returns the indexes of the answers in a bundle's lines.
func indexes(t testing.TB, b []byte) []uint64 {
	t.Helper()
	var out []uint64
	d := json.NewDecoder(bytes.NewReader(unzip(t, b)["data/accesses-001.jsonl"]))
	for d.More() {
		var line struct{ Index uint64 }
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		out = append(out, line.Index)
	}
	return out
}

func randomQuestion(rnd *rand.Rand) string {
	side := func() string {
		switch rnd.IntN(7) {
		case 0:
			return "{tier: test}"
		case 1:
			return "{owner: Trading}"
		case 2:
			return "{tier: production, function: database}"
		case 3, 4:
			return "{}"
		}
		return "'" + []string{"web", "customer-web", "www.example.com", "prod-db", "test-db", "desk", "absent"}[rnd.IntN(7)] + "'"
	}
	text := ""
	if rnd.IntN(6) == 0 {
		all := []string{"'access,web,prod-db,source'", "'access,desk,prod-db'", "'alert,,'", "'access,absent,web'", "'gap,web,'", "'run-heartbeat,desk,'", "'run-opened,web,'",
			"'close,,'", "'approval,desk,prod-db'", "'access,web,desk,target,late'"}
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		text = "streams: [" + strings.Join(all[:1+rnd.IntN(5)], ", ") + "]\n"
	} else {
		text = "from: " + side() + "\nto: " + side() + "\n"
	}
	if rnd.IntN(5) > 0 {
		from := start.Add(time.Duration(rnd.IntN(4*86400)-86400) * time.Second)
		until := from.Add(time.Duration(1+rnd.IntN(2*86400)) * time.Second)
		text += fmt.Sprintf("period: %s..%s\n", from.Format(time.RFC3339), until.Format(time.RFC3339))
		if rnd.IntN(3) == 0 {
			text += "by: occurred\n"
		}
	}
	return text
}

// TestRandom asks random questions of random logs, and holds what a bundle answers
// against the twin; it splits some.
func TestRandom(t *testing.T) {
	zero, all, proved, split := 0, 0, 0, 0
	for seed := range *logs {
		w := randomWorld(t, seed, 150+int(seed%25)*12)
		for n := range uint64(5) {
			rnd := rand.New(rand.NewPCG(seed, n))
			text := randomQuestion(rnd)
			src := w.source()
			b := build(t, src, text)
			want := newTwin(t, w, mustRead(t, text), src).answers(t)
			r := check(t, w.trust(), b)
			if r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
				t.Fatalf("log %d, %s: %s: %s", seed, text, r.Verdict, r.Reason)
			}
			if got := indexes(t, b); !slices.Equal(got, want) {
				t.Fatalf("log %d, %s: answers %v, want %v", seed, text, got, want)
			}
			all++
			if len(want) == 0 {
				zero++
			}
			for _, run := range r.Parts[0].Runs {
				if run.Proved {
					proved++
				}
			}
			if len(want) > 20 && n < 2 {
				split++
				trySplit(t, w, text, want)
			}
		}
	}
	t.Logf("%d questions, %d with the answer zero, %d split; %d runs proved", all, zero, split, proved)
}

func trySplit(t *testing.T, w *world, text string, want []uint64) {
	t.Helper()
	parts := splitAt(t, w.source(), text, 200<<10)
	var got []uint64
	for _, b := range parts {
		if r := check(t, w.trust(), b); r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
			t.Fatalf("%s: a part of %d alone: %s: %s", text, len(parts), r.Verdict, r.Reason)
		}
		got = append(got, indexes(t, b)...)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s in %d parts: answers %v, want %v", text, len(parts), got, want)
	}
	slices.Reverse(parts)
	if r := check(t, w.trust(), parts...); r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
		t.Fatalf("%s: %d parts: %s: %s", text, len(parts), r.Verdict, r.Reason)
	}
	if len(parts) > 2 {
		var some []bundle.File
		for _, b := range parts[1:] {
			some = append(some, bundle.File{R: bytes.NewReader(b), Size: int64(len(b))})
		}
		var missing *bundle.PartsError
		if r, err := bundle.Check(t.Context(), some, w.trust()); !errors.As(err, &missing) || !slices.Equal(missing.Missing, []int{len(parts)}) {
			t.Fatalf("%s: a part is missing: %v, %v", text, r, err)
		}
	}
}
