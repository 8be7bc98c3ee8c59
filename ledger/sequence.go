package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const (
	maxLiveRuns = 4096
	runIdle     = 10 * time.Minute
	// keptOneOffs is how many entries back the sequencer knows its one-offs.
	keptOneOffs = 1 << 18
	retryAfter  = 100 * time.Millisecond
)

// A sequencer gives each entry its index, time, stream, position and verdict,
// and submits what it placed. One goroutine owns all of it.
type sequencer struct {
	l       *Ledger
	state   *state
	time    timekeeper
	head    store.Head // last submitted
	tree    *integrator
	bundle  bundle
	own     *run // the ledger's own run of this opening, once begun
	ownRun  verify.Hash
	batches chan store.Batch // free for use again

	live    map[string]map[verify.Hash]time.Duration // runs by producer with the time of last use
	oneOffs map[verify.Hash]uint64                   // run -> index
	oneOffQ []verify.Hash                            // the same, oldest first
	parked  map[verify.Hash][]*work                  // by run key
	cohort  *cohort                                  // being built
	broken  bool                                     // a commit failed: nothing is submitted any more
	forgot  uint64                                   // snapshot up to which runs were forgotten
	marks   []*work                                  // of the cohort being built

	version  *domains.Version // the domain map in force for the next entry; nil: none
	alerts   alerts
	grounds  domains.Grounds    // of the entry being placed
	raised   []*daybookv1.Alert // by this cohort, placed at its end
	silences silences
	end      *domains.Succeeded // the log's last entry; nil: it goes on
}

func (q *sequencer) loop() {
	for {
		q.l.awaitFollower()
		works, ok := q.l.queue.take(q.l.engine.InFlight())
		if !ok {
			q.releaseParked()
			return
		}
		if err := q.begin(); err != nil {
			q.l.clockFault(err)
			for _, w := range works {
				w.fail(err)
			}
			continue
		}
		q.reportDue()
		for _, w := range works {
			q.sequence(w)
		}
		q.placeRaised()
		q.placeMarks()
		if len(q.cohort.entries) == 0 && len(q.cohort.rows) == 0 {
			continue
		}
		if err := q.integrate(); err != nil {
			q.broken = true
			q.l.fail(err)
			q.cohort.failAll(ErrOutcomeUnknown)
		}
	}
}

// begin starts the next cohort.
func (q *sequencer) begin() error {
	now, err := q.time.next()
	if err != nil {
		return err
	}
	fault := q.l.clockRight(now)
	if saved := q.l.saved.Load(); saved != q.forgot {
		q.state.forget(saved)
		q.forgot = saved
	}
	q.cohort = newCohort(q.head.Size, now)
	q.placeFault(fault)
	return nil
}

func (q *sequencer) sequence(w *work) {
	if w.parked && !q.unpark(w) {
		return // its number came while its time ended
	}
	err := q.refusal(w)
	if err == nil {
		switch w.op {
		case opAppend:
			err = q.append(w)
		case opOneOff:
			err = q.appendOneOff(w)
		case opOpen:
			err = q.open(w)
		case opResume:
			err = q.resume(w)
		case opControl:
			err = q.control(w)
		case opOwn:
			err = q.appendOwn(w)
		case opMark:
			q.marks = append(q.marks, w)
		case opAlert:
			err = q.placeAlert(w)
		case opWatch:
			err = q.watchRuns(w)
		case opGovern:
			err = w.step(q, w)
		case opKeep:
			q.keep(w)
		}
	}
	if errors.Is(err, errParked) {
		return
	}
	if err != nil {
		w.fail(err)
		return
	}
	if w.op == opAppend && len(q.parked) > 0 {
		q.advance(verify.RunStart(w.producer.ID, w.run))
	}
}

// refusal says why a work is not sequenced; nil is one of the ledger's own.
func (q *sequencer) refusal(w *work) error {
	if q.broken {
		return ErrOutcomeUnknown
	}
	if w != nil && w.op == opKeep {
		return nil // it is no append
	}
	if reason := q.l.shutReason(); reason != "" {
		return &ShutError{reason}
	}
	if q.end != nil {
		return &SucceededError{q.end.Body.Origin, q.end.Body.Vkey, q.end.Index}
	}
	own := w == nil || w.op >= opOwn
	if err := q.l.watched.disk.refusal(own); err != nil && (own || !q.repeats(w)) {
		return err
	}
	return nil
}

