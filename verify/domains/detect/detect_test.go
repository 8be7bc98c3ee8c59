package detect_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	source = daybookv1.Side_SIDE_SOURCE
	target = daybookv1.Side_SIDE_TARGET
	gate   = daybookv1.Side_SIDE_GATEWAY
)

func sum(b byte) string { return strings.Repeat(fmt.Sprintf("%02x", b), 32) }

// TestDetectors: what each detector finds, and what it does not. Each case runs
// twice: once with a restart before each entry.
func TestDetectors(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*world)
		want []string
	}{
		{"credential in two domains", func(w *world) {
			w.access(report{from: "web", to: "db", credential: 7})
			w.access(report{from: "web", to: "test", credential: 7})
			w.access(report{from: "?unmapped", to: "db", credential: 7})
			w.access(report{from: "unknown", to: "db", credential: 7})
			w.access(report{from: "db", to: "web", credential: 7, denied: true})
			w.access(report{from: "test", to: "web", credential: 7})
			w.access(report{from: "test", to: "web", credential: 8})
			w.now += day
			w.access(report{from: "db", to: "web", credential: 8})
			w.access(report{from: "test", to: "web", credential: 7})
			w.access(report{from: "web", to: "test", credential: 7})
		}, []string{"CREDENTIAL_REUSE credential " + sum(7) + " web>db [1 5]", "CREDENTIAL_REUSE credential " + sum(7) + " test>web [9 10]"}},

		{"key in two producers", func(w *world) {
			w.access(report{producer: "spiffe://web/a", from: "web", to: "db", key: 1})
			w.access(report{producer: "spiffe://web/b", from: "web", to: "db"})
			w.access(report{producer: "spiffe://web/b", from: "web", to: "db", key: 2})
			w.access(report{producer: "spiffe://web/c", from: "web", to: "db"})
			w.access(report{producer: "spiffe://web/b", from: "web", to: "db", key: 1})
			w.access(report{producer: "spiffe://web/a", from: "web", to: "db", key: 1})
			w.access(report{producer: "spiffe://web/d", from: "web", to: "db", key: 1})
			w.now += 30 * day
			w.access(report{producer: "spiffe://web/d", from: "web", to: "db", key: 1})
			w.now += 32 * day
			w.access(report{producer: "spiffe://web/d", from: "web", to: "db", key: 1})
		}, []string{"KEY_REUSE key 01" + sum(0)[2:] + " > [1 5]", "KEY_REUSE key 01" + sum(0)[2:] + " > [1 8]"}},

		{"undeclared without a map", func(w *world) { w.access(report{from: "web", to: "db"}) }, nil},

		{"undeclared", func(w *world) {
			w.access(report{from: "web", to: "db", operation: "write"})
			w.force(firm())
			w.access(report{from: "web", to: "db", operation: "read"})
			w.access(report{from: "web", to: "db", operation: "write"})
			w.access(report{from: "customer-web", to: "db", operation: "drop"})
			w.now += day
			w.access(report{from: "web", to: "db", operation: "write"})
			w.access(report{from: "web", to: "test"})
			w.access(report{from: "web", to: "web"})
			w.access(report{from: "test", to: "test"})
			w.access(report{from: "db", to: "web", denied: true})
			w.force(firm())
			w.access(report{from: "web", to: "test"})
		}, []string{"UNDECLARED_FLOW web -> db under map 2 web>db [2 4]", "UNDECLARED_FLOW web -> test under map 2 web>test [2 7]",
			"UNDECLARED_FLOW web -> test under map 11 web>test [11 12]"}},

		{"forbidden tier", func(w *world) {
			w.force(firm())
			w.access(report{from: "test", to: "db"})
			w.access(report{from: "test", to: "db"})
			w.access(report{from: "test", to: "web"})
			w.now += day
			w.access(report{from: "test", to: "db"})
		}, []string{"FORBIDDEN_TIER test -> db test>db [1 2]", "FORBIDDEN_TIER test -> web test>web [1 4]", "FORBIDDEN_TIER test -> db test>db [1 5]"}},

		{"unmapped", func(w *world) {
			w.force(firm())
			w.access(report{from: "elsewhere", to: "db"})
			w.access(report{from: "elsewhere", to: "web"})
			w.access(report{from: "web", to: "elsewhere\x00\xff"})
			w.access(report{from: "x", to: "y"})
			w.now += day
			w.access(report{from: "elsewhere", to: "db"})
			w.access(report{from: "unknown", to: "db"})
		}, []string{"UNMAPPED elsewhere ?unmapped>db [2]", "UNMAPPED elsewhere?? web>?unmapped [4]", "UNMAPPED x ?unmapped>?unmapped [5]",
			"UNMAPPED y ?unmapped>?unmapped [5]", "UNMAPPED elsewhere ?unmapped>db [6]", "UNMAPPED unknown ?unmapped>db [7]"}},

		{"revoked", func(w *world) {
			w.force(firm())
			a := w.approve(&daybookv1.Approval{Id: "g1", Subject: 1, Name: "alice", From: "web", To: "db", Approver: "cco"})
			w.now += second
			w.access(report{from: "web", to: "db", operation: "admin", actor: "alice"})
			w.revoke(a, "web", "db")
			w.now += second
			w.access(report{from: "web", to: "db", operation: "admin", actor: "alice"})
			w.access(report{from: "web", to: "db", operation: "admin", actor: "alice"})
			w.now += day
			w.access(report{from: "web", to: "db", operation: "admin", actor: "alice"})
			w.close()
		}, []string{"REVOKED_USE approval g1 at 2 web>db [2 4 5]", "REVOKED_USE approval g1 at 2 web>db [2 4 7]"}},

		{"approvals unused", func(w *world) {
			w.force(firm())
			at := func(id string, until int64) *daybookv1.Approval {
				return &daybookv1.Approval{Id: id, Subject: 1, Name: id, From: "web", To: "db", NotAfterNs: until, Approver: "cco"}
			}
			w.approve(at("used", w.now+3600*second))
			w.approve(at("over", w.now+3600*second))
			w.approve(at("later", w.now+2*day))
			w.approve(at("endless", 0))
			revoked := w.approve(at("revoked", 0))
			w.approve(&daybookv1.Approval{Id: "map", Subject: 3, NotAfterNs: w.now + second, Approver: "cco"})
			w.now += second
			w.access(report{from: "web", to: "db", operation: "admin", actor: "used"})
			w.revoke(revoked, "web", "db")
			w.now += 3599*second + 299*second
			w.close() // who used it may not have been heard yet
			w.now += second
			w.close()
			w.now += 3 * day
			w.close()
			w.close()
		}, []string{"APPROVAL_UNUSED approval revoked at 6 web>db [6 9]", "APPROVAL_UNUSED approval over at 3 web>db [3]",
			"APPROVAL_UNUSED approval later at 4 web>db [4]"}},

		{"flows unused", func(w *world) {
			w.force(firm())
			w.now += 60 * day
			w.access(report{from: "web", to: "db", operation: "read"})
			w.close()
			w.now += 31 * day
			w.close()
			w.close()
			w.access(report{from: "db", to: "test"})
			w.now += 60 * day
			w.close()
			w.now += 31 * day
			w.close()
			late := firm()
			late.Flows = late.Flows[2:]
			late.Flows[0].NotAfterNs = w.now
			w.force(late)
			w.now += 300 * day
			w.close()
		}, []string{"FLOW_UNUSED flow admin web>db [1]", "FLOW_UNUSED flow seed db>test [1]", "FLOW_UNUSED flow read web>db [1]", "FLOW_UNUSED flow seed db>test [1]"}},

		{"clock", func(w *world) {
			w.access(report{producer: "spiffe://web/none", from: "web", to: "db", offset: 9 * second})
			w.force(firm())
			good := report{producer: "spiffe://web/good", from: "web", to: "db", operation: "read", source: "chrony", offset: -50e6, uncertain: 50e6, ahead: 50e6}
			w.access(good)
			early := good
			early.producer, early.ahead = "spiffe://web/early", 50e6+1
			w.access(early)
			w.access(early)
			slow := good
			slow.producer, slow.offset = "spiffe://customer-web/slow", -50e6-1
			w.access(slow)
			vague := good
			vague.producer, vague.uncertain = "spiffe://db/vague", 1e9
			w.access(vague)
			vague.uncertain++
			w.access(vague)
			vague.producer, vague.provenance = "spiffe://db/import", daybookv1.Provenance_PROVENANCE_BACKFILL
			w.access(vague)
			w.now += day
			w.access(early)
		}, []string{"CLOCK spiffe://web/early > [4]", "CLOCK spiffe://customer-web/slow > [6]", "CLOCK spiffe://db/vague > [8]", "CLOCK spiffe://web/early > [10]"}},

		{"one-sided", func(w *world) {
			w.force(firm())
			seen := func(id string, side daybookv1.Side) {
				w.access(report{from: "web", to: "db", operation: "read", correlates: id, side: side})
			}
			seen("both", source)
			seen("both", target)
			seen("both", gate) // nobody expects it
			for _, id := range []string{"twice", strings.Repeat("l", 64)} {
				seen(id, source)
				seen(id, source)
				seen(id, target)
				seen(id, target)
			}
			seen("more", source)
			seen("more", target)
			seen("more", source)
			seen("half", target)
			w.access(report{from: "web", to: "db", operation: "read", side: source})                                    // knows no crossing
			w.access(report{from: "db", to: "test", correlates: "free", side: source})                                  // its flow expects nobody
			w.access(report{from: "web", to: "db", operation: "read", correlates: "no", side: source, denied: true})    // never got there
			w.access(report{from: "web", to: "db", operation: "read", correlates: "there", side: source})               //
			w.access(report{from: "web", to: "db", operation: "read", correlates: "there", side: target, denied: true}) // it did
			w.now += 299 * second
			w.close()
			seen("young", source)
			old := report{from: "web", to: "db", operation: "read", correlates: "old", side: source, ahead: -3600 * second}
			w.access(old)
			old.correlates, old.provenance = "older", daybookv1.Provenance_PROVENANCE_BACKFILL
			w.access(old)
			w.now += 2 * second
			w.close()
			w.now += day
			w.close()
		}, []string{"ONE_SIDED crossings web -> db web>db [15 16 24]", "ONE_SIDED crossings web -> db web>db [23 25]"}},

		{"shared hosting", func(w *world) {
			m := firm()
			m.Domains[1].Hosting = &daybookv1.Hosting{Account: "1", Network: "db"}
			w.force(m)
			m.Domains[1].Hosting = &daybookv1.Hosting{Account: "1", Network: "test"}
			w.force(m)
			for _, d := range m.Domains {
				d.Hosting = &daybookv1.Hosting{Account: "9"}
			}
			w.force(m)
		}, []string{"SHARED_HOSTING hosting 1/db under map 1 > [1]", "SHARED_HOSTING hosting 9 under map 3 > [3]"}},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restart=%v", tc.name, restart), func(t *testing.T) {
				w := newWorld(t)
				w.restart = restart
				tc.do(w)
				if d := cmp.Diff(tc.want, w.alerts()); d != "" {
					t.Errorf("alerts (- want + got):\n%s", d)
				}
				w.log()
				for _, o := range w.found {
					if o.Alert != nil {
						checkAlert(t, o.Alert)
					}
				}
			})
		}
	}
}

