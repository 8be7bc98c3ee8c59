package ledger_test

import (
	"errors"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify"
)

// TestEverySizeIsProven asks a log of several commits, over a bundle and a tile,
// for the checkpoint of every size: root, signature and time are those of the
// entries below it, whether a commit ended there or not; and a sample of entries
// and older sizes is proven at each.
func TestEverySizeIsProven(t *testing.T) {
	g := create(t, ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("sizes")
	first := uint64(1)
	for _, n := range []int{1, 2, 3, 5, 90, 160, 1, 40} {
		appendBatch(t, g, ledgertest.Batch(run, 1, first, n))
		first += uint64(n)
	}
	size := g.L.Head().Size
	leaves, times, roots := []verify.Hash{}, []int64{}, []verify.Hash{verify.EmptyRoot()}
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	if err := g.L.Entries(t.Context(), 0, size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return err
		}
		leaf := verify.HashLeaf(raw)
		if err := tree.Append(leaf[:], nil); err != nil {
			return err
		}
		root, err := tree.GetRootHash(nil)
		leaves, times, roots = append(leaves, leaf), append(times, e.Head.LogTimeNS), append(roots, verify.Hash(root))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	policy, err := verify.KeyPolicy(ledgertest.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= size; n++ {
		note, timeNS, err := g.L.CheckpointAt(t.Context(), n)
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		c, err := policy.OpenCheckpoint(note)
		if err != nil || c.Size != n || c.Root != roots[n] || timeNS != times[n-1] {
			t.Fatalf("size %d: checkpoint of size %d, root %x, time %d, %v", n, c.Size, c.Root, timeNS, err)
		}
		checkAt(t, g.L, n, leaves, roots)
	}
	for _, n := range []uint64{0, size + 1} {
		if _, _, err := g.L.CheckpointAt(t.Context(), n); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("size %d: %v", n, err)
		}
	}
}

// checkAt checks proofs at size n: of every entry up to 40, then of every 17th,
// and of as many older sizes.
func checkAt(t *testing.T, l *ledger.Ledger, n uint64, leaves, roots []verify.Hash) {
	t.Helper()
	step := uint64(1)
	if n > 40 {
		step = 17
	}
	for i := uint64(0); i < n; i += step {
		proof, err := l.Proof(t.Context(), i, n)
		if err == nil {
			err = verify.CheckInclusion(i, n, leaves[i], proof, roots[n])
		}
		if err != nil {
			t.Fatalf("entry %d at size %d: %v", i, n, err)
		}
		older, err := l.Consistency(t.Context(), i+1, n)
		if err == nil {
			err = verify.CheckConsistency(i+1, n, roots[i+1], roots[n], older)
		}
		if err != nil {
			t.Fatalf("size %d to size %d: %v", i+1, n, err)
		}
	}
}
