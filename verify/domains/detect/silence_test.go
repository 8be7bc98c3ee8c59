package detect_test

import (
	"fmt"
	mrand "math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// expecting is a map that expects producers, by their limits in seconds.
func expecting(limits map[string]int64) *daybookv1.MapDocument {
	m := firm()
	for _, domain := range m.Domains {
		for name, limit := range limits {
			if id := "spiffe://" + domain.Id + "/" + name; name != "" {
				domain.Producers = append(domain.Producers, &daybookv1.ExpectedProducer{Id: id, SilenceLimitNs: uint64(limit * second)})
			}
		}
	}
	m.Domains = m.Domains[:2] // db and test
	m.Flows = m.Flows[2:]
	return m
}

// silences returns what was found of silence: who, since when, seen at which
// entry, in seconds since the beginning.
func (w *world) silences() (out []string) {
	for _, o := range w.found {
		if m := o.Alert; m != nil && m.Type == daybookv1.AlertType_ALERT_TYPE_SILENCE {
			out = append(out, fmt.Sprintf("%d: %s %d-%d %d", o.Index, m.Subject, (m.PeriodStartNs-began)/second, (m.PeriodEndNs-began)/second, m.Entries[0]-1))
		}
	}
	return out
}

// origin is the log's own entry of a kind.
func (w *world) origin(kind daybookv1.Kind) {
	w.take(detect.Entry{Head: &verify.BatchHead{}, Place: &verify.EntryHead{Kind: kind}})
}

// TestSilence: an expected producer that is silent is told of once, from when its
// map came into force, also if it never said a word.
func TestSilence(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		w.restart = restart
		w.origin(daybookv1.Kind_KIND_ORIGIN_OPENED)
		w.origin(daybookv1.Kind_KIND_RUN_OPENED)
		w.now += 100 * second
		w.force(expecting(map[string]int64{"a": 10, "b": 0})) // at 3
		said := func(after int64, producer string) {
			w.now += after * second
			w.access(report{producer: producer, from: "db", to: "test"})
		}
		said(5, "spiffe://db/a")    // 4
		said(5, "spiffe://other/x") // 5, 110 s after the beginning
		if want := w.now + 0; w.d.Due() != want {
			t.Errorf("due at %d, not %d", w.d.Due()-began, want-began)
		}
		said(1, "spiffe://other/x")                           // 6: test/a
		said(5, "spiffe://db/a")                              // 7: db/a, just now
		said(9, "spiffe://other/x")                           // 8
		w.force(expecting(map[string]int64{"a": 8, "b": 20})) // 9
		w.now += second
		w.origin(daybookv1.Kind_KIND_RUN_OPENED) // 10: nothing could be heard until now
		said(8, "spiffe://other/x")              // 11: in time
		said(1, "spiffe://other/x")              // 12: db/a
		said(20, "spiffe://test/b")              // 13: db/b, test/b
		w.force(firm())                          // 14
		said(500, "spiffe://other/x")
		if d := cmp.Diff([]string{"6: spiffe://test/a 100-110 3", "7: spiffe://db/a 105-115 4", "12: spiffe://db/a 126-134 9", "12: spiffe://test/a 126-134 9",
			"13: spiffe://db/b 126-146 9", "13: spiffe://test/b 126-146 9"}, w.silences()); d != "" {
			t.Errorf("silences (- want + got):\n%s", d)
		}
		if w.d.Due() != 0 {
			t.Errorf("due at %d", w.d.Due())
		}
		w.log()
	}
}

// TestSilenceAfterFault: what the ledger's clock at fault kept it from hearing is
// no silence.
func TestSilenceAfterFault(t *testing.T) {
	w := newWorld(t)
	w.origin(daybookv1.Kind_KIND_ORIGIN_OPENED)
	w.force(expecting(map[string]int64{"a": 10}))
	w.now += 60 * second
	id := make([]byte, 32)
	w.own(daybookv1.Kind_KIND_ALERT, &daybookv1.Alert{Id: id, Type: daybookv1.AlertType_ALERT_TYPE_LEDGER_CLOCK, DetectorVersion: 1, Subject: "log", PeriodEndNs: w.now})
	w.now += 10 * second
	w.access(report{from: "db", to: "test"})
	if got := w.silences(); len(got) != 0 {
		t.Errorf("silences: %v", got)
	}
	w.now++
	w.access(report{from: "db", to: "test"})
	if got := w.silences(); len(got) != 2 {
		t.Errorf("silences: %v", got)
	}
}

// TestSilenceTwin: the silences found are those that a dumb twin finds, restarts
// included.
func TestSilenceTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := mrand.New(mrand.NewPCG(seed, 0))
	w := newWorld(t)
	w.origin(daybookv1.Kind_KIND_ORIGIN_OPENED)
	for range 400 {
		switch k := rnd.IntN(20); {
		case k == 0:
			w.force(expecting(map[string]int64{"a": rnd.Int64N(20), "b": rnd.Int64N(20)}))
		case k == 1:
			w.origin(daybookv1.Kind_KIND_RUN_OPENED)
		case k < 4:
			w.reload()
		default:
			w.access(report{producer: []string{"spiffe://db/a", "spiffe://db/b", "spiffe://test/a", "spiffe://x/x"}[rnd.IntN(4)], from: "db", to: "test"})
		}
		w.now += rnd.Int64N(5 * second)
	}
	var want []string
	type heard struct {
		limit, last int64
		at          uint64
		told        bool
	}
	expected := map[string]*heard{}
	since := int64(0)
	for i := range w.entries {
		e := &w.entries[i]
		now := e.Head.LogTimeNS
		if e.Place.Kind == daybookv1.Kind_KIND_RUN_OPENED {
			since = now
		}
		if e.Place.Kind == daybookv1.Kind_KIND_DOMAIN_MAP {
			in := map[string]*heard{}
			for _, domain := range e.Map.Document().Domains {
				for _, p := range domain.Producers {
					if p.SilenceLimitNs == 0 {
						continue
					}
					if in[p.Id] = expected[p.Id]; in[p.Id] == nil || in[p.Id].limit != int64(p.SilenceLimitNs) {
						in[p.Id] = &heard{limit: int64(p.SilenceLimitNs), last: now, at: e.Place.Index}
					}
				}
			}
			expected = in
		}
		for id, h := range expected {
			if from := max(h.last, since); !h.told && now-from > h.limit {
				h.told = true
				want = append(want, fmt.Sprintf("%d: %s %d-%d %d", e.Place.Index, id, (from-began)/second, (from+h.limit-began)/second, h.at))
			}
		}
		if h := expected[e.Head.Producer]; h != nil {
			h.last, h.at, h.told = now, e.Place.Index, false
		}
	}
	got := w.silences()
	sort.Strings(want)
	sort.Strings(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("seed %d: silences (- twin + detector):\n%s", seed, d)
	}
	w.log()
}