// checkAlert checks what every alert has.
func checkAlert(t *testing.T, m *daybookv1.Alert) {
	t.Helper()
	if m.PeriodEndNs <= m.PeriodStartNs || m.Detail == "" || m.DetectorVersion != detect.Version || !detect.Mine(m) ||
		verify.Hash(m.Id) != verify.AlertID(uint32(m.Type), m.Subject, m.PeriodStartNs, m.PeriodEndNs) {
		t.Errorf("alert %v", m)
	}
}

// TestClockLog: at each close the log owes what producers told of their clocks.
func TestClockLog(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	w.access(report{producer: "spiffe://web/quiet", from: "web", to: "db", operation: "read"})
	w.access(report{producer: "spiffe://web/b", from: "web", to: "db", operation: "read", source: "ptp", uncertain: 1000})
	first := w.now
	w.access(report{from: "web", to: "db", operation: "read", source: "chrony:a", offset: 2e6})
	w.now += second
	w.access(report{from: "web", to: "db", operation: "read", source: "chrony:b", offset: -60e6, uncertain: 3e6})
	w.access(report{from: "web", to: "db", operation: "read", offset: 1})
	w.close()
	w.close()
	var got []*daybookv1.Activity
	for _, o := range w.d.Owed() {
		if o.Activity != nil {
			got = append(got, o.Activity)
		}
	}
	const words = "offset -60ms, uncertainty 3ms; the source changed 1 times; 1 events beyond the limit of 50ms, the first at index 5"
	want := []*daybookv1.Activity{
		{Type: daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK, Actor: "spiffe://web/app", Method: detect.ClockMethod, Code: detect.ClockBeyond,
			Count: 3, FirstNs: first, LastNs: first + second, Detail: "source chrony:b; at worst " + words},
		{Type: daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK, Actor: "spiffe://web/b", Method: detect.ClockMethod, Code: detect.ClockWithin,
			Count: 1, FirstNs: first, LastNs: first, Detail: "source ptp; at worst offset 0s, uncertainty 1us; the limit is 50ms"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d clock logs: %v", len(got), got)
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("clock log %v, not %v", got[i], want[i])
		}
	}
	w.log()
}

