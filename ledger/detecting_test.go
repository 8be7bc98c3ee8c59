package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// detected returns the alerts of the detectors and the clock logs in a log, in
// short, in order.
func detected(t testing.TB, l *ledger.Ledger) (out []string) {
	t.Helper()
	if err := l.Entries(t.Context(), 0, l.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return err
		}
		switch e.Place.Kind {
		case daybookv1.Kind_KIND_ALERT:
			m := new(daybookv1.Alert)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				return err
			}
			out = append(out, m.Type.String()[len("ALERT_TYPE_"):]+" "+m.Subject)
		case daybookv1.Kind_KIND_ACTIVITY:
			m := new(daybookv1.Activity)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				return err
			}
			if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK {
				out = append(out, m.Code+" "+m.Actor+": "+m.Detail)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDetected: what the detectors find is in the log before the next close, once,
// whatever restarts there are, and a check finds the same.
func TestDetected(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	v := bringIntoForce(t, g.L, firmMap(""))
	web := newSpeaker(t, g.L, "spiffe://web/app", "web", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	lab := newSpeaker(t, g.L, "spiffe://lab/app", "lab", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	credential := &daybookv1.CredentialFingerprint{KeyId: "k", HmacSha256: make([]byte, 32)}
	now := func(m *daybookv1.Event) { m.OccurredAtNs = c.now.Load() }
	web.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, func(m *daybookv1.Event) { now(m); m.Actor.Credential = credential })
	for range 3 {
		web.verdict(t, daybookv1.Verdict_VERDICT_UNDECLARED, func(m *daybookv1.Event) { now(m); write(m) })
		web.verdict(t, daybookv1.Verdict_VERDICT_UNMAPPED, func(m *daybookv1.Event) { now(m); m.Target.Domain = "Elsewhere" })
		lab.verdict(t, daybookv1.Verdict_VERDICT_FORBIDDEN, func(m *daybookv1.Event) {
			now(m)
			m.Source.Domain, m.Actor.Credential = "lab", credential
			m.Clock = &daybookv1.Clock{Source: "ptp", OffsetNs: 2e9, UncertaintyNs: 1000}
		})
		reopenDetected(t, &g, c)
		web.l, lab.l = g.L, g.L
	}
	if _, err := g.L.CloseNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.CloseNow(t.Context()); err != nil { // the clock log is due before it
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("UNDECLARED_FLOW web -> db under map %d", v.Index), "UNMAPPED Elsewhere",
		"CREDENTIAL_REUSE credential " + strings.Repeat("00", 32), "CLOCK spiffe://lab/app", "FORBIDDEN_TIER lab -> db",
		"beyond spiffe://lab/app: source ptp; at worst offset 2s, uncertainty 1us; 3 events beyond the limit of 1s, the first at index "}
	got := detected(t, g.L)
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) || len(got) != len(want) {
			t.Fatalf("detected:\n%s\nnot:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	reopenDetected(t, &g, c)
	if again := detected(t, g.L); len(again) != len(got) {
		t.Errorf("after a restart: %v", again)
	}
	g.Check()
	checkFsck(t, g)
}

// reopenDetected closes the log, checks its store, and opens it again.
func reopenDetected(t *testing.T, g **ledgertest.Log, c *handClock) {
	t.Helper()
	c.advance(time.Second)
	*g = reopenWatched(t, *g, c)
}

// TestUncalledAlert: an alert of a detector that the entries do not call for is a
// fault that names its index.
func TestUncalledAlert(t *testing.T) {
	g := create(t, ledgertest.Options{})
	const typ = daybookv1.AlertType_ALERT_TYPE_UNDECLARED_FLOW
	g.L.Raise(&daybookv1.Alert{Type: typ, Subject: "web -> db under map 0", Entries: []uint64{1}, Detail: "made up"})
	waitAlerts(t, g, typ, 1)
	index := uint64(0)
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(i uint64, raw []byte) error {
		if e, err := verify.ParseEntry(raw); err == nil && e.Place.Kind == daybookv1.Kind_KIND_ALERT {
			index = i
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := g.L.Fsck(t.Context(), nil)
	if err != nil || r.OK || r.FirstBadIndex != index || !strings.Contains(r.Reason, "do not call for") {
		t.Errorf("fsck: %+v, %v; the alert is at %d", r, err, index)
	}
	g.Close()
}

// TestOverdueAlert: an alert that the log lacks is a fault that names the entry
// which shows it, once the second close after it is there.
func TestOverdueAlert(t *testing.T) {
	d := detect.New()
	for i, source := range []string{"web", "lab"} {
		if err := d.Take(&detect.Entry{Head: &verify.BatchHead{LogTimeNS: verify.Day, Producer: "spiffe://web/app"}, Event: &verify.EventFields{Credential: make([]byte, 32)},
			Place: &verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Index: uint64(1 + i), Source: source}}); err != nil {
			t.Fatal(err)
		}
	}
	owing := map[string][]byte{}
	if err := d.All(func(key, value []byte) error { owing[string(key)] = value; return nil }); err != nil {
		t.Fatal(err)
	}
	g := create(t, ledgertest.Options{})
	g.Run("run")
	for closes := 1; closes <= 2; closes++ {
		if _, err := g.L.CloseNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Stop(); err != nil {
			t.Fatal(err)
		}
		r, err := ledger.FsckOwing(t.Context(), g.Engine, owing)
		if err != nil || r.OK != (closes == 1) || closes == 2 && (r.FirstBadIndex != 2 || !strings.Contains(r.Reason, "lacks the alert ALERT_TYPE_CREDENTIAL_REUSE")) {
			t.Errorf("fsck after %d closes: %+v, %v", closes, r, err)
		}
		g.Close()
		if g, err = ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor}); err != nil {
			t.Fatal(err)
		}
	}
	g.Close()
}

// A detectLife is one run of a script that calls for alerts.
type detectLife struct{}

// run makes a log with a map and, in two lives of it, appends what calls for one
// alert each.
func (f *detectLife) run(d *crashtest.Disk) {
	if !makeLog(d) {
		return
	}
	for life := range 2 {
		l, closeLog, err := openLog(d.FS, d.Fatal)
		if err != nil {
			return
		}
		ok := f.live(d, l, life)
		if err := closeLog(); err != nil || !ok {
			return
		}
	}
}

func (f *detectLife) live(d *crashtest.Disk, l *ledger.Ledger, life int) bool {
	ctx := context.Background()
	if life == 0 {
		p, err := l.ProposeMap(ctx, author, firmMap(""))
		if err != nil {
			return false
		}
		if _, _, err := l.Approve(ctx, cco, &daybookv1.Approval{Subject: 3, Sha256: p.SHA256[:]}); err != nil {
			return false
		}
	}
	p := ledger.Producer{ID: "spiffe://web/app"}
	if _, err := l.OpenRun(ctx, p, &daybookv1.RunOpened{Run: crashRun[:], Provenance: 1}, nil); err != nil {
		return false
	}
	for i := range 6 {
		n := life*6 + i
		b := ledger.Batch{Run: crashRun, Epoch: 1, First: uint64(1 + 50*n)}
		for k := range 50 {
			b.Items = append(b.Items, ledger.Item{Body: unmappedEvent(n, k)})
		}
		if _, err := l.Append(ctx, p, b); err != nil {
			return false
		}
		d.Ack(n + 1)
	}
	return true
}

// unmappedEvent is an event of which each n calls for one alert.
func unmappedEvent(n, k int) []byte {
	body, err := marshalEvent(&daybookv1.Event{EventId: fmt.Appendf(nil, "%d-%d", n, k), OccurredAtNs: 1, Side: daybookv1.Side_SIDE_SOURCE,
		Source: &daybookv1.Source{Domain: "web"}, Target: &daybookv1.Target{Domain: fmt.Sprintf("name-%d", n)}, Actor: &daybookv1.Actor{Id: "alice"},
		Action:   &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision: daybookv1.Decision_DECISION_ALLOWED, Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS}})
	if err != nil {
		panic(err)
	}
	return body
}

func marshalEvent(m *daybookv1.Event) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// check opens what is left twice: each alert that was called for is there, once.
func (f *detectLife) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	for open := range 2 {
		l, closeLog, err := openLog(fs, nil)
		if err != nil {
			if acked == 0 && open == 0 {
				return // no log was promised yet
			}
			t.Fatalf("opening what is left after %d appends: %v", acked, err)
		}
		if _, err := l.CloseNow(context.Background()); err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		for _, s := range detected(t, l) {
			times[s]++
		}
		for n := range acked {
			if s := fmt.Sprintf("UNMAPPED name-%d", n); times[s] == 0 {
				t.Fatalf("no alert %q after %d appends, open %d", s, acked, open)
			}
		}
		for s, n := range times {
			if n != 1 {
				t.Fatalf("alert %q stands %d times in the log", s, n)
			}
		}
		if r, err := l.Fsck(context.Background(), nil); err != nil || !r.OK {
			t.Fatalf("fsck: %+v, %v", r, err)
		}
		if err := closeLog(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrashAroundAlerts(t *testing.T) {
	var f detectLife
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}