func (q *sequencer) append(w *work) error {
	r, err := q.state.run(w.producer.ID, w.run)
	if err != nil {
		return err
	}
	if w.epoch != r.epoch {
		return &EpochError{r.epoch}
	}
	if w.first <= r.last {
		return &errRepeat{next: r.last + 1, upto: q.next()}
	}
	if r.ended {
		return ErrRunEnded
	}
	if w.first > r.last+1 {
		return q.park(w, r)
	}
	if err := q.speaks(w, r.provenance); err != nil {
		return err
	}
	if err := q.touch(r); err != nil {
		return err
	}
	q.stir(r)
	q.beginAppend(w, r.provenance, w.run, r.epoch)
	for i := range w.items {
		q.placeItem(r, &w.items[i])
	}
	q.endAppend(w, r)
	return nil
}

// placeItem places one admitted item of a run.
func (q *sequencer) placeItem(r *run, a *admitted) {
	place := verify.EntryHead{Kind: a.kind, Number: a.number, Source: a.source, Target: a.target}
	if a.kind == daybookv1.Kind_KIND_ACCESS {
		q.judge(&place, a, r.provenance)
	} else {
		q.tell(r, a)
	}
	place.PreviousInRun = r.previous
	r.previous = q.next() + 1
	r.hash = verify.RunNext(r.hash, a.number, a.sum)
	r.last = a.last
	q.place(&place, a.body, &a.event)
	q.keepOpenings(&place, a)
}

// next is the index of the next entry.
func (q *sequencer) next() uint64 { return q.cohort.first + uint64(len(q.cohort.entries)) }

// place gives one entry its index, stream and position. event is that of an
// access, else zero.
func (q *sequencer) place(place *verify.EntryHead, body []byte, event *verify.EventFields) {
	place.Index = q.next()
	st := q.state.stream(place)
	place.Position, place.PreviousInStream = st.count, st.previous
	st.count++
	st.previous = place.Index + 1
	if q.l.publicTiles {
		place.Blind = q.cohort.blind()
	}
	q.cohort.add(pending{body: body, place: *place, event: event, stream: st, grounds: q.grounds})
	q.grounds = domains.Grounds{}
}

func (q *sequencer) beginAppend(w *work, p daybookv1.Provenance, run verify.Hash, epoch uint64) {
	head := verify.BatchHead{FormatVersion: FormatVersion, LogTimeNS: q.cohort.time, Producer: w.producer.ID,
		KeyFingerprint: w.producer.KeyFingerprint, Provenance: p, Run: run, Epoch: epoch, RulesVersion: domains.RulesVersion}
	if q.version != nil {
		head.MapIndex = q.version.Index
	}
	q.cohort.begin(head)
	w.result.cohort = q.cohort
	w.result.first = q.next()
	w.result.headBytes = q.cohort.head
}

func (q *sequencer) endAppend(w *work, r *run) {
	w.result.places = q.cohort.places[w.result.first-q.cohort.first : len(q.cohort.entries)]
	if r != nil {
		r.time = q.cohort.time
	}
	q.cohort.end(r)
	if r != nil {
		w.result.state = stateOf(r)
	}
	q.cohort.works = append(q.cohort.works, w)
}

