package ledger_test

import (
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify"
)

// TestFlippedWAL flips every byte of a live write-ahead log under 4 KiB: the
// log does not open, or nothing acknowledged is missing, or it stays shut.
func TestFlippedWAL(t *testing.T) {
	fs := vfs.NewCrashableMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{})
	run, _ := g.Run("flip")
	g.Close()
	g, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(1)
	for _, n := range []int{1, 2, 4, 1} {
		appendBatch(t, g, ledgertest.Batch(run, 1, next, n))
		next += uint64(n)
	}
	acked := g.L.Head()
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
	anchor := &ledgertest.MemAnchor{Note: acked.Checkpoint}
	g.Close()
	name, wal := liveWAL(t, left)
	if len(wal) > 4<<10 {
		t.Fatalf("live write-ahead log has %d bytes", len(wal))
	}
	if got := flipAndOpen(t, left, name, wal, -1, anchor.Note, acked.Size, acked.Root); got != "whole" {
		t.Fatalf("with nothing flipped the log is %s", got)
	}
	refused, whole, shut := 0, 0, 0
	for i := 0; i < len(wal); i += flipStride {
		switch flipAndOpen(t, left, name, wal, i, anchor.Note, acked.Size, acked.Root) {
		case "refused":
			refused++
		case "whole":
			whole++
		case "shut":
			shut++
		}
	}
	t.Logf("%d bytes: %d refused, %d whole, %d shut", len(wal), refused, whole, shut)
	if refused+shut == 0 {
		t.Error("no flipped byte was noticed")
	}
}

// liveWAL returns the newest write-ahead log that holds anything.
func liveWAL(t *testing.T, fs vfs.FS) (name string, data []byte) {
	t.Helper()
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if !strings.HasSuffix(n, ".log") {
			continue
		}
		f, err := fs.Open(path.Join("log", n))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 && n > name {
			name, data = n, b
		}
	}
	if name == "" {
		t.Fatalf("no write-ahead log among %v", names)
	}
	return path.Join("log", name), data
}

// flipAndOpen opens a copy of fs with byte i of the file flipped; none where i
// is negative.
func flipAndOpen(t *testing.T, fs *vfs.MemFS, name string, data []byte, i int, note []byte, size uint64, root verify.Hash) string {
	t.Helper()
	copied := vfs.NewMem()
	if _, err := vfs.Clone(fs, copied, "log", "log"); err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), data...)
	if i >= 0 {
		flipped[i] ^= 0x40
	}
	f, err := copied.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(flipped); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := ledgertest.Open(t, copied, "log", ledgertest.Options{Anchor: &ledgertest.MemAnchor{Note: note}})
	if err != nil {
		return "refused"
	}
	defer g.Close()
	if ok, _ := g.L.Ready(); !ok {
		return "shut"
	}
	got, err := verify.RootAt(size, func(level uint, index uint64) (verify.Hash, error) { return g.L.Node(level, index) })
	if err != nil || got != root {
		t.Errorf("byte %d flipped: the log opened and lacks what was acknowledged: root %x, %v", i, got, err)
	}
	return "whole"
}
