package detect_test

import (
	"encoding/hex"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// A twin finds the alerts of entries the dumb way: for each entry it goes through
// all before it.
type twin struct {
	entries []detect.Entry
	out     []string
}

func (w *twin) say(i int, what string, on ...uint64) {
	slices.Sort(on)
	w.out = append(w.out, fmt.Sprintf("%d: %s %v", w.entries[i].Place.Index, what, slices.Compact(on)))
}

func dayOf(e *detect.Entry) int64 { return verify.DayStart(e.Head.LogTimeNS) }

// first returns the first entry before i, i included, for which which holds.
func (w *twin) first(i int, which func(e *detect.Entry) bool) int {
	for j := range i + 1 {
		if which(&w.entries[j]) {
			return j
		}
	}
	return -1
}

func (w *twin) run() []string {
	for i := range w.entries {
		e := &w.entries[i]
		w.key(i, e)
		switch e.Place.Kind {
		case daybookv1.Kind_KIND_ACCESS:
			w.access(i, e)
		case daybookv1.Kind_KIND_CLOSE:
			m := new(daybookv1.Close)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				panic(err)
			}
			w.crossings(i, m.PeriodEndNs)
			w.approvals(i, m.PeriodEndNs)
			w.flows(i, m.PeriodEndNs)
		}
	}
	sort.Strings(w.out)
	return w.out
}

func (w *twin) key(i int, e *detect.Entry) {
	k := e.Head.KeyFingerprint
	if k == (verify.Hash{}) {
		return
	}
	owner, told := -1, int64(0)
	last := int64(0)
	for j := range i + 1 {
		o := &w.entries[j]
		if owner >= 0 && last < dayOf(o)-31*day {
			owner, told = -1, 0
		}
		if o.Head.KeyFingerprint != k {
			continue
		}
		last = dayOf(o)
		switch {
		case owner < 0:
			owner = j
		case o.Head.Producer != w.entries[owner].Head.Producer && told != dayOf(o):
			if told = dayOf(o); j == i {
				w.say(i, "KEY_REUSE key "+hex.EncodeToString(k[:]), w.entries[owner].Place.Index, e.Place.Index)
			}
		}
	}
}

func (w *twin) access(i int, e *detect.Entry) {
	named := func(o *detect.Entry) bool { return o.Place.Source[0] != '?' }
	if c := string(e.Event.Credential); c != "" && named(e) {
		same := func(o *detect.Entry) bool {
			return o.Event != nil && dayOf(o) == dayOf(e) && string(o.Event.Credential) == c && named(o)
		}
		f := &w.entries[w.first(i, same)]
		if other := w.first(i, func(o *detect.Entry) bool { return same(o) && o.Place.Source != f.Place.Source }); other == i {
			w.say(i, fmt.Sprintf("CREDENTIAL_REUSE credential %x", c), f.Place.Index, e.Place.Index)
		}
	}
	if e.Map == nil {
		return
	}
	pair := e.Place.Source + " -> " + e.Place.Target
	alike := func(o *detect.Entry) bool {
		return o.Event != nil && o.Place.Verdict == e.Place.Verdict && o.Place.Source+" -> "+o.Place.Target == pair
	}
	today := func(o *detect.Entry) bool { return alike(o) && dayOf(o) == dayOf(e) }
	switch e.Place.Verdict {
	case daybookv1.Verdict_VERDICT_UNDECLARED:
		if w.first(i, func(o *detect.Entry) bool { return alike(o) && o.Map == e.Map }) == i {
			w.say(i, fmt.Sprintf("UNDECLARED_FLOW %s under map %d", pair, e.Map.Index), e.Map.Index, e.Place.Index)
		}
	case daybookv1.Verdict_VERDICT_FORBIDDEN:
		if w.first(i, today) == i {
			w.say(i, "FORBIDDEN_TIER "+pair, e.Map.Index, e.Place.Index)
		}
	case daybookv1.Verdict_VERDICT_REVOKED:
		a := e.Grounds.Approval
		if w.first(i, func(o *detect.Entry) bool {
			return o.Event != nil && o.Place.Verdict == e.Place.Verdict && dayOf(o) == dayOf(e) && o.Grounds.Approval.Index == a.Index
		}) == i {
			w.say(i, fmt.Sprintf("REVOKED_USE approval %s at %d", a.Body.Id, a.Index), a.Index, e.Place.Index, a.Revocation-1)
		}
	case daybookv1.Verdict_VERDICT_UNMAPPED:
		for k, name := range []string{string(e.Event.SourceDomain), string(e.Event.TargetDomain)} {
			if []string{e.Place.Source, e.Place.Target}[k] != "?unmapped" || k == 1 && name == string(e.Event.SourceDomain) {
				continue
			}
			if w.first(i, func(o *detect.Entry) bool {
				return o.Event != nil && o.Place.Verdict == e.Place.Verdict && dayOf(o) == dayOf(e) &&
					(string(o.Event.SourceDomain) == name || string(o.Event.TargetDomain) == name)
			}) == i {
				w.say(i, "UNMAPPED "+name, e.Place.Index)
			}
		}
	}
	if w.bad(e) && w.first(i, func(o *detect.Entry) bool {
		return o.Event != nil && o.Map != nil && dayOf(o) == dayOf(e) && o.Head.Producer == e.Head.Producer && w.bad(o)
	}) == i {
		w.say(i, "CLOCK "+e.Head.Producer, e.Place.Index)
	}
}

