package verify_test

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// readVectors reads a file of testdata/vectors, which other people made.
func readVectors(t testing.TB, name string, into any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.NewDecoder(r).Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// hashes returns byte strings as hashes; false where one has another length,
// which our types cannot hold.
func hashes(in ...[]byte) ([]verify.Hash, bool) {
	var out []verify.Hash
	for _, b := range in {
		if len(b) != 32 {
			return nil, false
		}
		out = append(out, verify.Hash(b))
	}
	return out, true
}

// TestMerkleVectors runs the proofs of transparency-dev/merkle. Hashes that are
// not 32 bytes cannot be given to us; those vectors are all to be refused, but
// for a tree of size 0 with such a root.
func TestMerkleVectors(t *testing.T) {
	type vector struct {
		File, Desc                      string
		LeafIdx, TreeSize, Size1, Size2 uint64
		Root, LeafHash, Root1, Root2    []byte
		Proof                           [][]byte
		WantErr                         bool
	}
	var all struct{ Inclusion, Consistency []vector }
	readVectors(t, "merkle.json.gz", &all)
	run, skipped := 0, 0
	judge := func(v vector, err error) {
		run++
		if (err != nil) != v.WantErr {
			t.Errorf("%s (%s): error %v, want one: %v", v.File, v.Desc, err, v.WantErr)
		}
	}
	skip := func(v vector) {
		skipped++
		if !v.WantErr {
			t.Logf("%s (%s) is to be taken, with hashes that are not 32 bytes", v.File, v.Desc)
		}
	}
	for _, v := range all.Inclusion {
		h, ok := hashes(append([][]byte{v.Root, v.LeafHash}, v.Proof...)...)
		if !ok {
			skip(v)
			continue
		}
		judge(v, verify.CheckInclusion(v.LeafIdx, v.TreeSize, h[1], h[2:], h[0]))
	}
	for _, v := range all.Consistency {
		h, ok := hashes(append([][]byte{v.Root1, v.Root2}, v.Proof...)...)
		if !ok {
			skip(v)
			continue
		}
		if v.Size1 == 0 && v.WantErr && h[0] == verify.EmptyRoot() && len(v.Proof) == 0 {
			skipped++ // they call the empty tree meaningless; for us everything begins with it
			continue
		}
		judge(v, verify.CheckConsistency(v.Size1, v.Size2, h[0], h[1], h[2:]))
	}
	t.Logf("%d vectors run, %d skipped", run, skipped)
	if run < 140 {
		t.Errorf("only %d vectors were run", run)
	}
}

func TestRFC6962Vectors(t *testing.T) {
	var v struct {
		Leaves []string `json:"leaves_hex"`
		Hashes []string `json:"leaf_hashes_hex"`
		Roots  []string `json:"roots_hex_by_size"`
	}
	readVectors(t, "rfc6962.json", &v)
	var f verify.Frontier
	for i, root := range v.Roots {
		if got := f.Root(); got != hexHash(t, root) {
			t.Errorf("size %d: root %x, want %s", i, got, root)
		}
		if i == len(v.Leaves) {
			break
		}
		leaf, err := hex.DecodeString(v.Leaves[i])
		if err != nil {
			t.Fatal(err)
		}
		h := verify.HashLeaf(leaf)
		if h != hexHash(t, v.Hashes[i]) {
			t.Errorf("leaf %d: %x, want %s", i, h, v.Hashes[i])
		}
		f.Append(h)
	}
	if f.Size != 8 {
		t.Errorf("%d leaves were hashed", f.Size)
	}
}

// TestTesseraLog rebuilds another program's log at each size, opens its signed
// checkpoints, and proves each consistent with all before.
func TestTesseraLog(t *testing.T) {
	var v struct {
		VKey        string
		Entries     []string
		Checkpoints []string
	}
	readVectors(t, "tessera.json", &v)
	policy, err := verify.KeyPolicy(v.VKey)
	if err != nil {
		t.Fatal(err)
	}
	var all tree
	for _, e := range v.Entries {
		all = append(all, verify.HashLeaf([]byte(e)))
	}
	if len(v.Checkpoints) != 16 {
		t.Fatalf("%d checkpoints", len(v.Checkpoints))
	}
	var earlier []verify.Checkpoint
	for size, note := range v.Checkpoints {
		c, err := policy.OpenCheckpoint([]byte(note))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if c.Size != uint64(size) || c.Root != all[:size].root() || c.Origin != "example.com/log/testdata" {
			t.Errorf("size %d: checkpoint %+v", size, c)
		}
		earlier = append(earlier, c)
		for _, e := range earlier {
			p, err := verify.ProveConsistency(e.Size, c.Size, all[:size].nodes)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify.CheckConsistency(e.Size, c.Size, e.Root, c.Root, p); err != nil {
				t.Errorf("%d to %d: %v", e.Size, c.Size, err)
			}
		}
		spoilt := strings.Replace(note, "example.com/log/testdata\n", "example.com/log/testdatb\n", 1)
		if _, err := policy.OpenCheckpoint([]byte(spoilt)); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("size %d: changed origin: %v", size, err)
		}
	}
}

