package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client/synthetic/firm"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A firmDay drives a log through a day of the sample firm.
type firmDay struct {
	g     *ledgertest.Log
	clock *ledgertest.Clock
	next  map[string]uint64 // number that each producer's run takes next
}

func (d *firmDay) producer(id string) (ledger.Producer, verify.Hash) {
	return ledger.Producer{ID: id, KeyFingerprint: firm.KeyOf(id)}, sha256.Sum256([]byte("run of " + id))
}

// append appends one item in the producer's run, which it opens first.
func (d *firmDay) append(t *testing.T, id string, item ledger.Item, numbers uint64) uint64 {
	t.Helper()
	p, run := d.producer(id)
	if d.next[id] == 0 {
		if _, err := d.g.L.OpenRun(t.Context(), p, &daybookv1.RunOpened{Run: run[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}, nil); err != nil {
			t.Fatal(err)
		}
		d.next[id] = 1
	}
	r, err := d.g.L.Append(t.Context(), p, ledger.Batch{Run: run, Epoch: 1, First: d.next[id], Items: []ledger.Item{item}})
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	d.next[id] += numbers
	return r.Groups[0].FirstIndex
}

// step takes one step of the day, and says which verdict an access got.
func (d *firmDay) step(t *testing.T, s *firm.Step) daybookv1.Verdict {
	t.Helper()
	person := ledger.Person{ID: s.Person, Authentication: "mtls"}
	switch {
	case s.Event != nil:
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.Event)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := d.g.L.Entry(t.Context(), d.append(t, s.Producer, ledger.Item{Body: body}, 1))
		if err != nil {
			t.Fatal(err)
		}
		e, err := verify.ParseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		return e.Place.Verdict
	case s.Lost > 0:
		first := max(d.next[s.Producer], 1)
		body, err := proto.Marshal(&daybookv1.Gap{First: first, Last: first + s.Lost - 1, Reason: "its disk failed"})
		if err != nil {
			t.Fatal(err)
		}
		d.append(t, s.Producer, ledger.Item{Kind: daybookv1.Kind_KIND_GAP, Body: body}, s.Lost)
	case s.Approve != nil:
		if _, _, err := d.g.L.Approve(t.Context(), person, s.Approve); err != nil {
			t.Fatalf("approval %s: %v", s.Approve.Id, err)
		}
	case s.Revoke != "":
		if _, err := d.g.L.Revoke(t.Context(), person, s.Revoke, "no longer needed", ""); err != nil {
			t.Fatal(err)
		}
	case s.Propose:
		d.propose(t, person)
	}
	return 0
}

func (d *firmDay) propose(t *testing.T, author ledger.Person) {
	t.Helper()
	p, err := d.g.L.ProposeMap(t.Context(), author, firm.Map())
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{firm.CCO, firm.DataOwner} {
		_, v, err := d.g.L.Approve(t.Context(), ledger.Person{ID: who, Authentication: "mtls"},
			&daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: p.SHA256[:]})
		if err != nil || (v != nil) != (who == firm.DataOwner) {
			t.Fatalf("approved by %s: %+v, %v", who, v, err)
		}
	}
}

// TestFirmDay: in a day of the sample firm every planted violation is found, and
// nothing else.
func TestFirmDay(t *testing.T) {
	steps := firm.Day(firm.Date)
	clock := ledgertest.NewClock(steps[0].At)
	d := &firmDay{clock: clock, next: map[string]uint64{}}
	d.g = create(t, ledgertest.Options{Clock: clock.Ledger()})
	for i := range steps {
		s := &steps[i]
		clock.Move(s.At.Sub(clock.Now()))
		if got := d.step(t, s); got != s.Verdict {
			t.Errorf("%s %s %q: %v, want %v", s.At.Format(time.TimeOnly), s.Producer, s.Planted, got, s.Verdict)
		}
	}
	clock.Move(firm.Date.Add(24*time.Hour + time.Second).Sub(clock.Now()))
	waitClose(t, d.g, firm.Date.Add(24*time.Hour))
	checkAlerts(t, d.g, firm.Expected())
	d.g.Check()
	checkFsck(t, d.g)
}

// waitClose waits until the day that ends then is closed.
func waitClose(t *testing.T, g *ledgertest.Log, end time.Time) {
	t.Helper()
	for range 1000 {
		closes := g.Closes()
		if n := len(closes); n > 0 && closes[n-1].Close.PeriodEndNs >= end.UnixNano() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the day that ends %v is not closed", end)
}

// checkAlerts compares the alerts of a log with those that are expected.
func checkAlerts(t *testing.T, g *ledgertest.Log, want []firm.Alert) {
	t.Helper()
	var found []*daybookv1.Alert
	for range 300 { // what a close shows is raised soon after it
		if found = allAlerts(t, g); len(found) >= len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, w := range want {
		n := 0
		for i, m := range found {
			if m != nil && m.Type == w.Type && strings.Contains(fmt.Sprint(m.Subject, " ", m.Source, " ", m.Producer), w.Subject) {
				found[i] = nil
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d alerts of type %v about %q", n, w.Type, w.Subject)
		}
	}
	for _, m := range found {
		if m != nil {
			t.Errorf("unexpected alert %v about %q, %s -> %s: %s", m.Type, m.Subject, m.Source, m.Target, m.Detail)
		}
	}
}

func allAlerts(t *testing.T, g *ledgertest.Log) []*daybookv1.Alert {
	t.Helper()
	var out []*daybookv1.Alert
	err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ALERT {
			return err
		}
		m := new(daybookv1.Alert)
		out = append(out, m)
		return proto.Unmarshal(e.Body, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
