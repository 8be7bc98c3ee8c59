package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// scrubRate is how many entries a second a pass takes at least, which is
	// about one hundredth of a core.
	scrubRate = 4096
	// scrubSaveEntries and scrubSaveEvery bound what a crash takes of a pass.
	scrubSaveEntries = 1 << 16
	scrubSaveEvery   = 10 * time.Second
	// scrubPoll bounds how long it waits without a look at the wall clock.
	scrubPoll = time.Minute
	// scrubFirst is how old a log is when its first pass begins, or the period
	// where that is shorter.
	scrubFirst = time.Hour
	// scrubNap is the shortest wait: what is due earlier is gathered.
	scrubNap = 10 * time.Millisecond
	// maxReason bounds what is kept of a reason, in bytes.
	maxReason = 1024
)

// A scrub is the background verification: pass after pass it re-reads the whole
// log from disk and derives it anew, by the same code as fsck, so slowly that a
// pass takes the period or the rate's floor allows. One goroutine owns it.
//
// A pass covers the entries that the follower's newest snapshot covered when it
// began, and ends there, however the log has grown: then it also compares that
// snapshot, by a digest taken at its begin. What came later is the next pass's.
// On the way it computes each close anew, as the follower does, and compares it
// with the close it meets, and that with its stored tables. After the entries come the
// search index's tables, each built anew from them, at the same rate.
//
// A fault does not stop the log: what is damaged is old, refusing new entries
// would repair nothing and lose what producers report meanwhile, and the tree
// that is signed was derived from what was committed, not from what is damaged.
// So it is made loud instead, and the operator decides. From a fault in what was
// committed on, the state is in doubt, and the rest of the pass compares leaves
// with tiles alone; the index has to wait for a pass without one.
type scrub struct {
	l      *Ledger
	period time.Duration
	floor  uint64 // entries/s
	sleep  func(context.Context, time.Duration) error

	row   *passRow
	audit *audit // of the pass under way
	piece *piece

	met   []metClose   // in the bundle under way
	wrong []wrongClose // likewise
	extra uint64       // entries that a step's other work counts for

	due       time.Duration // monotonic: when the next step is
	saved     time.Duration // monotonic: when the row was saved
	savedAt   uint64        // position then
	unalerted bool          // the fault of the pass has no alert yet
	again     bool          // an entry was not appended: later
	faults    uint64        // found since the open
}

func newScrub(l *Ledger, cfg *Config) *scrub {
	s := &scrub{l: l, period: cfg.VerifyPeriod, floor: cfg.VerifyRate, sleep: cfg.Sleep, piece: newPiece()}
	if s.floor == 0 {
		s.floor = scrubRate
	}
	if s.sleep == nil {
		s.sleep = sleepFor
	}
	return s
}

// sleepFor waits, or returns the context's cause.
func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run verifies until ctx ends, and saves where it was.
func (s *scrub) run(ctx context.Context) error {
	if s.period <= 0 {
		return nil
	}
	err := s.load()
	for err == nil {
		err = s.next(ctx)
	}
	if ctx.Err() != nil || s.l.failure() != nil {
		if s.l.failure() == nil && s.row != nil && s.row.target > 0 {
			return s.failed(s.save())
		}
		return nil
	}
	return s.failed(err)
}

// failed ends the log where the store does not take what is derived: it takes
// no commit either then.
func (s *scrub) failed(err error) error {
	if err != nil && s.l.failure() == nil {
		s.l.fail(fmt.Errorf("background verification: %w", err))
	}
	return err
}

// next waits for and does one step. Its error is the context's, or the store's
// that does not take the state.
func (s *scrub) next(ctx context.Context) error {
	s.report()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.row.target == 0 {
		wait := time.Duration(s.nextBegin() - s.l.clock.Wall())
		if wait <= 0 {
			return s.begin()
		}
		return s.sleep(ctx, min(wait, scrubPoll))
	}
	if s.unalerted {
		if err := s.alert(ctx); err != nil {
			return err
		}
	}
	switch {
	case s.row.position < s.row.target:
		return s.nextBundle(ctx)
	case s.row.phase == passEntries:
		return s.endEntries()
	case s.row.phase == passIndex:
		return s.nextTable(ctx)
	}
	return s.finish(ctx)
}

// nextBundle takes the next bundle, and waits.
func (s *scrub) nextBundle(ctx context.Context) error {
	from := s.row.position
	s.step()
	if s.row.position-s.savedAt >= scrubSaveEntries || s.l.clock.Mono()-s.saved >= scrubSaveEvery {
		if err := s.save(); err != nil {
			return err
		}
	}
	taken := s.row.position - from + s.extra
	s.extra = 0
	return s.pace(ctx, taken)
}

// pace waits for as long as that many entries may take, but not at the end of
// the pass's entries.
func (s *scrub) pace(ctx context.Context, entries uint64) error {
	now := s.l.clock.Mono()
	s.due = max(s.due, now-time.Second) + time.Duration(float64(entries)/s.rate()*float64(time.Second))
	if wait := s.due - now; wait >= scrubNap && (s.row.position < s.row.target || s.row.phase == passIndex) {
		return s.sleep(ctx, wait)
	}
	return nil
}

// rate is how many entries a second the pass takes now: what is left over the
// time that is left, but at least the floor, and a pass that is behind does not
// run over eight times as fast as one that is on time.
func (s *scrub) rate() float64 {
	left := time.Duration(s.row.begin + int64(s.period) - s.l.clock.Wall())
	left = max(min(left, s.period), s.period/8)
	return max(float64(s.floor), float64(s.left())/left.Seconds())
}

