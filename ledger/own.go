package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"

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
	if _, err := l.pushOwn(e); err != nil {
		l.log.Error("an entry of the ledger's own was not appended", "kind", e.kind, "error", err)
	}
}

func (l *Ledger) pushOwn(e ownEntry) (*work, error) {
	body, err := marshal(e.body)
	if err == nil {
		err = verify.CheckBody(e.kind, body)
	}
	w := &work{op: opOwn, kind: e.kind, body: body, source: e.source, target: e.target}
	if err == nil {
		err = l.queue.push(w)
	}
	return w, err
}

// appendOwnEntry is enqueueOwn that waits until the entry is published.
func (l *Ledger) appendOwnEntry(ctx context.Context, e ownEntry) error {
	w, err := l.pushOwn(e)
	if err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	select {
	case <-w.done: // both were ready: what was appended must not be appended again
		return w.err
	default:
		return context.Cause(ctx)
	}
}

// clockRight notes that the clock is right again at log time now, and returns the
// alert of the fault: there was no time to give to one while it lasted. nil: there
// was no fault.
func (l *Ledger) clockRight(now int64) *daybookv1.Alert {
	l.mu.Lock()
	was := l.clockAt
	l.clockAt = ""
	l.mu.Unlock()
	if was == "" {
		return nil
	}
	head := l.Head()
	return &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_LEDGER_CLOCK, Subject: l.origin, Producer: l.origin,
		PeriodStartNs: head.TimeNS, PeriodEndNs: max(now, head.TimeNS+1), Entries: []uint64{head.Size}, Detail: was}
}

// placeFault places the alert of a fault of the clock, nil where there was none,
// first in the cohort: whoever reads the entries knows then that what they lack is
// no producer's silence.
func (q *sequencer) placeFault(fault *daybookv1.Alert) {
	if fault == nil {
		return
	}
	q.excuse(q.cohort.time)
	if q.refusal(nil) == nil {
		q.placeNow(fault)
	}
}

// appendOwn places an entry of the ledger's own. Its run begins with the first
// one after each open.
func (q *sequencer) appendOwn(w *work) error {
	if err := q.openOwn(); err != nil {
		return err
	}
	q.placeOwn(w, []ownBody{{w.kind, w.body, w.source, w.target}})
	return nil
}

// An ownBody is a marshalled entry of the ledger's own.
type ownBody struct {
	kind           daybookv1.Kind
	body           []byte
	source, target string
}

// ownRuns is how many entries appendAll places before its own.
func (q *sequencer) ownRuns() uint64 {
	if q.own == nil {
		return 1
	}
	return 0
}

// appendAll places entries of the ledger's own as one append.
func (q *sequencer) appendAll(w *work, entries []ownBody) error {
	if err := q.openOwn(); err != nil {
		return err
	}
	q.placeOwn(w, entries)
	return nil
}

func (q *sequencer) placeOwn(w *work, entries []ownBody) {
	w.producer = q.ownProducer()
	q.beginAppend(w, q.own.provenance, q.own.id, q.own.epoch)
	for _, e := range entries {
		index := q.next()
		q.placeItem(q.own, &admitted{kind: e.kind, body: e.body, sum: sha256.Sum256(e.body), number: q.own.last + 1, last: q.own.last + 1,
			source: e.source, target: e.target})
		if err := q.l.judge.Apply(index, q.cohort.time, e.kind, e.body); err != nil {
			q.cohort.fault = fmt.Errorf("entry %d, a %v: %w", index, e.kind, err) // it was checked before: the log must not have it
		}
	}
	q.endAppend(w, q.own)
}

// enforce brings the version into force that the approval before was the last
// for. nil: it was not.
func (q *sequencer) enforce() (*domains.Version, error) {
	m := q.l.judge.Ready()
	if m == nil {
		return nil, nil
	}
	body, err := marshal(m)
	if err != nil {
		return nil, err
	}
	q.placeOwn(&work{done: make(chan struct{})}, []ownBody{{kind: daybookv1.Kind_KIND_DOMAIN_MAP, body: body}})
	q.version = q.l.judge.InForce()
	q.cohort.version = q.version
	return q.version, nil
}

func (q *sequencer) ownProducer() Producer {
	return Producer{ID: q.l.origin, KeyFingerprint: q.l.judge.Keys().Current().Fingerprint}
}

// openOwn opens the ledger's own run of this opening, once.
func (q *sequencer) openOwn() error {
	if q.own != nil {
		return nil
	}
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
	q.excuse(q.cohort.time)
	q.state.runs[r.key()] = r
	opened := &work{producer: q.ownProducer(), done: make(chan struct{})}
	q.placeControl(opened, r, daybookv1.Kind_KIND_RUN_OPENED, body)
	return nil
}

// conflictAlert reports other bytes under a number that was taken.
func (l *Ledger) conflictAlert(producer string, run verify.Hash, number, index uint64) {
	l.raise(&daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_NUMBER_CONFLICT, Subject: producer, Producer: producer,
		Entries: []uint64{index + 1}, Detail: fmt.Sprintf("run %x: other bytes under number %d", run, number)})
}

// marshal is for the ledger's own bodies; the producer's are never marshalled
// again.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func randomHash() (h verify.Hash) {
	rand.Read(h[:])
	return h
}
