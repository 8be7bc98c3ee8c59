package index_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// TestSearchEqualsScan grows an index in steps, merges and reopens it between
// them, and holds what it finds against a scan at each.
func TestSearchEqualsScan(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		chunk, merge := uint(rapid.IntRange(4, 7).Draw(rt, "chunk")), uint(rapid.IntRange(1, 3).Draw(rt, "merge"))
		listed := rapid.SampledFrom([]int{8, 40, index.MaxListed}).Draw(rt, "listed")
		world := makeWorld(seed, 1+int(seed%997))
		r := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewMem()
		e := openStore(t, fs)
		x, err := index.OpenSmall(e, chunk, merge, listed)
		if err != nil {
			rt.Fatal(err)
		}
		for at := 0; at < len(world); {
			next := min(len(world), at+1+r.IntN(300))
			add(t, x, world, at, next)
			at = next
			if r.IntN(2) == 0 {
				if err := x.Merge(t.Context()); err != nil {
					rt.Fatal(err)
				}
			}
			for range 6 {
				checkSearch(t, x, r, world[:at])
			}
			if listed == index.MaxListed {
				checkValues(t, x, r, world[:at])
			}
			if r.IntN(3) > 0 {
				continue
			}
			if err := e.Close(); err != nil {
				rt.Fatal(err)
			}
			e = openStore(t, fs)
			if x, err = index.OpenSmall(e, chunk, merge, listed); err != nil {
				rt.Fatal(err)
			}
			if want := uint64(at) >> chunk << chunk; x.Position() != want {
				rt.Fatalf("reopened at %d, want %d", x.Position(), want)
			}
			add(t, x, world, int(x.Position()), at)
		}
		if err := e.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestMergedTableIsFunctionOfChunks builds the same index twice, merged at other
// moments, and finds the same rows.
func TestMergedTableIsFunctionOfChunks(t *testing.T) {
	world := makeWorld(3, 700)
	var all []map[string]string
	for _, step := range []int{1, 97, 700} {
		e := openStore(t, vfs.NewMem())
		x, err := index.OpenSmall(e, 5, 2, index.MaxListed)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(world); at += step {
			add(t, x, world, at, min(len(world), at+step))
			if err := x.Merge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if x.Merged() != 5 {
			t.Errorf("%d merged tables", x.Merged())
		}
		all = append(all, rows(t, e))
	}
	for _, other := range all[1:] {
		if diff := cmp.Diff(all[0], other); diff != "" {
			t.Error(diff)
		}
	}
}

// TestRealChunks searches across the border of chunks of the real size.
func TestRealChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	world := makeWorld(9, index.ChunkLen+3000)
	e := openStore(t, vfs.NewMem())
	x := openIndex(t, e)
	add(t, x, world, 0, len(world))
	if x.Position() != index.ChunkLen || x.Size() != uint64(len(world)) {
		t.Fatalf("position %d, size %d", x.Position(), x.Size())
	}
	r := rand.New(rand.NewPCG(9, 9))
	for range 60 {
		checkSearch(t, x, r, world)
	}
	checkValues(t, x, r, world)
}

// TestSearchesBesideAdd searches, merges and adds at the same time: what was
// added before a search is found by it.
func TestSearchesBesideAdd(t *testing.T) {
	x, err := index.OpenSmall(openStore(t, vfs.NewMem()), 5, 2, 64)
	if err != nil {
		t.Fatal(err)
	}
	world := makeWorld(5, 6000)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := x.Merge(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for n := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 5))
			for {
				select {
				case <-done:
					return
				default:
				}
				size := int(x.Size())
				checkSearch(t, x, r, world[:size])
				if err := x.Chunks(0, uint64(size), func(c index.Chunk) bool { return c.MinLog <= c.MaxLog }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	add(t, x, world, 0, len(world))
	close(done)
	wg.Wait()
}

func TestChunks(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	x, err := index.OpenSmall(e, 4, 1, 64)
	if err != nil {
		t.Fatal(err)
	}
	world := makeWorld(2, 16*5+7)
	add(t, x, world, 0, len(world))
	if err := x.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for lo := range len(world) {
		var got []index.Chunk
		if err := x.Chunks(uint64(lo), uint64(len(world))+9, func(c index.Chunk) bool { got = append(got, c); return true }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 6-lo/16 {
			t.Fatalf("%d chunks from %d", len(got), lo)
		}
		for i, c := range got {
			from := (lo/16 + i) * 16
			rows := world[from:min(from+16, len(world))]
			if c.First != uint64(from) || c.Entries != len(rows) || c.MinLog != rows[0].log || c.MaxLog != rows[len(rows)-1].log {
				t.Errorf("chunk %+v at %d", c, from)
			}
			for _, w := range rows {
				if w.occurred != 0 && (w.occurred < c.MinOccurred || w.occurred > c.MaxOccurred) {
					t.Errorf("chunk %+v does not hold %d", c, w.occurred)
				}
			}
		}
	}
}

func TestAddRefusesAnotherIndex(t *testing.T) {
	x := openIndex(t, openStore(t, vfs.NewMem()))
	var e verify.Entry
	if err := x.Add(1, &e, nil); err == nil {
		t.Error("entry 1 added before entry 0")
	}
	if err := x.Add(0, &e, nil); err != nil {
		t.Error(err)
	}
	if err := x.Candidates([]index.Term{{Field: 77, Hash: 1}}, 0, 1, false, func(uint64) bool { return true }); err == nil {
		t.Error("a search for an unknown field went through")
	}
}

// TestSearchSaysWhatItCannot names the field at fault.
func TestSearchSaysWhatItCannot(t *testing.T) {
	x := openIndex(t, openStore(t, vfs.NewMem()))
	for name, m := range map[string]index.Match{
		"unknown field":   {Field: 99, Value: []byte("x")},
		"reserved field":  {Field: index.Flow, Value: []byte("x")},
		"pair by itself":  {Field: index.Pair, Value: []byte("x")},
		"value too long":  {Field: index.Ticket, Value: make([]byte, 129)},
		"prefix of an id": {Field: index.EventID, Value: []byte("x"), Prefix: true},
		"empty prefix":    {Field: index.Actor, Prefix: true},
		"any of none":     {Field: index.Actor, Any: [][]byte{}},
		"any of too many": {Field: index.Actor, Any: make([][]byte, index.MaxAny+1)},
		"any id":          {Field: index.EventID, Any: [][]byte{{1}}},
		"any empty value": {Field: index.Actor, Any: [][]byte{{}, {1}}},
	} {
		err := x.Search(t.Context(), index.Query{Matches: []index.Match{m}}, 0, 1, false, func(uint64) bool { return true })
		var fault *index.QueryError
		if !errors.As(err, &fault) || fault.Field != m.Field {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []index.Field{index.Kind, index.EventID, index.SourceTier, 0, 200} {
		var fault *index.QueryError
		if _, _, err := x.Values(t.Context(), f, "", 10); !errors.As(err, &fault) {
			t.Errorf("values of %v: %v", f, err)
		}
	}
}

// TestBroadPrefix refuses a prefix of too many values, in memory and in tables.
func TestBroadPrefix(t *testing.T) {
	x, err := index.OpenSmall(openStore(t, vfs.NewMem()), 11, 1, index.MaxListed)
	if err != nil {
		t.Fatal(err)
	}
	q := index.Query{Matches: []index.Match{{Field: index.Actor, Value: []byte("u"), Prefix: true}}}
	for i := range 2100 {
		e := verify.Entry{Place: verify.EntryHead{Kind: 2}}
		if err := x.Add(uint64(i), &e, &verify.EventFields{ActorID: []byte("u" + u64(uint64(i)))}); err != nil {
			t.Fatal(err)
		}
		if i != 900 && i != 1900 && i != 2099 {
			continue
		}
		err := x.Search(t.Context(), q, 0, 3000, false, func(uint64) bool { return true })
		var broad *index.TooBroadError
		if errors.As(err, &broad) != (i > 1024) {
			t.Errorf("with %d values: %v", i+1, err)
		}
	}
}

// load writes index keys as another version, or a fault, would have left them.
func load(t *testing.T, e store.Engine, kv ...string) {
	t.Helper()
	err := e.Load(func(yield func(k, v []byte) bool) {
		for i := 0; i < len(kv); i += 2 {
			if !yield([]byte(kv[i]), []byte(kv[i+1])) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

const header = "\x02" + "0123456789abcdef0123456789abcdef0123"

func TestOtherVersionIsBuiltAnew(t *testing.T) {
	for name, kv := range map[string][]string{
		"other keys":        {"i", "x"},
		"first version":     {"i" + u64(0) + "\x00\x00", "\x01"},
		"newer version":     {"i" + u64(0) + "\x00\x00\x00", "\x03" + header[1:]},
		"no header":         {"i" + u64(0) + "\x01\x00\x00", "\x00\x00"},
		"hole":              {"i" + u64(0) + "\x00\x00\x00", header, "i" + u64(2) + "\x00\x00\x00", header},
		"third level":       {"i" + u64(2<<56) + "\x00\x00\x00", header},
		"above all":         {"i\xff\xff", ""},
		"merged, no header": {"i" + u64(1<<56) + "\x01\x00\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := openStore(t, vfs.NewMem())
			load(t, e, kv...)
			if x := openIndex(t, e); x.Position() != 0 {
				t.Errorf("position %d", x.Position())
			}
			if left := rows(t, e); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// TestBucketExample reads the example of the package comment out of a chunk.
func TestBucketExample(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	load(t, e, "i"+u64(0)+"\x00\x00\x00", header,
		"i"+u64(0)+"\x08\x00\xaa", "\x01\x00\x01\x0c\x00\x7f\x01\x0f\x04\x00\x09\x00",
		"i"+u64(0)+"\x08\x00\xab", "\x01garbled")
	x := openIndex(t, e)
	for hash, want := range map[uint32][]uint64{0xaa0001: {7, 9, 10, 11, 12, 13, 14, 15}, 0xaa0002: {9}, 0xaa0003: nil} {
		var got []uint64
		collect := func(i uint64) bool { got = append(got, i); return true }
		if err := x.Candidates([]index.Term{{Field: index.Actor, Hash: hash}}, 0, 100, false, collect); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%x: %s", hash, diff)
		}
	}
	err := x.Candidates([]index.Term{{Field: index.Actor, Hash: 0xab0001}}, 0, 100, false, func(uint64) bool { return true })
	if !errors.Is(err, index.ErrDamaged) {
		t.Errorf("a garbled bucket gave %v", err)
	}
}
