package ledger_test

import (
	"errors"
	"fmt"
	mrand "math/rand/v2"
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

const silence = daybookv1.AlertType_ALERT_TYPE_SILENCE

// TestSilence: a silence is reported once, while nothing else is appended, and
// again only after the run had an entry.
func TestSilence(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	p := newRunProducer(t, "silent")
	r := p.open(t, g, "limited", 10*time.Second)
	free := p.open(t, g, "free", 0)
	ended := p.open(t, g, "ended", 10*time.Second)
	ended.end(t, g, true)
	free.events(t, g, 1)
	r.events(t, g, 3)
	began := g.L.Head().TimeNS
	index := g.L.Head().Size
	c.advance(9 * time.Second)
	r.heartbeat(t, g, true)
	c.advance(9 * time.Second)
	if got := alertsOf(t, g, silence); len(got) != 0 {
		t.Fatalf("silence before its time: %v", got)
	}
	c.advance(2 * time.Second)
	m := waitAlerts(t, g, silence, 1)[0]
	want := &daybookv1.Alert{Type: silence, DetectorVersion: 1, Subject: fmt.Sprintf("run %x of %s", r.id, p.ID), Producer: p.ID,
		PeriodStartNs: began + int64(9*time.Second), PeriodEndNs: began + int64(19*time.Second), Entries: []uint64{index + 1}, Id: m.Id, Detail: m.Detail}
	if !proto.Equal(m, want) || verify.Hash(m.Id) != verify.AlertID(8, want.Subject, want.PeriodStartNs, want.PeriodEndNs) {
		t.Fatalf("alert %v, not %v", m, want)
	}
	c.advance(time.Hour)
	free.events(t, g, 1)
	r.events(t, g, 1)
	waitAlerts(t, g, silence, 1)
	c.advance(11 * time.Second)
	r.events(t, g, 1) // the entry that ends a silence comes after its alert
	waitAlerts(t, g, silence, 2)
	g.Check()
	reopenWatched(t, g, c).Close()
}

// TestSilenceAcrossRestart: what the ledger could not have taken is not counted,
// and what was reported is not reported again.
func TestSilenceAcrossRestart(t *testing.T) {
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	p := newRunProducer(t, "restarted")
	r := p.open(t, g, "limited", 10*time.Second)
	other := p.open(t, g, "reported", 5*time.Second)
	c.advance(6 * time.Second)
	waitAlerts(t, g, silence, 1)
	r.events(t, g, 1)
	c.advance(time.Hour)
	waitAlerts(t, g, silence, 2)
	r.events(t, g, 1)
	g = reopenWatched(t, g, c)
	c.advance(time.Second)
	n := openings(t, g)
	g.Close()
	c.advance(time.Hour)
	again, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Clock: c.clock()})
	if err != nil {
		t.Fatal(err)
	}
	g = again
	waitOpened(t, g, n+1)
	opened := g.L.Head().TimeNS
	c.advance(9 * time.Second)
	r.p.open(t, g, "another", 0)
	waitAlerts(t, g, silence, 2)
	c.advance(2 * time.Second)
	got := waitAlerts(t, g, silence, 3)[2]
	if got.PeriodStartNs != opened || got.PeriodEndNs != opened+int64(10*time.Second) {
		t.Errorf("silence of %d to %d, the log opened at %d", got.PeriodStartNs, got.PeriodEndNs, opened)
	}
	other.resume(t, g)
	g = reopenWatched(t, g, c)
	c.advance(6 * time.Second)
	waitAlerts(t, g, silence, 4)
	reopenWatched(t, g, c).Close()
}

// TestSilenceAfterClockFault: while the ledger's clock is at fault no producer
// can be heard, and that is not counted against it.
func TestSilenceAfterClockFault(t *testing.T) {
	c := newHandClock()
	var mono atomic.Int64
	clock := ledger.Clock{Wall: c.now.Load, Mono: func() time.Duration { return time.Duration(mono.Load()) }}
	g := create(t, ledgertest.Options{Clock: clock})
	p := newRunProducer(t, "unheard")
	r := p.open(t, g, "limited", 20*time.Second)
	mono.Add(int64(time.Hour)) // the wall clock stands still
	if _, err := g.L.Append(t.Context(), p.Producer, ledgertest.Batch(r.id, 1, 1, 1)); !errors.Is(err, ledger.ErrClock) {
		t.Fatalf("append while the clock is at fault: %v", err)
	}
	c.advance(time.Hour)
	p.open(t, g, "another", 0)
	fault := waitAlerts(t, g, daybookv1.AlertType_ALERT_TYPE_LEDGER_CLOCK, 1)[0]
	if got := alertsOf(t, g, silence); len(got) != 0 {
		t.Fatalf("silence while nothing could be heard: %v", got)
	}
	mono.Add(int64(21 * time.Second))
	c.advance(21 * time.Second)
	if got := waitAlerts(t, g, silence, 1)[0]; got.PeriodStartNs != fault.PeriodEndNs {
		t.Errorf("silence from %d, the clock was right from %d", got.PeriodStartNs, fault.PeriodEndNs)
	}
	g.Close()
}

