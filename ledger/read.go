package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// Entry returns the bytes of one published entry; shared, not to be modified.
// ErrNotFound where there is none.
func (l *Ledger) Entry(_ context.Context, at uint64) ([]byte, error) {
	if at >= l.Head().Size {
		return nil, ErrNotFound
	}
	return l.frames.entry(at)
}

// Entries calls fn for each published entry in [lo, hi), in order. The bytes
// are valid during the call only.
func (l *Ledger) Entries(ctx context.Context, lo, hi uint64, fn func(index uint64, entry []byte) error) error {
	if hi > l.Head().Size || lo > hi {
		return ErrNotFound
	}
	return l.frames.scan(lo, hi, func(i uint64, raw []byte) error {
		if i%bundleWidth == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fn(i, raw)
	})
}

// Proof returns the inclusion proof (RFC 6962) of an entry at a size.
func (l *Ledger) Proof(_ context.Context, at, size uint64) ([]verify.Hash, error) {
	if size > l.Head().Size || at >= size {
		return nil, ErrNotFound
	}
	return verify.ProveRange(at, at+1, size, l.tiles.nodes())
}

// RangeProof returns the range proof of the entries [lo, hi) at a size.
func (l *Ledger) RangeProof(_ context.Context, lo, hi, size uint64) ([]verify.Hash, error) {
	if size > l.Head().Size || hi > size || lo >= hi {
		return nil, ErrNotFound
	}
	return verify.ProveRange(lo, hi, size, l.tiles.nodes())
}

// Consistency returns the consistency proof (RFC 6962) between two sizes.
func (l *Ledger) Consistency(_ context.Context, first, second uint64) ([]verify.Hash, error) {
	if first == 0 || first > second || second > l.Head().Size {
		return nil, ErrNotFound
	}
	return verify.ProveConsistency(first, second, l.tiles.nodes())
}

// CheckpointAt signs the checkpoint of any past size, or returns it as it is kept
// with cosignatures, and the log time of the last entry below it: the head's tree
// begins with the tree of every smaller size, so that such a checkpoint contradicts
// none that was published.
// ErrNotFound for size 0 and past the head; *ShutError while the log is shut and has
// to sign.
func (l *Ledger) CheckpointAt(_ context.Context, size uint64) (note []byte, timeNS int64, err error) {
	h := l.Head()
	if size == h.Size && h.Checkpoint != nil {
		return l.archive.noteOf(h), h.TimeNS, nil
	}
	if size == 0 || size > h.Size {
		return nil, 0, fmt.Errorf("%w: no tree of size %d, the log has %d entries", ErrNotFound, size, h.Size)
	}
	kept, err := l.archive.kept(size)
	if err != nil {
		return nil, 0, err
	}
	if reason := l.shutReason(); reason != "" && kept == nil {
		return nil, 0, &ShutError{reason}
	}
	root, err := verify.RootAt(size, l.tiles.nodes())
	if err != nil {
		return nil, 0, err
	}
	if timeNS, err = l.timeAt(size, root); err != nil {
		return nil, 0, err
	}
	if kept != nil {
		return kept, timeNS, nil
	}
	note, err = l.sign(size, root)
	return note, timeNS, err
}

// timeAt returns the log time of the tree of a size. Where a commit had that
// size, its root must be the tree's.
func (l *Ledger) timeAt(size uint64, root verify.Hash) (int64, error) {
	row, err := l.engine.Get(store.Commits.Key(size))
	if errors.Is(err, store.ErrNotFound) {
		return l.logTime(size - 1)
	}
	if err != nil {
		return 0, err
	}
	c, err := parseCommitRow(size, row)
	if err != nil {
		return 0, err
	}
	if root != c.Root {
		return 0, &FaultError{size, "the tree has another root than the commit of that size"}
	}
	return c.TimeNS, nil
}

// logTime returns the log time of an entry.
func (l *Ledger) logTime(at uint64) (int64, error) {
	raw, err := l.frames.entry(at)
	if err != nil {
		return 0, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return 0, &FaultError{at, err.Error()}
	}
	return e.Head.LogTimeNS, nil
}

// EventIndexes returns the indexes of the entries whose event has the id, oldest
// first, at most limit.
func (l *Ledger) EventIndexes(ctx context.Context, eventID []byte, limit int) ([]uint64, error) {
	h := l.Head()
	if err := l.waitFollowed(ctx, h.Size); err != nil {
		return nil, err
	}
	var out []uint64
	var inner error
	err := l.index.Candidates([]index.Term{index.EventIDTerm(eventID)}, 0, h.Size, false, func(i uint64) bool {
		ev, ok, err := l.event(i)
		if err != nil {
			inner = err
			return false
		}
		if ok && string(ev.EventID) == string(eventID) {
			out = append(out, i)
		}
		return len(out) < limit
	})
	return out, errors.Join(err, inner)
}

// event returns the fields of the event in an entry; ok is false for other
// kinds. The fields alias shared bytes.
func (l *Ledger) event(at uint64) (verify.EventFields, bool, error) {
	raw, err := l.frames.entry(at)
	if err != nil {
		return verify.EventFields{}, false, err
	}
	_, ev, ok, err := parseAt(at, raw)
	return ev, ok, err
}

// SizeAtTime returns the size of the log before the first entry logged at or
// after a time: a binary search over the commits, whose times never go back.
func (l *Ledger) SizeAtTime(_ context.Context, timeNS int64) (uint64, error) {
	h := l.Head()
	if timeNS > h.TimeNS {
		return h.Size, nil
	}
	lo, hi := uint64(0), h.Size // the commit of size lo is before; no later one up to hi is known to be
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		c, found, err := l.commitIn(lo+1, mid, l.engine.ScanReverse)
		if err == nil && !found {
			if c, found, err = l.commitIn(mid+1, hi, l.engine.Scan); !found || c.TimeNS >= timeNS {
				return lo, err // there is none between
			}
		}
		switch {
		case err != nil:
			return 0, err
		case c.TimeNS < timeNS:
			lo = c.Size
		default:
			hi = c.Size - 1
		}
	}
	return lo, nil
}

// commitIn returns the first commit that a scan meets with a size in [lo, hi].
func (l *Ledger) commitIn(lo, hi uint64, scan func(lo, hi []byte, fn func(key, value []byte) error) error) (c store.Head, found bool, err error) {
	err = scan(store.Commits.Key(lo), store.Commits.Key(hi+1), func(key, value []byte) error {
		size, err := store.Commits.ParseKey(key)
		if err == nil {
			c, err = parseCommitRow(size, value)
		}
		if found = err == nil; !found {
			return err
		}
		return store.ErrStop
	})
	return c, found, err
}

// Node returns the hash of a complete node of the published tree: leaves
// [index<<level, (index+1)<<level). It is a verify.NodeFunc.
func (l *Ledger) Node(level uint, index uint64) (verify.Hash, error) {
	if level > 62 || (index+1)<<level > l.Head().Size || index >= 1<<(63-level) {
		return verify.Hash{}, ErrNotFound
	}
	return l.tiles.node(level, index)
}
