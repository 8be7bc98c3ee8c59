package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A place is where an entry is: before the window of its stream, in it, or after.
type place int

const (
	before place = iota
	within
	after
)

// A window is what entries a part answers for.
type window struct {
	first, end         uint64 // indexes
	lo, hi             int64  // log times
	runsFirst, runsEnd uint64 // indexes, of entries about runs
}

// of returns the place of an entry of a kind, whose stream is known because it is
// about a run where about is set. Along the log it never falls back.
func (w *window) of(kind daybookv1.Kind, about bool, index uint64, ns int64) place {
	switch {
	case isGoverned(kind):
		return within
	case about:
		at := w.ofRuns(index)
		if at == before && (kind == daybookv1.Kind_KIND_RUN_OPENED || kind == daybookv1.Kind_KIND_RUN_RESUMED) {
			return within
		}
		return at
	case index < w.first || ns < w.lo:
		return before
	case index >= w.end || ns >= w.hi:
		return after
	}
	return within
}

// ofRuns returns the place of an entry in the window of runs.
func (w *window) ofRuns(index uint64) place {
	switch {
	case index < w.runsFirst:
		return before
	case index >= w.runsEnd:
		return after
	}
	return within
}

// A stream is a selected stream: its entries at the positions [a, b) are known.
type stream struct {
	row   knownRow
	key   verify.StreamKey
	kind  daybookv1.Kind
	asked bool // the question asks for it
	about bool // it is known because it is about the runs of the answers

	a, b      uint64
	tree      verify.Frontier // up to the next position
	tail      []verify.Hash   // of the gap [b, count)
	lastIndex uint64          // of the known entry before
	first     place           // of the first known entry
	last      place           // of the newest
	outside   [3]int          // known entries by place
}

// newStream makes the stream of a selected row.
func newStream(s *scope, r knownRow) *stream {
	out := &stream{row: r, key: verify.StreamKey(r.Key)}
	kind, source, target, _, _, _ := verify.ParseStreamKey(r.Key)
	out.kind = kind
	out.asked = s.asked(out.key, kind, source, target)
	out.about = isRun(kind) && !(s.exact != nil && out.asked)
	return out
}

// read reads which positions are known, and the hashes of the others.
func (s *stream) read(in *memberReader) error {
	var err error
	if s.a, err = in.number(); err != nil {
		return err
	}
	if s.b, err = in.number(); err != nil {
		return err
	}
	if s.a >= s.b || s.b > s.row.Count {
		return fmt.Errorf("positions [%d, %d) of %d", s.a, s.b, s.row.Count)
	}
	if isGoverned(s.kind) && (s.a != 0 || s.b != s.row.Count) {
		return fmt.Errorf("positions [%d, %d) of %d: all must be known", s.a, s.b, s.row.Count)
	}
	f := &fold{hashes: in}
	if err := f.skip(s.a); err != nil {
		return err
	}
	s.tree = f.tree
	for range Gap(s.b, s.row.Count) {
		var h verify.Hash
		if _, err := readFull(in, h[:]); err != nil {
			return err
		}
		s.tail = append(s.tail, h)
	}
	return nil
}

// write writes what read reads.
func (s *stream) write(dst []byte, nodes verify.NodeFunc) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, s.a)
	dst = binary.BigEndian.AppendUint64(dst, s.b)
	dst, err := GapHashes(dst, 0, s.a, nodes)
	if err != nil {
		return dst, err
	}
	return GapHashes(dst, s.b, s.row.Count, nodes)
}

// add takes the stream's next known entry.
func (s *stream) add(e *verify.EntryHead, leaf verify.Hash, at place) error {
	position := s.tree.Size
	switch {
	case position == s.b:
		return fmt.Errorf("more entries of stream %x than the positions [%d, %d) that are said to be known", s.key, s.a, s.b)
	case e.Position != position:
		return fmt.Errorf("position %d in its stream, not %d", e.Position, position)
	case position == 0 && e.PreviousInStream != 0, position > s.a && e.PreviousInStream != s.lastIndex+1,
		position > 0 && (e.PreviousInStream == 0 || e.PreviousInStream > e.Index):
		return fmt.Errorf("previous in stream %d is not the entry before it in the stream", e.PreviousInStream)
	}
	if position == s.a {
		s.first = at
	}
	s.last = at
	s.outside[at]++
	s.lastIndex = e.Index
	s.tree.Append(leaf)
	return nil
}

// finish checks that the stream is whole: that nothing in the window is missing,
// and that its entries lead to the root in its row.
func (s *stream) finish() error {
	switch {
	case s.tree.Size != s.b:
		return fmt.Errorf("stream %x: positions [%d, %d) are missing: entries were left out", s.key, s.tree.Size, s.b)
	case s.first != before && s.a != 0:
		return fmt.Errorf("stream %x: the entry before the window is not shown: entries may have been left out before position %d", s.key, s.a)
	case s.last != after && s.b != s.row.Count:
		return fmt.Errorf("stream %x: the entry after the window is not shown: entries may have been left out from position %d on", s.key, s.b)
	case s.outside[before] > 1 || s.outside[after] > 1:
		return fmt.Errorf("stream %x: more entries outside the window than are needed", s.key)
	}
	i := 0
	for level := range Gap(s.b, s.row.Count) {
		s.tree.AppendTree(level, s.tail[i])
		i++
	}
	if s.tree.Root() != s.row.Root {
		return fmt.Errorf("stream %x: entries and hashes do not lead to the root in its row: %w", s.key, verify.ErrProof)
	}
	s.tail, s.tree.Nodes = nil, nil
	return nil
}

// errNoStream says that an entry has no place in a bundle.
var errNoStream = errors.New("its stream is none that the question needs")
