package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	// snapshotEvery bounds what an open replays.
	snapshotEvery = 1 << 16
	// snapshotIdle is how long the follower waits for more before it snapshots
	// what is there.
	snapshotIdle = 5 * time.Second
	// followStep bounds what is read before the position moves.
	followStep = 4096
)

// A follower re-reads what is published from disk, re-hashes it, derives runs,
// streams and postings from it, and snapshots them with its position. One
// goroutine owns it.
type follower struct {
	l        *Ledger
	replay   *replay
	snapshot uint64 // position of the newest snapshot
	lastSnap time.Duration

	indexTried time.Duration // when the index last met a full disk
	pause      *time.Timer   // of gather
	decoder    frame.Decoder
	coded      []byte // of the frame being hashed
}

func newFollower(l *Ledger) *follower {
	f := &follower{l: l, replay: newReplay(newState(l.engine)), pause: time.NewTimer(gatherFor)}
	f.replay.closing = newClosing()
	f.replay.closing.store = f.storeClose
	f.replay.closing.met = l.closes.meet
	f.replay.detecting = newDetecting()
	return f
}

// load reads the newest snapshot. Whatever a crash took of it is replayed.
func (f *follower) load(head store.Head) error {
	row, err := f.l.engine.Get([]byte{byte(store.Position)})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	front, err := verify.ParseFrontier(row)
	if err != nil {
		return fmt.Errorf("follower's position: %w", err)
	}
	if front.Size > head.Size {
		return fmt.Errorf("follower's position %d is ahead of the log's %d entries", front.Size, head.Size)
	}
	for _, key := range [][]byte{tallyKey(tallyCounts), tallyKey(tallyDetector, detect.StateKey)} {
		if _, err := f.l.engine.Get(key); errors.Is(err, store.ErrNotFound) {
			return f.forgetSnapshots()
		}
	}
	f.replay.frontier, f.snapshot = front, front.Size
	f.l.saved.Store(front.Size)
	if err := f.replay.state.loadStreams(); err != nil {
		return err
	}
	if f.replay.judge, err = f.l.past().judge(f.replay.state.streams); err != nil {
		return err
	}
	if err := f.replay.detecting.load(f.l.engine, f.replay); err != nil {
		return err
	}
	return f.loadCloses()
}

// forgetSnapshots starts at entry 0 again where a snapshot lacks a part. A crash
// leaves it to the next open.
func (f *follower) forgetSnapshots() error {
	for _, t := range []store.Table{store.Position, store.Runs, store.Streams, store.Tally} {
		if err := f.l.engine.DeleteRange(t.Range()); err != nil {
			return fmt.Errorf("deleting snapshots: %w", err)
		}
	}
	return nil
}

// catchUp takes the entries up to size: those the index lacks are only indexed
// where a snapshot covers them already.
func (f *follower) catchUp(size uint64) error {
	from := f.replay.frontier.Size
	if indexed := f.l.index.Size(); indexed < from {
		if err := f.reindex(indexed, from); err != nil {
			return err
		}
	}
	err := f.l.frames.scan(from, size, func(index uint64, raw []byte) error {
		return f.take(raw)
	})
	f.l.position.Store(f.followedTo())
	return err
}

func (f *follower) reindex(lo, hi uint64) error {
	return f.l.frames.scan(lo, hi, func(index uint64, raw []byte) error {
		e, ev, _, err := parseAt(index, raw)
		if err != nil {
			return err
		}
		return f.addIndex(index, &e, &ev)
	})
}

func (f *follower) take(raw []byte) error {
	index := f.replay.frontier.Size
	if err := f.replay.apply(raw); err != nil {
		return err
	}
	if f.replay.entry.Place.Kind != daybookv1.Kind_KIND_ACCESS {
		f.replay.event = verify.EventFields{}
	}
	if index < f.l.index.Size() {
		return nil
	}
	return f.addIndex(index, &f.replay.entry, &f.replay.event)
}

// run follows until ctx ends, then takes what is left and snapshots.
func (f *follower) run(ctx context.Context) error {
	f.lastSnap = f.l.clock.Mono()
	f.l.streams.Store(int64(len(f.replay.state.streams)))
	idle := time.NewTicker(snapshotIdle)
	defer idle.Stop()
	for {
		change := f.l.published.wait()
		if err := f.follow(); err != nil {
			return f.fault(err)
		}
		select {
		case <-change:
			f.gather(ctx)
		case ask := <-f.l.questions:
			f.answer(ask)
		case <-idle.C:
			f.giveAgain()
			if err := f.save(); err != nil {
				return f.fault(err)
			}
		case <-ctx.Done():
			if f.l.failure() != nil {
				return nil
			}
			if err := f.follow(); err != nil {
				return f.fault(err)
			}
			return f.save()
		}
	}
}

// fault shuts the log: what is on disk is not what was committed, or cannot be
// read.
func (f *follower) fault(err error) error {
	if f.l.failure() != nil {
		return nil // the store failed: that is already known
	}
	err = f.locate(err)
	f.l.shutBecause("verification of what is on disk failed: "+err.Error(), nil)
	var fault *FaultError
	index := uint64(0)
	if errors.As(err, &fault) {
		index = fault.Index
	}
	f.l.fail(fmt.Errorf("following at %d: %w", index, err))
	return err
}

