package bundle_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

var update = flag.Bool("update", false, "write the sample bundles in testdata anew")

// samples are the bundles in testdata, by name: other implementations read them.
var samples = []struct{ name, question string }{
	{"web-to-prod", "case: FINRA-2026-0417\nitem: \"7\"\nasked_by: J. Examiner\nrecipient: FINRA\nfrom: web\nto: prod-db\nperiod: 2026-Q2\nzone: America/New_York\n"},
	{"occurred", "from: web\nperiod: 2026-05-17\nby: occurred\n"},
	{"zero", "from: test-db\nto: desk\nperiod: 2026-05-17\n"},
	{"zero-lost", "from: web\nto: desk\nperiod: 2026-05-18\n"},
	{"mistyped", "from: prod-bd\nto: {tier: staging, owner: \"Tradng\"}\nperiod: 2026-05-17\n"},
	{"streams", "streams: ['access,web,prod-db,source', 'gap,web,']\nperiod: 2026-05-18\n"},
	{"range", "range: {first: 12, end: 31}\n"},
	{"log", "log: true\n"},
}

// TestSamples holds the committed bundles against the same questions asked of the
// same log, and checks them.
func TestSamples(t *testing.T) {
	w := sampleWorld(t)
	golden(t, "policy.txt", w.policy())
	for _, s := range samples {
		b := build(t, w.source(), s.question)
		golden(t, s.name+".zip", b)
		if len(b) > 64<<10 {
			t.Logf("%s has %d bytes", s.name, len(b))
		}
		if r := check(t, w.trust(), b); r.Verdict != bundle.Verified && r.Verdict != bundle.DeclaredGaps {
			t.Errorf("%s: %s: %s", s.name, r.Verdict, r.Reason)
		}
	}
	parts := splitAt(t, w.source(), "from: web\n", 120<<10)
	for i, b := range parts {
		golden(t, fmt.Sprintf("split-%d.zip", i+1), b)
	}
	if r := check(t, w.trust(), parts...); r.Verdict != bundle.DeclaredGaps || len(r.Parts) != len(parts) || len(parts) < 2 {
		t.Errorf("%d parts: %s: %s", len(parts), r.Verdict, r.Reason)
	}
}

// TestThinned holds receipts of a log against a bundle of the same log, and against
// one of a log that was remade under the same keys without one access.
func TestThinned(t *testing.T) {
	w, thinned := sampleWorld(t), thinnedWorld(t, 7)
	const question = "from: web\nto: prod-db\n"
	whole, remade := build(t, w.source(), question), build(t, thinned.source(), question)
	golden(t, "thinned.zip", remade)
	var lost, kept []bundle.Receipted
	for i := range w.heads {
		r := receipted(t, w, uint64(i))
		kept = append(kept, r)
		if w.heads[i].Place.Kind == daybookv1.Kind_KIND_ACCESS && bytes.Contains(w.heads[i].Body, []byte("event-000007")) {
			lost = append(lost, r)
			golden(t, fmt.Sprintf("receipts/%d.tlog-proof", i), receiptOf(t, w, uint64(i)))
			golden(t, fmt.Sprintf("receipts/%d.entry", i), w.entries[i])
		}
	}
	trust := w.trust()
	if trust.Receipts = kept; len(lost) != 1 {
		t.Fatalf("%d receipts of the access", len(lost))
	}
	r := check(t, trust, whole)
	if r.Verdict != bundle.DeclaredGaps || len(r.Reconciled.Wrong) != 0 || r.Reconciled.Inside == 0 || r.Reconciled.Outside == 0 {
		t.Errorf("%s: %s %+v", r.Verdict, r.Reason, r.Reconciled)
	}
	trust.Receipts = nil
	if r := check(t, trust, remade); r.Verdict != bundle.DeclaredGaps {
		t.Errorf("the remade log alone: %s: %s", r.Verdict, r.Reason)
	}
	trust.Receipts = lost
	r = check(t, trust, remade)
	if r.Verdict != bundle.Failed || len(r.Reconciled.Wrong) != 1 || r.FirstBad == nil || *r.FirstBad != lost[0].Index {
		t.Errorf("%s: %s %+v", r.Verdict, r.Reason, r.Reconciled)
	}
	t.Log(r.Reason)
}

// receipted is a receipt of an entry at the newest archived checkpoint.
func receipted(t testing.TB, w *world, index uint64) bundle.Receipted {
	t.Helper()
	note := w.notes[len(w.notes)-1]
	c, err := verify.OpenUnverified(note.note)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Receipted{Name: fmt.Sprint(index), Index: index, Leaf: w.tree[0][index], Entry: w.heads[index], Checkpoint: c}
}

func receiptOf(t testing.TB, w *world, index uint64) []byte {
	t.Helper()
	note := w.notes[0]
	if index >= note.size {
		note = w.notes[len(w.notes)-1]
	}
	p, err := verify.ProveRange(index, index+1, note.size, w.tree.node)
	if err != nil {
		t.Fatal(err)
	}
	return verify.FormatReceipt(verify.Receipt{Index: index, Proof: p, Checkpoint: note.note})
}

func splitAt(t testing.TB, src bundle.Source, text string, limit int64) [][]byte {
	t.Helper()
	p, err := bundle.Prepare(context.Background(), src, mustRead(t, text), limit)
	if err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	for i := range p.Parts() {
		var out bytes.Buffer
		if _, err := p.Build(context.Background(), i+1, newSpool(t), &out); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, out.Bytes())
	}
	return parts
}

func golden(t testing.TB, name string, content []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, content) {
		t.Errorf("%s is not what is made now; -update writes it anew", path)
	}
}
