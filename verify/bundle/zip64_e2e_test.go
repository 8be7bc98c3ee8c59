//go:build e2e

package bundle_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle"
)

// holes writes a file, and leaves out what is zero.
type holes struct {
	f    *os.File
	zero []byte
	size int64
}

// Write appends to the file.
func (h *holes) Write(b []byte) (int, error) {
	if len(b) != len(h.zero) || !bytes.Equal(b, h.zero) {
		if _, err := h.f.WriteAt(b, h.size); err != nil {
			return 0, err
		}
	}
	h.size += int64(len(b))
	return len(b), nil
}

// TestZip64ForOthers writes a file of over 4 GiB, nearly all of it a hole, and has
// everybody read all of it: ourselves, the page's modules, and programs of others.
func TestZip64ForOthers(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "case.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := &holes{f: f, zero: make([]byte, 1<<20)}
	if _, err := bundle.PackZeros(h, "log.example", []uint64{1<<32 + 5, 1, 3 << 20}, nil); err != nil {
		t.Fatal(err)
	}
	if err := bundle.OpenFile(t.Context(), f, h.size); err != nil {
		t.Error(err)
	}
	for _, c := range [][]string{
		{"node", filepath.Join("..", "page", "testdata", "zip64.mjs"), f.Name()},
		{"unzip", "-t", "-q", f.Name()},
		{"zipinfo", "-t", f.Name()},
		{"python3", "-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.infolist()), 'files')", f.Name()},
	} {
		t.Run(c[0], func(t *testing.T) {
			program, err := exec.LookPath(c[0])
			if err != nil {
				t.Skipf("SKIPPED: no %s on this machine: whether it reads a file of over 4 GiB is not tested", c[0])
			}
			out, err := exec.CommandContext(t.Context(), program, c[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			t.Logf("%s", strings.TrimSpace(string(out)))
		})
	}
}