// cosignedVectors is a checkpoint that real witnesses cosigned.
type cosignedVectors struct {
	VKey, Policy, Checkpoint, Receipt string
	ReceiptEntry                      string `json:"receipt_entry"`
	Witnesses                         map[string]string
}

// TestCosignedCheckpoint opens a checkpoint with Ed25519 and ML-DSA-44
// cosignatures, and a receipt under it.
func TestCosignedCheckpoint(t *testing.T) {
	var v cosignedVectors
	readVectors(t, "cosigned.json", &v)
	all := fmt.Sprintf("log %s\nwitness lw %s\nwitness w1 %s\nwitness w2 %s\ngroup g 3 lw w1 w2\nquorum g\n",
		v.VKey, v.Witnesses["lw"], v.Witnesses["w1"], v.Witnesses["w2"])
	for _, text := range []string{v.Policy, all} {
		policy, err := verify.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o, err := policy.Open([]byte(v.Checkpoint))
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != 846 || o.Origin != "example.com/audit/log1" {
			t.Errorf("checkpoint %+v", o.Checkpoint)
		}
		for _, w := range o.Witnesses {
			if w.Unix != 1795457775 {
				t.Errorf("witness %+v", w)
			}
		}
		r, err := verify.ParseReceipt([]byte(v.Receipt))
		if err != nil {
			t.Fatal(err)
		}
		c, err := policy.OpenCheckpoint(r.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckInclusion(r.Index, c.Size, verify.HashLeaf([]byte(v.ReceiptEntry)), r.Proof, c.Root); err != nil || r.Index != 300 {
			t.Errorf("receipt of entry %d: %v", r.Index, err)
		}
		// It is in that log, but it is no entry of a daybook.
		claims, err := verify.CheckReceipt(policy, []byte(v.Receipt), []byte(v.ReceiptEntry))
		var ge *verify.GrammarError
		if !errors.As(err, &ge) || claims.Index != 300 {
			t.Errorf("CheckReceipt: %+v, %v", claims, err)
		}
	}
	policy, err := verify.ParsePolicy([]byte(all))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(v.Checkpoint, "\n")[4:] {
		if !strings.HasPrefix(line, "\u2014 ") {
			continue
		}
		known := !strings.Contains(line, "\u2014 unknown")
		without := strings.Replace(v.Checkpoint, line+"\n", "", 1)
		if _, err := policy.Open([]byte(without)); known && !errors.Is(err, verify.ErrQuorum) && !errors.Is(err, verify.ErrUnsigned) {
			t.Errorf("without %.60q: %v", line, err)
		}
	}
}

func TestSignedNoteVectors(t *testing.T) {
	var notes []struct {
		Name, VKey, Note string
	}
	readVectors(t, "signed-notes.json", &notes)
	for _, n := range notes {
		name, err := verify.VKeyOrigin(n.VKey)
		if err != nil || !strings.HasPrefix(n.VKey, name+"+") {
			t.Errorf("%s: name %q, %v", n.Name, name, err)
		}
		// The notes hold no checkpoints: their split and key are all we can check.
		p, err := verify.KeyPolicy(n.VKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.OpenCheckpoint([]byte(n.Note)); err == nil || !strings.Contains(err.Error(), "checkpoint") {
			t.Errorf("%s: %v", n.Name, err)
		}
	}
}

// TestEd25519EdgeCases pins which of the edge cases of CCTV our check takes:
// those without non_canonical_R and low_order_residue, as crypto/ed25519,
// OpenSSL and most others do.
func TestEd25519EdgeCases(t *testing.T) {
	var vectors []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	readVectors(t, "ed25519.json.gz", &vectors)
	prefix, _ := hex.DecodeString("302a300506032b6570032100")
	run := 0
	for _, v := range vectors {
		key, err1 := hex.DecodeString(v.Key)
		sig, err2 := hex.DecodeString(v.Sig)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(v.Flags, "reencoded_k") {
			continue // made for another hash than ours; their flags do not decide
		}
		run++
		want := !slices.Contains(v.Flags, "non_canonical_R") && !slices.Contains(v.Flags, "low_order_residue")
		err := verify.CheckRunSignature(append(slices.Clone(prefix), key...), []byte(v.Msg), sig)
		if (err == nil) != want {
			t.Errorf("vector %d %v: %v", v.Number, v.Flags, err)
		}
	}
	if run < 700 {
		t.Errorf("only %d of %d vectors were run", run, len(vectors))
	}
}
