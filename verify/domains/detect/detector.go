package detect

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Version is the version of the detectors, which their alerts name.
const Version = 1

// Lateness is how long after an access its other reports, and what else tells of
// it, are waited for.
const Lateness = 300 * time.Second

// Bounds of what is kept.
const (
	MaxCredentials = 1 << 16 // fingerprints on one day
	MaxKeys        = 1 << 16 // producer keys within 31 days
	MaxProducers   = 1 << 14 // producers on one day
	MaxPairs       = 1 << 14 // undeclared pairs under one map
	MaxSubjects    = 1 << 12 // forbidden pairs, unmapped names, revoked approvals: each, on one day
	MaxCrossings   = 1 << 18 // crossings that wait for a report
	MaxApprovals   = 1 << 16 // approvals that are not over
	MaxAlerts      = 1000    // alerts of one producer on one day
	MaxDay         = 1 << 14 // alerts on one day
	MaxAtClose     = 256     // alerts of one type at one close
)

// An Entry is an entry of the log as it is judged. The detector keeps nothing of
// it.
type Entry struct {
	Head    *verify.BatchHead
	Place   *verify.EntryHead
	Body    []byte
	Event   *verify.EventFields // of an access
	Grounds domains.Grounds     // of an access's verdict
	Map     *domains.Version    // in force, for a domain map entry the one it brings; nil: none
}

// An Owed is an entry that the log owes: exactly one of Alert and Activity is
// set, complete. It must not be modified.
type Owed struct {
	Alert    *daybookv1.Alert
	Activity *daybookv1.Activity
	Index    uint64 // of the entry that showed it
	// Excused: it may be in the log and need not, for the log has too many alerts of
	// its producer on that day.
	Excused bool
	day     int64 // on which it was found
}

// A Detector is the state of all detectors before an entry. One goroutine owns
// it.
type Detector struct {
	// Found is told of each entry that the log owes from now on, unless it is
	// excused; nil: nobody is.
	Found func(*Owed)

	day        int64 // of the newest entry: its start
	mapIndex   uint64
	told       int       // alerts owed on this day
	overflowed uint32    // tables that overflowed on this day, by bit
	seq        uint64    // of the next owed
	cuts       [2]uint64 // of the two newest closes, the newest last

	credentials *table[verify.Hash, credential]
	keys        *table[verify.Hash, producerKey]
	producers   *table[string, producer]
	undeclared  *table[pair, struct{}]
	forbidden   *table[pair, struct{}]
	unmapped    *table[pair, struct{}]
	revoked     *table[pair, struct{}]
	crossings   *table[crossingKey, crossing]
	approvals   *table[uint64, approval]
	flows       *table[string, flowUse]
	expected    *table[string, expected]
	owed        *table[uint64, Owed]

	origin string // the log's
	since  int64  // log time before which no silence counts
	due    int64  // no expected producer is silent up to that log time; 0: for ever

	order    []*row[uint64, Owed] // what is owed, oldest first
	observed map[pair]*observedPair
	from     origin // of the newest append
	lastFlow lastFlow
}

// A pair is two names.
type pair struct{ a, b string }

// origin is what is known of whoever appended the newest entry.
type origin struct {
	version    *domains.Version
	key        verify.Hash
	provenance daybookv1.Provenance
	producer   *row[string, producer] // nil: there was no room
	name       string                 // of the producer
	clockLimit int64                  // nanoseconds; 0: its clock is not judged
	expected   *row[string, expected] // nil: nobody expects it
}

// New returns the detector of a log without entries.
func New() *Detector {
	d := &Detector{observed: map[pair]*observedPair{}}
	d.makeTables()
	return d
}

// An UncalledError is an alert or activity entry of a detector in the log that
// the entries before it do not call for.
type UncalledError struct {
	Index uint64 // of it
	What  string
}

// Error implements error.
func (e *UncalledError) Error() string {
	return fmt.Sprintf("%s, which the entries before it do not call for", e.What)
}

