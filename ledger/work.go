package ledger

import (
	"context"
	"sync"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

type op uint8

const (
	opAppend op = iota
	opOneOff
	opOpen
	opResume
	opControl // heartbeat or end
	opOwn
	opMark
	opAlert  // an alert of the ledger's own
	opWatch  // look for silence
	opGovern // a step of a person's: see govern
	opKeep   // rows beside the entries: see keep
)

// A work is one request on its way through the sequencer. The caller fills it
// in and waits for done; the sequencer or the publisher sets the result and
// closes done, once.
type work struct {
	op       op
	producer Producer
	run      verify.Hash
	epoch    uint64
	first    uint64
	items    []admitted
	kind     daybookv1.Kind // opControl, opOwn
	body     []byte         // opControl, opOwn
	source   string         // opOwn
	target   string         // opOwn
	opened   *daybookv1.RunOpened
	resumed  uint64 // opResume: size of the presented checkpoint
	checked  uint64 // opOneOff: entries the caller has looked through
	alert    *daybookv1.Alert
	watched  []runName // opWatch: runs to watch from now on
	bytes    int64
	parked   bool
	demand   bool                              // opMark: close the period there
	mark     *mark                             // opMark: set before done is closed
	step     func(q *sequencer, w *work) error // opGovern
	rows     []keptRow                         // opKeep

	version *domains.Version // items are resolved by; nil: there was no map
	mute    error            // why the producer may not report the items; nil: it may
	second  bool             // it may only where its run is not first-hand

	done   chan struct{}
	err    error
	result result
}

// A result says where a work's entries are; its slices are immutable once done
// is closed.
type result struct {
	cohort    *cohort
	first     uint64 // index of the first entry
	headBytes []byte
	places    []span // of cohort.heads
	state     runState
	body      []byte // opOpen, opResume: as written
}

// A runState is where a run stood when a work was sequenced.
type runState struct {
	epoch, next uint64
	hash        verify.Hash
	ended       bool
	opened      uint64 // index of the run opened entry
	silence     int64
}

// errRepeat: the batch begins below the run's next number. The caller looks the
// repeats up, once everything submitted so far is published.
type errRepeat struct {
	next uint64
	upto uint64 // size of the log then
}

func (*errRepeat) Error() string { return "batch repeats numbers" }

// errRecheck: the one-off was looked up too long ago.
type errRecheck struct{}

func (errRecheck) Error() string { return "one-off must be looked up again" }

func (w *work) fail(err error) {
	w.err = err
	close(w.done)
}

// A queue holds what waits to be sequenced. Safe for concurrent use.
type queue struct {
	limit int64 // bytes; one producer takes at most an eighth

	mu       sync.Mutex
	cond     *sync.Cond
	works    []*work          // guarded by mu
	bytes    int64            // guarded by mu
	share    map[string]int64 // bytes by producer; guarded by mu
	inflight int              // submitted cohorts not yet durable; guarded by mu
	closed   error            // why nothing is taken any more; guarded by mu
	drain    drain            // guarded by mu
}

func newQueue(limit int64) *queue {
	q := &queue{limit: limit, share: map[string]int64{}}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// workOverhead is what a work costs beside its bodies.
const workOverhead = 512

// push adds w, or refuses it at once where a bound is reached.
func (q *queue) push(w *work) error {
	w.bytes += workOverhead
	w.done = make(chan struct{})
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	if w.op < opOwn {
		share := q.share[w.producer.ID] + w.bytes
		if q.bytes+w.bytes > q.limit || share > q.limit/8 {
			return &BusyError{What: "the queue is full", RetryAfter: q.drain.hint(q.bytes)}
		}
		q.share[w.producer.ID] = share
	}
	if len(q.works) == 0 {
		q.drain.wakes()
	}
	q.bytes += w.bytes
	q.works = append(q.works, w)
	q.cond.Broadcast()
	return nil
}

// cutLarge is how much must wait before a second cohort is cut while one is in
// flight: small cohorts waste syncs.
const cutLarge = 256 << 10

// take waits for what forms the next cohort; ok is false once the queue is
// closed and empty.
func (q *queue) take(inflight int) (works []*work, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		n := len(q.works)
		if n > 0 && (q.inflight == 0 || (q.inflight < inflight && q.bytes >= cutLarge)) {
			break
		}
		if n == 0 && q.closed != nil {
			return nil, false
		}
		q.cond.Wait()
	}
	return q.cut(), true
}

// cohortBytes bounds one cohort, and with it the memory that commits in flight
// hold.
const cohortBytes = 4 << 20

// cut takes works off the queue for one cohort; mu is held.
func (q *queue) cut() []*work {
	n, size := 0, int64(0)
	for n < len(q.works) && (n == 0 || size+q.works[n].bytes <= cohortBytes) {
		w := q.works[n]
		size += w.bytes
		if share := q.share[w.producer.ID] - w.bytes; share > 0 {
			q.share[w.producer.ID] = share
		} else {
			delete(q.share, w.producer.ID)
		}
		n++
	}
	q.bytes -= size
	q.drain.took(size)
	works := q.works[:n:n]
	if n == len(q.works) {
		q.works = nil
	} else {
		q.works = q.works[n:]
	}
	return works
}

// requeue adds a parked work again, outside of the bounds.
func (q *queue) requeue(w *work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return // the sequencer fails what is parked when it ends
	}
	if len(q.works) == 0 {
		q.drain.wakes()
	}
	q.bytes += w.bytes
	q.works = append(q.works, w)
	q.cond.Broadcast()
}

func (q *queue) submitted() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inflight++
}

func (q *queue) resolved() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inflight--
	q.cond.Broadcast()
}

// close refuses further works with err; what waits is still taken.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	q.cond.Broadcast()
}

func (q *queue) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// wait waits for w's result. A caller that leaves early loses only the answer:
// the work itself goes on.
func (w *work) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
