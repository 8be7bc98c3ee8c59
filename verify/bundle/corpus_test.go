package bundle_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var corpus = flag.String("corpus", "", "folder that TestAdversary writes the forgeries to, for other implementations")

// A corpusCase is a line of cases.jsonl: a file, what the examiner has from
// elsewhere, and what a check must say.
type corpusCase struct {
	Name       string   `json:"name"`
	Base       string   `json:"base"`                 // file name of the honest bundle
	Patch      []splice `json:"patch,omitempty"`      // what makes the file of it, offsets in the base, ascending
	Policy     string   `json:"policy,omitempty"`     // file name; absent: none is given
	Checkpoint string   `json:"checkpoint,omitempty"` // file name; absent: none is given
	Exit       int      `json:"exit"`
	Names      []string `json:"names,omitempty"` // one of these is said of what is wrong
}

// A splice replaces cut bytes of the base at an offset.
type splice struct {
	at, cut int
	insert  []byte
}

// MarshalJSON writes [offset, cut, "hex"].
func (s splice) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%q]", s.at, s.cut, hex.EncodeToString(s.insert)), nil
}

// window is how many bytes that are the same let a patch go on in the base.
const window = 24

// placesOf are the offsets of the windows of a base.
func placesOf(base []byte) map[string][]int {
	places := make(map[string][]int, len(base))
	for i := 0; i+window <= len(base); i++ {
		w := string(base[i : i+window])
		places[w] = append(places[w], i)
	}
	return places
}

// patchOf returns splices that make a file of a base, whose windows are at places.
func patchOf(base []byte, places map[string][]int, file []byte) (out []splice) {
	i, j := 0, 0
	for i < len(base) || j < len(file) {
		if i < len(base) && j < len(file) && base[i] == file[j] {
			i, j = i+1, j+1
			continue
		}
		at, next := len(base), len(file)
		for k := j; k+window <= len(file); k++ {
			of := places[string(file[k:k+window])]
			if n, _ := slices.BinarySearch(of, i); n < len(of) {
				at, next = of[n], k
				break
			}
		}
		out = append(out, splice{i, at - i, file[j:next]})
		i, j = at, next
	}
	return out
}

// apply makes the file of a base.
func apply(base []byte, patch []splice) []byte {
	var out []byte
	at := 0
	for _, s := range patch {
		out = append(append(out, base[at:s.at]...), s.insert...)
		at = s.at + s.cut
	}
	return append(out, base[at:]...)
}

// writeCorpus writes honest bundles, what examiners have, and the cases: structured
// ones, 2,000 at random, and bits.
func writeCorpus(t *testing.T, dir string, all []*base, list []forgery) {
	small := all[len(all)-1]
	for n := range 2000 {
		of, file := randomForgery(t, all[:len(all)-1], rand.New(rand.NewPCG(*seed, uint64(n))))
		list = append(list, randomCase(of, file, n))
	}
	for _, f := range flips(t, small) {
		list = append(list, bitFlip(small, f[0], f[1]))
	}
	spread(len(list), func(i int) { list[i].settle(t) })
	files := map[string][]byte{}
	bases, places := map[string][]byte{}, map[string]map[string][]int{}
	var lines []byte
	for _, b := range all {
		bases[b.name], files[b.name+".zip"], places[b.name] = b.file, b.file, placesOf(b.file)
		honest := forgery{name: "honest/" + b.name, base: b.name, file: b.file, policy: b.w.policy()}
		honest.settle(t)
		lines = append(lines, honest.line(t, b.file, places[b.name], files)...)
	}
	for i := range list {
		lines = append(lines, list[i].line(t, bases[list[i].base], places[list[i].base], files)...)
	}
	files["cases.jsonl"] = lines
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cases in %s", len(list)+len(all), dir)
}

// settle takes the exit code that the check gives.
func (c *forgery) settle(t testing.TB) { c.exit = exits[c.check(t).Verdict] }

// line is the case as a line; what it needs is put into files.
func (c *forgery) line(t testing.TB, base []byte, places map[string][]int, files map[string][]byte) []byte {
	patch := patchOf(base, places, c.file)
	if !bytes.Equal(apply(base, patch), c.file) {
		t.Fatalf("%s: the patch makes another file", c.name)
	}
	put := func(b []byte, suffix string) string {
		if b == nil {
			return ""
		}
		sum := sha256.Sum256(b)
		name := hex.EncodeToString(sum[:6]) + suffix
		files[name] = b
		return name
	}
	line, err := json.Marshal(corpusCase{c.name, c.base + ".zip", patch, put(c.policy, ".txt"), put(c.held, ".note"), c.exit, c.names})
	if err != nil {
		t.Fatal(err)
	}
	return append(line, '\n')
}

// TestPatch makes files of others.
func TestPatch(t *testing.T) {
	b := smallBase(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		_, file := randomForgery(t, []*base{b}, r)
		patch := patchOf(b.file, placesOf(b.file), file)
		if !bytes.Equal(apply(b.file, patch), file) || !slices.IsSortedFunc(patch, func(a, b splice) int { return cmp.Compare(a.at, b.at) }) {
			t.Fatal("the patch makes another file")
		}
	}
}
