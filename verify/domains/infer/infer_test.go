package infer_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/infer"
)

// update rewrites the golden file: commit only a difference you can explain.
var update = flag.Bool("update", false, "rewrite the files in testdata")

const (
	bySource, byTarget     = daybookv1.Side_SIDE_SOURCE, daybookv1.Side_SIDE_TARGET
	byGateway, byCollector = daybookv1.Side_SIDE_GATEWAY, daybookv1.Side_SIDE_COLLECTOR
	read, update_          = daybookv1.ActionClass_ACTION_CLASS_READ, daybookv1.ActionClass_ACTION_CLASS_UPDATE
	certificate, claim     = daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE, daybookv1.SourceProof_SOURCE_PROOF_CALLER_CLAIM
	monday, friday         = 1767600000e9, 1767945600e9
)

// week is what a log saw in a week.
func week() []infer.Crossing {
	sides := func(s ...daybookv1.Side) []daybookv1.Side { return s }
	return []infer.Crossing{
		{Source: "web", Target: "market-data", Sides: sides(bySource), Actions: []daybookv1.ActionClass{read}, Operations: []string{"GET /status", "GET /quotes"},
			Producers: []string{"spiffe://web/app"}, Proofs: []daybookv1.SourceProof{certificate}, Count: 120, First: monday, Last: friday},
		{Source: "web", Target: "market-data", Sides: sides(byTarget), Actions: []daybookv1.ActionClass{read}, Producers: []string{"spiffe://market-data/app"},
			Proofs: []daybookv1.SourceProof{claim}, Count: 118, First: monday, Last: friday},
		{Source: "web", Target: "prod-db", Sides: sides(byGateway), Actions: []daybookv1.ActionClass{update_, read}, Producers: []string{"spiffe://edge/gateway"},
			Proofs: []daybookv1.SourceProof{certificate, 0}, Count: 40, First: monday, Last: monday},
		{Source: "desk", Target: "prod-db", Sides: sides(byCollector), Producers: []string{"spiffe://ops/cloudtrail"}, Count: 7},
		{Source: "test-db2", Target: "prod-db", Sides: sides(bySource), Actions: []daybookv1.ActionClass{read}, Producers: []string{"spiffe://test-db2/job"}, Count: 3},
		{Source: "web", Target: "web", Sides: sides(bySource), Producers: []string{"spiffe://web/app"}, Count: 9},
		{Source: "web", Target: "?unmapped", Sides: sides(bySource), Producers: []string{"spiffe://web/app"}, Count: 2},
		{Source: "unknown", Target: "web", Sides: sides(byTarget), Count: 1},
		{Source: "Odd-.name", Target: "111122223333", Sides: sides(bySource), Actions: []daybookv1.ActionClass{99}, Operations: []string{"a\nb\x1b", "\u202e"}, Count: 1},
	}
}

var options = infer.Options{Firm: "Example Securities LLC", Approver: "cco", Identities: []string{"spiffe://people.example/cco"}}

func TestDraftGolden(t *testing.T) {
	d, err := infer.Draft(week(), options)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/draft.yaml", d.YAML, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile("testdata/draft.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), string(d.YAML)); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}
	want := []infer.Left{
		{Source: "test-db2", Target: "prod-db", Count: 3, Reason: "by their names test-db2 is of tier test and prod-db of production, which it never reaches"},
		{Source: "web", Target: "?unmapped", Count: 2, Reason: "?unmapped is no domain"},
		{Source: "unknown", Target: "web", Count: 1, Reason: "unknown is no domain"},
	}
	if diff := cmp.Diff(want, d.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestDraftOrder: the order of the crossings, and how they are cut up, changes
// nothing.
func TestDraftOrder(t *testing.T) {
	want, err := infer.Draft(week(), options)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		seen := week()
		half := seen[0]
		seen[0].Count, half.Count = 100, 20
		seen = append(seen, half)
		r.Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
		got, err := infer.Draft(seen, options)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want.YAML), string(got.YAML)); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
	}
}

