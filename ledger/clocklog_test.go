package ledger_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// TestExpectedProducerSilent: a producer that the map expects and that never came
// is reported, while nothing else is appended, once, restarts included.
func TestExpectedProducerSilent(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	file := bytes.Replace(firmMap(""), []byte("aliases: [web.test], "), []byte(`producers: [{id: "spiffe://web/app", silence: 5m}], `), 1)
	v := bringIntoForce(t, g.L, file)
	c.advance(4 * time.Minute)
	g.Run("another")
	c.advance(2 * time.Minute)
	m := waitAlerts(t, g, silence, 1)[0]
	want := &daybookv1.Alert{Type: silence, DetectorVersion: 1, Subject: "spiffe://web/app", Producer: "spiffe://web/app", PeriodStartNs: v.LogTimeNS,
		PeriodEndNs: v.LogTimeNS + int64(5*time.Minute), Entries: []uint64{v.Index + 1}, Id: m.Id, Detail: m.Detail}
	if !proto.Equal(m, want) {
		t.Fatalf("alert %v, not %v", m, want)
	}
	g = reopenWatched(t, g, c)
	c.advance(time.Hour)
	web := newSpeaker(t, g.L, "spiffe://web/app", "web", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	c.advance(6 * time.Minute)
	if got := waitAlerts(t, g, silence, 2)[1]; got.PeriodStartNs != c.now.Load()-int64(6*time.Minute) {
		t.Errorf("silence from %d", got.PeriodStartNs)
	}
	c.advance(time.Hour)
	web.l = g.L
	web.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, func(m *daybookv1.Event) { m.OccurredAtNs = c.now.Load() })
	waitAlerts(t, g, silence, 2)
	reopenWatched(t, g, c).Close()
}

// TestClockLog: what is known of the ledger's clock is logged at an opening, each
// hour, and when it changes.
func TestClockLog(t *testing.T) {
	c := newHandClock()
	var mu sync.Mutex
	reading := ledger.ClockReading{Source: "kernel", OffsetNS: -1200, UncertaintyNS: 5e6}
	set := func(r ledger.ClockReading) { mu.Lock(); reading = r; mu.Unlock() }
	g := create(t, ledgertest.Options{Clock: c.clock(), ReadClock: func() ledger.ClockReading { mu.Lock(); defer mu.Unlock(); return reading }})
	var want []string
	for _, step := range []struct {
		after time.Duration
		now   ledger.ClockReading
		log   string
	}{
		{0, reading, "within log: source kernel; offset -1.2us, uncertainty 5ms; the limit is 50ms"},
		{2 * time.Minute, ledger.ClockReading{Source: "kernel", OffsetNS: 6e7}, "beyond log: source kernel; offset 60ms, uncertainty not known; the limit is 50ms"},
		{2 * time.Minute, ledger.ClockReading{}, "unknown log: nothing disciplines the clock"},
		{time.Hour, ledger.ClockReading{Unknown: "x"}, "unknown log: not known: x"},
	} {
		set(step.now)
		c.advance(step.after)
		want = append(want, step.log)
		waitDetected(t, g, want)
	}
	g.Close()
}

// waitDetected waits until the clock log is as it is wanted; `log` stands for the
// log's name.
func waitDetected(t *testing.T, g *ledgertest.Log, want []string) {
	t.Helper()
	var got []string
	for range 1000 {
		got = got[:0]
		for _, s := range detected(t, g.L) {
			got = append(got, string(bytes.Replace([]byte(s), []byte(ledgertest.Origin), []byte("log"), 1)))
		}
		if slices.Equal(want, got) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("clock log (- want + got):\n%s", cmp.Diff(want, got))
}
