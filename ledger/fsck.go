package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// An FsckResult says what a check came to.
type FsckResult struct {
	Entries       uint64 // entries checked
	OK            bool
	FirstBadIndex uint64 // where not OK; the index at or after which it is wrong
	Reason        string
}

// Fsck re-derives every leaf, tile, stream, run, close and root of the published
// log while it runs, and the tables of the search index, on every core and in one
// pass. progress is called now and then, from the calling goroutine. An error is
// the context's; what is wrong with the log is in the result.
func (l *Ledger) Fsck(ctx context.Context, progress func(done, total uint64)) (FsckResult, error) {
	h := l.Head()
	c := newFsck(l.engine, store.Head{Term: h.Term, Size: h.Size, Root: h.Root, TimeNS: h.TimeNS}, l.workers)
	c.openIndex = func() (*index.Index, error) { return l.index, nil }
	return c.run(ctx, progress)
}

// Fsck re-derives everything in a store that no ledger has open, the snapshots
// included, and changes nothing. An index that is behind, or of another version,
// is no fault: the next open builds the rest.
func Fsck(ctx context.Context, engine store.Engine, progress func(done, total uint64)) (FsckResult, error) {
	head, err := engine.Head()
	if err != nil {
		return FsckResult{Reason: "reading the head: " + err.Error()}, nil
	}
	c := newFsck(engine, head, defaultWorkers(0))
	c.snapshots = true
	c.openIndex = func() (*index.Index, error) { return index.View(engine) }
	if err := c.compareAtPosition(); err != nil {
		return FsckResult{Reason: err.Error()}, nil
	}
	return c.run(ctx, progress)
}

// An fsck is one audit of a whole log: a goroutine reads bundles in order,
// workers derive them, the caller's applies them in order, which is a fifth of the
// work, and two more compare the index.
type fsck struct {
	*audit
	head      store.Head
	workers   int
	snapshots bool            // nobody has the log open: what is derived is compared too
	position  verify.Frontier // of the snapshots
	progress  func(done, total uint64)
	openIndex func() (*index.Index, error) // nil, or of a nil index: it is not checked
	index     *indexPass                   // nil: it is not checked
}

func newFsck(engine store.Engine, head store.Head, workers int) *fsck {
	c := &fsck{audit: newAudit(engine, head.Size, newState(nil)), head: head, workers: workers}
	c.replay.unsaved = true
	c.checkAlerts()
	return c
}

// fsckProgress is after how many entries progress is told.
const fsckProgress = 8192

func (c *fsck) run(ctx context.Context, progress func(done, total uint64)) (FsckResult, error) {
	c.progress = progress
	err := c.checkCloses(ctx)
	if err == nil {
		err = c.index.end(ctx, c.engine, c.size)
	}
	result := FsckResult{Entries: c.replay.frontier.Size, OK: err == nil}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	if err != nil {
		result.FirstBadIndex, result.Reason = c.replay.frontier.Size, err.Error()
		var fault *FaultError
		if errors.As(err, &fault) {
			result.FirstBadIndex, result.Reason = fault.Index, fault.Reason
		}
	}
	return result, nil
}

func (c *fsck) check(ctx context.Context) error {
	if c.size == 0 {
		return &FaultError{0, "the log has no entry 0"}
	}
	var unopened error
	c.index, unopened = c.newIndexPass()
	told := uint64(0)
	err := c.pipe(ctx, func(p *piece) error {
		if err := c.apply(p); err != nil {
			return err
		}
		c.replay.detecting.detector.Saved()
		if size := c.replay.frontier.Size; c.progress != nil && (size-told >= fsckProgress || size == c.size) {
			told = size
			c.progress(size, c.size)
		}
		return nil
	})
	if err == nil {
		err = c.end()
	}
	if err == nil {
		err = checkArchive(c.engine, c.size, c.replay.judge.Keys())
	}
	if err != nil {
		return err
	}
	return unopened
}

