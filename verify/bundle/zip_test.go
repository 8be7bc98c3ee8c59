package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle"
)

// unzip reads a bundle with the standard library, which knows nothing of our zip.
func unzip(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestHeaders flips a bit of every byte outside of the members' content, and cuts the file
// and makes it longer: each is refused by the zip alone.
func TestHeaders(t *testing.T) {
	b := build(t, sampleWorld(t).source(), "from: test-db\nperiod: 2026-05-18\n")
	contents, err := bundle.OpenZip(b)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]bool, len(b))
	for _, c := range contents {
		for i := c[0]; i < c[1]; i++ {
			content[i] = true
		}
	}
	flipped := 0
	for i := range b {
		if content[i] {
			continue
		}
		flipped++
		b[i] ^= 1 << (i % 8)
		if _, err := bundle.OpenZip(b); err == nil {
			t.Fatalf("byte %d of the file is not looked at", i)
		}
		b[i] ^= 1 << (i % 8)
	}
	for _, n := range []int{0, 1, 21, 22, 100, len(b) / 2, len(b) - 1} {
		if _, err := bundle.OpenZip(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are a file", n, len(b))
		}
	}
	if _, err := bundle.OpenZip(append(bytes.Clone(b), 0)); err == nil {
		t.Error("a byte more is taken")
	}
	if _, err := bundle.OpenZip(append([]byte{0}, b...)); err == nil {
		t.Error("a byte before is taken")
	}
	t.Logf("%d of %d bytes are headers", flipped, len(b))
}

// TestContents flips bits of every byte of content of the smallest sample, and
// expects a fault of that member each time.
func TestContents(t *testing.T) {
	b := build(t, sampleWorld(t).source(), "period: 2027\n")
	contents, err := bundle.OpenZip(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contents {
		for i := c[0]; i < c[1]; i += 1 + (c[1]-c[0])/40 {
			b[i] ^= 1 << (i % 8)
			r := check(t, bundle.Trust{}, b)
			if r.Verdict != bundle.Failed || r.Fault == nil || r.Fault.Member == "" {
				t.Fatalf("byte %d: %s: %s", i, r.Verdict, r.Reason)
			}
			b[i] ^= 1 << (i % 8)
		}
	}
}

// TestNames knows the names of members, and no others.
func TestNames(t *testing.T) {
	last := 0
	for _, name := range []string{"question.json", "answer.json", "policy.txt", "checkpoint", "checkpoints/00000000000000000007.note",
		"governance.bin", "rows.bin", "rows.hashes", "streams.bin", "entries/000001.bin", "log/tile/entries/x001/234.p/7", "tree.hashes", "numbers.bin",
		"maps/00000000000000000007.yaml", "data/columns.csv", "data/accesses-001.csv", "data/accesses-001.jsonl", "data/alerts.csv", "data/approvals.csv", "data/closes.csv",
		"data/runs.csv", "README.txt", "report.html"} {
		l := bundle.MemberLine(name)
		if l <= last {
			t.Errorf("%s is of line %d after line %d", name, l, last)
		}
		last = l
	}
	for _, name := range []string{"", "manifest.json", "question.json ", "QUESTION.json", "entries/1.bin", "entries/0000001.bin", "entries/00000a.bin", "checkpoints/99999999999999999999.note",
		"log/", "log/tile", "log/tile/0/00", "log/../x", "../question.json", "data/accesses-001.xml", "maps/7.yaml", "entries/-00001.bin", "entries/+00001.bin"} {
		if l := bundle.MemberLine(name); l != 0 {
			t.Errorf("%q is of line %d", name, l)
		}
	}
}

// failing is a file whose bytes from a place on cannot be read.
type failing struct {
	r    io.ReaderAt
	from int64
}

var errDisk = errors.New("disk failed")

// ReadAt fails where the read reaches beyond from.
func (f failing) ReadAt(b []byte, offset int64) (int, error) {
	if offset+int64(len(b)) > f.from {
		return 0, errDisk
	}
	return f.r.ReadAt(b, offset)
}

// TestReadError: a file that cannot be read is no evidence against anybody.
func TestReadError(t *testing.T) {
	b := build(t, sampleWorld(t).source(), "period: 2027\n")
	for from := int64(0); from < int64(len(b)); from += 777 {
		f := bundle.File{R: failing{bytes.NewReader(b), from}, Size: int64(len(b))}
		if r, err := bundle.Check(context.Background(), []bundle.File{f}, bundle.Trust{}); !errors.Is(err, errDisk) {
			t.Fatalf("from byte %d on: %v, %+v", from, err, r)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := bundle.Check(ctx, []bundle.File{{R: bytes.NewReader(b), Size: int64(len(b))}}, bundle.Trust{}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
