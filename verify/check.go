package verify

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrProof says that a proof does not lead to the root it claims, or does not
// have the number of hashes its place fixes.
var ErrProof = errors.New("proof does not match")

// CheckRange checks that leaves, the leaf hashes of the entries [lo,
// lo+len(leaves)), stand there in the tree of that size and root. The count of
// proof is fixed by the place; any other is refused. It allocates once.
func CheckRange(lo, size uint64, leaves []Hash, proof []Hash, root Hash) error {
	if len(leaves) == 1 {
		return CheckInclusion(lo, size, leaves[0], proof, root)
	}
	got, err := foldRange(lo, size, leaves, proof, nil)
	if err != nil {
		return err
	}
	if got != root {
		return fmt.Errorf("range [%d, %d) at size %d: other root: %w", lo, lo+uint64(len(leaves)), size, ErrProof)
	}
	return nil
}

// Range is a checked range of leaves, with the nodes above it, from which the
// proof of any one of them is read. Immutable and safe for concurrent use.
type Range struct {
	lo, size uint64
	levels   []rangeLevel // from the leaves up, the root's left out
}

// rangeLevel is what is known of one level of the tree.
type rangeLevel struct {
	span        []Hash // nodes from lo on
	left, right *Hash  // siblings of its ends, from the proof
}

// OpenRange is CheckRange, and keeps the nodes it made: about as many as leaves.
// It holds on to leaves and proof, which must not change.
func OpenRange(lo, size uint64, leaves []Hash, proof []Hash, root Hash) (*Range, error) {
	r := &Range{lo: lo, size: size}
	got, err := foldRange(lo, size, leaves, proof, r)
	if err != nil {
		return nil, err
	}
	if got != root {
		return nil, fmt.Errorf("range [%d, %d) at size %d: other root: %w", lo, lo+uint64(len(leaves)), size, ErrProof)
	}
	return r, nil
}

// Single returns the RFC 6962 inclusion proof of one entry of the range.
func (r *Range) Single(index uint64) ([]Hash, error) {
	lo, last := r.lo, r.size-1
	if n := r.len(); index < lo || index-lo >= n {
		return nil, fmt.Errorf("entry %d is not in the range [%d, %d)", index, lo, lo+n)
	}
	single := make([]Hash, 0, len(r.levels))
	for i := range r.levels {
		level, sibling := &r.levels[i], index^1
		switch {
		case sibling > last:
		case sibling < lo:
			single = append(single, *level.left)
		case sibling-lo < uint64(len(level.span)):
			single = append(single, level.span[sibling-lo])
		default:
			single = append(single, *level.right)
		}
		index, lo, last = index>>1, lo>>1, last>>1
	}
	return single, nil
}

// len is how many leaves the range has.
func (r *Range) len() uint64 {
	if len(r.levels) == 0 {
		return 1 // the tree is one leaf
	}
	return uint64(len(r.levels[0].span))
}

// foldRange returns the root that leaves and proof lead to; where keep is not
// nil, it gets the nodes on the way.
func foldRange(lo, size uint64, leaves, proof []Hash, keep *Range) (Hash, error) {
	if lo > MaxSize || uint64(len(leaves)) > MaxSize-lo {
		return Hash{}, fmt.Errorf("no range of %d from %d", len(leaves), lo)
	}
	if err := checkRange(lo, lo+uint64(len(leaves)), size); err != nil {
		return Hash{}, err
	}
	if want := RangeProofLen(lo, lo+uint64(len(leaves)), size); len(proof) != want {
		return Hash{}, fmt.Errorf("range proof has %d hashes, want %d: %w", len(proof), want, ErrProof)
	}
	span := leaves
	next := make([]Hash, len(leaves)/2+1)
	if keep != nil {
		height := bits.Len64(size - 1)
		keep.levels = make([]rangeLevel, 0, height)
		next = make([]Hash, len(leaves)+2*height) // a level has half of the one below, and one or two for its ends
	}
	hi, last := lo+uint64(len(leaves))-1, size-1
	for last > 0 {
		var left, right *Hash
		if lo&1 == 1 {
			left, proof = &proof[0], proof[1:]
		}
		if hi&1 == 0 && hi < last {
			right, proof = &proof[0], proof[1:]
		}
		below := span
		span = foldSpan(next, span, left, right)
		if keep != nil {
			keep.levels = append(keep.levels, rangeLevel{below, left, right})
			next = next[len(span):]
		}
		lo, hi, last = lo>>1, hi>>1, last>>1
	}
	return span[0], nil
}

// foldSpan writes the parents of span into next, which may share its memory with
// span, and returns them. A last node without a sibling is its own parent.
func foldSpan(next, span []Hash, left, right *Hash) []Hash {
	n := 0
	if left != nil {
		next[n] = HashNode(*left, span[0])
		n++
		span = span[1:]
	}
	for ; len(span) >= 2; span = span[2:] {
		next[n] = HashNode(span[0], span[1])
		n++
	}
	if len(span) == 1 {
		next[n] = span[0]
		if right != nil {
			next[n] = HashNode(span[0], *right)
		}
		n++
	}
	return next[:n]
}

// CheckInclusion checks that the leaf stands at index in the tree of that size
// and root, by its RFC 6962 inclusion proof. It does not allocate on success.
func CheckInclusion(index, size uint64, leaf Hash, proof []Hash, root Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("no entry %d at size %d", index, size)
	}
	if want := RangeProofLen(index, index+1, size); len(proof) != want {
		return fmt.Errorf("inclusion proof has %d hashes, want %d: %w", len(proof), want, ErrProof)
	}
	for i, last := index, size-1; last > 0; i, last = i>>1, last>>1 {
		switch {
		case i&1 == 1:
			leaf, proof = HashNode(proof[0], leaf), proof[1:]
		case i < last:
			leaf, proof = HashNode(leaf, proof[0]), proof[1:]
		}
	}
	if leaf != root {
		return fmt.Errorf("entry %d at size %d: other root: %w", index, size, ErrProof)
	}
	return nil
}

// CheckConsistency checks that the tree of size second and root secondRoot
// begins with the first leaves of the tree firstRoot, by its RFC 6962
// consistency proof. The tree of size 0 has the empty root and an empty proof:
// everything begins with it.
func CheckConsistency(first, second uint64, firstRoot, secondRoot Hash, hashes []Hash) error {
	if first > second || second > MaxSize {
		return fmt.Errorf("no consistency from size %d to size %d", first, second)
	}
	if first == 0 && firstRoot != EmptyRoot() || second == 0 && secondRoot != EmptyRoot() {
		return fmt.Errorf("size 0 with a root that is not the empty one: %w", ErrProof)
	}
	if first == 0 || first == second {
		if len(hashes) != 0 {
			return fmt.Errorf("consistency proof has %d hashes, want 0: %w", len(hashes), ErrProof)
		}
		if first == second && firstRoot != secondRoot {
			return fmt.Errorf("two roots at size %d: %w", first, ErrProof)
		}
		return nil
	}
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, first, second, raw, firstRoot[:], secondRoot[:])
	var mismatch proof.RootMismatchError
	switch {
	case errors.As(err, &mismatch): // its text is of many lines
		return fmt.Errorf("size %d to size %d: other root: %w", first, second, ErrProof)
	case err != nil:
		return fmt.Errorf("size %d to size %d: %w: %w", first, second, ErrProof, err)
	}
	return nil
}