// TestUncalled: an alert in the log that is not owed, or differs, is refused, and
// changes nothing.
func TestUncalled(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	w.access(report{from: "test", to: "db"})
	owed := w.d.Owed()[0].Alert
	for name, m := range map[string]proto.Message{
		"detail":   alter(owed, func(m *daybookv1.Alert) { m.Detail = "nothing" }),
		"entries":  alter(owed, func(m *daybookv1.Alert) { m.Entries = m.Entries[:1] }),
		"subject":  alter(owed, func(m *daybookv1.Alert) { m.Subject = "other" }),
		"overflow": alter(owed, func(m *daybookv1.Alert) { m.Type, m.Subject = daybookv1.AlertType_ALERT_TYPE_OVERFLOW, "detector: x" }),
		"clock": &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK, Actor: "spiffe://web/app",
			Method: detect.ClockMethod, Count: 1},
	} {
		kind := daybookv1.Kind_KIND_ALERT
		if _, ok := m.(*daybookv1.Activity); ok {
			kind = daybookv1.Kind_KIND_ACTIVITY
		}
		body, _ := proto.Marshal(m)
		var uncalled *detect.UncalledError
		e := detect.Entry{Head: &verify.BatchHead{LogTimeNS: w.now}, Place: &verify.EntryHead{Kind: kind, Index: w.index}, Body: body, Map: w.version}
		if err := w.d.Take(&e); !errors.As(err, &uncalled) || uncalled.Index != w.index {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range []*daybookv1.Alert{
		alter(owed, func(m *daybookv1.Alert) { m.Type = daybookv1.AlertType_ALERT_TYPE_GAP }),
		alter(owed, func(m *daybookv1.Alert) { m.Type = daybookv1.AlertType_ALERT_TYPE_OVERFLOW }),
		owed,
	} {
		w.own(daybookv1.Kind_KIND_ALERT, m)
	}
	if n := len(w.d.Owed()); n != 0 {
		t.Errorf("%d are owed still", n)
	}
}

func alter(m *daybookv1.Alert, change func(*daybookv1.Alert)) *daybookv1.Alert {
	m = proto.CloneOf(m)
	change(m)
	return m
}

// TestTooMany: of one producer and day at most one alert more is owed than the log
// keeps, and what the log dropped is excused.
func TestTooMany(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	for i := range 2 * detect.MaxAlerts {
		w.access(report{from: fmt.Sprintf("name-%d", i), to: "db"})
	}
	w.access(report{producer: "spiffe://web/other", from: "test", to: "db"})
	owed := w.d.Owed()
	if len(owed) != detect.MaxAlerts+2 || owed[0].Alert.Producer != "spiffe://web/app" || owed[len(owed)-1].Alert.Producer != "spiffe://web/other" {
		t.Fatalf("%d alerts are owed", len(owed))
	}
	for _, o := range owed[:detect.MaxAlerts] {
		w.own(daybookv1.Kind_KIND_ALERT, o.Alert)
	}
	w.own(daybookv1.Kind_KIND_ALERT, alter(owed[0].Alert, func(m *daybookv1.Alert) { m.Type = daybookv1.AlertType_ALERT_TYPE_TOO_MANY }))
	w.reload()
	owed = w.d.Owed()
	if len(owed) != 2 || !owed[0].Excused || owed[1].Excused {
		t.Fatalf("owed after TOO_MANY: %+v", owed)
	}
	n := len(w.found)
	w.access(report{from: "test", to: "web"})
	if len(w.found) != n {
		t.Error("an excused alert was found")
	}
	w.own(daybookv1.Kind_KIND_ALERT, owed[0].Alert) // it was on its way
	w.own(daybookv1.Kind_KIND_ALERT, owed[1].Alert)
	w.now += day
	w.access(report{from: "test", to: "web"})
	if len(w.found) != n+1 {
		t.Error("the next day's alert was not found")
	}
	w.log()
}

// TestOverflow: a full table is told of once a day.
func TestOverflow(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	for i := range detect.MaxSubjects + 10 {
		w.access(report{producer: fmt.Sprintf("spiffe://web/p%d", i/500), from: fmt.Sprintf("name-%d", i), to: "db"})
	}
	got := w.alerts()
	if want := detect.MaxSubjects + 1; len(got) != want || !strings.HasPrefix(got[want-1], "OVERFLOW detector: over 4096 names") {
		t.Fatalf("%d alerts, the last: %s", len(got), got[len(got)-1])
	}
	w.log()
}

// TestManyOneSided: an alert names at most 256 entries and counts all.
func TestManyOneSided(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	for i := range 300 {
		w.access(report{from: "web", to: "db", operation: "read", correlates: fmt.Sprint(i), side: source})
	}
	w.now += 301 * second
	w.close()
	m := w.d.Owed()[0].Alert
	if len(m.Entries) != 256 || m.Entries[255] != 258 || !strings.HasPrefix(m.Detail, "300 crossings") || !strings.Contains(m.Detail, "300 lack the target's") {
		t.Errorf("alert %v", m)
	}
	w.log()
}

// TestLoadDamaged: rows that are damaged are refused, and nothing panics.
func TestLoadDamaged(t *testing.T) {
	w := newWorld(t)
	w.force(firm())
	w.approve(&daybookv1.Approval{Id: "g1", Subject: 1, Name: "alice", From: "web", To: "db", Approver: "cco"})
	w.access(report{from: "web", to: "db", operation: "read", correlates: "c", side: source, credential: 3, key: 4, source: "ptp", offset: second})
	w.access(report{from: "test", to: "x", operation: "read"})
	w.access(report{from: "test", to: "db", operation: "read"})
	w.access(report{from: "web", to: "test", operation: "read"})
	if err := w.d.All(func(k, v []byte) error {
		for cut := range len(v) {
			if err := detect.New().Load(k, v[:cut]); err == nil {
				t.Errorf("row %q cut to %d bytes is loaded", k, cut)
			}
		}
		if err := detect.New().Load(k, append(v[:len(v):len(v)], 0)); err == nil {
			t.Errorf("row %q with a byte more is loaded", k)
		}
		for cut := range len(k) {
			_ = detect.New().Load(k[:cut], v)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
