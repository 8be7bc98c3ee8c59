package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle"
)

// Numbers about the limits of a plain zip.
var (
	wideSizes   = []uint64{1, 0xfffffffe, 0xffffffff, 0x100000000, 1 << 40}
	wideOffsets = []uint64{0, 0xfffffffe, 0xffffffff, 0x100000000, 1<<40 - 1}
)

// TestZip64Headers writes the headers for numbers about the limits of a plain zip to
// testdata, where the page's are held against them.
func TestZip64Headers(t *testing.T) {
	type memberCase struct {
		Name       string `json:"name"`
		Size       uint64 `json:"size"`
		Offset     uint64 `json:"offset"`
		CRC        uint32 `json:"crc"`
		Local      string `json:"local"`
		Descriptor string `json:"descriptor"`
		Central    string `json:"central"`
	}
	type endCase struct {
		Members uint64 `json:"members"`
		Size    uint64 `json:"size"`
		Offset  uint64 `json:"offset"`
		End     string `json:"end"`
	}
	var all struct {
		Members []memberCase `json:"members"`
		Ends    []endCase    `json:"ends"`
	}
	for _, size := range wideSizes {
		for _, offset := range wideOffsets {
			local, descriptor, central := bundle.ZipHeaders("report.html", 0xfedcba98, size, offset)
			all.Members = append(all.Members, memberCase{"report.html", size, offset, 0xfedcba98, hex.EncodeToString(local), hex.EncodeToString(descriptor), hex.EncodeToString(central)})
		}
	}
	for _, members := range []uint64{1, 65534, 65535, 65536, 400001} {
		for _, offset := range wideOffsets {
			for _, size := range []uint64{66, 0xfffffffe, 0xffffffff} {
				all.Ends = append(all.Ends, endCase{members, size, offset, hex.EncodeToString(bundle.ZipEnd(members, size, offset))})
			}
		}
	}
	b, err := json.MarshalIndent(&all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "zip64.json", append(b, '\n'))
}

// sparse is a file of bytes at places, and zeros between them.
type sparse struct {
	size   int64
	pieces []piece
}

type piece struct {
	at int64
	b  []byte
}

// Write appends to the file.
func (s *sparse) Write(b []byte) (int, error) {
	s.pieces = append(s.pieces, piece{s.size, bytes.Clone(b)})
	s.size += int64(len(b))
	return len(b), nil
}

// ReadAt implements io.ReaderAt.
func (s *sparse) ReadAt(b []byte, at int64) (int, error) {
	n := int(min(int64(len(b)), max(s.size-at, 0)))
	clear(b[:n])
	for _, p := range s.pieces {
		if lo, hi := max(at, p.at), min(at+int64(n), p.at+int64(len(p.b))); lo < hi {
			copy(b[lo-at:hi-at], p.b[lo-p.at:])
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// TestZip64 writes files over 4 GiB whose large members are said to be zeros: the
// standard library reads what ours wrote, and our reader finds the manifest.
func TestZip64(t *testing.T) {
	for _, sizes := range [][]uint64{{0xfffffffe}, {0xffffffff}, {0x100000000}, {3 << 30, 3 << 30}, {0xfffffffe - 200, 40, 9}, {1 << 33, 1, 1 << 32, 7}} {
		f := new(sparse)
		members, err := bundle.PackZeros(f, "log.example", sizes, func(n uint64) { f.size += int64(n) })
		if err != nil {
			t.Fatal(err)
		}
		got, err := bundle.FindManifest(f, f.size)
		if err != nil || !bytes.Equal(got, members["manifest.json"]) {
			t.Fatalf("%d: manifest %.100q, %v", sizes, got, err)
		}
		r, err := zip.NewReader(f, f.size)
		if err != nil {
			t.Fatalf("%d: %v", sizes, err)
		}
		for i, file := range r.File {
			if i > 0 && i <= len(sizes) {
				if file.UncompressedSize64 != sizes[i-1] {
					t.Errorf("%d: %s has %d bytes", sizes, file.Name, file.UncompressedSize64)
				}
				at, err := file.DataOffset()
				if b := make([]byte, 4); err != nil || at == 0 {
					t.Errorf("%d: %s: %v", sizes, file.Name, err)
				} else if n := sizes[i-1]; n > 1<<20 {
					if _, err := f.ReadAt(b, at+int64(n)); err != nil || string(b) != "PK\x07\x08" {
						t.Errorf("%d: behind %s stands %q, %v", sizes, file.Name, b, err)
					}
				}
				continue
			}
			in, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(in); err != nil || !bytes.Equal(b, members[file.Name]) {
				t.Errorf("%d: %s is %.100q, %v", sizes, file.Name, b, err)
			}
		}
		if len(r.File) != 2+len(sizes) {
			t.Errorf("%d: %d members", sizes, len(r.File))
		}
	}
}

// TestManyMembers packs one member more than a plain zip lists: it opens, for others
// too, and its last headers are looked at.
func TestManyMembers(t *testing.T) {
	names := []string{"question.json"}
	for i := range 65533 {
		names = append(names, fmt.Sprintf("log/tile/entries/x%03d/%03d", 1+i/1000, i%1000))
	}
	b, err := bundle.PackSame("log.example", names, []byte("e"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b[len(b)-22-20-56:][:4]); got != "PK\x06\x06" {
		t.Fatalf("%q stands in the place of the zip64 end", got)
	}
	if r, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err != nil || len(r.File) != len(names)+1 {
		t.Errorf("for others it has another number of members: %v", err)
	}
	if _, err := bundle.OpenZip(b); err != nil {
		t.Fatal(err)
	}
	b[len(b)-22-4] ^= 1 // of how many disks the locator says there are
	if _, err := bundle.OpenZip(b); err == nil {
		t.Error("the last headers are not looked at")
	}
}

// TestALogOverALimitIsRefusedAtOnce: nobody waits for a file that cannot be.
func TestALogOverALimitIsRefusedAtOnce(t *testing.T) {
	for size, want := range map[uint64]error{51_200_000: nil, 51_201_000: bundle.ErrTooLarge, 1 << 62: bundle.ErrTooLarge} {
		if err := bundle.PlanLog(t.Context(), size); !errors.Is(err, want) {
			t.Errorf("a log of %d: %v", size, err)
		}
	}
}
