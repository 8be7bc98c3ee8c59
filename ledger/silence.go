package ledger

import (
	"container/heap"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	// minSilence and maxSilence bound the silence limit of a run.
	minSilence = time.Second
	maxSilence = 31 * 24 * time.Hour
	// silenceTick is how often the time is compared with the next deadline.
	silenceTick = 200 * time.Millisecond
	// watchBatch bounds the runs taken up at once, and those looked at in one
	// cohort: alerts that are due beyond it come in the next ones.
	watchBatch = 4096
)

// checkSilenceLimit refuses a limit that a run cannot have.
func checkSilenceLimit(m *daybookv1.RunOpened) error {
	switch limit := m.SilenceLimitNs; {
	case limit == 0:
		return nil
	case m.Import != nil || m.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL:
		return errors.New("an import or a backfill has no silence limit")
	case limit < uint64(minSilence) || limit > uint64(maxSilence):
		return fmt.Errorf("a silence limit is %v to %v", minSilence, maxSilence)
	}
	return nil
}

// A silences watches the runs that have a silence limit. A deadline is not moved
// when its run gets an entry: it is looked at again when it comes. Owned by the
// sequencer.
//
// Invariant one-alert: where a run's next entry, or any entry of a later time,
// shows that the run was silent past its limit, beginning at since, exactly one
// alert of it stands in the log, before the run's next entry.
type silences struct {
	since int64 // log time before which no silence counts; 0: nothing counts yet
	heap  deadlines
}

// A deadline is when a run must be looked at.
type deadline struct {
	at  int64 // log time
	run *run  // armed, so that it stays in memory
}

// deadlines is a heap, the earliest on top.
type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push implements heap.Interface.
func (d *deadlines) Push(x any) { *d = append(*d, x.(deadline)) }

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	n := len(*d) - 1
	x := (*d)[n]
	(*d)[n] = deadline{}
	*d = (*d)[:n]
	return x
}

// excuse lets no silence before log time now count: the ledger took nothing.
func (q *sequencer) excuse(now int64) {
	q.silences.since = now
	q.l.takesSince.Store(now)
}

// arm watches a run that is silent from a log time on.
func (q *sequencer) arm(r *run, from int64) {
	r.armed = true
	heap.Push(&q.silences.heap, deadline{from + r.silence, r})
	q.l.silenceDue.Store(q.silences.heap[0].at)
}

// armAll watches the runs in memory: those that snapshots lack are all there.
func (q *sequencer) armAll() {
	for _, r := range q.state.runs {
		if r.watchable() && !r.armed {
			q.arm(r, r.time)
		}
	}
}

// stir is told of a run that gets an entry now, before that is placed: an alert
// of the silence that it ends comes first. It costs runs without a limit one
// comparison for each append.
func (q *sequencer) stir(r *run) {
	if r.silence == 0 {
		return
	}
	q.reportSilence(r)
	if !r.armed {
		q.arm(r, q.cohort.time)
	}
}

// silentFrom is the beginning of a run's silence as far as it counts.
func (q *sequencer) silentFrom(r *run) int64 { return max(r.time, q.silences.since) }

// reportSilence places an alert where the run is past its limit, one for each
// silence.
func (q *sequencer) reportSilence(r *run) {
	from := q.silentFrom(r)
	if q.silences.since == 0 || !r.watchable() || q.cohort.time-from <= r.silence {
		return
	}
	placed := q.placeNow(&daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_SILENCE, Subject: runSubject(r), Producer: r.producer,
		PeriodStartNs: from, PeriodEndNs: from + r.silence, Entries: []uint64{r.previous},
		Detail: fmt.Sprintf("no entry for longer than the %v it declared, after number %d", time.Duration(r.silence), r.last)})
	if !placed { // the day has too many alerts
		r.dropped = r.previous
		return
	}
	r.alerted = r.previous
	left := *r
	q.cohort.appends[len(q.cohort.appends)-1].silent = &left
}

// watchable tells whether silence of the run can still be reported, before its
// next entry.
func (r *run) watchable() bool {
	return r.silence != 0 && !r.ended && r.alerted != r.previous && r.dropped != r.previous
}

// reportDue places alerts of the silences that this cohort's time shows, before
// anything else of it. First in an opening comes the ledger's own run, so that
// the entries say from when on silence counts. It costs a cohort two comparisons
// where nothing is due.
func (q *sequencer) reportDue() {
	h := &q.silences.heap
	if q.own != nil && (h.Len() == 0 || (*h)[0].at >= q.cohort.time) || q.refusal(nil) != nil {
		return
	}
	if err := q.openOwn(); err != nil {
		q.l.log.Error("the ledger's own run was not opened", "error", err)
		return
	}
	for n := 0; n < watchBatch && h.Len() > 0 && (*h)[0].at < q.cohort.time; n++ {
		r := heap.Pop(h).(deadline).run
		r.armed = false
		q.reportSilence(r)
		if r.watchable() {
			q.arm(r, q.silentFrom(r))
		}
	}
	due := int64(0)
	if h.Len() > 0 {
		due = (*h)[0].at
	}
	q.l.silenceDue.Store(due)
}

