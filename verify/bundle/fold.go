package bundle

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"

	"github.com/daybook-ledger/daybook/verify"
)

// Gap returns the complete subtrees that the leaves [from, to) are cut into, from
// left to right, as few as there can be: while from < to the next has the level
// min(trailing zeros of from, floor(log2(to - from))), 63 at most, and the index
// from >> level. So (from, to) alone fix how many hashes a gap has.
func Gap(from, to uint64) iter.Seq2[uint, uint64] {
	return func(yield func(uint, uint64) bool) {
		for from < to {
			level := uint(min(bits.TrailingZeros64(from), bits.Len64(to-from)-1))
			if !yield(level, from>>level) {
				return
			}
			from += 1 << level
		}
	}
}

// GapHashes appends the hashes of the gap [from, to) to dst.
func GapHashes(dst []byte, from, to uint64, nodes verify.NodeFunc) ([]byte, error) {
	for level, index := range Gap(from, to) {
		h, err := nodes(level, index)
		if err != nil {
			return dst, fmt.Errorf("node %d/%d: %w", level, index, err)
		}
		dst = append(dst, h[:]...)
	}
	return dst, nil
}

// errOrder says that leaves do not ascend, which nothing but a fault brings about.
var errOrder = errors.New("it does not come after the one before")

// A fold is an RFC 6962 tree that is made of the known leaves, ascending, and of
// the hashes of the gaps between them.
type fold struct {
	tree   verify.Frontier
	hashes io.Reader // 32 bytes for each subtree of a gap, in order
}

// skip takes the hashes of the gap up to a leaf.
func (f *fold) skip(to uint64) error {
	if to < f.tree.Size {
		return errOrder
	}
	var h verify.Hash
	for level := range Gap(f.tree.Size, to) {
		if _, err := io.ReadFull(f.hashes, h[:]); err != nil {
			return cutShort(err)
		}
		f.tree.AppendTree(level, h)
	}
	return nil
}

// add takes the known leaf at an index.
func (f *fold) add(index uint64, leaf verify.Hash) error {
	if err := f.skip(index); err != nil {
		return err
	}
	f.tree.Append(leaf)
	return nil
}

// cutShort words the end of a member where more was expected.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut short")
	}
	return err
}

// readFull is io.ReadFull whose error says that something is cut short.
func readFull(r io.Reader, b []byte) (int, error) {
	n, err := io.ReadFull(r, b)
	if err != nil {
		return n, cutShort(err)
	}
	return n, nil
}