// Take takes the next entry. The error is an *UncalledError, after which the
// detector goes on as if that entry were another's.
func (d *Detector) Take(e *Entry) error {
	if e.Head.LogTimeNS >= d.day+verify.Day || d.day == 0 {
		d.turn(e)
	}
	if e.Map != nil && e.Map.Index != d.mapIndex {
		d.enter(e)
	}
	d.listen(e)
	d.meet(e)
	d.hear(e)
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ACCESS:
		d.access(e)
	case daybookv1.Kind_KIND_APPROVAL:
		d.approve(e)
	case daybookv1.Kind_KIND_REVOCATION:
		d.revoke(e)
	case daybookv1.Kind_KIND_CLOSE:
		d.close(e)
	case daybookv1.Kind_KIND_ALERT:
		return d.settleAlert(e)
	case daybookv1.Kind_KIND_ACTIVITY:
		return d.settleActivity(e)
	}
	return nil
}

// turn begins the UTC day of an entry.
func (d *Detector) turn(e *Entry) {
	d.day = verify.DayStart(e.Head.LogTimeNS)
	d.told, d.overflowed = 0, 0
	d.credentials.clear()
	d.forbidden.clear()
	d.unmapped.clear()
	d.revoked.clear()
	for _, r := range d.keys.rows {
		if r.v.day < d.day-keptDays*verify.Day {
			d.keys.drop(r)
		}
	}
	for _, r := range d.producers.rows {
		r.v.told, r.v.clockTold, r.v.tooMany = 0, false, false
		d.producers.touch(r)
		if !r.v.clock.heard() {
			d.producers.drop(r)
		}
	}
	for _, r := range append([]*row[uint64, Owed](nil), d.order...) {
		if r.v.Excused && r.v.day < d.day-verify.Day {
			d.settle(r)
		}
	}
	d.from = origin{}
}

// meet notes who appended the entry.
func (d *Detector) meet(e *Entry) {
	f, h := &d.from, e.Head
	if f.producer != nil && f.name == h.Producer && f.key == h.KeyFingerprint && f.version == e.Map && f.provenance == h.Provenance {
		return
	}
	r := d.producers.get(h.Producer)
	if r == nil {
		name := string([]byte(h.Producer)) // the entry's is shared
		if r = d.producers.put(name); r == nil {
			d.overflow(e, tableProducers)
		}
	}
	*f = origin{version: e.Map, key: h.KeyFingerprint, provenance: h.Provenance, producer: r}
	if r != nil {
		f.name = r.key
	}
	f.clockLimit, f.expected = clockLimit(e), d.expected.get(h.Producer)
	d.meetKey(e)
}

// raise makes the log owe an alert, unless its producer has too many; empty: it
// counts among none's. Type, subject and what it rests on are set.
func (d *Detector) raise(e *Entry, producer string, m *daybookv1.Alert) {
	r := d.producers.get(producer)
	if r == nil { // no producer, or one that found no room
		if r = d.producers.get(""); r == nil {
			r = d.producers.force("")
		}
	}
	if r.v.told > MaxAlerts || d.told >= MaxDay {
		return
	}
	r.v.told++
	d.told++
	d.producers.touch(r)
	if m.PeriodEndNs == 0 {
		m.PeriodStartNs, m.PeriodEndNs = d.day, d.day+verify.Day
	}
	m.Subject, m.Detail, m.Producer = clip(m.Subject, 2048), clip(m.Detail, 2048), clip(producer, 2048)
	id := verify.AlertID(uint32(m.Type), m.Subject, m.PeriodStartNs, m.PeriodEndNs)
	m.Id, m.DetectorVersion = id[:], Version
	d.owe(Owed{Alert: m, Index: e.Place.Index, Excused: r.v.tooMany})
}

func (d *Detector) owe(o Owed) {
	r := d.owed.force(d.seq)
	d.seq++
	r.v = o
	r.v.day = d.day
	d.order = append(d.order, r)
	if d.Found != nil && !o.Excused {
		d.Found(&r.v)
	}
}

// Owed returns what the log owes, oldest first.
func (d *Detector) Owed() []*Owed {
	out := make([]*Owed, 0, len(d.order))
	for _, r := range d.order {
		out = append(out, &r.v)
	}
	return out
}

