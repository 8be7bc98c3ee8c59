package ledger

import (
	"errors"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// Unary calls of one run overtake each other: what comes ahead of its number
// waits a moment for what is missing.
const (
	parkNumbers = 1024
	parkBytes   = 1 << 20
	parkTime    = time.Second
)

// errParked: the work waits for lower numbers.
var errParked = errors.New("parked")

func (q *sequencer) park(w *work, r *run) error {
	out := &OutOfOrderError{Expected: r.last + 1}
	key := r.key()
	bytes := w.bytes
	for _, p := range q.parked[key] {
		bytes += p.bytes
	}
	if w.parked || w.items[len(w.items)-1].last-r.last > parkNumbers || bytes > parkBytes {
		return out
	}
	w.parked = true
	q.parked[key] = append(q.parked[key], w)
	q.l.timers.Go(func() { q.l.parkTimer(w) })
	return errParked
}

// unpark takes a parked work off the list; false where it is not on it any
// more, because its number came.
func (q *sequencer) unpark(w *work) bool {
	key := verify.RunStart(w.producer.ID, w.run)
	i := slices.Index(q.parked[key], w)
	if i < 0 {
		return false
	}
	q.parked[key] = slices.Delete(q.parked[key], i, i+1)
	if len(q.parked[key]) == 0 {
		delete(q.parked, key)
	}
	return true
}

// parkTimer sends a parked work to the sequencer a last time when its moment is
// over.
func (l *Ledger) parkTimer(w *work) {
	timer := time.NewTimer(parkTime)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-l.stopping:
	case <-timer.C:
		l.queue.requeue(w)
	}
}

// advance sequences what was parked for the number that has come.
func (q *sequencer) advance(key verify.Hash) {
	for {
		r := q.state.runs[key]
		i := slices.IndexFunc(q.parked[key], func(p *work) bool { return r != nil && p.first <= r.last+1 })
		if i < 0 {
			return
		}
		w := q.parked[key][i]
		q.unpark(w)
		if err := q.append(w); err != nil {
			w.fail(err)
		}
	}
}

// releaseParked fails what is still parked when the log ends.
func (q *sequencer) releaseParked() {
	for key, works := range q.parked {
		for _, w := range works {
			w.fail(errClosing)
		}
		delete(q.parked, key)
	}
}
