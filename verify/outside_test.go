package verify_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// FuzzCheckReceipt: whatever a receipt and an entry are, one that passes under the
// log's key is of an entry that the log has.
func FuzzCheckReceipt(f *testing.F) {
	l := newSampleLog(f, 3)
	policy := l.policy(f)
	for i := range l.entries {
		f.Add(l.receipt(f, i, len(l.entries)), l.entries[i])
	}
	f.Add(bytes.Replace(l.receipt(f, 1, 3), []byte("index"), []byte("extra AQI=\nindex"), 1), l.entries[1])
	f.Fuzz(func(t *testing.T, receipt, entry []byte) {
		c, err := verify.CheckReceipt(policy, receipt, entry)
		if err != nil {
			return
		}
		if c.Index >= uint64(len(l.entries)) || !bytes.Equal(entry, l.entries[c.Index]) {
			t.Errorf("entry %d of the log is %x", c.Index, entry)
		}
	})
}

// FuzzProofs: no place, size or count of hashes panics, and nothing but the tree's
// own proofs leads to its root.
func FuzzProofs(f *testing.F) {
	l := newSampleLog(f, 9)
	root := l.leaves.root()
	for i := range l.entries {
		p, err := verify.ParseReceipt(l.receipt(f, i, len(l.entries)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint64(i), uint64(len(l.entries)), uint8(1), verify.FormatHashes(p.Proof))
	}
	f.Add(^uint64(0), ^uint64(0), uint8(2), []byte{})
	f.Add(uint64(0), ^uint64(0), uint8(255), []byte{})
	f.Fuzz(func(t *testing.T, lo, size uint64, n uint8, text []byte) {
		proof, err := verify.ParseHashes(text)
		if err != nil {
			return
		}
		leaves := make([]verify.Hash, n)
		for i := range leaves {
			if at := lo + uint64(i); at < uint64(len(l.entries)) {
				leaves[i] = verify.HashLeaf(l.entries[at])
			}
		}
		err = verify.CheckRange(lo, size, leaves, proof, root)
		r, err2 := verify.OpenRange(lo, size, leaves, proof, root)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("checked: %v, opened: %v", err, err2)
		}
		if err == nil {
			if lo+uint64(n) > uint64(len(l.entries)) {
				t.Fatalf("[%d, %d) of %d is proven in a log of %d", lo, lo+uint64(n), size, len(l.entries))
			}
			if _, err := r.Single(lo); err != nil {
				t.Error(err)
			}
		}
		if verify.CheckConsistency(lo, size, verify.Hash{}, root, proof) == nil {
			t.Errorf("a log of %d with a root of zeros begins one of %d", lo, size)
		}
		one := verify.Hash{}
		if n > 0 {
			one = leaves[0]
		}
		if verify.CheckInclusion(lo, size, one, proof, verify.Hash{1}) == nil {
			t.Error("a leaf leads to another root")
		}
	})
}

// FuzzPredecessor: what a first entry says of the log before it is taken only with
// checkpoints that its key signed, in their order.
func FuzzPredecessor(f *testing.F) {
	l := newSampleLog(f, 5)
	for _, m := range []*daybookv1.Predecessor{
		{Origin: l.origin.name, Vkey: l.origin.vkey(f), Checkpoints: [][]byte{l.checkpoint(f, 3), l.checkpoint(f, 7)}, LostFirst: 3, LostEnd: 7},
		{Origin: l.origin.name, Vkey: l.origin.vkey(f), Checkpoints: [][]byte{l.checkpoint(f, 7)}, LostFirst: 7, LostEnd: 7, Succession: 7},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("new.example/log", b)
	}
	f.Fuzz(func(t *testing.T, origin string, b []byte) {
		m := new(daybookv1.Predecessor)
		if proto.Unmarshal(b, m) != nil || verify.CheckPredecessor(origin, m) != nil {
			return
		}
		policy, err := verify.KeyPolicy(m.Vkey)
		if err != nil {
			t.Fatal(err)
		}
		for _, note := range m.Checkpoints {
			if c, err := policy.OpenCheckpoint(note); err != nil || c.Origin == origin || c.Size < m.LostEnd && note == nil {
				t.Errorf("checkpoint %q: %v", note, err)
			}
		}
	})
}

// FuzzFingerprint: a key has words where it is one, and its name is the origin.
func FuzzFingerprint(f *testing.F) {
	for _, typ := range []byte{1, 4, 6} {
		f.Add(newSigner("log.example/x", typ).vkey(f))
	}
	f.Fuzz(func(t *testing.T, vkey string) {
		sum, err := verify.VKeyFingerprint(vkey)
		if err != nil {
			return
		}
		if words := verify.FingerprintWords(sum); len(words) != 12 {
			t.Errorf("words %q", words)
		}
	})
}

// FuzzDay: a day that is taken is one of the calendar, 24 hours long.
func FuzzDay(f *testing.F) {
	f.Add("2026-05-17")
	f.Add("9999-12-31")
	f.Add("0000-01-01")
	f.Fuzz(func(t *testing.T, text string) {
		start, end, err := verify.ParseDay(text)
		if err == nil && (end-start != 24*3600*1e9 || len(text) != 10) {
			t.Errorf("%q is from %d to %d", text, start, end)
		}
	})
}
