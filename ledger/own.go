package ledger

import (
	"fmt"

	"crypto/sha256"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"

	"google.golang.org/protobuf/proto"
)

// An ownEntry is one entry that the ledger itself appends.
type ownEntry struct {
	kind           daybookv1.Kind
	body           proto.Message
	source, target string
}

func activity(typ daybookv1.ActivityType, detail string) ownEntry {
	return ownEntry{kind: daybookv1.Kind_KIND_ACTIVITY, body: &daybookv1.Activity{Type: typ, Actor: "unknown", Detail: clip(detail, 4096), Count: 1}}
}

// enqueueOwn appends an entry of the ledger's own, outside of the queue's
// bounds; it does not wait.
func (l *Ledger) enqueueOwn(e ownEntry) {
	body, err := marshal(e.body)
	if err == nil {
		err = verify.CheckBody(e.kind, body)
	}
	if err == nil {
		err = l.queue.push(&work{op: opOwn, kind: e.kind, body: body, source: e.source, target: e.target})
	}
	if err != nil {
		l.log.Error("an entry of the ledger's own was not appended", "kind", e.kind, "error", err)
	}
}

// alert appends an alert, at most one for each id; it does not wait and may be
// called by the sequencer.
func (l *Ledger) alert(typ daybookv1.AlertType, subject, source, target, detail string, index uint64) {
	id := verify.AlertID(uint32(typ), subject, 0, 0)
	l.mu.Lock()
	again := l.alerted[id]
	l.alerted[id] = true
	l.mu.Unlock()
	if again {
		return
	}
	l.log.Warn("alert", "type", typ, "subject", subject, "detail", detail)
	l.enqueueOwn(ownEntry{kind: daybookv1.Kind_KIND_ALERT, source: source, target: target, body: &daybookv1.Alert{Id: id[:], Type: typ,
		DetectorVersion: 1, Subject: clip(subject, 2048), Source: source, Target: target, Entries: []uint64{index + 1}, Detail: clip(detail, 2048)}})
}

// clockRight notes that the clock is right again, and leaves an alert of the
// fault: there was no time to give to one while it lasted.
func (l *Ledger) clockRight() {
	l.mu.Lock()
	was := l.clockAt
	l.clockAt = ""
	l.mu.Unlock()
	if was != "" {
		l.alert(daybookv1.AlertType_ALERT_TYPE_LEDGER_CLOCK, l.origin, "", "", was, l.Head().Size-1)
	}
}

// appendOwn places an entry of the ledger's own. Its run begins with the first
// one after each open.
func (q *sequencer) appendOwn(w *work) error {
	w.producer = Producer{ID: q.l.origin, KeyFingerprint: sha256.Sum256([]byte(q.l.vkey))}
	if q.own == nil {
		if err := q.openOwn(w); err != nil {
			return err
		}
	}
	q.beginAppend(w, q.own.provenance, q.own.id, q.own.epoch)
	q.placeItem(q.own, &admitted{kind: w.kind, body: w.body, sum: sha256.Sum256(w.body), number: q.own.last + 1, last: q.own.last + 1,
		source: w.source, target: w.target})
	q.endAppend(w, q.own)
	return nil
}

func (q *sequencer) openOwn(w *work) error {
	m := &daybookv1.RunOpened{Run: q.ownRun[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Software: clip(q.l.software, 128)}
	body, err := marshal(m)
	if err != nil {
		return err
	}
	r := &run{producer: q.l.origin, id: q.ownRun, provenance: m.Provenance, opened: q.next(), hash: verify.RunStart(q.l.origin, q.ownRun)}
	if err := r.takeControl(daybookv1.Kind_KIND_RUN_OPENED, 1, body); err != nil {
		return fmt.Errorf("opening the ledger's own run: %w", err)
	}
	q.own = r
	q.state.runs[r.key()] = r
	opened := &work{producer: w.producer, done: make(chan struct{})}
	q.placeControl(opened, r, daybookv1.Kind_KIND_RUN_OPENED, body)
	return nil
}

// conflictAlert reports other bytes under a number that was taken.
func (l *Ledger) conflictAlert(producer string, run verify.Hash, number, index uint64) {
	l.alert(daybookv1.AlertType_ALERT_TYPE_NUMBER_CONFLICT, producer, "", "",
		fmt.Sprintf("run %x: other bytes under number %d", run, number), index)
}
