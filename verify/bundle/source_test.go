package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sort"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// A worldSource is a world at one of its archived checkpoints.
type worldSource struct {
	w      *world
	note   archivedNote
	close  uint64
	closed bool
	rows   []verify.Row
	table  nodes
	trees  map[verify.StreamKey]nodes
	counts map[verify.StreamKey]uint64

	numbers map[string]map[uint64]int // index by run and number, made when asked for
}

var _ bundle.Source = (*worldSource)(nil)

// source is the log at its newest archived checkpoint.
func (w *world) source() *worldSource { return w.sourceAt(len(w.notes) - 1) }

func (w *world) sourceAt(note int) *worldSource {
	s := &worldSource{w: w, note: w.notes[note], trees: map[verify.StreamKey]nodes{}, counts: map[verify.StreamKey]uint64{}}
	for _, at := range w.closes {
		if at < s.note.size {
			s.close, s.closed = at, true
		}
	}
	if !s.closed {
		return s
	}
	e := w.heads[s.close]
	c, err := verify.CheckCloseEntry(&e)
	if err != nil {
		w.t.Fatal(err)
	}
	s.rows = w.table(c.Cut)
	for _, r := range s.rows {
		s.table.add(verify.HashLeaf(r.AppendTo(nil)))
		s.counts[verify.StreamKey(r.Key)] = r.Count
	}
	return s
}

func (s *worldSource) Checkpoint(context.Context) ([]byte, error) { return s.note.note, nil }
func (s *worldSource) Policy(context.Context) ([]byte, error)     { return s.w.policy(), nil }

func (s *worldSource) Earlier(_ context.Context, from uint64, yield func(uint64, []byte) error) error {
	for _, n := range s.w.notes {
		if n.size >= from && n.size < s.note.size {
			if err := yield(n.size, n.note); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *worldSource) Entry(_ context.Context, index uint64) ([]byte, error) {
	if index >= s.note.size {
		return nil, fmt.Errorf("no entry %d", index)
	}
	return s.w.entries[index], nil
}

func (s *worldSource) Node(_ context.Context, level uint, index uint64) (verify.Hash, error) {
	if (index+1)<<level > s.note.size {
		return verify.Hash{}, fmt.Errorf("node %d/%d is not complete at %d", level, index, s.note.size)
	}
	return s.w.tree.node(level, index)
}

func (s *worldSource) FirstAt(_ context.Context, ns int64) (uint64, error) {
	return uint64(sort.Search(int(s.note.size), func(i int) bool { return s.w.heads[i].Head.LogTimeNS >= ns })), nil
}

func (s *worldSource) Numbers(_ context.Context, producer string, run verify.Hash, first, end uint64, yield func(verify.Hash) error) error {
	if s.numbers == nil {
		s.numbers = map[string]map[uint64]int{}
		for i := range s.w.heads {
			e := &s.w.heads[i]
			key := e.Head.Producer + string(e.Head.Run[:])
			if s.numbers[key] == nil {
				s.numbers[key] = map[uint64]int{}
			}
			s.numbers[key][e.Place.Number] = i
		}
	}
	for number := first; number < end; number++ {
		i, ok := s.numbers[producer+string(run[:])][number]
		if !ok {
			return fmt.Errorf("number %d is not there", number)
		}
		if err := yield(sha256.Sum256(s.w.heads[i].Body)); err != nil {
			return err
		}
	}
	return nil
}

func (s *worldSource) Close(context.Context) (uint64, bool, error) { return s.close, s.closed, nil }

func (s *worldSource) FindRow(_ context.Context, key []byte) (uint64, error) {
	return uint64(sort.Search(len(s.rows), func(i int) bool { return bytes.Compare(s.rows[i].Key, key) >= 0 })), nil
}

func (s *worldSource) Row(_ context.Context, row uint64) (verify.Row, error) { return s.rows[row], nil }

func (s *worldSource) RowNode(_ context.Context, level uint, index uint64) (verify.Hash, error) {
	return s.table.node(level, index)
}

func (s *worldSource) IndexAt(_ context.Context, key verify.StreamKey, position uint64) (uint64, error) {
	if position >= s.counts[key] {
		return 0, fmt.Errorf("no position %d in stream %x", position, key)
	}
	return s.w.streams[key][position], nil
}

func (s *worldSource) PositionFrom(_ context.Context, key verify.StreamKey, index uint64) (uint64, error) {
	of := s.w.streams[key][:s.counts[key]]
	return uint64(sort.Search(len(of), func(i int) bool { return of[i] >= index })), nil
}

func (s *worldSource) StreamNode(_ context.Context, key verify.StreamKey, level uint, index uint64) (verify.Hash, error) {
	if (index+1)<<level > s.counts[key] {
		return verify.Hash{}, fmt.Errorf("node %d/%d of stream %x is not complete", level, index, key)
	}
	tree, ok := s.trees[key]
	if !ok {
		for _, i := range s.w.streams[key][:s.counts[key]] {
			tree.add(s.w.tree[0][i])
		}
		s.trees[key] = tree
	}
	return tree.node(level, index)
}

// testSpool makes temporary files in memory.
type testSpool struct{ made, open int }

func newSpool(testing.TB) *testSpool { return &testSpool{} }

// Temp makes a file.
func (s *testSpool) Temp() (bundle.TempFile, error) {
	s.made++
	s.open++
	return &tempFile{s: s}, nil
}

type tempFile struct {
	b []byte
	s *testSpool
}

// Write appends.
func (f *tempFile) Write(b []byte) (int, error) {
	f.b = append(f.b, b...)
	return len(b), nil
}

// ReadAt reads what was written.
func (f *tempFile) ReadAt(b []byte, offset int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(b, offset)
}

// Close ends the file.
func (f *tempFile) Close() error {
	f.s.open--
	return nil
}
