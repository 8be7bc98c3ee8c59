package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An FsckResult says what a check came to.
type FsckResult struct {
	Entries       uint64 // entries checked
	OK            bool
	FirstBadIndex uint64 // where not OK; the index at or after which it is wrong
	Reason        string
}

// Fsck re-derives every leaf, tile, stream, run and root of the published log
// while it runs. progress is called now and then. An error is the context's;
// what is wrong with the log is in the result.
func (l *Ledger) Fsck(ctx context.Context, progress func(done, total uint64)) (FsckResult, error) {
	h := l.Head()
	c := newFsck(l.engine, store.Head{Term: h.Term, Size: h.Size, Root: h.Root, TimeNS: h.TimeNS})
	return c.run(ctx, progress)
}

// Fsck re-derives everything in a store that no ledger has open, the snapshots
// included.
func Fsck(ctx context.Context, engine store.Engine, progress func(done, total uint64)) (FsckResult, error) {
	head, err := engine.Head()
	if err != nil {
		return FsckResult{Reason: "reading the head: " + err.Error()}, nil
	}
	c := newFsck(engine, head)
	c.snapshots = true
	return c.run(ctx, progress)
}

// An fsck is one check. It believes nothing but the entries.
type fsck struct {
	engine    store.Engine
	head      store.Head
	replay    *replay
	levels    [8][]verify.Hash // hashes of the growing tile of each level
	filled    [8]uint64        // full tiles of each level
	commits   []store.Head     // next commits, read ahead
	position  uint64           // of the snapshots
	snapshots bool
	total     uint64
	progress  func(done, total uint64)
}

func newFsck(engine store.Engine, head store.Head) *fsck {
	return &fsck{engine: engine, head: head, replay: newReplay(newState(nil)), total: head.Size}
}

const fsckProgress = 8192

func (c *fsck) run(ctx context.Context, progress func(done, total uint64)) (FsckResult, error) {
	c.progress = progress
	err := c.checkCloses(ctx)
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
	if err := c.begin(); err != nil {
		return err
	}
	frames := newFrameCache(c.engine)
	if err := frames.scan(0, c.head.Size, func(at uint64, raw []byte) error {
		if at%fsckProgress == 0 {
			if c.progress != nil {
				c.progress(at, c.total)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return c.entry(raw)
	}); err != nil {
		return err
	}
	if c.progress != nil {
		c.progress(c.head.Size, c.total)
	}
	return c.end()
}

func (c *fsck) begin() error {
	id, err := ReadIdentity(c.engine)
	if err != nil {
		return err
	}
	if c.head.Size == 0 {
		return &FaultError{0, "the log has no entry 0"}
	}
	return newFrameCache(c.engine).scan(0, 1, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return &FaultError{0, err.Error()}
		}
		var m daybookv1.OriginOpened
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return &FaultError{0, err.Error()}
		}
		if m.Origin != id.Origin || m.Vkey != id.VKey || m.PublicTiles != id.PublicTiles {
			return &FaultError{0, "entry 0 names another log than the store's identity"}
		}
		return c.readPosition()
	})
}

func (c *fsck) readPosition() error {
	if !c.snapshots {
		return nil
	}
	row, err := c.engine.Get([]byte{byte(store.Position)})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := verify.ParseFrontier(row)
	c.position = f.Size
	return err
}

func (c *fsck) entry(raw []byte) error {
	if err := c.replay.apply(raw); err != nil {
		return err
	}
	c.replay.clean()
	size := c.replay.frontier.Size
	if err := c.leaf(0, c.replay.leaf); err != nil {
		return &FaultError{size - 1, err.Error()}
	}
	if err := c.commit(size); err != nil {
		return &FaultError{size - 1, err.Error()}
	}
	if c.snapshots && size == c.position {
		return errors.Join(c.compareSnapshots(), c.compareTally())
	}
	return nil
}

// leaf adds a hash to the growing tile of a level and compares the tile with
// the stored one when it is full.
func (c *fsck) leaf(level uint8, h verify.Hash) error {
	c.levels[level] = append(c.levels[level], h)
	if len(c.levels[level]) < tileWidth {
		return nil
	}
	var tl tile
	copy(tl.nodes[:], c.levels[level])
	raw := tl.bytes()
	n := c.filled[level]
	stored, err := c.engine.Get(store.TileKey(level, n))
	if err != nil {
		return fmt.Errorf("tile %d/%d: %w", level, n, err)
	}
	if !bytes.Equal(stored, raw) {
		return fmt.Errorf("tile %d/%d differs from the entries", level, n)
	}
	expanded, err := expandTile(raw)
	if err != nil {
		return err
	}
	c.levels[level] = c.levels[level][:0]
	c.filled[level]++
	return c.leaf(level+1, expanded.nodes[at(tileHeight, 0)])
}

// commit compares the record of a commit of this size, if there was one, with
// the entries.
func (c *fsck) commit(size uint64) error {
	if len(c.commits) == 0 {
		if err := c.readCommits(size); err != nil {
			return err
		}
	}
	if len(c.commits) == 0 || c.commits[0].Size > size {
		return nil
	}
	row := c.commits[0]
	c.commits = c.commits[1:]
	if row.Size != size {
		return fmt.Errorf("commit of size %d was passed over", row.Size)
	}
	if row.Root != c.replay.frontier.Root() || row.TimeNS != c.replay.time {
		return fmt.Errorf("commit of size %d has another root or time than its entries", size)
	}
	return nil
}

const commitsAhead = 4096

func (c *fsck) readCommits(from uint64) error {
	return c.engine.Scan(store.Commits.Key(from), store.Commits.Key(c.head.Size+1), func(key, value []byte) error {
		size, err := store.Commits.ParseKey(key)
		if err != nil {
			return err
		}
		row, err := parseCommitRow(size, value)
		if err != nil {
			return err
		}
		c.commits = append(c.commits, row)
		if len(c.commits) == commitsAhead {
			return store.ErrStop
		}
		return nil
	})
}

// compareSnapshots compares every snapshot of a stream or run with what the
// entries give.
func (c *fsck) compareSnapshots() error {
	at := c.replay.frontier.Size
	rows := 0
	lo, hi := store.Streams.Range()
	if err := c.engine.Scan(lo, hi, func(key, value []byte) error {
		k := verify.StreamKey(key[1:])
		st := c.replay.state.streams[k]
		if st == nil || !bytes.Equal(value, streamRow(st)) {
			return &FaultError{at, fmt.Sprintf("snapshot of stream %x differs from the entries", key[1:])}
		}
		rows++
		return nil
	}); err != nil {
		return err
	}
	if rows != len(c.replay.state.streams) {
		return &FaultError{at, fmt.Sprintf("%d stream snapshots for %d streams", rows, len(c.replay.state.streams))}
	}
	lo, hi = store.Runs.Range()
	return c.engine.Scan(lo, hi, func(key, value []byte) error {
		r := c.replay.state.runs[verify.Hash(key[1:])]
		if r == nil || !bytes.Equal(value, r.row()) {
			return &FaultError{at, fmt.Sprintf("snapshot of run %x differs from the entries", key[1:])}
		}
		return nil
	})
}

func (c *fsck) end() error {
	if root := c.replay.frontier.Root(); root != c.head.Root {
		return &FaultError{c.head.Size, fmt.Sprintf("the entries give root %x, the head says %x", root, c.head.Root)}
	}
	if _, err := c.engine.Get(store.Commits.Key(c.head.Size)); err != nil {
		return &FaultError{c.head.Size, "no record of the last commit: " + err.Error()}
	}
	return nil
}