// bad: beyond 50 ms in web, one second elsewhere.
func (w *twin) bad(e *detect.Entry) bool {
	limit := second
	if strings.HasPrefix(e.Head.Producer, "spiffe://web/") {
		limit = 50e6
	}
	return e.Event.ClockOffsetNS > limit || -e.Event.ClockOffsetNS > limit || e.Event.OccurredAtNS > e.Head.LogTimeNS+limit
}

func endOf(e *detect.Entry) int64 {
	m := new(daybookv1.Close)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		panic(err)
	}
	return m.PeriodEndNs
}

func (w *twin) approvals(i int, end int64) {
	over := func(a *detect.Entry, at int, end int64) (bool, uint64) {
		var m daybookv1.Approval
		if err := proto.Unmarshal(a.Body, &m); err != nil {
			panic(err)
		}
		for _, o := range w.entries[:at] {
			var r daybookv1.Revocation
			if o.Place.Kind == daybookv1.Kind_KIND_REVOCATION && proto.Unmarshal(o.Body, &r) == nil && r.Approval == a.Place.Index+1 {
				return o.Head.LogTimeNS+300*second <= end || m.NotAfterNs != 0 && m.NotAfterNs+300*second <= end, o.Place.Index
			}
		}
		return m.NotAfterNs != 0 && m.NotAfterNs+300*second <= end, 0
	}
next:
	for j := range i {
		a := &w.entries[j]
		if a.Place.Kind != daybookv1.Kind_KIND_APPROVAL {
			continue
		}
		now, revocation := over(a, i, end)
		if !now {
			continue
		}
		for k := j; k < i; k++ {
			o := &w.entries[k]
			if o.Place.Verdict == daybookv1.Verdict_VERDICT_AUTHORIZED && o.Grounds.Approval != nil && o.Grounds.Approval.Index == a.Place.Index {
				continue next
			}
			if o.Place.Kind == daybookv1.Kind_KIND_CLOSE {
				if before, _ := over(a, k, endOf(o)); before {
					continue next
				}
			}
		}
		var m daybookv1.Approval
		_ = proto.Unmarshal(a.Body, &m)
		on := []uint64{a.Place.Index}
		if revocation != 0 {
			on = append(on, revocation)
		}
		w.say(i, fmt.Sprintf("APPROVAL_UNUSED approval %s at %d", m.Id, a.Place.Index), on...)
	}
}

func (w *twin) flows(i int, end int64) {
	e := &w.entries[i]
	if e.Map == nil {
		return
	}
	for _, f := range e.Map.Document().Flows {
		since, told := int64(0), false
		for j := range i {
			o := &w.entries[j]
			switch {
			case o.Map == nil || o.Map.Flow(f.Id) == nil:
				since = 0
			case o.Place.Kind == daybookv1.Kind_KIND_DOMAIN_MAP && since == 0:
				since, told = dayOf(o), false
			case o.Place.Verdict == daybookv1.Verdict_VERDICT_AUTHORIZED && o.Grounds.Flow.Id == f.Id && dayOf(o) > since:
				since, told = dayOf(o), false
			case o.Place.Kind == daybookv1.Kind_KIND_CLOSE && endOf(o)-since >= 91*day:
				told = true
			}
		}
		if !told && end-since >= 91*day {
			w.say(i, "FLOW_UNUSED flow "+f.Id, e.Map.Index)
		}
	}
}

