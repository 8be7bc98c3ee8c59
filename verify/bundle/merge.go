package bundle

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// A merge gives the indexes of the entries of several streams in the order of the
// log.
type merge struct {
	ctx   context.Context
	src   Streams
	heads mergeHeap
	given int
}

// A mergeHead is the next entry of one stream.
type mergeHead struct {
	key           verify.StreamKey
	position, end uint64
	index         uint64
}

// add takes in the positions [a, b) of a stream.
func (m *merge) add(key verify.StreamKey, a, b uint64) error {
	if a >= b {
		return nil
	}
	h := &mergeHead{key: key, position: a, end: b}
	if err := m.find(h); err != nil {
		return err
	}
	heap.Push(&m.heads, h)
	return nil
}

// next returns the next index; ok is false at the end.
func (m *merge) next() (index uint64, ok bool, err error) {
	if len(m.heads) == 0 {
		return 0, false, nil
	}
	if m.given++; m.given%1024 == 0 && m.ctx.Err() != nil {
		return 0, false, context.Cause(m.ctx)
	}
	h := m.heads[0]
	index = h.index
	if h.position++; h.position == h.end {
		heap.Pop(&m.heads)
		return index, true, nil
	}
	if err := m.find(h); err != nil {
		return 0, false, err
	}
	heap.Fix(&m.heads, 0)
	return index, true, nil
}

func (m *merge) find(h *mergeHead) error {
	index, err := m.src.IndexAt(m.ctx, h.key, h.position)
	if err != nil {
		return fmt.Errorf("position %d of stream %x: %w", h.position, h.key, err)
	}
	h.index = index
	return nil
}

// mergeHeap has the stream with the lowest next index first.
type mergeHeap []*mergeHead

func (h mergeHeap) Len() int           { return len(h) }
func (h mergeHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h mergeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap's.
func (h *mergeHeap) Push(x any) { *h = append(*h, x.(*mergeHead)) }

// Pop is heap's.
func (h *mergeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