// follow takes everything published, and compares the root it derived with the
// published one before the position moves.
func (f *follower) follow() error {
	for {
		head := f.l.Head()
		f.replay.closing.addMarks(f.l.closes.take()) // after the head: none at a size below it is missed
		from := f.replay.frontier.Size
		if err := f.catchUpIndex(); err != nil {
			return err
		}
		if from >= head.Size {
			return f.replay.closing.reachMarks(f.replay)
		}
		to, err := f.step(from, head.Size)
		if err != nil {
			return err
		}
		f.l.position.Store(f.followedTo())
		f.l.followed.notify()
		f.answerWaiting()
		f.l.streams.Store(int64(len(f.replay.state.streams)))
		f.l.runs.Store(int64(len(f.replay.state.runs)))
		if to-f.snapshot >= snapshotEvery {
			if err := f.save(); err != nil {
				return err
			}
		}
	}
}

// step takes the next entries: cohorts that were handed over, or what is on disk
// up to the next one. It returns the new position.
func (f *follower) step(from, size uint64) (uint64, error) {
	list, next := f.l.handover.take(from, size)
	if len(list) > 0 {
		err := f.adopt(list)
		for _, c := range list {
			c.release()
		}
		return next, err
	}
	to := min(size, from+followStep, next)
	if err := f.l.frames.scan(from, to, func(_ uint64, raw []byte) error { return f.take(raw) }); err != nil {
		return from, err
	}
	return to, f.compare(from, to)
}

// compare checks the root derived from disk against the tree of the log at that
// size; where they differ it names the first bad entry since from.
func (f *follower) compare(from, to uint64) error {
	root, err := verify.RootAt(to, f.l.tiles.node)
	if err != nil {
		return err
	}
	if root == f.replay.frontier.Root() {
		return nil
	}
	bad := from
	err = f.l.frames.scan(from, to, func(index uint64, raw []byte) error {
		want, err := f.l.tiles.node(0, index)
		if err != nil {
			return err
		}
		bad = index
		if verify.HashLeaf(raw) != want {
			return store.ErrStop
		}
		return nil
	})
	return errors.Join(&FaultError{bad, "what is on disk has another hash than what was committed"}, err)
}

// locate moves a fault to the first entry since the last step whose leaf hash is
// not the committed one, where that is before it: an altered entry may pass for
// itself and show only in what follows.
func (f *follower) locate(fault error) error {
	var in *FaultError
	if !errors.As(fault, &in) {
		return fault
	}
	err := f.l.frames.scan(f.l.position.Load(), min(in.Index, f.l.Head().Size), func(index uint64, raw []byte) error {
		want, err := f.l.tiles.node(0, index)
		if err == nil && verify.HashLeaf(raw) != want {
			err = &FaultError{index, "what is on disk has another hash than what was committed"}
		}
		return err
	})
	if errors.As(err, &in) {
		return err
	}
	return fault
}

// save snapshots position, touched runs and touched streams in one derived
// batch: a crash takes all of it or nothing, and then it is replayed.
func (f *follower) save() error {
	if f.replay.frontier.Size == f.snapshot || len(f.replay.closing.drafts) > 0 {
		return nil // a close that is not in the log yet is computed again after a crash
	}
	batch := f.l.engine.NewBatch()
	for _, r := range f.replay.dirtyRuns {
		if err := batch.Set(runKey(r.key()), r.row()); err != nil {
			return err
		}
	}
	for _, d := range f.replay.dirtyStreams {
		if err := batch.Set(streamRowKey(d.key), streamRow(d.stream)); err != nil {
			return err
		}
	}
	if err := f.replay.closing.save(batch); err != nil {
		return err
	}
	if err := f.replay.detecting.detector.Save(detectorRows{batch}); err != nil {
		return err
	}
	if err := batch.Set([]byte{byte(store.Position)}, f.replay.frontier.AppendBinary(nil)); err != nil {
		return err
	}
	if err := f.l.engine.Derive(batch); err != nil {
		return fmt.Errorf("snapshot at %d: %w", f.replay.frontier.Size, err)
	}
	f.snapshot = f.replay.frontier.Size
	f.l.saved.Store(f.snapshot)
	f.replay.clean()
	f.replay.detecting.detector.Saved()
	f.replay.last = nil // it may be forgotten
	f.replay.state.forget(f.snapshot)
	return f.replay.closing.saved(f.l.engine)
}

// waitFollowed waits until the follower has taken the entries below size.
func (l *Ledger) waitFollowed(ctx context.Context, size uint64) error {
	for {
		change := l.followed.wait()
		if l.position.Load() >= size {
			return nil
		}
		if l.watched.unindexed.Load() {
			return l.watched.disk.noRoom()
		}
		l.handover.want()
		select {
		case <-change:
		case <-l.stopping:
			return errClosing
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
