package bundle_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

var accesses = flag.Int("accesses", 20_000, "accesses of the benchmarks' log")

// longWorld is a log of one busy day with n accesses of one run, a heartbeat after
// each thousand.
func longWorld(t testing.TB, n int) *world {
	w := newWorld(t, start)
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	r := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	for i := range n {
		w.now += int64(10 * time.Hour / time.Duration(n))
		target := "prod-db"
		if i%3 == 0 {
			target = "desk"
		}
		w.append(r, daybookv1.Kind_KIND_ACCESS, w.event("web", target))
		if i%1000 == 999 {
			w.heartbeat(r)
		}
	}
	w.heartbeat(r)
	w.closeAt(start.Add(15 * time.Hour).UnixNano())
	w.archive()
	return w
}

// fileSpool makes temporary files on disk.
type fileSpool struct{ dir string }

// Temp makes a file.
func (s fileSpool) Temp() (bundle.TempFile, error) { return os.CreateTemp(s.dir, "") }

// longBundle writes the answer to a file.
func longBundle(t testing.TB, w *world) (name string, answers uint64) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "long.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	built, err := bundle.Build(context.Background(), w.source(), mustRead(t, "from: web\nto: prod-db\n"), fileSpool{t.TempDir()}, f)
	if err != nil {
		t.Fatal(err)
	}
	return name, built.Summary.Answers
}

// measured is a file that now and then looks how much memory is in use.
type measured struct {
	io.ReaderAt
	reads int
	most  uint64
}

// ReadAt reads.
func (m *measured) ReadAt(b []byte, offset int64) (int, error) {
	if m.reads++; m.reads%64 == 0 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		m.most = max(m.most, s.HeapAlloc)
	}
	return m.ReaderAt.ReadAt(b, offset)
}

// TestMemory: four times the accesses need no more memory to check.
func TestMemory(t *testing.T) {
	most := func(n int) uint64 {
		name, answers := longBundle(t, longWorld(t, n))
		if answers == 0 {
			t.Fatal("no answers")
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		m := &measured{ReaderAt: f}
		r, err := bundle.Check(context.Background(), []bundle.File{{R: m, Size: info.Size()}}, bundle.Trust{})
		if err != nil || r.Verdict != bundle.SelfConsistent {
			t.Fatal(err, r)
		}
		return m.most
	}
	small, large := most(2000), most(8000)
	t.Logf("%d KiB for 2,000 accesses, %d KiB for 8,000", small>>10, large>>10)
	if large > small+small/4+1<<20 {
		t.Errorf("memory grows with accesses: %d and %d bytes", small, large)
	}
}

// BenchmarkBuild builds the answer of a log in memory; -accesses sets its length.
func BenchmarkBuild(b *testing.B) {
	w := longWorld(b, *accesses)
	q := mustRead(b, "from: web\nto: prod-db\n")
	for b.Loop() {
		built, err := bundle.Build(context.Background(), w.source(), q, fileSpool{b.TempDir()}, io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(built.Size)
	}
}

// BenchmarkCheck checks it.
func BenchmarkCheck(b *testing.B) {
	name, _ := longBundle(b, longWorld(b, *accesses))
	content, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := bundle.Check(context.Background(), []bundle.File{{R: bytes.NewReader(content), Size: int64(len(content))}}, bundle.Trust{}); err != nil {
			b.Fatal(err)
		}
	}
}
