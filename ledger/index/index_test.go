package index_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func openStore(t testing.TB, fs vfs.FS) store.Engine {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Options{
		Dir: "store", FS: fs, Logger: slog.New(slog.DiscardHandler), MemTableBytes: 1 << 20,
		Fatal: func(reason string) { panic(reason) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func openIndex(t testing.TB, e store.Engine) *index.Index {
	t.Helper()
	x, err := index.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// values are what one entry of the test world holds, and the terms it satisfies.
type values struct {
	event, correlation, actor, source, target string
	producer                                  string
	run                                       byte
	kind                                      daybookv1.Kind
	verdict                                   daybookv1.Verdict
	log, occurred                             int64
}

func (v values) entry() (verify.Entry, verify.EventFields) {
	e := verify.Entry{
		Head:  verify.BatchHead{Producer: v.producer, Run: verify.Hash{v.run}, LogTimeNS: v.log},
		Place: verify.EntryHead{Source: v.source, Target: v.target, Kind: v.kind, Verdict: v.verdict},
	}
	ev := verify.EventFields{OccurredAtNS: v.occurred, EventID: []byte(v.event), CorrelationID: []byte(v.correlation), ActorID: []byte(v.actor)}
	return e, ev
}

func (v values) terms() []index.Term {
	return []index.Term{
		index.KindTerm(uint64(v.kind)),
		index.VerdictTerm(uint64(v.verdict)),
		index.SourceTerm(v.source),
		index.TargetTerm(v.target),
		index.PairTerm(v.source, v.target),
		index.ActorTerm([]byte(v.actor)),
		index.RunTerm(v.producer, verify.Hash{v.run}),
		index.CorrelationTerm([]byte(v.correlation)),
		index.EventIDTerm([]byte(v.event)),
	}
}

// makeWorld returns n entries: unique event ids, correlation ids shared by two,
// skewed actors and pairs, now and then an entry without an event.
func makeWorld(n int) []values {
	r := rand.New(rand.NewPCG(7, 7))
	world := make([]values, n)
	for i := range world {
		producer := r.IntN(4)
		v := values{
			producer: fmt.Sprintf("spiffe://broker.example/gateway-%d", producer),
			run:      byte(producer + 4*(i/40000)),
			source:   fmt.Sprintf("app-%d", min(r.IntN(9), r.IntN(9))),
			target:   fmt.Sprintf("db-%d", min(r.IntN(30), r.IntN(30), r.IntN(30))),
			kind:     daybookv1.Kind_KIND_ACCESS, verdict: daybookv1.Verdict_VERDICT_UNDECLARED,
			log: int64(1e18) + int64(i)*1000, occurred: int64(1e18) + int64(i)*1000 - r.Int64N(1e6),
			event: fmt.Sprintf("event-%d", i), correlation: fmt.Sprintf("trace-%d", i/2),
			actor: fmt.Sprintf("user-%d", min(r.IntN(20000), r.IntN(20000), r.IntN(20000))),
		}
		if r.IntN(500) == 0 {
			v.kind, v.event, v.correlation, v.actor, v.occurred, v.verdict = daybookv1.Kind_KIND_RUN_OPENED, "", "", "", 0, 0
		}
		world[i] = v
	}
	return world
}

func fill(t testing.TB, x *index.Index, world []values, from int) {
	t.Helper()
	for i := from; i < len(world); i++ {
		e, ev := world[i].entry()
		if err := x.Add(uint64(i), &e, &ev); err != nil {
			t.Fatal(err)
		}
	}
}

// holds is the dumb twin: does the entry hold the values of these terms of v?
func holds(w, v values, pick []int) bool {
	for _, p := range pick {
		same := []bool{
			w.kind == v.kind, w.verdict == v.verdict, w.source == v.source, w.target == v.target,
			w.source == v.source && w.target == v.target, w.actor == v.actor,
			w.producer == v.producer && w.run == v.run, w.correlation == v.correlation, w.event == v.event,
		}
		if !same[p] {
			return false
		}
	}
	return true
}

const worldLen = 2*index.ChunkLen + 9000

// checkSearches draws searches and holds their answers against a full scan: no
// entry is missed, the order is right, and what is too much is little.
func checkSearches(t *testing.T, x *index.Index, world []values) {
	t.Helper()
	extra, hits := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		v := world[rapid.IntRange(0, len(world)-1).Draw(t, "like")]
		pick := rapid.SliceOfNDistinct(rapid.IntRange(0, 8), 0, 3, rapid.ID[int]).Draw(t, "fields")
		lo := rapid.IntRange(0, len(world)).Draw(t, "lo")
		hi := rapid.IntRange(0, len(world)+10).Draw(t, "hi")
		descending := rapid.Bool().Draw(t, "descending")
		limit := rapid.SampledFrom([]int{1, 100, 1 << 30}).Draw(t, "limit")
		if v.event == "" {
			pick = slices.DeleteFunc(pick, func(p int) bool { return p == 1 || p == 5 || p >= 7 })
		}
		var terms []index.Term
		for _, p := range pick {
			terms = append(terms, v.terms()[p])
		}
		var want []uint64
		for i := lo; i < min(hi, len(world)); i++ {
			if holds(world[i], v, pick) {
				want = append(want, uint64(i))
			}
		}
		if descending {
			slices.Reverse(want)
		}
		want = want[:min(limit, len(want))]
		var got []uint64
		last, seen := int64(-1), false
		err := x.Candidates(terms, uint64(lo), uint64(hi), descending, func(i uint64) bool {
			if i < uint64(lo) || i >= uint64(hi) || seen && (int64(i) > last) == descending {
				t.Fatalf("candidate %d after %d in [%d,%d), descending %v", i, last, lo, hi, descending)
			}
			last, seen = int64(i), true
			if !holds(world[i], v, pick) {
				extra++
				return true
			}
			hits++
			got = append(got, i)
			return len(got) < limit
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d candidates that hold, want %d", len(got), len(want))
		}
	})
	if extra > 10+hits/1000 {
		t.Errorf("%d candidates for %d hits too many", extra, hits)
	}
}

func TestCandidates(t *testing.T) {
	fs := vfs.NewMem()
	e := openStore(t, fs)
	x := openIndex(t, e)
	world := makeWorld(worldLen)
	fill(t, x, world, 0)
	if x.Position() != 2*index.ChunkLen || x.Size() != worldLen {
		t.Fatalf("position %d, size %d", x.Position(), x.Size())
	}
	checkSearches(t, x, world)

	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	x = openIndex(t, openStore(t, fs))
	if x.Position() != 2*index.ChunkLen || x.Size() != 2*index.ChunkLen {
		t.Fatalf("reopened at position %d, size %d", x.Position(), x.Size())
	}
	fill(t, x, world, int(x.Position()))
	checkSearches(t, x, world)
}

func TestSearchesBesideAdd(t *testing.T) {
	x := openIndex(t, openStore(t, vfs.NewMem()))
	world := makeWorld(index.ChunkLen + 3000)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for stop := false; !stop; {
				select {
				case <-done:
					stop = true
				default:
				}
				size := x.Size()
				if size == 0 {
					continue
				}
				// What was added before the search must be found by it.
				v, found := world[size-1], false
				err := x.Candidates(v.terms()[4:7], 0, size, true, func(i uint64) bool {
					found = i == size-1
					return false
				})
				if err != nil || !found {
					t.Errorf("entry %d is not its terms' newest candidate, %v", size-1, err)
					return
				}
				if err := x.Chunks(0, size, func(c index.Chunk) bool { return c.MinLog <= c.MaxLog }); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	fill(t, x, world, 0)
	close(done)
	wg.Wait()
}

func TestChunks(t *testing.T) {
	x := openIndex(t, openStore(t, vfs.NewMem()))
	world := makeWorld(index.ChunkLen + 500)
	fill(t, x, world, 0)
	bounds := func(from, to int) index.Chunk {
		c := index.Chunk{First: uint64(from), Entries: to - from, MinLog: world[from].log, MaxLog: world[to-1].log}
		for _, v := range world[from:to] {
			if v.occurred != 0 {
				if c.MinOccurred == 0 {
					c.MinOccurred = v.occurred
				}
				c.MinOccurred, c.MaxOccurred = min(c.MinOccurred, v.occurred), max(c.MaxOccurred, v.occurred)
			}
		}
		return c
	}
	all := []index.Chunk{bounds(0, index.ChunkLen), bounds(index.ChunkLen, len(world))}
	for _, tt := range []struct {
		lo, hi uint64
		want   []index.Chunk
	}{
		{0, 1 << 40, all}, {1, index.ChunkLen, all[:1]}, {index.ChunkLen, index.ChunkLen + 1, all[1:]}, {5, 5, nil}, {1 << 40, 1 << 41, nil},
	} {
		var got []index.Chunk
		if err := x.Chunks(tt.lo, tt.hi, func(c index.Chunk) bool { got = append(got, c); return true }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("[%d,%d): %s", tt.lo, tt.hi, diff)
		}
	}
}

func TestAddRefusesAnotherIndex(t *testing.T) {
	x := openIndex(t, openStore(t, vfs.NewMem()))
	e, ev := makeWorld(1)[0].entry()
	if err := x.Add(1, &e, &ev); err == nil {
		t.Error("entry 1 added before entry 0")
	}
	if err := x.Add(0, &e, nil); err != nil {
		t.Error(err)
	}
	if err := x.Candidates([]index.Term{{Field: 77, Hash: 1}}, 0, 1, false, func(uint64) bool { return true }); err == nil {
		t.Error("a search for an unknown field went through")
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

func TestOtherVersionIsBuiltAnew(t *testing.T) {
	chunk0 := string(store.Index.Key(0))
	header := "\x01\x00\x01\x00\x00" + string(make([]byte, 32))
	for name, kv := range map[string][]string{
		"other keys":    {"i", "x"},
		"newer version": {chunk0 + "\x00\x00", "\x02" + header[1:]},
		"no header":     {chunk0 + "\x01\x00", "\x00\x00"},
		"short chunk":   {chunk0 + "\x00\x00", header[:3] + "\x01" + header[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			e := openStore(t, vfs.NewMem())
			load(t, e, kv...)
			if x := openIndex(t, e); x.Position() != 0 {
				t.Errorf("position %d", x.Position())
			}
			lo, hi := store.Index.Range()
			if err := e.Scan(lo, hi, func(k, _ []byte) error { return fmt.Errorf("key %x is left", k) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBucketExample reads the example of the package comment out of a chunk.
func TestBucketExample(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	bucket, err := hex.DecodeString("000000000100070000010009")
	if err != nil {
		t.Fatal(err)
	}
	chunk0 := string(store.Index.Key(0))
	header := "\x01\x00\x01\x00\x00" + string(make([]byte, 32))
	load(t, e, chunk0+"\x00\x00", header, chunk0+"\x04\xaa", string(bucket), chunk0+"\x04\xab", "\x00\x01garbled")
	x := openIndex(t, e)
	var got []uint64
	collect := func(i uint64) bool { got = append(got, i); return true }
	if err := x.Candidates([]index.Term{{Field: index.Actor, Hash: 0xaa000001}}, 0, 100, false, collect); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{7, 9}, got); diff != "" {
		t.Error(diff)
	}
	err = x.Candidates([]index.Term{{Field: index.Actor, Hash: 0xab000001}}, 0, 100, false, collect)
	if !errors.Is(err, index.ErrDamaged) {
		t.Errorf("a garbled bucket gave %v", err)
	}
}
