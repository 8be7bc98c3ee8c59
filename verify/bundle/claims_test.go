package bundle_test

import (
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// TestGapWithoutAnswers: what a run lost could have been an answer, also where it
// has none, or where none of the entries is an access.
func TestGapWithoutAnswers(t *testing.T) {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	w.heartbeat(web)
	w.gap(w.run("spiffe://web/gateway", "2", daybookv1.Provenance_PROVENANCE_FIRST_HAND), 500)
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	for _, text := range []string{"from: web\nto: prod-db\n", "log: true\n", "range: {first: 0, end: 8}\n", "streams: ['gap,web,']\n"} {
		if r := check(t, w.trust(), build(t, w.source(), text)); r.Verdict != bundle.DeclaredGaps {
			t.Errorf("%q: %s", text, r.Verdict)
		}
	}
}
