package bundle_test

import (
	"os"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// TestRangeIsNotJudged: without the maps before it nothing in a range can be found
// to be judged wrongly.
func TestRangeIsNotJudged(t *testing.T) {
	file, err := os.ReadFile("testdata/range.zip")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, bundle.Trust{Policy: policy}, file)
	if r.Verdict != bundle.Verified || r.FirstBad != nil {
		t.Errorf("%s, first bad index %v: %s", r.Verdict, r.FirstBad, r.Reason)
	}
}