// watchRuns takes up runs that the snapshots hold. Without any its work is only
// there to form a cohort, so that what is due is reported.
func (q *sequencer) watchRuns(w *work) error {
	for _, name := range w.watched {
		r, err := q.state.run(name.producer, name.id)
		if err != nil {
			return fmt.Errorf("watching run %x: %w", name.id, err)
		}
		if !r.armed && r.watchable() {
			q.arm(r, r.time)
		}
	}
	close(w.done)
	return nil
}

// adoptAlert takes over from the sequencer that silence of a run was reported;
// nil: of none.
func (p *replay) adoptAlert(silent *run) error {
	if silent == nil {
		return nil
	}
	r, err := p.state.run(silent.producer, silent.id)
	if err != nil {
		return err
	}
	r.alerted = silent.alerted
	p.touch(r)
	return nil
}

// A runName names a run.
type runName struct {
	producer string
	id       verify.Hash
}

// watchSilence has the sequencer look for silence when a deadline has come, also
// where nothing else is appended, until ctx ends.
func (l *Ledger) watchSilence(ctx context.Context) {
	if err := l.watchSnapshots(ctx); err != nil && ctx.Err() == nil {
		l.log.Error("silence of runs from before this opening may go unnoticed until their next entry", "error", err)
	}
	clocks := clockLog{l: l}
	tick := time.NewTicker(silenceTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		clocks.tick()
		if due := l.silenceDue.Load(); due == 0 || l.clock.Wall() <= due {
			continue
		}
		if err := l.watch(ctx, nil); err != nil && ctx.Err() == nil {
			l.log.Debug("silence is looked for again later", "error", err)
		}
	}
}

// watch has the sequencer take up runs and look at the deadlines.
func (l *Ledger) watch(ctx context.Context, runs []runName) error {
	w := &work{op: opWatch, watched: runs}
	if err := l.queue.push(w); err != nil {
		return err
	}
	return w.wait(ctx)
}

// watchSnapshots takes up the runs that the snapshots hold; those touched since
// are watched from the opening on. It reads beside appends, so that opening a
// log does not wait for it.
func (l *Ledger) watchSnapshots(ctx context.Context) error {
	var found []runName
	lo, hi := store.Runs.Range()
	err := l.engine.Scan(lo, hi, func(_, value []byte) error {
		r, err := parseRun(value)
		if err != nil {
			return err
		}
		if r.watchable() {
			found = append(found, runName{r.producer, r.id})
		}
		return context.Cause(ctx)
	})
	if err != nil {
		return err
	}
	for len(found) > 0 {
		n := min(len(found), watchBatch)
		if err := l.watch(ctx, found[:n]); err != nil {
			return err
		}
		found = found[n:]
	}
	return nil
}

// runSubject names a run in an alert.
func runSubject(r *run) string { return fmt.Sprintf("run %x of %s", r.id, r.producer) }

// parseRunSubject returns the run id of runSubject.
func parseRunSubject(subject string) (id verify.Hash, ok bool) {
	rest, ok := strings.CutPrefix(subject, "run ")
	if !ok || len(rest) < 64 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(rest[:64]))
	return id, err == nil
}

// applyAlert notes on its run that silence was reported, and refuses an alert
// of silence that the entries before it do not call for.
func (p *replay) applyAlert() error {
	var m daybookv1.Alert
	if err := proto.Unmarshal(p.entry.Body, &m); err != nil {
		return err
	}
	if id := alertID(&m); verify.Hash(m.Id) != id {
		return fmt.Errorf("alert has id %x, not %x", m.Id, id)
	}
	if m.Type != daybookv1.AlertType_ALERT_TYPE_SILENCE || detect.Mine(&m) {
		return nil
	}
	id, ok := parseRunSubject(m.Subject)
	if !ok {
		return fmt.Errorf("silence of %q, which is no run", m.Subject)
	}
	r, err := p.state.run(m.Producer, id)
	if err != nil {
		return fmt.Errorf("silence of run %x: %w", id, err)
	}
	if r.ended || r.silence == 0 || r.alerted == r.previous || len(m.Entries) != 1 || m.Entries[0] != r.previous ||
		m.PeriodStartNs < r.time || m.PeriodEndNs != m.PeriodStartNs+r.silence || m.PeriodEndNs >= p.entry.Head.LogTimeNS {
		return fmt.Errorf("silence of run %x, which is not past its limit or was reported", id)
	}
	r.alerted = r.previous
	p.touch(r)
	return nil
}
