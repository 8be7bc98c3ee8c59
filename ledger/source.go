package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A Source reads the log as it was at one archived checkpoint, for an examination
// file: entries, nodes of the log's tree, the table of streams of the newest close
// below it, and the nodes of each stream's own tree. It implements bundle.Source.
//
// Its memory grows with the streams that are asked about, by a few kilobytes each,
// never with entries. It gives way: between two reads other goroutines run, and
// while appends wait it naps. One goroutine uses it.
type Source struct {
	l      *Ledger
	size   uint64
	note   []byte
	policy []byte

	closed *CloseInfo // newest close below size; nil: none
	table  *storedTable

	entries entryReader
	leaves  leafReader
	keys    keyReader
	nodes   verify.NodeFunc
	walks   map[verify.StreamKey]*streamWalk
	runs    map[verify.Hash]*runWalk // by RunStart, at most maxRunWalks
}

// Source returns a reader of the log at the archived checkpoint of a size;
// ErrNotFound where none of that size is archived. policy is the text that Policy
// returns.
func (l *Ledger) Source(ctx context.Context, size uint64, policy []byte) (*Source, error) {
	note, err := l.ArchivedAt(size)
	if err != nil {
		return nil, err
	}
	if size > l.Head().Size {
		return nil, fmt.Errorf("%w: the log has %d entries", ErrNotFound, l.Head().Size)
	}
	if err := l.waitFollowed(ctx, size); err != nil {
		return nil, err
	}
	s := &Source{l: l, size: size, note: note, policy: policy, nodes: l.tiles.nodes(),
		walks: map[verify.StreamKey]*streamWalk{}, runs: map[verify.Hash]*runWalk{}}
	s.entries = entryReader{frames: l.frames, rest: s.rest}
	s.keys = keyReader{entries: &s.entries, seed: maphash.MakeSeed(), kept: newCache[*partKeys](keptKeyBytes)}
	s.leaves = leafReader{tiles: l.tiles, engine: l.engine, kept: newCache[[]byte](keptLeafBytes)}
	page, err := l.List(ctx, ListFilter{Kind: daybookv1.Kind_KIND_CLOSE}, size, size, 1)
	if err != nil || len(page.Indexes) == 0 {
		return s, err
	}
	if s.closed, err = l.closeAt(page.Indexes[0]); err != nil {
		return nil, err
	}
	s.table = newStoredTable(l.engine, s.closed.Close, TableStreams)
	return s, nil
}

// Closed returns the newest close below the checkpoint; nil: there is none.
func (s *Source) Closed() *CloseInfo { return s.closed }

// nap is how long a source rests while appends wait.
const nap = 500 * time.Microsecond

// rest lets others run: called after each part of a frame, some 50 microseconds of
// work.
func (s *Source) rest(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.l.queue.waiting() == 0 {
		runtime.Gosched()
		return nil
	}
	t := time.NewTimer(nap)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Checkpoint returns the signed note.
func (s *Source) Checkpoint(context.Context) ([]byte, error) { return s.note, nil }

// Policy returns the log's own policy.
func (s *Source) Policy(context.Context) ([]byte, error) { return s.policy, nil }

// Earlier calls yield for the archived checkpoints of sizes from a size on.
func (s *Source) Earlier(ctx context.Context, from uint64, yield func(size uint64, note []byte) error) error {
	return s.l.Checkpoints(from, s.size, func(a Archived) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return yield(a.Size, a.Note)
	})
}

// Entry returns the bytes of an entry; they are the caller's.
func (s *Source) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if index >= s.size {
		return nil, ErrNotFound
	}
	raw, err := s.entries.read(ctx, index)
	return append([]byte(nil), raw...), err
}

// Node returns a node of the log's tree.
func (s *Source) Node(ctx context.Context, level uint, index uint64) (verify.Hash, error) {
	if index >= s.size>>level {
		return verify.Hash{}, ErrNotFound
	}
	if level == 0 {
		return s.leaves.leaf(index)
	}
	return s.nodes(level, index)
}

// FirstAt returns the index of the first entry logged at or after a time, the
// checkpoint's size where there is none.
func (s *Source) FirstAt(ctx context.Context, ns int64) (uint64, error) {
	at, err := s.l.SizeAtTime(ctx, ns)
	return min(at, s.size), err
}

// Close returns the index of the newest close below the checkpoint.
func (s *Source) Close(context.Context) (uint64, bool, error) {
	if s.closed == nil {
		return 0, false, nil
	}
	return s.closed.Index, true, nil
}

// errNoClose: a table is asked for where there is none.
var errNoClose = errors.New("no close is below the checkpoint")

// FindRow returns the index of the first row whose key is not below key.
func (s *Source) FindRow(ctx context.Context, key []byte) (uint64, error) {
	if s.table == nil {
		return 0, errNoClose
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return s.table.find(key)
}

// Row returns a row of the table of streams; its key is the caller's.
func (s *Source) Row(ctx context.Context, row uint64) (verify.Row, error) {
	switch {
	case s.table == nil:
		return verify.Row{}, errNoClose
	case row >= s.table.rows:
		return verify.Row{}, ErrNotFound
	case ctx.Err() != nil:
		return verify.Row{}, context.Cause(ctx)
	}
	r, err := s.table.row(row)
	r.Key = append([]byte(nil), r.Key...)
	return r, err
}

// RowNode returns a node of the table's tree.
func (s *Source) RowNode(ctx context.Context, level uint, index uint64) (verify.Hash, error) {
	switch {
	case s.table == nil:
		return verify.Hash{}, errNoClose
	case index >= s.table.rows>>level:
		return verify.Hash{}, ErrNotFound
	case ctx.Err() != nil:
		return verify.Hash{}, context.Cause(ctx)
	}
	return s.table.node(level, index)
}
