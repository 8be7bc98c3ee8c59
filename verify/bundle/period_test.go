package bundle_test

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// TestPeriodAfterTheClose asks for a period that goes on after the newest close:
// what came later is not claimed.
func TestPeriodAfterTheClose(t *testing.T) {
	w := sampleWorld(t)
	for text, want := range map[string]report.State{"2026-05-18": report.Proved, "2026-05-17..2026-05-19": report.Proved, "2026-05-19..2026-05-20": report.NotClaimed, "2026": report.NotClaimed, "2027": report.NotClaimed} {
		r := check(t, w.trust(), build(t, w.source(), "period: "+text+"\n"))
		if got := r.Claims[1]; got.State != want || want == report.NotClaimed && !strings.Contains(got.Detail, "the period ends after 2026-05-20T00:00:00Z") {
			t.Errorf("%s: %s: %s", text, got.State, got.Detail)
		}
	}
}
