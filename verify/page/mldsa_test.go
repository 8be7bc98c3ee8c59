package page_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/mldsa"
)

var updateMLDSA = flag.Bool("update-mldsa", false, "write testdata/mldsa44.json anew")

// mldsaCase is one signature, with what filippo.io/mldsa says of it: OK as it
// stands, and of each edit of it in Edits.
type mldsaCase struct {
	Name      string      `json:"name"`
	Key       []byte      `json:"key"`
	Message   []byte      `json:"message"`
	Signature []byte      `json:"signature"`
	OK        bool        `json:"ok"`
	Edits     []mldsaEdit `json:"edits,omitempty"`
}

// mldsaEdit changes bytes of one of the three parts, or its length.
type mldsaEdit struct {
	Name string   `json:"name"`
	Part string   `json:"part"` // key, message, signature
	Set  [][2]int `json:"set,omitempty"`
	Size int      `json:"size,omitempty"` // cut or filled with zeros to this many bytes; 0 leaves it
	OK   bool     `json:"ok"`
}

// Places in a signature of ML-DSA-44.
const (
	mldsaHint  = 32 + 4*576
	mldsaOmega = 80
)

// TestMLDSAVectors checks that testdata/mldsa44.json, which the page's own
// verifier is tested with, is what filippo.io/mldsa makes and says today.
func TestMLDSAVectors(t *testing.T) {
	got, err := json.MarshalIndent(mldsaCases(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", "mldsa44.json")
	if *updateMLDSA {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not current: go test ./verify/page -run MLDSAVectors -update-mldsa", file)
	}
}

func mldsaCases(t *testing.T) []mldsaCase {
	t.Helper()
	var cases []mldsaCase
	for i, size := range []int{0, 1, 40, 135, 136, 1000} {
		rng := rand.New(rand.NewPCG(uint64(i), 44))
		message := make([]byte, size)
		for j := range message {
			message[j] = byte(rng.Uint32())
		}
		key := mldsaKey(t, byte(i))
		sig, err := key.SignDeterministic(message, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := mldsaCase{Name: fmt.Sprintf("message of %d bytes", size), Key: key.PublicKey().Bytes(), Message: message, Signature: sig}
		c.OK = mldsaSays(c.Key, c.Message, c.Signature)
		if !c.OK {
			t.Fatalf("%s: own signature refused", c.Name)
		}
		c.Edits = mldsaEdits(sig, rng)
		for j := range c.Edits {
			e := &c.Edits[j]
			parts := map[string][]byte{"key": bytes.Clone(c.Key), "message": bytes.Clone(c.Message), "signature": bytes.Clone(c.Signature)}
			parts[e.Part] = e.apply(parts[e.Part])
			e.OK = mldsaSays(parts["key"], parts["message"], parts["signature"])
		}
		cases = append(cases, c)
	}
	key := mldsaKey(t, 0)
	sig, err := key.SignDeterministic([]byte("x"), &mldsa.Options{Context: "context"})
	if err != nil {
		t.Fatal(err)
	}
	other := mldsaCase{Name: "signed with a context", Key: key.PublicKey().Bytes(), Message: []byte("x"), Signature: sig}
	other.OK = mldsaSays(other.Key, other.Message, other.Signature)
	return append(cases, other)
}

func mldsaKey(t *testing.T, seed byte) *mldsa.PrivateKey {
	t.Helper()
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{seed}, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mldsaSays(key, message, sig []byte) bool {
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key)
	return err == nil && mldsa.Verify(public, message, sig, nil) == nil
}

func (e mldsaEdit) apply(b []byte) []byte {
	for _, s := range e.Set {
		b[s[0]] = byte(s[1])
	}
	if e.Size > len(b) {
		b = append(b, make([]byte, e.Size-len(b))...)
	} else if e.Size > 0 {
		b = b[:e.Size]
	}
	return b
}

// mldsaEdits are malformed encodings of sig, other encodings of what it says,
// and flipped bits all over.
func mldsaEdits(sig []byte, rng *rand.Rand) []mldsaEdit {
	ends := sig[mldsaHint+mldsaOmega:]
	used := int(ends[3])
	edits := []mldsaEdit{
		{Name: "first two of the hint swapped", Set: [][2]int{{mldsaHint, int(sig[mldsaHint+1])}, {mldsaHint + 1, int(sig[mldsaHint])}}},
		{Name: "first of the hint doubled", Set: [][2]int{{mldsaHint + 1, int(sig[mldsaHint])}}},
		{Name: "hint's last end one more", Set: [][2]int{{mldsaHint + mldsaOmega + 3, used + 1}}},
		{Name: "hint's last end over omega", Set: [][2]int{{mldsaHint + mldsaOmega + 3, mldsaOmega + 1}}},
		{Name: "hint's ends descend", Set: [][2]int{{mldsaHint + mldsaOmega, int(ends[1]) + 1}}},
		{Name: "hint's first end moved", Set: [][2]int{{mldsaHint + mldsaOmega, int(ends[0]) - 1}}},
		{Name: "z at its largest", Set: [][2]int{{32, 0}, {33, 0}, {34, int(sig[34]) &^ 3}}},
		{Name: "z at its smallest", Set: [][2]int{{32, 255}, {33, 255}, {34, int(sig[34]) | 3}}},
		{Name: "one byte short", Size: len(sig) - 1},
		{Name: "one byte long", Size: len(sig) + 1},
		{Name: "key one byte short", Part: "key", Size: 1311},
		{Name: "key one byte long", Part: "key", Size: 1313},
		{Name: "message longer", Part: "message", Size: 1001},
		{Name: "key's seed", Part: "key", Set: [][2]int{{0, 0x5a}}},
		{Name: "key's last byte", Part: "key", Set: [][2]int{{1311, 0x5a}}},
		{Name: "nothing changed", Set: [][2]int{{0, int(sig[0])}}, OK: true},
	}
	if used < mldsaOmega {
		edits = append(edits, mldsaEdit{Name: "unused hint byte set", Set: [][2]int{{mldsaHint + used, 1}}})
	}
	for range 30 {
		at := rng.IntN(len(sig))
		edits = append(edits, mldsaEdit{Name: "flipped bit", Set: [][2]int{{at, int(sig[at]) ^ 1<<rng.IntN(8)}}})
	}
	for i := range edits {
		if edits[i].Part == "" {
			edits[i].Part = "signature"
		}
	}
	return edits
}
