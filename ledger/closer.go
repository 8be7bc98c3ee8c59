package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// closeEvery is how often the clock is compared with the next midnight, and
	// how long a close that could not be appended waits.
	closeEvery = 200 * time.Millisecond
	// closeGrace is how long after midnight a close is not overdue yet.
	closeGrace = int64(10 * time.Second)
)

// A mark is a moment of the sequencer's: no entry from index cut on is logged
// before time. The sequencer makes it before any of them can be published.
type mark struct {
	cut    uint64
	time   int64
	demand bool          // close the period here, also in the middle of a day
	index  uint64        // of the close; set before done is closed
	done   chan struct{} // closed when the close is committed; only with demand
}

// A closer moves closes along: from the clock or a caller to the sequencer, whose
// marks the follower turns into drafts, which it appends.
type closer struct {
	l *Ledger

	mu     sync.Mutex
	marks  []*mark  // made and not yet taken by the follower; guarded by mu
	drafts []*draft // computed and not yet appended; guarded by mu
	more   notifier // of each draft

	due      atomic.Int64              // the next midnight the follower waits for
	until    atomic.Int64              // end of the newest close met; with none the start of the first period
	newest   atomic.Pointer[CloseInfo] // newest close that the follower has met; nil: none
	took     atomic.Int64              // ns in which the newest tables were made and stored
	steps    *cache[closeStep]         // of closes that were looked at, by index
	previous uint64                    // index of the newest close plus 1; owned by run
	wrong    *draft                    // the newest that was no close; owned by run
	marked   int64                     // time of the newest day's mark; owned by run
}

// A CloseInfo says which close it is.
type CloseInfo struct {
	Index uint64
	Close *daybookv1.Close // not to be modified
}

// add registers a mark; called by the sequencer.
func (c *closer) add(m *mark) {
	c.mu.Lock()
	c.marks = append(c.marks, m)
	c.mu.Unlock()
	c.l.published.notify() // the follower may be waiting for a head
}

// take hands the marks to the follower.
func (c *closer) take() []*mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks
	c.marks = nil
	return m
}

// meet notes a close that the follower has met in the log.
func (c *closer) meet(index uint64, m *daybookv1.Close) {
	c.newest.Store(&CloseInfo{index, m})
	c.until.Store(m.PeriodEndNs)
	c.l.archive.wake.notify()
}

// hand takes a draft from the follower, to be appended.
func (c *closer) hand(d *draft) {
	c.mu.Lock()
	c.drafts = append(c.drafts, d)
	c.mu.Unlock()
	c.more.notify()
}

func (c *closer) first() *draft {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.drafts) == 0 {
		return nil
	}
	return c.drafts[0]
}

func (c *closer) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drafts = c.drafts[1:]
}

