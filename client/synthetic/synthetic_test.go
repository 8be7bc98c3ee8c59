package synthetic_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client/synthetic"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// TestEventsAreWellFormed checks that a log takes them: they pass the grammar,
// differ in id, say a time, and have the size they claim.
func TestEventsAreWellFormed(t *testing.T) {
	ids := map[string]bool{}
	total := 0
	const n = 2000
	for producer := range 2 {
		m := synthetic.NewMaker(producer)
		for range n / 2 {
			body := m.Next()
			total += len(body)
			if err := verify.CheckBody(daybookv1.Kind_KIND_ACCESS, body); err != nil {
				t.Fatal(err)
			}
			var e daybookv1.Event
			if err := proto.Unmarshal(body, &e); err != nil {
				t.Fatal(err)
			}
			if ids[string(e.EventId)] || e.OccurredAtNs < 1e18 {
				t.Fatalf("event id %x, occurred at %d", e.EventId, e.OccurredAtNs)
			}
			ids[string(e.EventId)] = true
		}
	}
	m, sources := synthetic.NewMaker(9), map[string]bool{}
	m.Spread(300)
	for range 5000 {
		body := m.Next()
		if err := verify.CheckBody(daybookv1.Kind_KIND_ACCESS, body); err != nil {
			t.Fatal(err)
		}
		e, err := verify.ParseEvent(body)
		if err != nil {
			t.Fatal(err)
		}
		sources[string(e.SourceDomain)] = true
	}
	if len(sources) != 300 {
		t.Errorf("%d source domains, want 300", len(sources))
	}
	if mean := total / n; mean < 500 || mean > 700 {
		t.Errorf("%d bytes a event", mean)
	}
}
