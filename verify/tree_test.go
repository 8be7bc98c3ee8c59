package verify_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/verify"
)

// tree is the dumb twin: RFC 6962's recursive definition over leaf hashes.
type tree []verify.Hash

func newTree(n int) tree {
	var t tree
	for i := range n {
		t = append(t, verify.HashLeaf(binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	return t
}

func (t tree) root() verify.Hash {
	switch len(t) {
	case 0:
		return verify.EmptyRoot()
	case 1:
		return t[0]
	}
	k := 1
	for k*2 < len(t) {
		k *= 2
	}
	return verify.HashNode(t[:k].root(), t[k:].root())
}

// nodes serves the complete subtrees of the tree and refuses all others.
func (t tree) nodes(level uint, index uint64) (verify.Hash, error) {
	lo, hi := index<<level, (index+1)<<level
	if hi > uint64(len(t)) {
		return verify.Hash{}, fmt.Errorf("subtree %d/%d is not complete at size %d", level, index, len(t))
	}
	return t[lo:hi].root(), nil
}

// memo is tree.nodes, each node hashed once.
func (t tree) memo() verify.NodeFunc {
	known := map[[2]uint64]verify.Hash{}
	return func(level uint, index uint64) (verify.Hash, error) {
		h, ok := known[[2]uint64{uint64(level), index}]
		if ok {
			return h, nil
		}
		h, err := t.nodes(level, index)
		known[[2]uint64{uint64(level), index}] = h
		return h, err
	}
}

func raw(hashes []verify.Hash) [][]byte {
	out := [][]byte{}
	for i := range hashes {
		out = append(out, hashes[i][:])
	}
	return out
}

// TestFrontier holds the frontier against the dumb twin and merkle/compact.
func TestFrontier(t *testing.T) {
	all := newTree(300)
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	twin := factory.NewEmptyRange(0)
	var f verify.Frontier
	for n := 0; ; n++ {
		if got := f.Root(); got != all[:n].root() {
			t.Fatalf("size %d: root %x", n, got)
		}
		if got, err := verify.RootAt(uint64(n), all[:n].nodes); err != nil || got != all[:n].root() {
			t.Fatalf("size %d: RootAt %x, %v", n, got, err)
		}
		if diff := cmp.Diff(twin.Hashes(), raw(f.Nodes)); n > 0 && diff != "" {
			t.Fatalf("size %d (-compact +frontier):\n%s", n, diff)
		}
		b := f.AppendBinary(nil)
		again, err := verify.ParseFrontier(b)
		if err != nil || !bytes.Equal(again.AppendBinary(nil), b) || again.Size != uint64(n) {
			t.Fatalf("size %d: ParseFrontier: %v", n, err)
		}
		if n == len(all) {
			break
		}
		old := f.Clone()
		before := old.Root()
		f.Append(all[n])
		if old.Root() != before {
			t.Fatalf("size %d: a clone changed", n)
		}
		if err := twin.Append(all[n][:], nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFrontierAppendTree adds whole subtrees, of every level that the size
// permits, and compares with leaf by leaf.
func TestFrontierAppendTree(t *testing.T) {
	all := newTree(300)
	for n := range 200 {
		for level := uint(0); n>>level<<level == n && n+1<<level <= len(all); level++ {
			var f verify.Frontier
			for _, h := range all[:n] {
				f.Append(h)
			}
			f.AppendTree(level, all[n:n+1<<level].root())
			if f.Size != uint64(n+1<<level) || f.Root() != all[:n+1<<level].root() {
				t.Fatalf("a subtree of level %d at size %d gives root %x", level, n, f.Root())
			}
		}
	}
}

func TestParseFrontierRefuses(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 7), make([]byte, 9), {0, 0, 0, 0, 0, 0, 0, 1}, append([]byte{0x80}, make([]byte, 39)...),
		append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 33)...)} {
		if f, err := verify.ParseFrontier(b); err == nil {
			t.Errorf("%x gives %+v", b, f)
		}
	}
}

// TestRangeProofExhaustive proves every range of every small tree; refuses the
// proof with any hash changed, one missing, one more; and finds a range of one
// to be the inclusion proof of merkle/proof and of x/mod.
func TestRangeProofExhaustive(t *testing.T) {
	const most = 40
	all := newTree(most)
	for size := 1; size <= most; size++ {
		root, nodes := all[:size].root(), all[:size].memo()
		for lo := range size {
			for hi := lo + 1; hi <= size; hi++ {
				p, err := verify.ProveRange(uint64(lo), uint64(hi), uint64(size), nodes)
				if err != nil {
					t.Fatalf("[%d, %d) at %d: %v", lo, hi, size, err)
				}
				if n := verify.RangeProofLen(uint64(lo), uint64(hi), uint64(size)); n != len(p) {
					t.Fatalf("[%d, %d) at %d: %d hashes, RangeProofLen %d", lo, hi, size, len(p), n)
				}
				checkRangeAndMutations(t, lo, size, all[lo:hi], p, root)
			}
			inclusionLikeOthers(t, all[:size], lo, nodes)
		}
	}
}

func checkRangeAndMutations(t *testing.T, lo, size int, leaves tree, p []verify.Hash, root verify.Hash) {
	t.Helper()
	check := func(leaves tree, p []verify.Hash, root verify.Hash) error {
		return verify.CheckRange(uint64(lo), uint64(size), leaves, p, root)
	}
	where := fmt.Sprintf("[%d, %d) at %d", lo, lo+len(leaves), size)
	if err := check(leaves, p, root); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	for i := range p {
		p[i][3] ^= 1
		if check(leaves, p, root) == nil {
			t.Fatalf("%s: hash %d changed is taken", where, i)
		}
		p[i][3] ^= 1
	}
	for _, i := range []int{0, len(leaves) / 2, len(leaves) - 1} {
		leaves[i][3] ^= 1
		if check(leaves, p, root) == nil {
			t.Fatalf("%s: leaf %d changed is taken", where, i)
		}
		leaves[i][3] ^= 1
	}
	if check(leaves, append(p[:len(p):len(p)], verify.Hash{}), root) == nil {
		t.Fatalf("%s: a hash more is taken", where)
	}
	if len(p) > 0 && (check(leaves, p[:len(p)-1], root) == nil || check(leaves, p[1:], root) == nil) {
		t.Fatalf("%s: a hash less is taken", where)
	}
	if err := verify.CheckRange(uint64(lo+1), uint64(size), leaves, p, root); err == nil {
		t.Fatalf("%s: taken one place on", where)
	}
	if size > len(leaves) && lo > 0 {
		if err := verify.CheckRange(uint64(lo-1), uint64(size), leaves, p, root); err == nil {
			t.Fatalf("%s: taken one place back", where)
		}
	}
}

// inclusionLikeOthers derives the inclusion proof of entry lo from every range
// around it and compares it with the proofs of the other implementations.
func inclusionLikeOthers(t *testing.T, all tree, lo int, nodes verify.NodeFunc) {
	t.Helper()
	size := len(all)
	single, err := verify.ProveRange(uint64(lo), uint64(lo+1), uint64(size), nodes)
	if err != nil {
		t.Fatal(err)
	}
	root := all.root()
	if err := verify.CheckInclusion(uint64(lo), uint64(size), all[lo], single, root); err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(lo), uint64(size), all[lo][:], raw(single), root[:]); err != nil {
		t.Fatalf("merkle refuses entry %d at %d: %v", lo, size, err)
	}
	var theirs tlog.RecordProof
	for i := range single {
		theirs = append(theirs, tlog.Hash(single[i]))
	}
	if err := tlog.CheckRecord(theirs, int64(size), tlog.Hash(root), int64(lo), tlog.Hash(all[lo])); err != nil {
		t.Fatalf("x/mod refuses entry %d at %d: %v", lo, size, err)
	}
	for from := max(0, lo-5); from <= lo; from++ {
		for to := lo + 1; to <= min(size, lo+6); to++ {
			p, err := verify.ProveRange(uint64(from), uint64(to), uint64(size), nodes)
			if err != nil {
				t.Fatal(err)
			}
			r, err := verify.OpenRange(uint64(from), uint64(size), all[from:to], p, root)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Single(uint64(lo))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(single, got) {
				t.Fatalf("entry %d from [%d, %d) at %d: %x, want %x", lo, from, to, size, got, single)
			}
		}
	}
}

// TestConsistencyExhaustive proves every pair of small sizes, has merkle and
// x/mod take the proofs, and refuses them changed.
func TestConsistencyExhaustive(t *testing.T) {
	const most = 40
	all := newTree(most)
	for second := 0; second <= most; second++ {
		root2, nodes := all[:second].root(), all[:second].memo()
		for first := 0; first <= second; first++ {
			root1 := all[:first].root()
			p, err := verify.ProveConsistency(uint64(first), uint64(second), nodes)
			if err != nil {
				t.Fatalf("%d to %d: %v", first, second, err)
			}
			check := func(p []verify.Hash, root1, root2 verify.Hash) error {
				return verify.CheckConsistency(uint64(first), uint64(second), root1, root2, p)
			}
			if err := check(p, root1, root2); err != nil {
				t.Fatalf("%d to %d: %v", first, second, err)
			}
			// merkle calls the empty tree meaningless and refuses it.
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(first), uint64(second), raw(p), root1[:], root2[:]); err != nil && first > 0 {
				t.Fatalf("merkle refuses %d to %d: %v", first, second, err)
			}
			if first > 0 {
				var theirs tlog.TreeProof
				for i := range p {
					theirs = append(theirs, tlog.Hash(p[i]))
				}
				if err := tlog.CheckTree(theirs, int64(second), tlog.Hash(root2), int64(first), tlog.Hash(root1)); err != nil {
					t.Fatalf("x/mod refuses %d to %d: %v", first, second, err)
				}
			}
			other := verify.Hash{1}
			if check(p, other, root2) == nil {
				t.Fatalf("%d to %d: another first root is taken", first, second)
			}
			// What continues the empty tree is not bound to a root by it.
			if first > 0 && check(p, root1, other) == nil {
				t.Fatalf("%d to %d: another second root is taken", first, second)
			}
			if check(append(p[:len(p):len(p)], other), root1, root2) == nil || len(p) > 0 && check(p[1:], root1, root2) == nil {
				t.Fatalf("%d to %d: another count is taken", first, second)
			}
			for i := range p {
				p[i][5] ^= 1
				if check(p, root1, root2) == nil {
					t.Fatalf("%d to %d: hash %d changed is taken", first, second, i)
				}
				p[i][5] ^= 1
			}
		}
	}
}

