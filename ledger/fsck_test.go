package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// flipLog makes a stopped log of at least so many entries, with a tail of small
// frames and snapshots at its end.
func flipLog(t *testing.T, entries uint64) (d *ledgertest.Damage, size uint64) {
	t.Helper()
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("flip")
	next := uint64(1)
	for _, n := range []int{1, 3, 700, 2000} {
		appendQuietly(t, g, ledgertest.Batch(run, 1, next, n))
		next += uint64(n)
	}
	for next < entries {
		appendQuietly(t, g, ledgertest.Batch(run, 1, next, 4000))
		next += 4000
	}
	for tail := g.L.Head().Size % 256; tail > 200 || tail == 0; tail = g.L.Head().Size % 256 {
		appendQuietly(t, g, ledgertest.Batch(run, 1, next, 60))
		next += 60
	}
	for range 4 {
		appendQuietly(t, g, ledgertest.Batch(run, 1, next, 10))
		next += 10
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return &ledgertest.Damage{Engine: g.Engine}, g.L.Head().Size
}

func appendQuietly(t *testing.T, g *ledgertest.Log, b ledger.Batch) {
	t.Helper()
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, b); err != nil {
		t.Fatal(err)
	}
}

// wantFault checks the store and wants exactly that first bad index.
func wantFault(t *testing.T, what string, d *ledgertest.Damage, index uint64) {
	t.Helper()
	r, err := ledger.Fsck(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.OK || r.FirstBadIndex != index {
		t.Errorf("%s: %+v, want a fault at %d", what, r, index)
	}
	d.Repair()
}

// commitFirst is the first entry of the commit of that size.
func commitFirst(t *testing.T, d *ledgertest.Damage, size uint64) (first uint64) {
	t.Helper()
	if err := d.Engine.ScanReverse(store.Commits.Key(0), store.Commits.Key(size), func(key, _ []byte) (err error) {
		if first, err = store.Commits.ParseKey(key); err == nil {
			err = store.ErrStop
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return first
}

// TestFsckNamesTheFirstBadIndex damages one thing at a time.
func TestFsckNamesTheFirstBadIndex(t *testing.T) {
	d, size := flipLog(t, 5000)
	if r, err := ledger.Fsck(t.Context(), d, nil); err != nil || !r.OK || r.Entries != size {
		t.Fatalf("undamaged: %+v, %v", r, err)
	}
	var frames, commits [][]byte
	collect := func(table store.Table, into *[][]byte) {
		lo, hi := table.Range()
		if err := d.Engine.Scan(lo, hi, func(key, _ []byte) error {
			*into = append(*into, append([]byte(nil), key...))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	collect(store.Frames, &frames)
	collect(store.Growing, &frames)
	collect(store.Commits, &commits)
	random := rand.New(rand.NewPCG(4, 5))
	for _, key := range append([][]byte{frames[0], frames[len(frames)-1], frames[len(frames)-3]}, frames[random.IntN(15)]) {
		for _, i := range []int{0, 1, 2, 5, 9, 40, -1} {
			first, _ := store.Table(key[0]).ParseKey(key)
			d.Alter(key, ledgertest.Flip(i))
			wantFault(t, fmt.Sprintf("byte %d of frame %d", i, first), d, first)
		}
		first, _ := store.Table(key[0]).ParseKey(key)
		d.Alter(key, ledgertest.Gone)
		wantFault(t, fmt.Sprintf("no frame %d", first), d, first)
	}
	for range 4 {
		n, i := random.Uint64N(19), random.IntN(256)
		d.Alter(store.TileKey(0, n), ledgertest.Flip(32*i+random.IntN(32)))
		wantFault(t, fmt.Sprintf("hash %d of tile 0/%d", i, n), d, 256*n+uint64(i))
	}
	d.Alter(store.TileKey(0, 9), func(b []byte) []byte { return b[:100] })
	wantFault(t, "tile 0/9 cut short", d, 9*256)
	for _, key := range [][]byte{commits[1], commits[4], commits[len(commits)-1]} {
		at, _ := store.Commits.ParseKey(key)
		first := commitFirst(t, d, at)
		for _, change := range []func([]byte) []byte{ledgertest.Flip(0), ledgertest.Flip(31), ledgertest.Flip(39), ledgertest.Gone,
			func(b []byte) []byte { return b[:47] }} {
			d.Alter(key, change)
			wantFault(t, fmt.Sprintf("commit of size %d", at), d, first)
		}
	}
	d.Alter([]byte{byte(store.Identity)}, ledgertest.Flip(-1))
	wantFault(t, "identity", d, 0)
	for _, table := range []store.Table{store.Position, store.Streams, store.Runs} {
		var keys [][]byte
		collect(table, &keys)
		key := keys[random.IntN(len(keys))]
		d.Alter(key, ledgertest.Flip(-1))
		wantFault(t, fmt.Sprintf("last byte of snapshot %x", key), d, size)
		if table != store.Position {
			d.Alter(key, ledgertest.Gone)
			wantFault(t, fmt.Sprintf("no snapshot %x", key), d, size)
		}
	}
}

// TestFsckOfHighTiles damages a tile of the second level, which 65,536 entries
// fill.
func TestFsckOfHighTiles(t *testing.T) {
	d, _ := flipLog(t, 66_000)
	d.Alter(store.TileKey(1, 0), ledgertest.Flip(32*7+3))
	wantFault(t, "hash 7 of tile 1/0", d, 7*256)
	d.Alter(store.TileKey(1, 0), ledgertest.Gone)
	wantFault(t, "no tile 1/0", d, 0)
	alter(t, d, 65_535, func(entry []byte) { entry[len(entry)-1] ^= 2 })
	wantFault(t, "altered entry 65535", d, 65_535)
}

// alter changes a byte of one entry's body and keeps the frame's checksum right,
// as a hand would.
func alter(t *testing.T, d *ledgertest.Damage, index uint64, change func(entry []byte)) {
	t.Helper()
	var found []byte
	var first uint64
	for _, table := range []store.Table{store.Frames, store.Growing} {
		if err := d.Engine.ScanReverse(table.Key(0), table.Key(index+1), func(key, _ []byte) error {
			found, first = append([]byte(nil), key...), binary.BigEndian.Uint64(key[1:])
			return store.ErrStop
		}); err != nil {
			t.Fatal(err)
		}
		if found != nil && table == store.Frames && index < first+256 {
			break
		}
	}
	d.Alter(found, func(value []byte) []byte {
		entries, err := frame.Decode(value)
		if err != nil {
			t.Error(err)
			return value
		}
		entries[index-first] = append([]byte(nil), entries[index-first]...)
		change(entries[index-first])
		return frame.Encode(nil, entries)
	})
}

// TestFsckNamesAnAlteredEntry alters entries that still pass for entries. In the
// tail, where no tile tells leaves apart, the commit's first entry is named.
func TestFsckNamesAnAlteredEntry(t *testing.T) {
	d, size := flipLog(t, 5000)
	lastByte := func(entry []byte) { entry[len(entry)-1] ^= 2 }
	for _, index := range []uint64{3, 255, 256, 3000} {
		alter(t, d, index, lastByte)
		wantFault(t, fmt.Sprintf("altered entry %d", index), d, index)
	}
	for index := size - 35; index < size; index += 10 {
		alter(t, d, index, lastByte)
		r, err := ledger.Fsck(t.Context(), d, nil)
		if err != nil || r.OK || r.FirstBadIndex > index || r.FirstBadIndex+10 <= index {
			t.Errorf("altered entry %d of the tail: %+v, %v", index, r, err)
		}
		d.Repair()
	}
}

// TestFsckStops: a check that is given up says so.
func TestFsckStops(t *testing.T) {
	d, _ := flipLog(t, 20_000)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	calls := 0
	_, err := ledger.Fsck(ctx, d, func(done, total uint64) {
		if calls++; calls == 2 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) {
		t.Errorf("given up after %d reports: %v", calls, err)
	}
}
