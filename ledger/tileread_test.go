package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify"
)

// TestTilesOfEveryWidth compares every tile and bundle of a log, at every width that
// its size has, with what x/mod makes of the entries; then again from disk.
func TestTilesOfEveryWidth(t *testing.T) {
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("tiles")
	next := uint64(1)
	for _, n := range []int{1, 3, 300, 1, 1, 200, 256, 10, 40, 7} {
		appendBatch(t, g, ledgertest.Batch(run, 1, next, n))
		next += uint64(n)
	}
	checkTiles(t, g.L)
	g.Close()
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	checkTiles(t, g.L)
}

func checkTiles(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	size := l.Head().Size
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	var entries [][]byte
	err := l.Entries(context.Background(), 0, size, func(index uint64, entry []byte) error {
		entries = append(entries, bytes.Clone(entry))
		added, err := tlog.StoredHashes(int64(index), entry, reader)
		stored = append(stored, added...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for level := uint(0); level < 3; level++ {
		for n := uint64(0); verify.TileWidthAt(level, n, size) > 0; n++ {
			for width := 1; width <= verify.TileWidthAt(level, n, size); width++ {
				want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: int(level), N: int64(n), W: width}, reader)
				if err != nil {
					t.Fatal(err)
				}
				got, err := l.TileAt([]byte("x"), verify.Tile{Level: level, N: n, Width: width})
				if err != nil || !bytes.Equal(got[1:], want) {
					t.Fatalf("tile %d/%d of width %d differs: %v", level, n, width, err)
				}
			}
		}
	}
	for n := uint64(0); verify.TileWidthAt(0, n, size) > 0; n++ {
		for width := 1; width <= verify.TileWidthAt(0, n, size); width++ {
			raw, err := l.TileAt(nil, verify.Tile{Entries: true, N: n, Width: width})
			if err != nil {
				t.Fatal(err)
			}
			list, err := verify.ParseBundle(nil, raw, width)
			if err != nil {
				t.Fatalf("bundle %d of width %d: %v", n, width, err)
			}
			for i, entry := range list {
				if !bytes.Equal(entry, entries[256*n+uint64(i)]) {
					t.Fatalf("entry %d of bundle %d of width %d differs", i, n, width)
				}
			}
		}
	}
	// The log may have grown by an entry of its own meanwhile.
	for _, beyond := range []verify.Tile{
		{N: size / 256, Width: 256}, {N: size/256 + 1, Width: 1}, {Level: 1, Width: int(size/256) + 2}, {Level: 2, Width: 1},
		{Entries: true, N: size / 256, Width: 256}, {Entries: true, N: 1 << 54, Width: 256}, {Width: 0}, {Level: 63, Width: 1},
	} {
		if _, err := l.TileAt(nil, beyond); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%+v at size %d: %v", beyond, size, err)
		}
	}
}

// BenchmarkTileAt reads full bundles, entry by entry of them counted, and full tiles
// of a log that was closed meanwhile: from the store.
func BenchmarkTileAt(b *testing.B) {
	g := ledgertest.Create(b, vfs.NewMem(), "log", ledgertest.Options{Production: true})
	run, _ := g.Run("bench")
	for next := uint64(1); next < 65_536; next += 1024 {
		if _, err := g.L.Append(b.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, next, 1024)); err != nil {
			b.Fatal(err)
		}
	}
	g.Close()
	g, err := ledgertest.Open(b, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Production: true})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	for _, entries := range []bool{true, false} {
		name := map[bool]string{true: "bundles", false: "tiles"}[entries]
		b.Run(name, func(b *testing.B) {
			buf, total := []byte(nil), 0
			for i := range b.N {
				if buf, err = g.L.TileAt(buf[:0], verify.Tile{Entries: entries, N: uint64(i*37) % 256, Width: 256}); err != nil {
					b.Fatal(err)
				}
				total += len(buf)
			}
			b.SetBytes(int64(total / b.N))
			b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
