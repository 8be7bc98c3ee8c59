package verify

import (
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/proof"
)

// NodeFunc returns the hash of the complete subtree at (level, index): the one
// over leaves [index<<level, (index+1)<<level). It is asked only for subtrees
// that are complete at the size in question.
type NodeFunc func(level uint, index uint64) (Hash, error)

// RootAt returns the root of the first size leaves.
func RootAt(size uint64, nodes NodeFunc) (Hash, error) {
	if size > MaxSize {
		return Hash{}, fmt.Errorf("size %d, limit %d", size, uint64(MaxSize))
	}
	if size == 0 {
		return EmptyRoot(), nil
	}
	return foldTail(0, size, nodes)
}

// foldTail returns the root over leaves [begin, end), where begin is a multiple
// of a power of two that is at least end-begin.
func foldTail(begin, end uint64, nodes NodeFunc) (Hash, error) {
	var root Hash
	have := false
	// From the smallest subtree, which is the last, to the largest.
	for count := end - begin; count > 0; {
		level := uint(bits.TrailingZeros64(count))
		count &^= 1 << level
		h, err := nodes(level, (begin+count)>>level)
		if err != nil {
			return Hash{}, fmt.Errorf("node %d/%d: %w", level, (begin+count)>>level, err)
		}
		if have {
			h = HashNode(h, root)
		}
		root, have = h, true
	}
	return root, nil
}

// RangeProofLen returns how many hashes the range proof of [lo, hi) at size
// has; 0 for arguments that name no range.
func RangeProofLen(lo, hi, size uint64) int {
	if checkRange(lo, hi, size) != nil {
		return 0
	}
	n := 0
	for hi, last := hi-1, size-1; last > 0; lo, hi, last = lo>>1, hi>>1, last>>1 {
		if lo&1 == 1 {
			n++
		}
		if hi&1 == 0 && hi < last {
			n++
		}
	}
	return n
}

// ProveRange returns the range proof of the entries [lo, hi), lo < hi <= size,
// in the tree of that size; doc.go specifies it. A ragged right node is folded
// from its complete subtrees.
func ProveRange(lo, hi, size uint64, nodes NodeFunc) ([]Hash, error) {
	if err := checkRange(lo, hi, size); err != nil {
		return nil, err
	}
	out := make([]Hash, 0, RangeProofLen(lo, hi, size))
	hi, last := hi-1, size-1
	for level := uint(0); last > 0; level++ {
		if lo&1 == 1 {
			h, err := nodes(level, lo-1)
			if err != nil {
				return nil, fmt.Errorf("node %d/%d: %w", level, lo-1, err)
			}
			out = append(out, h)
		}
		if hi&1 == 0 && hi < last {
			end := size
			if hi+1 < last {
				end = (hi + 2) << level
			}
			h, err := foldTail((hi+1)<<level, end, nodes)
			if err != nil {
				return nil, err
			}
			out = append(out, h)
		}
		lo, hi, last = lo>>1, hi>>1, last>>1
	}
	return out, nil
}

// ProveConsistency returns the RFC 6962 consistency proof between two sizes,
// first <= second; it is empty where first is 0 or equal to second.
func ProveConsistency(first, second uint64, nodes NodeFunc) ([]Hash, error) {
	if first > second || second > MaxSize {
		return nil, fmt.Errorf("no consistency proof from size %d to size %d", first, second)
	}
	if first == 0 || first == second {
		return nil, nil
	}
	plan, err := proof.Consistency(first, second)
	if err != nil {
		return nil, fmt.Errorf("consistency proof from size %d to size %d: %w", first, second, err)
	}
	hashes := make([][]byte, len(plan.IDs))
	for i, id := range plan.IDs {
		h, err := nodes(id.Level, id.Index)
		if err != nil {
			return nil, fmt.Errorf("node %d/%d: %w", id.Level, id.Index, err)
		}
		hashes[i] = h[:]
	}
	hashes, err = plan.Rehash(hashes, func(left, right []byte) []byte {
		h := HashNode(Hash(left), Hash(right))
		return h[:]
	})
	if err != nil {
		return nil, fmt.Errorf("consistency proof from size %d to size %d: %w", first, second, err)
	}
	out := make([]Hash, len(hashes))
	for i := range hashes {
		out[i] = Hash(hashes[i])
	}
	return out, nil
}

func checkRange(lo, hi, size uint64) error {
	if lo >= hi || hi > size || size > MaxSize {
		return fmt.Errorf("no range [%d, %d) at size %d", lo, hi, size)
	}
	return nil
}