// Overdue returns the oldest entry that the log owes, not excused, and should have
// by now: an entry below the cut of the close before the newest one showed it. The
// ledger gives the log what it owes before the next close. nil: none.
func (d *Detector) Overdue() *Owed {
	for _, r := range d.order {
		if !r.v.Excused && r.v.Index < d.cuts[0] {
			return &r.v
		}
	}
	return nil
}

// settle takes a row from what is owed.
func (d *Detector) settle(r *row[uint64, Owed]) {
	for i := range d.order {
		if d.order[i] == r {
			d.order = append(d.order[:i], d.order[i+1:]...)
			break
		}
	}
	d.owed.drop(r)
}

// Mine tells whether an alert is one that a detector owes.
func Mine(m *daybookv1.Alert) bool {
	switch m.Type {
	case daybookv1.AlertType_ALERT_TYPE_CREDENTIAL_REUSE, daybookv1.AlertType_ALERT_TYPE_KEY_REUSE,
		daybookv1.AlertType_ALERT_TYPE_UNDECLARED_FLOW, daybookv1.AlertType_ALERT_TYPE_FORBIDDEN_TIER,
		daybookv1.AlertType_ALERT_TYPE_REVOKED_USE, daybookv1.AlertType_ALERT_TYPE_APPROVAL_UNUSED,
		daybookv1.AlertType_ALERT_TYPE_FLOW_UNUSED, daybookv1.AlertType_ALERT_TYPE_CLOCK, daybookv1.AlertType_ALERT_TYPE_ONE_SIDED,
		daybookv1.AlertType_ALERT_TYPE_SHARED_HOSTING, daybookv1.AlertType_ALERT_TYPE_UNMAPPED:
		return true
	case daybookv1.AlertType_ALERT_TYPE_SILENCE:
		return !strings.HasPrefix(m.Subject, "run ")
	case daybookv1.AlertType_ALERT_TYPE_OVERFLOW:
		return len(m.Subject) > len(overflowSubject) && m.Subject[:len(overflowSubject)] == overflowSubject
	}
	return false
}

// settleAlert compares an alert in the log with what is owed.
func (d *Detector) settleAlert(e *Entry) error {
	m := new(daybookv1.Alert)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return &UncalledError{e.Place.Index, "an alert that does not parse"}
	}
	if m.Type == daybookv1.AlertType_ALERT_TYPE_TOO_MANY {
		d.excuse(m.Producer)
		return nil
	}
	if !Mine(m) || m.DetectorVersion > Version {
		return nil
	}
	for _, r := range d.order {
		if r.v.Alert != nil && bytes.Equal(r.v.Alert.Id, m.Id) && proto.Equal(r.v.Alert, m) {
			d.settle(r)
			return nil
		}
	}
	return &UncalledError{e.Place.Index, fmt.Sprintf("alert %v of %q", m.Type, m.Subject)}
}

// excuse notes that the log keeps no more alerts of a producer on this day.
func (d *Detector) excuse(producer string) {
	r := d.producers.get(producer)
	if r == nil {
		r = d.producers.force(string([]byte(producer)))
	}
	r.v.tooMany = true
	d.producers.touch(r)
	for _, o := range d.order {
		if o.v.Alert != nil && o.v.Alert.Producer == producer {
			o.v.Excused = true
			d.owed.touch(o)
		}
	}
}

// settleActivity compares an activity entry of a producer's clock with what is
// owed.
func (d *Detector) settleActivity(e *Entry) error {
	m := new(daybookv1.Activity)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return &UncalledError{e.Place.Index, "an activity entry that does not parse"}
	}
	if m.Type != daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK || m.Method != ClockMethod {
		return nil
	}
	for _, r := range d.order {
		if r.v.Activity != nil && proto.Equal(r.v.Activity, m) {
			d.settle(r)
			return nil
		}
	}
	return &UncalledError{e.Place.Index, fmt.Sprintf("clock log of %q", m.Actor)}
}

// clip cuts s to n bytes of printable ASCII.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	for i := range len(s) {
		if s[i] >= 0x7f || s[i] < 0x20 {
			b := []byte(s)
			for j := range b {
				if b[j] >= 0x7f || b[j] < 0x20 {
					b[j] = '?'
				}
			}
			return string(b)
		}
	}
	return s
}