func (q *sequencer) appendOneOff(w *work) error {
	if r, ok := q.oneOffs[w.run]; ok {
		return &errRepeat{next: 2, upto: r + 1}
	}
	if len(q.oneOffQ) > 0 && w.checked+keptOneOffs < q.next() {
		return errRecheck{}
	}
	if err := q.speaks(w, daybookv1.Provenance_PROVENANCE_FIRST_HAND); err != nil {
		return err
	}
	q.beginAppend(w, daybookv1.Provenance_PROVENANCE_FIRST_HAND, w.run, 1)
	a := &w.items[0]
	place := verify.EntryHead{Kind: a.kind, Number: 1, Source: a.source}
	q.judge(&place, a, daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	q.oneOffs[w.run] = q.next()
	q.oneOffQ = append(q.oneOffQ, w.run)
	for q.oneOffs[q.oneOffQ[0]]+2*keptOneOffs < q.next() {
		delete(q.oneOffs, q.oneOffQ[0])
		q.oneOffQ = q.oneOffQ[1:]
	}
	q.place(&place, a.body, &a.event)
	q.keepOpenings(&place, a)
	q.endAppend(w, nil)
	return nil
}

func (q *sequencer) open(w *work) error {
	r, err := q.state.run(w.producer.ID, w.run)
	if err == nil {
		if r.provenance != w.opened.Provenance {
			return &RefusedError{Field: "provenance", Reason: "the run was opened with another one"}
		}
		w.result.state = stateOf(r)
		return &errRepeat{upto: q.next()}
	}
	if !errors.Is(err, ErrNoRun) {
		return err
	}
	body, err := marshal(w.opened)
	if err != nil {
		return err
	}
	r = &run{producer: w.producer.ID, id: w.run, provenance: w.opened.Provenance, opened: q.next(),
		hash: verify.RunStart(w.producer.ID, w.run)}
	if err := r.takeControl(daybookv1.Kind_KIND_RUN_OPENED, 1, body); err != nil {
		return &RefusedError{Field: "opened", Reason: err.Error()}
	}
	if err := q.touch(r); err != nil {
		return err
	}
	q.state.runs[r.key()] = r
	q.placeControl(w, r, daybookv1.Kind_KIND_RUN_OPENED, body)
	q.stir(r)
	return nil
}

func (q *sequencer) resume(w *work) error {
	r, err := q.state.run(w.producer.ID, w.run)
	if err != nil {
		return err
	}
	if r.ended {
		return ErrRunEnded
	}
	m := &daybookv1.RunResumed{Run: r.id[:], Last: r.last, Hash: r.hash[:], Epoch: r.epoch + 1, PresentedSize: w.resumed}
	if spki, err := verify.CertificateSPKI(w.producer.Certificate); err == nil && string(spki) != string(r.spki) {
		m.Certificate = w.producer.Certificate
	}
	body, err := marshal(m)
	if err != nil {
		return err
	}
	if err := q.touch(r); err != nil {
		return err
	}
	q.stir(r)
	if err := r.takeControl(daybookv1.Kind_KIND_RUN_RESUMED, r.epoch+1, body); err != nil {
		return &RefusedError{Field: "resumed", Reason: err.Error()}
	}
	q.placeControl(w, r, daybookv1.Kind_KIND_RUN_RESUMED, body)
	return nil
}

func (q *sequencer) control(w *work) error {
	r, err := q.state.run(w.producer.ID, w.run)
	if err != nil {
		return err
	}
	if r.ended {
		return ErrRunEnded
	}
	if w.epoch != r.epoch {
		return &EpochError{r.epoch}
	}
	q.stir(r)
	if err := r.takeControl(w.kind, w.epoch, w.body); err != nil {
		return &RefusedError{Field: "hash", Reason: err.Error()}
	}
	q.placeControl(w, r, w.kind, w.body)
	if r.ended {
		delete(q.live[r.producer], r.key())
	}
	return nil
}

// placeControl places an entry of one of the four run kinds.
func (q *sequencer) placeControl(w *work, r *run, kind daybookv1.Kind, body []byte) {
	q.beginAppend(w, r.provenance, r.id, r.epoch)
	place := verify.EntryHead{Kind: kind, Source: producerDomain(r.producer), PreviousInRun: r.previous}
	r.previous = q.next() + 1
	r.stated(kind)
	q.place(&place, body, &verify.EventFields{})
	w.result.body = body
	q.endAppend(w, r)
}

// touch notes the use of a run and bounds the live runs of a producer.
func (q *sequencer) touch(r *run) error {
	runs := q.live[r.producer]
	if runs == nil {
		runs = map[verify.Hash]time.Duration{}
		q.live[r.producer] = runs
	}
	now, key := q.l.clock.Mono(), r.key()
	if _, ok := runs[key]; !ok && len(runs) >= maxLiveRuns {
		for k, used := range runs {
			if now-used > runIdle {
				delete(runs, k)
			}
		}
		if len(runs) >= maxLiveRuns {
			return &BusyError{What: fmt.Sprintf("producer has %d live runs", maxLiveRuns), RetryAfter: time.Minute}
		}
	}
	runs[key] = now
	return nil
}
