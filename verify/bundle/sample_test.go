package bundle_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle"
)

var update = flag.Bool("update", false, "write the sample bundles in testdata anew")

// samples are the bundles in testdata, by name: other implementations read them.
var samples = []struct{ name, question string }{
	{"web-to-prod", "case: FINRA-2026-0417\nitem: \"7\"\nasked_by: J. Examiner\nrecipient: FINRA\nfrom: web\nto: prod-db\nperiod: 2026-Q2\nzone: America/New_York\n"},
	{"occurred", "from: web\nperiod: 2026-05-17\nby: occurred\n"},
	{"zero", "from: test-db\nto: desk\nperiod: 2026-05-18\n"},
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
		if err := os.MkdirAll("testdata", 0o755); err != nil {
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
