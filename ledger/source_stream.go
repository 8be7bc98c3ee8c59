package ledger

import (
	"context"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/index"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// walkBudget is how many indexes all walks hold together, about.
	walkBudget = 1 << 19
	leastWalk  = 64
	mostWalk   = 1 << 15
)

// A streamWalk finds the entries of one stream. The index knows kind, pair and
// late, so that its candidates are those of all sides, and maybe of others whose
// hash is the same: the entry's own key says. Where the candidates below the cut
// are as many as the stream has entries, they are the stream's.
type streamWalk struct {
	key     verify.StreamKey
	name    uint64 // of key
	count   uint64 // entries below the cut
	query   index.Query
	counted bool // whether exact is known
	exact   bool // every candidate is the stream's

	base  uint64   // position of found[0]
	found []uint64 // indexes of adjacent positions
}

// walk returns the walk of a stream of the table.
func (s *Source) walk(key verify.StreamKey) (*streamWalk, error) {
	if w := s.walks[key]; w != nil {
		return w, nil
	}
	if s.table == nil {
		return nil, errNoClose
	}
	row, err := s.table.find([]byte(key))
	if err != nil {
		return nil, err
	}
	w := &streamWalk{key: key, name: s.keys.name(key)}
	if row < s.table.rows {
		r, err := s.table.row(row)
		if err != nil {
			return nil, err
		}
		if string(r.Key) == string(key) {
			w.count = r.Count
		}
	}
	kind, source, target, _, late, err := verify.ParseStreamKey([]byte(key))
	if err != nil {
		return nil, err
	}
	f := ListFilter{Kind: daybookv1.Kind(kind), Source: source, Target: target}
	if late {
		f.Where = []Match{{Field: index.Late, Number: 1}}
	}
	w.query.Matches = f.matches()
	s.walks[key] = w
	return w, nil
}

// IndexAt returns the index of the entry at a position of a stream.
func (s *Source) IndexAt(ctx context.Context, key verify.StreamKey, position uint64) (uint64, error) {
	w, err := s.walk(key)
	if err != nil {
		return 0, err
	}
	if position >= w.count {
		return 0, fmt.Errorf("%w: the stream has %d entries", ErrNotFound, w.count)
	}
	if err := s.hold(ctx, w, position); err != nil {
		return 0, err
	}
	return w.found[position-w.base], nil
}

// PositionFrom returns the first position of a stream whose entry's index is at or
// after index.
func (s *Source) PositionFrom(ctx context.Context, key verify.StreamKey, index uint64) (uint64, error) {
	w, err := s.walk(key)
	if err != nil {
		return 0, err
	}
	position, _, err := s.next(ctx, w, index)
	return position, err
}

// StreamNode returns a node of a stream's tree.
func (s *Source) StreamNode(ctx context.Context, key verify.StreamKey, level uint, node uint64) (verify.Hash, error) {
	w, err := s.walk(key)
	if err != nil {
		return verify.Hash{}, err
	}
	if node >= w.count>>level {
		return verify.Hash{}, ErrNotFound
	}
	if !w.counted {
		if err := s.weigh(ctx, w); err != nil {
			return verify.Hash{}, err
		}
	}
	var f verify.Frontier
	for position := node << level; position < (node+1)<<level; {
		if err := s.hold(ctx, w, position); err != nil {
			return verify.Hash{}, err
		}
		for _, at := range w.found[position-w.base:] {
			if position == (node+1)<<level {
				break
			}
			leaf, err := s.leaves.leaf(at)
			if err != nil {
				return verify.Hash{}, err
			}
			f.Append(leaf)
			position++
		}
		if err := s.rest(ctx); err != nil {
			return verify.Hash{}, err
		}
	}
	return f.Root(), nil
}

// weigh finds out if the candidates are the stream's.
func (s *Source) weigh(ctx context.Context, w *streamWalk) error {
	n := uint64(0)
	err := s.l.index.Search(ctx, w.query, 0, s.closed.Close.Cut, false, func(uint64) bool {
		n++
		return n <= w.count
	})
	w.counted, w.exact = true, n == w.count
	return err
}

// hold has the walk hold a position below the stream's count.
func (s *Source) hold(ctx context.Context, w *streamWalk, position uint64) error {
	if position >= w.base && position-w.base < uint64(len(w.found)) {
		return nil
	}
	from := uint64(0)
	switch end := w.base + uint64(len(w.found)); {
	case position == 0:
	case position == end && len(w.found) > 0:
		from = w.found[len(w.found)-1] + 1
	default:
		var err error
		if from, err = s.seek(ctx, w, position); err != nil {
			return err
		}
	}
	return s.fill(ctx, w, position, from)
}

// seek finds the index of a position: positions ascend with indexes.
func (s *Source) seek(ctx context.Context, w *streamWalk, position uint64) (uint64, error) {
	lo, hi := uint64(0), s.closed.Close.Cut
	for lo < hi {
		mid := lo + (hi-lo)/2
		p, at, err := s.next(ctx, w, mid)
		switch {
		case err != nil:
			return 0, err
		case p == position:
			return at, nil
		case p < position:
			lo = at + 1
		default:
			hi = mid
		}
	}
	return 0, s.lacks(w, position)
}

func (s *Source) lacks(w *streamWalk, position uint64) error {
	kind, source, target, _, _, _ := verify.ParseStreamKey([]byte(w.key))
	return fmt.Errorf("position %d of the stream of kind %v, %s -> %s, is not in the index: let daybookd fsck look", position, kind, source, target)
}

// next returns position and index of the stream's first entry at or after an
// index; its count and the cut where there is none below the cut.
func (s *Source) next(ctx context.Context, w *streamWalk, from uint64) (position, at uint64, err error) {
	at = s.closed.Close.Cut
	if err := s.scan(ctx, w, from, func(i uint64) bool { at = i; return false }); err != nil {
		return 0, 0, err
	}
	if at == s.closed.Close.Cut {
		return w.count, at, nil
	}
	raw, err := s.entries.read(ctx, at)
	if err != nil {
		return 0, 0, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return 0, 0, &FaultError{at, err.Error()}
	}
	return e.Place.Position, at, nil
}

// fill has the walk hold entries from a position on, of which the first is at or
// after index from and no other of the stream between.
func (s *Source) fill(ctx context.Context, w *streamWalk, position, from uint64) error {
	room := max(leastWalk, min(mostWalk, walkBudget/len(s.walks)))
	w.base = position
	if cap(w.found) > 2*room {
		w.found = nil
	}
	w.found = w.found[:0]
	err := s.scan(ctx, w, from, func(i uint64) bool {
		w.found = append(w.found, i)
		return len(w.found) < room
	})
	if err == nil && len(w.found) == 0 {
		err = s.lacks(w, position)
	}
	return err
}

// scan calls fn for the stream's entries from an index to the cut, until it
// returns false.
func (s *Source) scan(ctx context.Context, w *streamWalk, from uint64, fn func(index uint64) bool) error {
	var inner error
	err := s.l.index.Search(ctx, w.query, from, s.closed.Close.Cut, false, func(i uint64) bool {
		if w.exact {
			return fn(i)
		}
		name, err := s.keys.of(ctx, i)
		if err != nil {
			inner = err
			return false
		}
		return name != w.name || fn(i)
	})
	if inner != nil {
		return inner
	}
	return err
}
