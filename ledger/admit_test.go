package ledger

import (
	"fmt"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Admission scans events where they lie: what it allocates does not grow with
// the batch.
func TestAdmitDoesNotAllocatePerEvent(t *testing.T) {
	items := make([]Item, 1000)
	for i := range items {
		body, err := marshal(&daybookv1.Event{
			EventId: fmt.Appendf(nil, "event-%d", i), OccurredAtNs: int64(i) + 1,
			Source: &daybookv1.Source{Domain: fmt.Sprintf("Web-%d", i%7)}, Target: &daybookv1.Target{Domain: "db"},
			Actor: &daybookv1.Actor{Id: "alice"}, Action: &daybookv1.Action{Class: 2, Operation: "select"},
			Decision: 1, Outcome: &daybookv1.Outcome{Result: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		items[i].Body = body
	}
	producer := Producer{ID: "spiffe://web.test/gateway"}
	n := testing.AllocsPerRun(20, func() {
		admitted, _, err := admit(producer, 1, items, nil)
		if err != nil {
			t.Fatal(err)
		}
		putItems(admitted)
	})
	// A collection may empty the pools in the middle of a run.
	if n > 50 {
		t.Errorf("%v allocations for %d events", n, len(items))
	}
}

func TestNamesStayBounded(t *testing.T) {
	known := names{}
	for i := range 3 * maxNames {
		if got, want := known.canonical(fmt.Appendf(nil, "Host-%d.", i)), fmt.Sprintf("host-%d", i); got != want {
			t.Fatalf("canonical id %q, want %q", got, want)
		}
		if len(known) > maxNames {
			t.Fatalf("%d names are kept", len(known))
		}
	}
}