// TestSilenceLimit: limits that a run cannot have are refused.
func TestSilenceLimit(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	file := verify.Hash{1}
	imported := verify.ImportRunID(file, "xroad", 1)
	for name, m := range map[string]*daybookv1.RunOpened{
		"too short": {SilenceLimitNs: 1, Provenance: 1}, "too long": {SilenceLimitNs: 1 << 62, Provenance: 1},
		"backfill": {SilenceLimitNs: 1e10, Provenance: 3},
		"import":   {SilenceLimitNs: 1e10, Provenance: 2, Run: imported[:], Import: &daybookv1.Import{FileSha256: file[:], Mapping: "xroad", MappingVersion: 1}},
	} {
		if m.Run == nil {
			m.Run = make([]byte, 32)
		}
		_, err := g.L.OpenRun(t.Context(), ledgertest.Producer, m, nil)
		var refused *ledger.RefusedError
		if !asError(err, &refused) || refused.Field != "silence_limit_ns" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSilenceProperty: the alerts of silence in the log are those that a dumb
// twin finds in the entries, whatever happens, restarts included.
func TestSilenceProperty(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := mrand.New(mrand.NewPCG(seed, 0))
	c := newHandClock()
	g := create(t, ledgertest.Options{Clock: c.clock()})
	waitOpened(t, g, 1)
	p := newRunProducer(t, "property")
	runs := map[int]*testRun{}
	for step := range 300 {
		n := rnd.IntN(5)
		r := runs[n]
		switch k := rnd.IntN(12); {
		case r == nil:
			runs[n] = p.open(t, g, fmt.Sprint(seed, step), time.Duration(rnd.IntN(4))*5*time.Second)
		case k < 5:
			r.events(t, g, 1+rnd.IntN(4))
		case k < 7:
			r.heartbeat(t, g, rnd.IntN(2) == 0)
		case k == 7:
			r.resume(t, g)
		case k == 8 && rnd.IntN(3) == 0:
			r.end(t, g, true)
			delete(runs, n)
		case k == 9 && rnd.IntN(4) == 0:
			g = reopenWatched(t, g, c)
		}
		c.advance(time.Duration(rnd.Int64N(int64(4 * time.Second))))
	}
	c.advance(time.Minute)
	p.open(t, g, "last", 0)
	want := silencesOf(t, g)
	waitAlerts(t, g, silence, len(want))
	var got []string
	for _, m := range alertsOf(t, g, silence) {
		got = append(got, fmt.Sprintf("%s %d %d %d", m.Subject, m.PeriodStartNs, m.PeriodEndNs, m.Entries[0]-1))
	}
	if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
		t.Errorf("seed %d: alerts of silence (- twin + log):\n%s", seed, d)
	}
	reopenWatched(t, g, c).Close()
}

// silencesOf finds the silences of a log in its entries: the dumb way.
func silencesOf(t *testing.T, g *ledgertest.Log) []string {
	t.Helper()
	type seen struct {
		subject     string
		limit, time int64
		index       uint64
		ended, told bool
	}
	runs := map[string]*seen{}
	var out []string
	since := int64(0)
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(i uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil {
			return err
		}
		now := e.Head.LogTimeNs
		if e.Head.Producer == ledgertest.Origin && e.Place.Kind == daybookv1.Kind_KIND_RUN_OPENED {
			since = now // what was before is not counted
		}
		for _, r := range runs { // each of them might have spoken by now
			from := max(r.time, since)
			if r.limit > 0 && !r.ended && !r.told && now-from > r.limit {
				r.told = true
				out = append(out, fmt.Sprintf("%s %d %d %d", r.subject, from, from+r.limit, r.index))
			}
		}
		if e.Head.Producer == ledgertest.Origin {
			return nil
		}
		key := string(e.Head.Run)
		if e.Place.Kind == daybookv1.Kind_KIND_RUN_OPENED {
			var m daybookv1.RunOpened
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			runs[key] = &seen{subject: fmt.Sprintf("run %x of %s", e.Head.Run, e.Head.Producer), limit: int64(m.SilenceLimitNs)}
		}
		r := runs[key]
		r.time, r.index, r.told = now, i, false
		r.ended = e.Place.Kind == daybookv1.Kind_KIND_RUN_ENDED
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