// left is how many entries the pass has still to read; those of the index are
// read a second time.
func (s *scrub) left() uint64 {
	n := s.row.target - s.row.position
	if tables := min(s.row.target, s.l.index.Position()); tables > s.row.indexed && s.row.phase != passDone && !s.row.broken() {
		n += tables - s.row.indexed
	}
	return n
}

// nextBegin is the wall time at which the next pass is due.
func (s *scrub) nextBegin() int64 {
	if s.row.last.begin == 0 {
		return s.row.begin + int64(min(s.period, scrubFirst))
	}
	return s.row.last.begin + int64(s.period)
}

// begin begins a pass. A crash before the row is written leaves none under way.
func (s *scrub) begin() error {
	if err := deletePass(s.l.engine); err != nil {
		return err
	}
	s.row.begin, s.row.position, s.row.faults, s.row.bad = s.l.clock.Wall(), 0, 0, badPlace{}
	s.row.phase, s.row.indexed, s.row.listed = passEntries, 0, 0
	target, digest, err := followedSnapshots(s.l.engine)
	if s.row.target, s.row.snapshots = target, digest; target == 0 {
		s.row.target = s.l.Head().Size
	}
	s.audit = newAudit(s.l.engine, s.row.target, newPassState(s.l.engine))
	s.audit.hooks = s.closeHooks()
	s.due = s.l.clock.Mono()
	if err != nil {
		s.row.snapshots = verify.Hash{}
		s.found(snapshotFault(store.Position, s.row.target, err))
	}
	s.computeCloses(newClosing())
	return s.save()
}

// step takes the next bundle.
func (s *scrub) step() {
	p, row := s.piece, s.row
	s.met, s.wrong = s.met[:0], s.wrong[:0]
	r := pieceReader{engine: s.l.engine, size: min(row.target, row.position+bundleWidth),
		take: func() (*piece, error) { return p, nil }, emit: func(*piece) error { return nil }}
	_ = r.read(row.position) // take and emit do not fail
	p.derive()
	var err error
	if row.broken() {
		err = s.audit.leaves(p)
	} else {
		err = s.audit.apply(p)
	}
	row.position = p.hi
	if err == nil && row.position == row.target && !row.broken() {
		err = s.compareTail(p)
	}
	if err != nil {
		s.found(err)
	}
}

// compareTail compares the root at the pass's end with the tree that the ledger
// serves, which for the last bundle may be in memory alone.
func (s *scrub) compareTail(p *piece) error {
	root, err := verify.RootAt(s.row.target, s.l.tiles.node)
	if err != nil {
		return faultIn(store.Tiles, p.first, "%v", err)
	}
	if root == s.audit.replay.frontier.Root() {
		return nil
	}
	for i := range p.n {
		if node, err := s.l.tiles.node(0, p.first+uint64(i)); err != nil || node != p.entries[i].leaf {
			return &FaultError{p.first + uint64(i), "what is on disk has another hash than what was committed"}
		}
	}
	return faultIn(store.Tiles, p.first, "the entries give root %x, the tree has %x", s.audit.replay.frontier.Root(), root)
}

// found notes a fault: in the log of the program, the metrics and the status at
// once, and in an alert next.
func (s *scrub) found(err error) {
	bad := badPlace{table: store.Frames, reason: clip(err.Error(), maxReason)}
	var in *tableFault
	var fault *FaultError
	if errors.As(err, &in) {
		bad.table = in.table
	}
	if errors.As(err, &fault) {
		bad.index, bad.reason = fault.Index, clip(fault.Reason, maxReason)
	}
	broken := s.row.broken()
	s.faults++
	s.row.faults++
	if s.row.faults == 1 || !broken && !bad.table.Derived() {
		s.row.bad, s.unalerted = bad, true
	}
	s.row.standing = s.row.bad
	s.l.log.Error("INTEGRITY FAULT: what is on disk is not what was committed", "table", tableName(bad.table), "first bad index", bad.index,
		"reason", bad.reason, "faults of this pass", s.row.faults)
	s.report()
}

// save keeps the pass and what was derived since the last time in one derived
// batch: a crash takes all of it or nothing, and then it is derived again.
func (s *scrub) save() error {
	row, batch := s.row, s.l.engine.NewBatch()
	row.size = s.l.Head().Size
	if s.audit != nil {
		row.take(s.audit)
	}
	if s.audit != nil && !row.broken() {
		replay := s.audit.replay
		for _, r := range replay.dirtyRuns {
			key := r.key()
			if err := batch.Set(append(passRunRows[:2:2], key[:]...), r.row()); err != nil {
				return err
			}
		}
		for _, d := range replay.dirtyStreams {
			if err := batch.Set(append(passStreamRows[:2:2], d.key...), streamRow(d.stream)); err != nil {
				return err
			}
		}
	}
	if s.audit != nil && !row.broken() {
		if err := s.saveCloses(batch); err != nil {
			return err
		}
	}
	if err := batch.Set(passKey, row.bytes()); err != nil {
		return err
	}
	if err := s.l.engine.Derive(batch); err != nil {
		return fmt.Errorf("saving the pass at %d: %w", row.position, err)
	}
	s.saved, s.savedAt = s.l.clock.Mono(), row.position
	if s.audit != nil && !row.broken() {
		s.audit.replay.clean()
		s.audit.replay.last = nil // it may be forgotten
		s.audit.replay.state.forget(row.position)
		return s.savedCloses()
	}
	return nil
}
