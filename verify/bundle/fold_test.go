package bundle_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// dumbRoot is RFC 6962's definition.
func dumbRoot(leaves []verify.Hash) verify.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return verify.HashNode(dumbRoot(leaves[:k]), dumbRoot(leaves[k:]))
}

// TestFold folds trees of all small sizes with every choice of known leaves, and
// larger ones with some, and compares with the definition.
func TestFold(t *testing.T) {
	var leaves []verify.Hash
	var tree nodes
	for i := range 300 {
		leaf := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		leaves = append(leaves, leaf)
		tree.add(leaf)
	}
	try := func(size int, chosen func(i int) bool) {
		var known []uint64
		var of []verify.Hash
		var hashes []byte
		next, err := uint64(0), error(nil)
		gap := func(to uint64) {
			if hashes, err = bundle.GapHashes(hashes, next, to, tree.node); err != nil {
				t.Fatal(err)
			}
		}
		for i := range size {
			if chosen(i) {
				gap(uint64(i))
				next = uint64(i) + 1
				known, of = append(known, uint64(i)), append(of, leaves[i])
			}
		}
		gap(uint64(size))
		want := dumbRoot(leaves[:size])
		if root, rest, err := bundle.Fold(uint64(size), known, of, hashes); err != nil || root != want || rest != 0 {
			t.Fatalf("size %d, known %v: %v, %d left, root %x, want %x", size, known, err, rest, root, want)
		}
		if len(hashes) > 0 {
			if _, _, err := bundle.Fold(uint64(size), known, of, hashes[:len(hashes)-1]); err == nil {
				t.Fatalf("size %d, known %v: a byte less is taken", size, known)
			}
			hashes[len(hashes)/2] ^= 1
			if root, _, err := bundle.Fold(uint64(size), known, of, hashes); err == nil && root == want {
				t.Fatalf("size %d, known %v: another hash is taken", size, known)
			}
		}
	}
	for size := range 11 {
		for mask := range 1 << size {
			try(size, func(i int) bool { return mask>>i&1 == 1 })
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		p := rnd.Float64() * rnd.Float64()
		try(1+rnd.IntN(len(leaves)), func(int) bool { return rnd.Float64() < p })
	}
}

// TestGap holds the cut of a gap against its definition: complete aligned
// subtrees, from left to right, each as large as it can be.
func TestGap(t *testing.T) {
	check := func(from, to uint64) {
		at := from
		for level, index := range bundle.Gap(from, to) {
			if index<<level != at || at+1<<level > to {
				t.Fatalf("gap [%d, %d): subtree %d/%d at %d", from, to, level, index, at)
			}
			if up := level + 1; up < 63 && at&(1<<up-1) == 0 && to-at >= 1<<up {
				t.Fatalf("gap [%d, %d): subtree %d/%d could be larger", from, to, level, index)
			}
			at += 1 << level
		}
		if at != max(from, to) {
			t.Fatalf("gap [%d, %d) ends at %d", from, to, at)
		}
	}
	for from := range uint64(70) {
		for to := range uint64(70) {
			if from <= to {
				check(from, to)
			}
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a, b := rnd.Uint64()>>1>>rnd.IntN(40), rnd.Uint64()>>1>>rnd.IntN(40)
		check(min(a, b), max(a, b))
	}
	check(0, verify.MaxSize)
	n := 0
	for range bundle.Gap(0, verify.MaxSize) {
		n++
	}
	if n != bits.OnesCount64(verify.MaxSize) {
		t.Errorf("%d subtrees", n)
	}
}