// TestDraftPlaceholders: without options a draft is a map all the same.
func TestDraftPlaceholders(t *testing.T) {
	if _, err := infer.Draft(week(), infer.Options{}); err == nil {
		t.Error("a draft without an approver")
	}
	if _, err := infer.Draft(week(), infer.Options{Approver: "no id"}); err == nil {
		t.Error("an approver without a valid id")
	}
	d, err := infer.Draft(week(), infer.Options{Approver: "jane@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(d.YAML), "firm: undecided # decide: the name of the firm") {
		t.Errorf("no marker:\n%s", d.YAML)
	}
	if _, err := infer.Draft(nil, options); err == nil {
		t.Error("a draft of nothing is a map")
	}
}

// TestDraftNames: whatever names the events had, the draft is a map, and each
// name means its domain.
func TestDraftNames(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const letters = "ab-.A?x0 \xff"
	name := func() string {
		var out strings.Builder
		for range r.IntN(5) {
			out.WriteByte(letters[r.IntN(len(letters))])
		}
		return out.String()
	}
	for range 50 {
		seen := []infer.Crossing{{Source: "a", Target: "b", Count: 1}, {Source: "a-to-b", Target: "c", Count: 1}, {Source: "a", Target: "b-to-c", Count: 1},
			{Source: strings.Repeat("a", 63), Target: strings.Repeat("b", 63), Count: 1}, {Source: strings.Repeat("a", 63), Target: "b" + strings.Repeat(".b", 31), Count: 1}}
		for range 40 {
			seen = append(seen, infer.Crossing{Source: name(), Target: name(), Count: 1, Sides: []daybookv1.Side{daybookv1.Side(r.IntN(6))},
				Producers: []string{"spiffe://" + name() + "/x"}, Proofs: []daybookv1.SourceProof{daybookv1.SourceProof(r.IntN(8))}})
		}
		d, err := infer.Draft(seen, options)
		if err != nil {
			t.Fatal(err)
		}
		m, err := domains.Compile(d.Document)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range seen {
			source, target := canonical(c.Source), canonical(c.Target)
			if slices.ContainsFunc(d.Left, func(l infer.Left) bool { return l.Source == source && l.Target == target }) {
				continue
			}
			for _, name := range []string{source, target} {
				if _, ok := m.Resolve([]byte(name)); !ok {
					t.Fatalf("%q means no domain of\n%s", name, d.YAML)
				}
			}
		}
	}
}

// canonical returns the id that a log without a map gives a name.
func canonical(name string) string {
	if strings.HasPrefix(name, "?") {
		return name
	}
	return verify.CanonicalDomain([]byte(name))
}

// TestDraftLarge: what a map has no room for is left, the rarest first.
func TestDraftLarge(t *testing.T) {
	var names []string
	for i := range 8 {
		names = append(names, strings.Repeat(string(rune('a'+i)), 256))
	}
	var seen []infer.Crossing
	for i := range 6000 {
		seen = append(seen, infer.Crossing{Source: fmt.Sprintf("source-%d", i%2500), Target: fmt.Sprintf("target-%d", i/2), Count: uint64(i + 1),
			Operations: names, Actions: []daybookv1.ActionClass{read}})
	}
	d, err := infer.Draft(seen, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d domains, %d flows, %d left", len(d.YAML), len(d.Document.Domains), len(d.Document.Flows), len(d.Left))
	if len(d.YAML) > domains.MaxFile || len(d.Document.Flows)+len(d.Left) != len(seen) || len(d.Document.Domains) != 4096 {
		t.Errorf("%d bytes, %d domains, %d flows, %d left", len(d.YAML), len(d.Document.Domains), len(d.Document.Flows), len(d.Left))
	}
	if !slices.ContainsFunc(d.Document.Flows, func(f *daybookv1.Flow) bool { return f.Id == "source-999-to-target-2999" }) {
		t.Error("the most frequent pair is left")
	}
}

// TestDraftInside: what is seen inside of one domain alone makes it a domain, of
// which its collector may report.
func TestDraftInside(t *testing.T) {
	const collector = "spiffe://ops/trail"
	d, err := infer.Draft([]infer.Crossing{{Source: "books", Target: "books", Sides: []daybookv1.Side{byTarget}, Producers: []string{collector}, Count: 5}}, options)
	if err != nil {
		t.Fatal(err)
	}
	m, err := domains.Compile(d.Document)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Document.Flows)+len(d.Left) != 0 || m.Domain("books") == nil {
		t.Fatalf("drafted:\n%s", d.YAML)
	}
	if err := m.MaySpeak(collector, "books", "books", byTarget, daybookv1.Provenance_PROVENANCE_BACKFILL); err != nil {
		t.Error(err)
	}
}
