package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/verify"
)

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]verify.Tile{
		"tile/0/000":                          {Width: 256},
		"tile/63/999.p/255":                   {Level: 63, N: 999, Width: 255},
		"tile/1/x001/000.p/1":                 {Level: 1, N: 1000, Width: 1},
		"tile/0/x001/x234/067":                {N: 1234067, Width: 256},
		"tile/entries/x010/x000/000.p/17":     {Entries: true, N: 10_000_000, Width: 17},
		"tile/0/x036/x028/x797/x018/x963/967": {N: 36028797018963967, Width: 256},
	} {
		got, err := verify.ParseTilePath(path)
		if err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", path, got, err)
		}
		if p := verify.FormatTilePath(want); p != path {
			t.Errorf("%+v is written as %s", want, p)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile/0/00", "tile/0/0000", "tile/0/x000", "tile/0/x000/000", "tile/0/001/000",
		"tile/0/x001/x000", "tile/00/000", "tile/+1/000", "tile/64/000", "tile/256/000", "tile/-1/000", "tile/0/000.p/0", "tile/0/000.p/256",
		"tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/1/", "tile/0/000/", "tile/0/00a", "tile/0/x1/000", "tile/0/xx001/000",
		"tile/data/000", "tile/entries", "tile/entries/0", "tile/Entries/000", "tile/0/ 00", "tile/0/000.p/1.p/1", "tile/0//000",
		"tile/0/x036/x028/x797/x018/x963/968", "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/٠٠٠",
	} {
		if got, err := verify.ParseTilePath(path); !errors.Is(err, verify.ErrTilePath) {
			t.Errorf("%q is read as %+v, %v", path, got, err)
		}
	}
}

func TestTilePathsAreThoseOfXMod(t *testing.T) {
	for _, level := range []int{0, 1, 7, 63} {
		for _, n := range []int64{0, 1, 9, 10, 99, 100, 999, 1000, 1001, 999999, 1000000, 1234067, 999999999999} {
			for _, width := range []int{1, 2, 255, 256} {
				want := strings.Replace(tlog.Tile{H: 8, L: level, N: n, W: width}.Path(), "tile/8/", "tile/", 1)
				if got := verify.FormatTilePath(verify.Tile{Level: uint(level), N: uint64(n), Width: width}); got != want {
					t.Errorf("level %d, number %d, width %d: %s, x/mod has %s", level, n, width, got, want)
				}
			}
		}
	}
}

// TestTilesAreThoseOfXMod compares which tiles there are, what is in them, and the
// roots and proofs made of them.
func TestTilesAreThoseOfXMod(t *testing.T) {
	const most = 70_000
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	sizes := map[uint64]bool{0: true, 1: true, 2: true, 255: true, 256: true, 257: true, 511: true, 512: true, 1000: true, 65535: true, 65536: true, 65537: true, most: true}
	for size := uint64(0); size <= most; size++ {
		if sizes[size] {
			checkTilesAt(t, size, reader)
		}
		added, err := tlog.StoredHashes(int64(size), fmt.Appendf(nil, "entry %d", size), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, added...)
	}
}

func checkTilesAt(t *testing.T, size uint64, reader tlog.HashReader) {
	t.Helper()
	there := map[string]int{}
	for _, tile := range tlog.NewTiles(8, 0, int64(size)) {
		there[strings.Replace(tile.Path(), "tile/8/", "tile/", 1)] = tile.W
	}
	read := func(tile verify.Tile) ([]byte, error) {
		return tlog.ReadTileData(tlog.Tile{H: 8, L: int(tile.Level), N: int64(tile.N), W: tile.Width}, reader)
	}
	seen := 0
	for level := uint(0); level < 4; level++ {
		for n := uint64(0); ; n++ {
			width := verify.TileWidthAt(level, n, size)
			if width == 0 {
				break
			}
			tile := verify.Tile{Level: level, N: n, Width: width}
			if there[verify.FormatTilePath(tile)] != width || !tile.Within(size) {
				t.Fatalf("size %d: x/mod has no %s", size, verify.FormatTilePath(tile))
			}
			if tile.Width++; tile.Within(size) {
				t.Fatalf("size %d: %s is within it", size, verify.FormatTilePath(tile))
			}
			seen++
		}
	}
	if seen != len(there) {
		t.Errorf("size %d: %d tiles, x/mod has %d", size, seen, len(there))
	}
	want, err := tlog.TreeHash(int64(size), reader)
	if err != nil {
		t.Fatal(err)
	}
	nodes := verify.NodesOf(size, read)
	if got, err := verify.RootAt(size, nodes); err != nil || size > 0 && tlog.Hash(got) != want {
		t.Errorf("size %d: root %x, %v; x/mod has %v", size, got, err, want)
	}
	for _, first := range []uint64{1, 2, size / 3, size / 2, size - 1} {
		if first == 0 || first >= size {
			continue
		}
		proof, err := verify.ProveConsistency(first, size, nodes)
		if err != nil {
			t.Fatal(err)
		}
		old, err := tlog.TreeHash(int64(first), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckConsistency(first, size, verify.Hash(old), verify.Hash(want), proof); err != nil {
			t.Errorf("from %d to %d: %v", first, size, err)
		}
	}
}

func TestBundlesAreReadStrictly(t *testing.T) {
	raw := []byte("\x00\x03abc\x00\x00\x00\x01d")
	list, err := verify.ParseBundle(nil, raw, 3)
	if err != nil || len(list) != 3 || string(list[0]) != "abc" || len(list[1]) != 0 || string(list[2]) != "d" {
		t.Fatalf("%q, %v", list, err)
	}
	for _, width := range []int{0, 1, 2, 4, 256} {
		if _, err := verify.ParseBundle(nil, raw, width); err == nil {
			t.Errorf("three entries are read as %d", width)
		}
	}
	for cut := range raw {
		if _, err := verify.ParseBundle(nil, raw[:cut], 3); err == nil {
			t.Errorf("cut to %d bytes it is read", cut)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	for _, path := range []string{"tile/0/000", "tile/entries/x001/x234/067.p/9", "tile/63/x999/999", "tile/0/x000/000", "tile/7/000.p/256"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := verify.ParseTilePath(path)
		if err != nil {
			return
		}
		if again := verify.FormatTilePath(tile); again != path {
			t.Errorf("%q is read as %+v and written as %q", path, tile, again)
		}
		if tile.Level > 63 || tile.Entries && tile.Level != 0 || tile.Width < 1 || tile.Width > 256 {
			t.Errorf("%q is read as %+v", path, tile)
		}
	})
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte("\x00\x03abc\x00\x00"), 2)
	f.Add([]byte("\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, raw []byte, width int) {
		list, err := verify.ParseBundle(nil, raw, width)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range list {
			again = append(append(again, byte(len(e)>>8), byte(len(e))), e...)
		}
		if len(list) != width || !bytes.Equal(again, raw) {
			t.Errorf("%x is read as %d entries that make %x", raw, len(list), again)
		}
	})
}
