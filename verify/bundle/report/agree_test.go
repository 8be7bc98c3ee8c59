package report

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// TestPageWritesTheSame hands random worlds to this package and to the examiner's
// page, which was written from the rules of doc.go alone, and compares every member.
func TestPageWritesTheSame(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: no node on this machine: the page's report is not compared with this one")
	}
	dir := t.TempDir()
	for seed := range uint64(12) {
		world := randomWorld(t, rand.New(rand.NewPCG(seed, 11)))
		writeScene(t, filepath.Join(dir, fmt.Sprintf("seed-%d", seed)), world)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "../../page/testdata/report.test.mjs", dir).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// writeScene writes what a world is made into, as testdata has it.
func writeScene(t *testing.T, dir string, in *world) {
	t.Helper()
	input, err := json.MarshalIndent(in, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	sink := newMemory()
	in.write(t, sink, nil)
	files := map[string][]byte{"input.json": append(input, '\n')}
	var sums []byte
	for _, name := range sink.names {
		b := sink.files[name].Bytes()
		sums = fmt.Appendf(sums, "%x  %s\n", sha256.Sum256(b), name)
		files["out/"+name] = b
	}
	files["SHA256SUMS"] = sums
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// randomWorld has accesses, alerts, maps, approvals and runs with odd values, as far
// as the wire grammar lets them be.
func randomWorld(t *testing.T, r *rand.Rand) *world {
	t.Helper()
	s := newScene(t)
	word := func() string { return nastyText(r, 40) }
	s.world.Head.Question = randomQuestion(r, word)
	if r.IntN(2) == 0 {
		s.world.Head.Sources = []string{"web"}
		s.world.Head.Unknown = []string{word(), word()}
	}
	s.addMap(30, at("06:00:00"), changedMap(t, word, r))
	var approved []*approval
	holds, revoked := approvals()
	for _, a := range []*approval{holds, revoked} {
		body := parse(t, a.Body, new(daybookv1.Approval))
		spoil(body.ProtoReflect(), r, word)
		a.Body = hexOf(body)
		approved = append(approved, a)
		s.world.Summary.Approvals = append(s.world.Summary.Approvals, *a)
	}
	flows := []string{"", "web-to-quotes", "web-to-positions"}
	for i := range uint64(40) {
		s.head.MapIndex = []uint64{0, 12, 30}[r.IntN(3)]
		var a *approval
		if n := r.IntN(3); n < 2 {
			a = approved[n]
		}
		verdict, section := daybookv1.Verdict(1+r.IntN(13)), Section(1+r.IntN(5))
		s.access(3*i+1, verdict, section, flows[r.IntN(3)], a, func(ev *daybookv1.Event, p *verify.EntryHead) { randomEvent(ev, p, r, word) })
	}
	s.alertsAndCloses()
	for i := range 5 {
		alert := &daybookv1.Alert{Id: make([]byte, 32), Type: daybookv1.AlertType(1 + r.IntN(21)), DetectorVersion: 1, Subject: word(), Source: "web", Target: "prod-db", Detail: word(),
			PeriodStartNs: r.Int64N(math.MaxInt64), Entries: []uint64{1, uint64(2 + i)}, Producer: word()}
		s.world.Alerts = append(s.world.Alerts, s.entry(uint64(700+i), r.Int64N(math.MaxInt64), verify.EntryHead{Kind: daybookv1.Kind_KIND_ALERT, Number: uint64(i + 4)}, alert))
	}
	s.finish()
	for range r.IntN(4) {
		s.world.Summary.Losses = append(s.world.Summary.Losses, Loss{word(), r.IntN(2) == 0, r.Uint64N(3), r.Uint64N(3)})
	}
	for i := range s.world.Summary.Claims {
		s.world.Summary.Claims[i].Detail = word() + strings.Repeat(".", r.IntN(3))
	}
	for i := range s.world.Summary.Runs {
		s.world.Summary.Runs[i].Reason, s.world.Summary.Runs[i].Producer = word(), word()
	}
	return &s.world
}

func randomQuestion(r *rand.Rand, word func() string) *question.Question {
	q := &question.Question{Format: question.FormatName, Case: word(), AskedBy: word()}
	switch r.IntN(4) {
	case 0:
		q.Log = true
	case 1:
		q.Range = &question.Range{First: 1234, End: math.MaxUint64}
	case 2:
		q.Streams = []question.Stream{question.Stream(word()), question.Stream(word())}
	default:
		q.From.Owner, q.To.Domain = word(), word()
	}
	offsets := [][]question.Offset{
		{{From: "0001-01-01T00:00:00Z", Name: "UTC"}},
		{{From: "0001-01-01T00:00:00Z", Seconds: -17762}, {From: "1900-01-01T00:00:00Z", Seconds: 20700}, {From: "2026-03-29T01:00:00Z", Seconds: 7200}},
	}
	if n := r.IntN(3); n < 2 {
		q.Period = &question.Period{Text: word(), Zone: word(), By: []string{question.ByLogged, question.ByOccurred}[n], Start: "2026-05-11T22:30:00Z", End: "2026-05-18T00:00:59Z", Offsets: offsets[n]}
	}
	return q
}

// changedMap is a later version of the scene's map.
func changedMap(t *testing.T, word func() string, r *rand.Rand) *daybookv1.MapDocument {
	t.Helper()
	doc, err := domains.Parse([]byte(sceneMap))
	if err != nil {
		t.Fatal(err)
	}
	doc.Author = word()
	if f := doc.GetFlows()[r.IntN(2)]; r.IntN(3) > 0 {
		f.Purpose, f.Ticket, f.NotBeforeNs = word(), word(), r.Int64N(math.MaxInt64)
	}
	return doc
}

// randomEvent changes an event in many ways.
func randomEvent(ev *daybookv1.Event, p *verify.EntryHead, r *rand.Rand, word func() string) {
	changes := []func(*daybookv1.Event, *verify.EntryHead){toDB, claimed, late, sealedEvent, hostile, unmapped, denied, internal, bare, whole}
	if n := r.IntN(2 * len(changes)); n < len(changes) {
		changes[n](ev, p)
	}
	if len(ev.Sealed) == 0 {
		spoil(ev.ProtoReflect(), r, word)
	}
	if len(ev.CorrelationId) > 0 {
		ev.CorrelationId = []byte(word())
	}
	ev.OccurredAtNs = r.Int64() - r.Int64N(math.MaxInt64)
	if r.IntN(3) > 0 || ev.OccurredAtNs == 0 || ev.OccurredAtNs > math.MaxInt64-1e9 {
		ev.OccurredAtNs = at("10:00:00") + r.Int64N(1e12)*1000
	}
	p.Source, p.Target = []string{"web", "load-test", domains.Unmapped, "?overflow"}[r.IntN(4)], []string{"prod-db", "market-data", "?overflow"}[r.IntN(3)]
}

// spoil replaces about half of the texts in a message, not the keys of attributes,
// whose order is checked.
func spoil(m protoreflect.Message, r *rand.Rand, word func() string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			for i := range v.List().Len() {
				spoil(v.List().Get(i).Message(), r, word)
			}
		case f.Kind() == protoreflect.MessageKind:
			spoil(v.Message(), r, word)
		case f.Kind() == protoreflect.StringKind && !f.IsList() && f.Name() != "key" && r.IntN(2) == 0:
			m.Set(f, protoreflect.ValueOfString(word()))
		}
		return true
	})
}
