package verify

import (
	"errors"
	"fmt"

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

// SingleProofs derives the RFC 6962 inclusion proof of entry want, in [lo,
// lo+len(leaves)), from the range proof of that range. The range must have been
// checked: a wrong range gives a wrong proof, not an error.
func SingleProofs(lo, size uint64, leaves, proof []Hash, want uint64) ([]Hash, error) {
	if want < lo || want-lo >= uint64(len(leaves)) {
		return nil, fmt.Errorf("entry %d is not in the range [%d, %d)", want, lo, lo+uint64(len(leaves)))
	}
	single := make([]Hash, 0, 64)
	_, err := foldRange(lo, size, leaves, proof, func(lo, hi, last uint64, span []Hash, left, right *Hash) {
		sibling := want ^ 1
		switch {
		case sibling > last:
		case sibling >= lo && sibling <= hi:
			single = append(single, span[sibling-lo])
		case sibling < lo:
			single = append(single, *left)
		default:
			single = append(single, *right)
		}
		want >>= 1
	})
	if err != nil {
		return nil, err
	}
	return single, nil
}

// foldRange returns the root that leaves and proof lead to. At each level it
// shows the span of nodes [lo, hi] it has, and the siblings taken from proof, to
// each, where that is not nil.
func foldRange(lo, size uint64, leaves, proof []Hash, each func(lo, hi, last uint64, span []Hash, left, right *Hash)) (Hash, error) {
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
	hi, last := lo+uint64(len(leaves))-1, size-1
	for last > 0 {
		var left, right *Hash
		if lo&1 == 1 {
			left, proof = &proof[0], proof[1:]
		}
		if hi&1 == 0 && hi < last {
			right, proof = &proof[0], proof[1:]
		}
		if each != nil {
			each(lo, hi, last, span, left, right)
		}
		span = foldSpan(next, span, left, right)
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
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, first, second, raw, firstRoot[:], secondRoot[:]); err != nil {
		return fmt.Errorf("size %d to size %d: %w: %w", first, second, ErrProof, err)
	}
	return nil
}
