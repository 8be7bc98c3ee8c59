package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func asError[T error](err error, to *T) bool { return errors.As(err, to) }

func sorted(s []string) []string { slices.Sort(s); return s }

func allRuns(t *testing.T, g *ledgertest.Log, f ledger.RunFilter, limit int) []ledger.RunReport {
	t.Helper()
	size := g.L.Head().Size
	var out []ledger.RunReport
	for from := size; ; {
		page, err := g.L.Runs(t.Context(), f, size, from, limit)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Runs...)
		if from = page.Next; !page.More {
			return out
		}
	}
}

// TestRuns: the report of a run is as its entries tell, at once, from memory,
// from a snapshot, and after a restart.
func TestRuns(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	p, q := newRunProducer(t, "one"), newRunProducer(t, "two")
	r := p.open(t, g, "long", 20*time.Second)
	r.events(t, g, 5)
	r.heartbeat(t, g, true)
	beat := g.L.Head().Size - 1
	body, err := proto.Marshal(&daybookv1.Declined{Number: r.next, Sha256: make([]byte, 32), Reason: "no event"})
	if err != nil {
		t.Fatal(err)
	}
	r.append(t, g, ledger.Item{Kind: daybookv1.Kind_KIND_DECLINED, Body: body})
	r.gap(t, g, 10)
	r.resume(t, g)
	r.heartbeat(t, g, false)
	ended := q.open(t, g, "short", 0)
	ended.events(t, g, 2)
	ended.end(t, g, true)
	empty := q.open(t, g, "empty", time.Hour)
	c.advance(21 * time.Second)

	check := func(when string) {
		t.Helper()
		runs := allRuns(t, g, ledger.RunFilter{}, 2)
		if len(runs) != 3 || runs[0].ID != empty.id || runs[1].ID != ended.id || runs[2].ID != r.id {
			t.Fatalf("%s: runs %+v", when, runs)
		}
		long := runs[2]
		if long.Producer != p.ID || long.Epoch != 2 || long.Resumes() != 1 || long.Last != 16 || long.Events() != 5 || long.Declined != 1 ||
			long.Gaps != 1 || long.Lost != 10 || long.Opened.Software != "test 1" || long.SilenceLimit() != 20*time.Second {
			t.Errorf("%s: %+v", when, long)
		}
		want := &ledger.RunStatement{Index: beat, Last: 5, Signed: true, Key: p.KeyFingerprint}
		if d := cmp.Diff(want, long.Signed); d != "" {
			t.Errorf("%s: signed:\n%s", when, d)
		}
		if h := long.Heartbeat; h == nil || h.Signed || h.Last != 16 {
			t.Errorf("%s: heartbeat %+v", when, h)
		}
		var words []string
		for _, r := range runs {
			words = append(words, r.SignedWords())
		}
		if d := cmp.Diff([]string{"not signed by its producer; it has no number yet", "signed by its producer to the end, number 2",
			"signed by its producer up to number 5 of 16"}, words); d != "" {
			t.Errorf("%s: words:\n%s", when, d)
		}
		if runs[1].End == nil || runs[1].End.Reason != "done" {
			t.Errorf("%s: %+v", when, runs[1])
		}
	}
	check("from memory")
	for status, n := range map[ledger.RunStatus]int{ledger.RunOpen: 2, ledger.RunEnded: 1, ledger.RunSilent: 1} {
		if got := allRuns(t, g, ledger.RunFilter{Status: status}, 10); len(got) != n {
			t.Errorf("status %d: %d runs, not %d", status, len(got), n)
		}
	}
	if got := allRuns(t, g, ledger.RunFilter{Producer: q.ID}, 10); len(got) != 2 {
		t.Errorf("runs of one producer: %+v", got)
	}
	if got := allRuns(t, g, ledger.RunFilter{Prefix: fmt.Sprintf("%x", r.id[:3])}, 10); len(got) != 1 {
		t.Errorf("runs by the beginning of their id: %+v", got)
	}
	if got := allRuns(t, g, ledger.RunFilter{Producer: ledgertest.Origin}, 10); len(got) != 1 {
		t.Errorf("the ledger's own runs: %+v", got)
	}
	g = reopenWatched(t, g, c)
	check("after a restart")
	g.Close()
}

