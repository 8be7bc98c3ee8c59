package detect_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	second = int64(time.Second)
	day    = verify.Day
)

// began is the log time of the first entry: a UTC noon.
var began = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano()

// A world is a log in small: entries are made, judged and taken.
type world struct {
	t       testing.TB
	d       *detect.Detector
	judge   *domains.Judge
	version *domains.Version
	now     int64
	index   uint64
	closed  int64 // end of the newest close
	found   []*detect.Owed
	restart bool // before each entry the detector is saved and loaded
	rows    rows
	entries []detect.Entry
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, judge: new(domains.Judge), now: began, index: 1, closed: verify.DayStart(began), rows: rows{}}
	w.use(detect.New())
	return w
}

func (w *world) use(d *detect.Detector) {
	w.d = d
	d.Found = func(o *detect.Owed) { w.found = append(w.found, o) }
}

// rows is a saved state.
type rows map[string]string

func (r rows) Set(key, value []byte) error { r[string(key)] = string(value); return nil }
func (r rows) Delete(key []byte) error     { delete(r, string(key)); return nil }

// reload saves the detector and goes on with what was saved.
func (w *world) reload() {
	w.t.Helper()
	if err := w.d.Save(w.rows); err != nil {
		w.t.Fatal(err)
	}
	w.d.Saved()
	all := rows{}
	if err := w.d.All(func(k, v []byte) error { return all.Set(k, v) }); err != nil {
		w.t.Fatal(err)
	}
	if len(all) != len(w.rows) {
		w.t.Fatalf("saved %d rows, the state has %d", len(w.rows), len(all))
	}
	var keys []string
	for k, v := range all {
		if w.rows[k] != v {
			w.t.Fatalf("row %x: saved %x, the state has %x", k, w.rows[k], v)
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	again := detect.New()
	for _, k := range keys {
		if len(k) > 512 {
			w.t.Fatalf("key of %d bytes", len(k))
		}
		if err := again.Load([]byte(k), []byte(w.rows[k])); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := again.Loaded(w.version); err != nil {
		w.t.Fatal(err)
	}
	w.use(again)
}

// take takes an entry and gives the log what it owes from then on.
func (w *world) take(e detect.Entry) uint64 {
	w.t.Helper()
	if w.restart && e.Place.Kind != daybookv1.Kind_KIND_DOMAIN_MAP {
		w.reload()
	}
	e.Place.Index = w.index
	e.Head.LogTimeNS, e.Map = w.now, w.version
	if e.Head.Producer == "" {
		e.Head.Producer = "log.example/daybook"
	}
	w.index++
	w.entries = append(w.entries, e)
	if err := w.d.Take(&e); err != nil {
		w.t.Fatal(err)
	}
	return e.Place.Index
}

func (w *world) own(kind daybookv1.Kind, m proto.Message) uint64 {
	w.t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := verify.CheckBody(kind, body); err != nil {
		w.t.Fatalf("%v: %v", kind, err)
	}
	return w.take(detect.Entry{Head: &verify.BatchHead{}, Place: &verify.EntryHead{Kind: kind}, Body: body})
}

// force brings a map into force.
func (w *world) force(m *daybookv1.MapDocument) uint64 {
	w.t.Helper()
	c, err := domains.Compile(proto.CloneOf(m))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.restart {
		w.reload() // the map is not in force yet
	}
	w.version = &domains.Version{Map: c, Index: w.index, LogTimeNS: w.now}
	w.judge.Restore(w.version)
	return w.take(detect.Entry{Head: &verify.BatchHead{}, Place: &verify.EntryHead{Kind: daybookv1.Kind_KIND_DOMAIN_MAP}})
}

func (w *world) approve(m *daybookv1.Approval) uint64 {
	w.t.Helper()
	index := w.own(daybookv1.Kind_KIND_APPROVAL, m)
	body, _ := proto.Marshal(m)
	if err := w.judge.Apply(index, w.now, daybookv1.Kind_KIND_APPROVAL, body); err != nil {
		w.t.Fatal(err)
	}
	return index
}

func (w *world) revoke(approval uint64, from, to string) uint64 {
	w.t.Helper()
	m := &daybookv1.Revocation{Approval: approval + 1, From: from, To: to, Revoker: "cco"}
	index := w.own(daybookv1.Kind_KIND_REVOCATION, m)
	body, _ := proto.Marshal(m)
	if err := w.judge.Apply(index, w.now, daybookv1.Kind_KIND_REVOCATION, body); err != nil {
		w.t.Fatal(err)
	}
	return index
}

// close closes the period until now.
func (w *world) close() uint64 {
	w.t.Helper()
	w.now++
	m := &daybookv1.Close{PeriodStartNs: w.closed, PeriodEndNs: w.now, Cut: w.index}
	w.closed = w.now
	body, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.take(detect.Entry{Head: &verify.BatchHead{}, Place: &verify.EntryHead{Kind: daybookv1.Kind_KIND_CLOSE}, Body: body})
}

// A report is an access as a producer reports it.
type report struct {
	producer   string
	key        byte
	provenance daybookv1.Provenance
	from, to   string // names as sent
	side       daybookv1.Side
	actor      string
	correlates string
	credential byte
	denied     bool
	operation  string
	source     string // of the clock
	offset     int64
	uncertain  uint64
	ahead      int64 // it occurs so much after its log time
}

func (w *world) resolve(name string) string {
	if w.version == nil {
		return name
	}
	id, _ := w.version.Resolve([]byte(name))
	return id
}

func (w *world) access(r report) uint64 {
	w.t.Helper()
	if r.producer == "" {
		r.producer = "spiffe://web/app"
	}
	if r.provenance == 0 {
		r.provenance = 1
	}
	ev := &verify.EventFields{OccurredAtNS: w.now + r.ahead, Side: r.side, SourceDomain: []byte(r.from), TargetDomain: []byte(r.to),
		ActorID: []byte(r.actor), ActionClass: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: []byte(r.operation), Decision: 1, Outcome: 1,
		CorrelationID: []byte(r.correlates), ClockOffsetNS: r.offset, UncertaintyNS: r.uncertain}
	if r.denied {
		ev.Decision = daybookv1.Decision_DECISION_DENIED
	}
	if r.source != "" {
		ev.ClockSource = []byte(r.source)
	}
	if r.credential != 0 {
		ev.Credential = bytes.Repeat([]byte{r.credential}, 32)
	}
	head := &verify.BatchHead{Producer: r.producer, Provenance: r.provenance}
	if r.key != 0 {
		head.KeyFingerprint = verify.Hash{r.key}
	}
	place := &verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Source: w.resolve(r.from), Target: w.resolve(r.to), Side: r.side}
	verdict, grounds := w.judge.Evaluate(domains.RulesVersion, w.version, &domains.Access{Index: w.index, Source: place.Source, Target: place.Target, Event: ev})
	place.Verdict = verdict
	return w.take(detect.Entry{Head: head, Place: place, Event: ev, Grounds: grounds})
}

// log appends what is owed, and checks that the detector knows it again.
func (w *world) log() {
	w.t.Helper()
	for range 2 { // an entry may show that somebody is silent
		for _, o := range w.d.Owed() {
			switch {
			case o.Alert != nil:
				w.own(daybookv1.Kind_KIND_ALERT, o.Alert)
			default:
				w.own(daybookv1.Kind_KIND_ACTIVITY, o.Activity)
			}
		}
	}
	if n := len(w.d.Owed()); n != 0 {
		w.t.Fatalf("%d entries are owed still", n)
	}
}

// alerts returns what was found in short: type, subject, source, target, entries.
func (w *world) alerts() (out []string) {
	for _, o := range w.found {
		if m := o.Alert; m != nil {
			on := make([]uint64, len(m.Entries))
			for i := range m.Entries {
				on[i] = m.Entries[i] - 1
			}
			out = append(out, fmt.Sprintf("%s %s %s>%s %v", m.Type.String()[len("ALERT_TYPE_"):], m.Subject, m.Source, m.Target, on))
		}
	}
	return out
}

// firm is the map of most tests.
func firm() *daybookv1.MapDocument {
	const production, test = daybookv1.Tier_TIER_PRODUCTION, daybookv1.Tier_TIER_TEST
	return &daybookv1.MapDocument{Format: 1, Author: "dev", Firm: "Example", Approver: "cco", UnusedDays: 90,
		People: []*daybookv1.Person{{Id: "alice"}, {Id: "cco"}},
		Domains: []*daybookv1.Domain{
			{Id: "db", Tier: production, Hosting: &daybookv1.Hosting{Account: "1", Network: "db"}},
			{Id: "test", Tier: test, Hosting: &daybookv1.Hosting{Account: "2", Network: "t"}},
			{Id: "web", Tier: production, Aliases: []string{"customer-web"}, ClockLimitNs: 50e6, Hosting: &daybookv1.Hosting{Account: "1", Network: "web"}},
		},
		Flows: []*daybookv1.Flow{
			{Id: "admin", From: "web", To: "db", Actions: []string{"op:admin"}, Approver: "cco", NeedsApproval: true},
			{Id: "read", From: "web", To: "db", Actions: []string{"op:read*"}, Approver: "cco", Observers: []uint64{1, 2}},
			{Id: "seed", From: "db", To: "test", Actions: []string{"any"}, Approver: "cco"},
		}}
}
