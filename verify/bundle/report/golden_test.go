package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write testdata again")

// scenes are the cases of testdata. Of those with sums alone the SHA-256 of each
// member is there, not the member.
func scenes(t testing.TB) map[string]struct {
	world *world
	sums  bool
} {
	return map[string]struct {
		world *world
		sums  bool
	}{"full": {fullScene(t), false}, "empty": {emptyScene(t), false}, "many": {manyScene(t), true}}
}

// TestGolden compares every member with testdata. Another implementation makes the
// same from input.json.
func TestGolden(t *testing.T) {
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			input, err := json.MarshalIndent(c.world, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			sink := newMemory()
			c.world.write(t, sink, nil)
			if sink.open != 0 {
				t.Errorf("%d members are still open", sink.open)
			}
			files := map[string][]byte{"input.json": append(input, '\n')}
			var sums []byte
			slices.Sort(sink.names)
			for _, member := range sink.names {
				b := sink.files[member].Bytes()
				sums = fmt.Appendf(sums, "%x  %s\n", sha256.Sum256(b), member)
				if !c.sums {
					files["out/"+member] = b
				}
			}
			files["SHA256SUMS"] = sums
			if *update {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			for file, b := range files {
				compareFile(t, filepath.Join(dir, filepath.FromSlash(file)), b)
			}
		})
	}
}

// compareFile compares bytes with a file, or writes it.
func compareFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(b, want) {
		return
	}
	at := 0
	for at < len(b) && at < len(want) && b[at] == want[at] {
		at++
	}
	t.Errorf("%s differs at byte %d: %.80q, want %.80q; -update writes it again", path, at, b[max(0, at-20):], want[max(0, at-20):])
}