// TestGapAlerts: each gap has an alert in its own commit, at most 1,000 on one
// day and producer, also across a restart, and then one says that there were more.
func TestGapAlerts(t *testing.T) {
	const gap, tooMany = daybookv1.AlertType_ALERT_TYPE_GAP, daybookv1.AlertType_ALERT_TYPE_TOO_MANY
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	p, other := newRunProducer(t, "lossy"), newRunProducer(t, "other")
	r := p.open(t, g, "lossy", 0)
	r.events(t, g, 2)
	r.gap(t, g, 3)
	at := g.L.Head().Size - 2 // the gap, before its alert
	m := waitAlerts(t, g, gap, 1)[0]
	if want := fmt.Sprintf("run %x of %s, numbers 3-5", r.id, p.ID); m.Subject != want || m.Producer != p.ID || !slices.Equal(m.Entries, []uint64{at + 1}) {
		t.Fatalf("alert %v for %s at %d", m, want, at)
	}
	gaps := func(r *testRun, n int) {
		t.Helper()
		var items []ledger.Item
		for i := range n {
			items = append(items, gapItem(t, r.next+uint64(2*i), 2))
		}
		r.append(t, g, items...)
	}
	gaps(r, 600)
	g = reopenWatched(t, g, c)
	gaps(r, 600)
	waitAlerts(t, g, gap, 1000)
	waitAlerts(t, g, tooMany, 1)
	g = reopenWatched(t, g, c)
	r.gap(t, g, 1)
	o := other.open(t, g, "other", 0)
	o.gap(t, g, 1)
	waitAlerts(t, g, gap, 1001)
	waitAlerts(t, g, tooMany, 1)
	g.Close()
	c.advance(24 * time.Hour) // the next day has its own
	again, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Clock: c.clock()})
	if err != nil {
		t.Fatal(err)
	}
	g = again
	r.gap(t, g, 1)
	waitAlerts(t, g, gap, 1002)
	g.Check()
	g.Close()
}

// TestConflictAlertOncePerDay: the alert of a conflict is not repeated, also not
// after a restart.
func TestConflictAlertOncePerDay(t *testing.T) {
	const conflict = daybookv1.AlertType_ALERT_TYPE_NUMBER_CONFLICT
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	p := newRunProducer(t, "conflicting")
	r := p.open(t, g, "conflict", 0)
	r.events(t, g, 2)
	clash := func() {
		t.Helper()
		b := ledgertest.Batch(r.id, r.epoch, 1, 1)
		b.Items[0].Body = ledgertest.Event(verify.Hash{7}, 1)
		_, err := g.L.Append(t.Context(), p.Producer, b)
		var e *ledger.ConflictError
		if !asError(err, &e) {
			t.Fatal(err)
		}
	}
	clash()
	clash()
	r.events(t, g, 1) // behind the alerts in the queue
	waitAlerts(t, g, conflict, 1)
	g = reopenWatched(t, g, c)
	clash()
	r.events(t, g, 1)
	waitAlerts(t, g, conflict, 1)
	reopenWatched(t, g, c).Close()
}

// TestTakenOver: who lost a run is refused for good, whatever it sends, and each
// refusal is in the log.
func TestTakenOver(t *testing.T) {
	g := create(t, ledgertest.Options{})
	p := newRunProducer(t, "cloned")
	r := p.open(t, g, "cloned", 0)
	r.events(t, g, 3)
	clone := *r
	clone.resume(t, g)
	clone.events(t, g, 1)
	var epoch *ledger.EpochError
	if _, err := g.L.Append(t.Context(), p.Producer, ledgertest.Batch(r.id, r.epoch, r.next, 1)); !asError(err, &epoch) || epoch.Current != 2 {
		t.Errorf("append after a take-over: %v", err)
	}
	body, err := proto.Marshal(&daybookv1.RunHeartbeat{Last: r.next - 1, Hash: r.hash[:], Epoch: r.epoch})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.Heartbeat(t.Context(), p.Producer, r.id, body); !asError(err, &epoch) {
		t.Errorf("heartbeat after a take-over: %v", err)
	}
	g.Close()
	engine, err := ledgertest.OpenStore(g.FS, g.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	count := uint64(0)
	if err := g.L.Entries(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	again, err := ledger.Open(t.Context(), ledger.Config{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Entries(t.Context(), 0, again.Head().Size, func(_ uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var m daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		if m.Code == "EPOCH_OVER" && m.Actor == p.ID {
			count += m.Count
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if count != 2 {
		t.Errorf("%d refusals in the log, not 2", count)
	}
}

// TestRunsWhileBusy: what was acknowledged before the question is in the answer,
// whatever the follower is at.
func TestRunsWhileBusy(t *testing.T) {
	g := create(t, ledgertest.Options{})
	p := newRunProducer(t, "busy")
	r := p.open(t, g, "busy", 0)
	var acknowledged atomic.Uint64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 200 {
			r.events(t, g, 50)
			acknowledged.Store(r.next - 1)
		}
	}()
	for last := uint64(0); last < 200*50; {
		before := acknowledged.Load()
		runs := allRuns(t, g, ledger.RunFilter{}, 10)
		if len(runs) != 1 || runs[0].Last < before || runs[0].Last < last {
			t.Fatalf("after %d were acknowledged: %+v", before, runs)
		}
		last = runs[0].Last
	}
	<-ended
	g.Close()
}
