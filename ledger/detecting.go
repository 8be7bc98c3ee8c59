package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// A detecting feeds the entries of a replay to a detector. The follower has one,
// which appends what the log owes; a check has another, which compares it with
// what the log has. Owned by the goroutine of its replay.
//
// Invariant one-alert: what the log owes stands in it once. The detector of the
// follower is saved with its snapshot, what is owed included, and meets again what
// a crash left in the log after that; at each open the log is given what it owes
// then, and nothing else is ever given to it twice.
type detecting struct {
	detector *detect.Detector
	entry    detect.Entry

	// uncalled is told of an entry that the log does not owe; an error ends the
	// replay.
	uncalled func(*detect.UncalledError) error
	// due is where others are told when the detector must see an entry; nil: they are
	// not.
	due  *atomic.Int64
	told int64
	// sent is what was given to the sequencer; nil: nothing is given to it.
	sent map[*detect.Owed]*work
}

func newDetecting() *detecting {
	return &detecting{detector: detect.New(), uncalled: func(*detect.UncalledError) error { return nil }}
}

// take takes the entry that the replay has applied.
func (d *detecting) take(p *replay, e *verify.Entry, ev *verify.EventFields) error {
	d.entry = detect.Entry{Head: &e.Head, Place: &e.Place, Body: e.Body, Event: ev, Map: p.judge.InForce()}
	if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		d.entry.Grounds = p.grounds
	}
	err := d.detector.Take(&d.entry)
	if due := d.detector.Due(); d.due != nil && due != d.told {
		d.told = due
		d.due.Store(due)
	}
	var uncalled *detect.UncalledError
	if errors.As(err, &uncalled) {
		err = d.uncalled(uncalled)
	}
	return err
}

// start gives the log what it owes, now and from now on. Called before anything
// else is appended.
func (f *follower) startAlerts() {
	d := f.replay.detecting
	d.sent = map[*detect.Owed]*work{}
	d.detector.Found = f.give
	d.due = &f.l.expectDue
	d.told = d.detector.Due()
	d.due.Store(d.told)
	d.uncalled = func(e *detect.UncalledError) error {
		f.l.log.Error("an entry of the ledger's own is not what the entries before it call for: run a check", "index", e.Index, "error", e)
		return nil
	}
	f.giveAgain()
}

// give appends what the log owes; it does not wait.
func (f *follower) give(o *detect.Owed) {
	w := &work{op: opAlert}
	if o.Alert != nil {
		w.alert = proto.CloneOf(o.Alert) // the sequencer's from here on
	} else {
		body, err := marshal(o.Activity)
		if err != nil {
			f.l.log.Error("a clock log was not appended", "producer", o.Activity.Actor, "error", err)
			return
		}
		w.op, w.kind, w.body = opOwn, daybookv1.Kind_KIND_ACTIVITY, body
	}
	if err := f.l.queue.push(w); err != nil {
		return // the log is stopping: its next opening gives it
	}
	f.replay.detecting.sent[o] = w
}

// giveAgain appends what the log owes and was not given, or did not take: its disk
// was full, or its clock at fault.
func (f *follower) giveAgain() {
	d := f.replay.detecting
	if d.sent == nil || f.l.rests() != "" {
		return
	}
	still := map[*detect.Owed]*work{}
	for _, o := range d.detector.Owed() {
		if o.Excused {
			continue
		}
		w := d.sent[o]
		if w != nil && !w.failed() {
			still[o] = w
			continue
		}
		if f.give(o); d.sent[o] != w {
			still[o] = d.sent[o]
		}
	}
	d.sent = still
}

// failed tells whether the work came to nothing.
func (w *work) failed() bool {
	return w.ended() && w.err != nil
}

// tallyDetector begins the rows of the detector in the table of tallies.
const tallyDetector = 'd'

// detectorRows are the rows of a detector in a batch.
type detectorRows struct{ store.Batch }

// Set implements detect.Rows.
func (b detectorRows) Set(key, value []byte) error {
	return b.Batch.Set(tallyKey(tallyDetector, key), value)
}

// Delete implements detect.Rows.
func (b detectorRows) Delete(key []byte) error { return b.Batch.Delete(tallyKey(tallyDetector, key)) }

// load reads the detector that a snapshot holds.
func (d *detecting) load(engine store.Engine, p *replay) error {
	err := engine.Scan(tallyKey(tallyDetector), tallyKey(tallyDetector+1), func(key, value []byte) error {
		return d.detector.Load(key[2:], value)
	})
	if err == nil {
		err = d.detector.Loaded(p.judge.InForce())
	}
	if err != nil {
		return fmt.Errorf("loading the detectors: %w", err)
	}
	return nil
}

// compare compares the snapshot of a detector with what the entries below at
// give.
func (d *detecting) compare(engine store.Engine, at uint64) error {
	rows := 0
	if err := d.detector.All(func(key, value []byte) error {
		rows++
		stored, err := engine.Get(tallyKey(tallyDetector, key))
		if err != nil {
			return faultIn(store.Tally, at, "detector's row %x: %v", key, err)
		}
		if !bytes.Equal(stored, value) {
			return faultIn(store.Tally, at, "detector's row %x differs from the entries", key)
		}
		return nil
	}); err != nil {
		return err
	}
	stored := 0
	if err := engine.Scan(tallyKey(tallyDetector), tallyKey(tallyDetector+1), func(_, _ []byte) error { stored++; return nil }); err != nil {
		return snapshotFault(store.Tally, at, err)
	}
	if stored != rows {
		return faultIn(store.Tally, at, "%d rows of the detectors, where the entries give %d", stored, rows)
	}
	return nil
}

// checkAlerts has a check refuse what the log does not owe.
func (a *audit) checkAlerts() {
	a.replay.detecting = newDetecting()
	a.replay.detecting.uncalled = func(e *detect.UncalledError) error { return &FaultError{e.Index, e.Error()} }
}

// overdue is a fault where the log still owes what a close ago it should have
// had.
func (d *detecting) overdue() error {
	if d == nil {
		return nil
	}
	o := d.detector.Overdue()
	switch {
	case o == nil:
		return nil
	case o.Alert != nil:
		return &FaultError{o.Index, fmt.Sprintf("the log lacks the alert %v of %q, which this entry calls for", o.Alert.Type, o.Alert.Subject)}
	default:
		return &FaultError{o.Index, fmt.Sprintf("the log lacks the clock log of %q, which this close calls for", o.Activity.Actor)}
	}
}