func (w *twin) crossings(i int, end int64) {
	type state struct {
		first *detect.Entry
		seen  [5]int
		want  bool // not only denied
	}
	missing := map[string][]uint64{}
	open := map[string]*state{}
	for j := range i + 1 {
		e := &w.entries[j]
		if e.Place.Kind == daybookv1.Kind_KIND_CLOSE {
			for key, s := range open {
				if s.first.Head.LogTimeNS > endOf(e)-300*second {
					continue
				}
				if delete(open, key); j == i && s.want && (s.seen[1] == 0 || s.seen[2] == 0) {
					pair, _, _ := strings.Cut(key, "|")
					missing[pair] = append(missing[pair], s.first.Place.Index)
				}
			}
			continue
		}
		if e.Event == nil || e.Map == nil || len(e.Event.CorrelationID) == 0 || e.Place.Side == 0 {
			continue
		}
		expected := e.Grounds.Flow != nil && e.Grounds.Flow.Id == "read" && e.Place.Side <= 2
		denied := e.Place.Verdict == daybookv1.Verdict_VERDICT_DENIED && e.Place.Source == "web" && e.Place.Target == "db"
		if !expected && !denied {
			continue
		}
		key := e.Place.Source + " -> " + e.Place.Target + "|" + string(e.Event.CorrelationID)
		if open[key] == nil {
			open[key] = &state{first: e}
		}
		s := open[key]
		s.want = s.want || expected
		if s.seen[e.Place.Side]++; s.want && s.seen[1] == s.seen[2] {
			delete(open, key)
		}
	}
	for pair, on := range missing {
		w.say(i, "ONE_SIDED crossings "+pair, on...)
	}
}

// TestTwin: whatever happens, restarts included, what is found is what the twin
// finds, and the log is given what it is owed once.
func TestTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for round := range 6 {
		rnd := mrand.New(mrand.NewPCG(seed, uint64(round)))
		w := newWorld(t)
		if round%2 == 0 {
			w.force(firm())
		}
		for range 250 {
			step(w, rnd)
		}
		var got []string
		for _, o := range w.found {
			if m := o.Alert; m != nil {
				on := make([]uint64, len(m.Entries))
				for i := range on {
					on[i] = m.Entries[i] - 1
				}
				got = append(got, fmt.Sprintf("%d: %s %s %v", o.Index, m.Type.String()[len("ALERT_TYPE_"):], m.Subject, on))
			}
		}
		sort.Strings(got)
		if d := cmp.Diff((&twin{entries: w.entries}).run(), got); d != "" {
			t.Fatalf("seed %d, round %d: alerts (- twin + detector):\n%s", seed, round, d)
		}
		w.log()
	}
}

// step lets something happen.
func step(w *world, rnd *mrand.Rand) {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	switch k := rnd.IntN(40); {
	case k < 26:
		r := report{producer: pick("spiffe://web/a", "spiffe://web/b", "spiffe://db/c"), from: pick("web", "web", "db", "test", "x"), to: pick("db", "db", "web", "test", "y"),
			side: daybookv1.Side(rnd.IntN(4)), actor: pick("alice", "bob"), correlates: pick("", "1", "2", "3"), credential: byte(rnd.IntN(4)), key: byte(rnd.IntN(3)),
			denied: rnd.IntN(9) == 0, operation: pick("read", "admin", "write")}
		if rnd.IntN(6) == 0 {
			r.offset, r.source = rnd.Int64N(3*second)-second, pick("", "ptp", "ntp")
			r.ahead = rnd.Int64N(second)
		}
		w.access(r)
	case k < 29:
		w.approve(&daybookv1.Approval{Id: fmt.Sprint("g", rnd.IntN(5)), Subject: 1, Name: pick("alice", "bob"), From: "web", To: "db",
			NotAfterNs: w.now + rnd.Int64N(3*day), Approver: "cco"})
	case k == 29:
		for _, e := range w.entries {
			if a, ok := w.judge.Approval(e.Place.Index); ok && a.Revocation == 0 && rnd.IntN(2) == 0 {
				w.revoke(a.Index, "web", "db")
				break
			}
		}
	case k < 33:
		w.close()
	case k == 33 && rnd.IntN(3) == 0:
		m := firm()
		if rnd.IntN(2) == 0 {
			m.Flows = m.Flows[:2]
		}
		w.force(m)
	case k < 36:
		w.reload()
	case k < 38:
		w.log()
	case k == 38 && rnd.IntN(4) == 0:
		w.now += rnd.Int64N(100 * day)
	default:
		w.now += rnd.Int64N(12 * 3600 * second)
	}
	w.now += rnd.Int64N(200 * second)
}