// pipe reads and derives every piece and gives it to apply, in order. What is in
// flight is bounded: two pieces for each worker, and two.
func (c *fsck) pipe(ctx context.Context, apply func(*piece) error) error {
	depth := 2*c.workers + 2
	free, work, order := make(chan *piece, depth), make(chan *piece, depth), make(chan *piece, depth)
	for range depth {
		free <- newPiece()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	applied := free
	if c.index != nil {
		applied = make(chan *piece, depth)
		whole := ctx
		wg.Go(func() { c.index.gather(whole, applied, free) })
		defer close(applied)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		defer close(work)
		defer close(order)
		r := pieceReader{engine: c.engine, size: c.size,
			take: func() (*piece, error) {
				select {
				case p := <-free:
					return p, nil
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
			},
			emit: func(p *piece) error { order <- p; work <- p; return nil }}
		_ = r.read(0) // its error is the context's
	})
	for range c.workers {
		wg.Go(func() {
			for p := range work {
				p.collect(c.index.wants(p.first))
				p.derive()
				p.ready <- struct{}{}
			}
		})
	}
	for p := range order {
		<-p.ready
		if err := apply(p); err != nil {
			c.index.abandon()
			return err
		}
		applied <- p
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// compareAtPosition has the audit compare the snapshots once it has reached
// their position. No snapshot is none to compare.
func (c *fsck) compareAtPosition() error {
	row, err := c.engine.Get([]byte{byte(store.Position)})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the position of the snapshots: %w", err)
	}
	if c.position, err = verify.ParseFrontier(row); err != nil {
		return fmt.Errorf("position of the snapshots: %w", err)
	}
	if c.position.Size > c.size {
		return fmt.Errorf("position of the snapshots is %d, the log has %d entries", c.position.Size, c.size)
	}
	c.at, c.compare = c.position.Size, c.compareSnapshots
	return nil
}

// compareSnapshots compares every snapshot of a stream or run with what the
// entries give. Its fault names the first entry that would be placed by it.
func (c *fsck) compareSnapshots(p *piece, at uint64) error {
	if c.position.Root() != p.rootAt(&c.replay.frontier, at) {
		return faultIn(store.Position, at, "frontier of the snapshots differs from the entries")
	}
	rows := 0
	lo, hi := store.Streams.Range()
	if err := c.engine.Scan(lo, hi, func(key, value []byte) error {
		rows++
		st := c.replay.state.streams[verify.StreamKey(key[1:])]
		if st == nil || !bytes.Equal(value, streamRow(st)) {
			return faultIn(store.Streams, at, "snapshot of stream %x differs from the entries", key[1:])
		}
		return nil
	}); err != nil {
		return snapshotFault(store.Streams, at, err)
	}
	if rows != len(c.replay.state.streams) {
		return faultIn(store.Streams, at, "%d stream snapshots for %d streams", rows, len(c.replay.state.streams))
	}
	rows = 0
	lo, hi = store.Runs.Range()
	if err := c.engine.Scan(lo, hi, func(key, value []byte) error {
		rows++
		var name verify.Hash
		copy(name[:], key[1:])
		r := c.replay.state.runs[name]
		if r == nil || !bytes.Equal(key, runKey(name)) || !bytes.Equal(value, r.row()) {
			return faultIn(store.Runs, at, "snapshot of run %x differs from the entries", key[1:])
		}
		return nil
	}); err != nil {
		return snapshotFault(store.Runs, at, err)
	}
	if rows != len(c.replay.state.runs) {
		return faultIn(store.Runs, at, "%d run snapshots for %d runs", rows, len(c.replay.state.runs))
	}
	return c.compareTally(at)
}

// snapshotFault makes an error of reading a fault of the table.
func snapshotFault(table store.Table, at uint64, err error) error {
	var fault *FaultError
	if errors.As(err, &fault) {
		return err
	}
	return faultIn(table, at, "reading snapshots: %v", err)
}

func (c *fsck) end() error {
	if root := c.replay.frontier.Root(); root != c.head.Root {
		return &FaultError{c.covered, fmt.Sprintf("the entries give root %x, the head says %x", root, c.head.Root)}
	}
	if c.covered != c.size {
		return faultIn(store.Commits, c.covered, "no record of the last commit, of size %d", c.size)
	}
	return c.replay.detecting.overdue()
}