// run appends drafts and watches the clock until ctx ends. Drafts that are left
// then are computed again by the next open.
func (c *closer) run(ctx context.Context) error {
	tick := time.NewTicker(closeEvery)
	defer tick.Stop()
	for {
		more := c.more.wait()
		d := c.first()
		if d != nil && c.append(ctx, d) {
			continue
		}
		if d != nil {
			more = nil // try again with the next tick
		}
		select {
		case <-more:
		case <-tick.C:
			if d == nil {
				c.watch(ctx)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// append appends the close of a draft; false: it cannot be appended now. Crash:
// the close is in the log with its tables, or its cut is passed again.
func (c *closer) append(ctx context.Context, d *draft) bool {
	if c.l.rests() != "" {
		return false
	}
	m := proto.CloneOf(d.close)
	m.PreviousClose = c.previous
	body, err := marshal(m)
	if err == nil {
		_, err = verify.ParseClose(body)
	}
	if err != nil {
		if c.wrong != d {
			c.wrong = d
			c.l.log.Error("a close is not what a close must be, and is not appended", "error", err)
		}
		return false
	}
	w := &work{op: opOwn, kind: daybookv1.Kind_KIND_CLOSE, body: body}
	if err := c.push(ctx, w); err != nil {
		return false
	}
	c.previous = w.result.first + 1
	c.drop()
	c.l.log.Info("closed", "index", w.result.first, "until", time.Unix(0, m.PeriodEndNs).UTC(), "entries", m.Cut-m.PreviousCut, "streams", m.Streams.Rows)
	if d.mark != nil {
		d.mark.index = w.result.first
		close(d.mark.done)
	}
	return true
}

func (c *closer) push(ctx context.Context, w *work) error {
	if err := c.l.queue.push(w); err != nil {
		return err
	}
	return w.wait(ctx)
}

// watch has the sequencer mark the time once a day is over by the wall clock. The
// log's own time may be up to a second behind it: then the next tick tries again.
func (c *closer) watch(ctx context.Context) {
	due := c.due.Load()
	if c.l.clock.Wall() < due || c.marked >= due || c.l.rests() != "" {
		return
	}
	w := &work{op: opMark}
	if err := c.push(ctx, w); err != nil {
		return // the log is stopping, or its clock is at fault: the next tick tries again
	}
	c.marked = w.mark.time
}

// CloseNow closes the period under way and returns the index of the close, once
// it is committed: every entry committed before the call is below its cut. Calls
// at the same time may share one close. *ShutError while the log is shut.
func (l *Ledger) CloseNow(ctx context.Context) (uint64, error) {
	w := &work{op: opMark, demand: true}
	if err := l.closes.push(ctx, w); err != nil {
		return 0, err
	}
	select {
	case <-w.mark.done:
		return w.mark.index, nil
	case <-l.stopping:
		return 0, errClosing
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// placeMarks makes the marks of the cohort, which is complete: the cut is its
// end. A period on demand ends 1 ns after the cohort's time, and no later commit
// gets that time any more.
func (q *sequencer) placeMarks() {
	if len(q.marks) == 0 {
		return
	}
	day := &mark{cut: q.next(), time: q.cohort.time}
	demand := &mark{cut: q.next(), time: q.cohort.time + 1, demand: true, done: make(chan struct{})}
	var made *mark
	for _, w := range q.marks {
		w.mark = day
		if w.demand {
			w.mark = demand
		}
		if made == nil || w.demand {
			made = w.mark
		}
	}
	q.time.last = max(q.time.last, made.time)
	q.l.closes.add(made)
	for _, w := range q.marks {
		close(w.done)
	}
	q.marks = nil
}

// closesOverdue counts the days that ended by the wall clock without a close.
func (l *Ledger) closesOverdue() int {
	return int(verify.Midnights(l.closes.until.Load(), l.clock.Wall()-closeGrace))
}

// storeClose keeps the tables of a close, durably: whoever finds the close in the
// log finds them. Crash: all are there or none, and then its cut is passed again.
func (f *follower) storeClose(end int64, pages iter.Seq2[[]byte, []byte]) error {
	start := f.l.clock.Mono()
	defer func() { f.l.closes.took.Store(int64(f.l.clock.Mono() - start)) }()
	lo, hi := closeRange(end)
	switch _, err := f.l.engine.Get(closeKey(end, partDraft, 0)); {
	case err == nil: // of before a crash
		if err := f.l.engine.DeleteRange(lo, hi); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return f.l.engine.Load(pages)
}

// loadCloses finds where the follower's closes stand at its snapshot: the tally
// of the period, the newest close, and the closes computed before that may be in
// the log after it.
func (f *follower) loadCloses() error {
	c := f.replay.closing
	if err := c.load(f.l.engine); err != nil {
		return err
	}
	c.resume(f.replay.state)
	st := f.replay.state.streams[closeStream]
	if st != nil && st.previous != 0 {
		info, err := f.l.closeAt(st.previous - 1)
		if err != nil {
			return err
		}
		f.l.closes.meet(info.Index, info.Close)
	}
	refs, err := storedCloses(f.l.engine, c.start)
	c.ahead = refs
	c.setNext()
	return err
}

// storedCloses returns the closes of periods that end after a time whose tables
// are stored, in order.
func storedCloses(engine store.Engine, after int64) (refs []closeRef, err error) {
	for at := after; ; {
		lo, _ := closeRange(at + 1)
		_, hi := store.Closes.Range()
		found := false
		if err := engine.Scan(lo, hi, func(key, _ []byte) error {
			n, err := store.Closes.ParseKey(key[:min(9, len(key))])
			if err != nil {
				return err
			}
			at, found = int64(n), true
			return store.ErrStop
		}); err != nil {
			return nil, err
		}
		if !found {
			return refs, nil
		}
		m, err := readDraft(engine, at)
		if err != nil {
			return nil, err
		}
		refs = append(refs, closeRef{m.Cut, m.PeriodEndNs})
	}
}

func readDraft(engine store.Engine, end int64) (*daybookv1.Close, error) {
	row, err := engine.Get(closeKey(end, partDraft, 0))
	if err != nil {
		return nil, fmt.Errorf("tables of the close at %d: %w", end, err)
	}
	m := new(daybookv1.Close)
	if err := proto.Unmarshal(row, m); err != nil {
		return nil, fmt.Errorf("tables of the close at %d: %w", end, err)
	}
	return m, nil
}

// scanCloses returns the closes in entries [lo, hi), oldest first.
func scanCloses(frames *frameCache, lo, hi uint64) (refs []closeRef, err error) {
	err = frames.scan(lo, hi, func(i uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return &FaultError{i, err.Error()}
		}
		if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
			return nil
		}
		m, err := verify.CheckCloseEntry(&e)
		if err != nil {
			return &FaultError{i, err.Error()}
		}
		refs = append(refs, closeRef{m.Cut, m.PeriodEndNs})
		return nil
	})
	return refs, err
}

// startCloses hands what the recovered follower computed, and did not find in the
// log, to the closer, and has it get the rest as it comes. Tables of closes that
// never were are deleted: a crash that brings them back takes every later entry
// with it.
func (f *follower) startCloses() error {
	c, to := f.replay.closing, f.l.closes
	for _, a := range append(c.dropped, c.ahead...) {
		if err := f.l.engine.DeleteRange(closeRange(a.end)); err != nil {
			return fmt.Errorf("deleting the tables of a close that never was: %w", err)
		}
	}
	c.dropped, c.ahead = nil, nil
	c.setNext()
	for _, d := range c.drafts {
		to.hand(d)
	}
	if to.due.Store(c.due); to.newest.Load() == nil {
		to.until.Store(c.start)
		if len(c.drafts) > 0 {
			to.until.Store(c.drafts[0].close.PeriodStartNs)
		}
	}
	c.drafted = func(d *draft) {
		to.due.Store(c.due)
		to.hand(d)
	}
	if st := f.replay.state.streams[closeStream]; st != nil {
		to.previous = st.previous
	}
	return nil
}

// closeStream is the stream of all closes.
var closeStream = verify.MakeStreamKey(daybookv1.Kind_KIND_CLOSE, "", "", 0, false)
