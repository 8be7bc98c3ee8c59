package ledger

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// maxAlerts bounds the alerts of one producer on one UTC day; the next one says
// that there were more.
const maxAlerts = 1000

const dayNS = int64(24 * time.Hour)

// An alerts knows the alerts of one UTC day of log time: a function of the
// entries, rebuilt at open. Owned by the sequencer. It holds at most maxAlerts+1
// ids for each producer, and none of the days before: each id covers a period,
// which is the day itself where the detector has no other, so that an id cannot
// come again.
type alerts struct {
	day   int64
	ids   map[verify.Hash]bool
	count map[string]int // by producer; empty: of none
}

// turn forgets the days before that of now.
func (a *alerts) turn(now int64) {
	if day := now / dayNS; day != a.day || a.ids == nil {
		a.day, a.ids, a.count = day, map[verify.Hash]bool{}, map[string]int{}
	}
}

// note counts an alert that is in the log.
func (a *alerts) note(id verify.Hash, producer string) {
	a.ids[id] = true
	a.count[producer]++
}

// admit gives an alert at log time now its period, where it has none, and its
// id. It returns what is to be appended: the alert, TOO_MANY in its place, or
// nil where the id is there already or the day has its TOO_MANY.
func (a *alerts) admit(m *daybookv1.Alert, now int64) *daybookv1.Alert {
	a.turn(now)
	if m.PeriodEndNs == 0 {
		m.PeriodStartNs = a.day * dayNS
		m.PeriodEndNs = m.PeriodStartNs + dayNS
	}
	m.Subject, m.Detail, m.Producer = clip(m.Subject, 2048), clip(m.Detail, 2048), clip(m.Producer, 2048)
	id := alertID(m)
	if a.ids[id] {
		return nil
	}
	if a.count[m.Producer] >= maxAlerts {
		if m = a.tooMany(m); a.ids[alertID(m)] {
			return nil
		}
		id = alertID(m)
	}
	m.Id, m.DetectorVersion = id[:], 1
	a.note(id, m.Producer)
	return m
}

func (a *alerts) tooMany(m *daybookv1.Alert) *daybookv1.Alert {
	subject := m.Producer
	if subject == "" {
		subject = "no producer"
	}
	return &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_TOO_MANY, Subject: subject, Producer: m.Producer,
		PeriodStartNs: a.day * dayNS, PeriodEndNs: (a.day + 1) * dayNS, Entries: m.Entries,
		Detail: fmt.Sprintf("over %d alerts on this day: further ones are dropped", maxAlerts)}
}

func alertID(m *daybookv1.Alert) verify.Hash {
	return verify.AlertID(uint32(m.Type), m.Subject, m.PeriodStartNs, m.PeriodEndNs)
}

// raise appends an alert, at most one for each id; it does not wait and may be
// called by the sequencer. Type, subject, and the entries it rests on are
// needed; id and detector version are filled in, and where there is no period,
// the UTC day. The ledger owns m from here on.
func (l *Ledger) raise(m *daybookv1.Alert) {
	if err := l.queue.push(&work{op: opAlert, alert: m}); err != nil {
		l.log.Error("an alert was not appended", "type", m.Type, "subject", m.Subject, "error", err)
	}
}

// alert raises an alert that is about a pair of domains or a domain.
func (l *Ledger) alert(typ daybookv1.AlertType, subject, source, target, detail string, index uint64) {
	l.raise(&daybookv1.Alert{Type: typ, Subject: subject, Source: source, Target: target, Entries: []uint64{index + 1}, Detail: detail})
}

// placeAlert places an alert as an entry of the ledger's own, or drops it where
// it is there already.
func (q *sequencer) placeAlert(w *work) error {
	m := q.alerts.admit(w.alert, q.cohort.time)
	w.alert = m
	if m == nil {
		close(w.done)
		return nil
	}
	body, err := marshal(m)
	if err == nil {
		err = verify.CheckBody(daybookv1.Kind_KIND_ALERT, body)
	}
	if err != nil {
		q.l.log.Error("an alert was not appended", "type", m.Type, "subject", m.Subject, "error", err)
		return err
	}
	q.l.log.Warn("alert", "type", m.Type, "subject", m.Subject, "detail", m.Detail)
	w.kind, w.body, w.source, w.target = daybookv1.Kind_KIND_ALERT, body, m.Source, m.Target
	return q.appendOwn(w)
}

// placeNow places an alert between two appends of this cohort. It tells whether
// the alert is there now, and nothing in its place.
func (q *sequencer) placeNow(m *daybookv1.Alert) bool {
	w := &work{op: opAlert, alert: m, done: make(chan struct{})}
	if err := q.placeAlert(w); err != nil {
		w.fail(err)
		return false
	}
	return w.alert == m
}

// placeRaised places what this cohort raised, so that an alert and what it is
// about become durable together.
func (q *sequencer) placeRaised() {
	for _, m := range q.raised {
		q.placeNow(m)
	}
	q.raised = q.raised[:0]
}

// raiseGap reports a gap that the next entry declares.
func (q *sequencer) raiseGap(r *run, a *admitted) {
	q.raised = append(q.raised, &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_GAP, Producer: r.producer,
		Subject: fmt.Sprintf("%s, numbers %d-%d", runSubject(r), a.number, a.last), Entries: []uint64{q.next() + 1},
		Detail: fmt.Sprintf("its producer declares that %d numbers are lost", a.last-a.number+1)})
}

// recoverAlerts reads the alerts of the newest entry's UTC day: back along the
// streams of alerts.
func (q *sequencer) recoverAlerts(s *state) error {
	q.alerts.turn(q.head.TimeNS)
	for key, st := range s.streams {
		if key[0] != byte(daybookv1.Kind_KIND_ALERT) {
			continue
		}
		for at := st.previous; at != 0; {
			raw, err := q.l.frames.entry(at - 1)
			if err != nil {
				return fmt.Errorf("reading alert %d: %w", at-1, err)
			}
			e, err := verify.ParseEntry(raw)
			if err != nil {
				return &FaultError{at - 1, err.Error()}
			}
			if e.Head.LogTimeNS/dayNS != q.alerts.day {
				break
			}
			var m daybookv1.Alert
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return &FaultError{at - 1, err.Error()}
			}
			q.alerts.note(verify.Hash(m.Id), m.Producer)
			at = e.Place.PreviousInStream
		}
	}
	return nil
}