// TestProofsRefuseNonsense gives arguments that name no range or pair.
func TestProofsRefuseNonsense(t *testing.T) {
	all := newTree(8)
	for _, r := range [][3]uint64{{0, 0, 8}, {3, 3, 8}, {4, 3, 8}, {0, 9, 8}, {0, 1, 0}, {8, 9, 8}, {0, 1, 1 << 63}, {1<<64 - 1, 0, 8}} {
		if p, err := verify.ProveRange(r[0], r[1], r[2], all.nodes); err == nil {
			t.Errorf("range %v: %v", r, p)
		}
		if n := verify.RangeProofLen(r[0], r[1], r[2]); n != 0 {
			t.Errorf("range %v: %d hashes", r, n)
		}
	}
	root := all.root()
	if verify.CheckRange(0, 8, nil, nil, root) == nil || verify.CheckRange(1<<64-1, 8, all[:2], nil, root) == nil ||
		verify.CheckRange(7, 8, all[:2], nil, root) == nil || verify.CheckInclusion(8, 8, all[0], nil, root) == nil {
		t.Error("a place outside the tree is taken")
	}
	p, err := verify.ProveRange(2, 4, 8, all.nodes)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.OpenRange(2, 8, all[2:4], p, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, outside := range []uint64{0, 1, 4, 1<<64 - 1} {
		if _, err := r.Single(outside); err == nil {
			t.Errorf("a single proof of entry %d from outside its range", outside)
		}
	}
	if _, err := verify.OpenRange(2, 8, all[2:4], p, all[0]); !errors.Is(err, verify.ErrProof) {
		t.Errorf("a range under another root: %v", err)
	}
	if _, err := verify.ProveConsistency(9, 8, all.nodes); err == nil {
		t.Error("consistency backwards is proved")
	}
	if verify.CheckConsistency(9, 8, root, root, nil) == nil {
		t.Error("consistency backwards is taken")
	}
}

// TestAllocations bounds what the hot paths allocate.
func TestAllocations(t *testing.T) {
	all := newTree(1000)
	root, nodes := all.root(), all.memo()
	one, err := verify.ProveRange(500, 501, 1000, nodes)
	if err != nil {
		t.Fatal(err)
	}
	entry, long := make([]byte, 700), make([]byte, 5000)
	var f verify.Frontier
	for _, h := range all {
		f.Append(h)
	}
	for name, fn := range map[string]func(){
		"HashLeaf":       func() { verify.HashLeaf(entry); verify.HashLeaf(long) },
		"HashNode":       func() { verify.HashNode(root, root) },
		"RunNext":        func() { verify.RunNext(root, 1, root) },
		"CheckInclusion": func() { _ = verify.CheckInclusion(500, 1000, all[500], one, root) },
		"Frontier":       func() { f.Append(root); f.Root() },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkHashLeaf(b *testing.B) {
	entry := make([]byte, 700)
	b.SetBytes(int64(len(entry)))
	for b.Loop() {
		verify.HashLeaf(entry)
	}
}

func BenchmarkFrontierAppend(b *testing.B) {
	var f verify.Frontier
	leaf := verify.Hash{1}
	for b.Loop() {
		f.Append(leaf)
	}
}

// BenchmarkCheckRange checks the receipt of an append of 100 in a log of a
// million, whose other nodes are made up.
func BenchmarkCheckRange(b *testing.B) {
	const size, lo = 1_000_003, 999_871
	leaves := newTree(100)
	p := make([]verify.Hash, verify.RangeProofLen(lo, lo+100, size))
	b.ReportAllocs()
	for b.Loop() {
		if err := verify.CheckRange(lo, size, leaves, p, verify.Hash{}); err == nil {
			b.Fatal("made-up nodes are taken")
		}
	}
}

// TestConsistencyErrorIsOneLine holds what people read to one line.
func TestConsistencyErrorIsOneLine(t *testing.T) {
	all := newTree(8)
	p, err := verify.ProveConsistency(5, 8, all.memo())
	if err != nil {
		t.Fatal(err)
	}
	for _, roots := range [][2]verify.Hash{{all[:5].root(), {1}}, {{1}, all.root()}} {
		err := verify.CheckConsistency(5, 8, roots[0], roots[1], p)
		if !errors.Is(err, verify.ErrProof) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	}
}
