package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

var _ bundle.Source = (*ledger.Source)(nil)

// A sourceTwin is a log below a size, read entry by entry.
type sourceTwin struct {
	raw     [][]byte
	leaves  []verify.Hash
	entries []verify.Entry
	streams map[verify.StreamKey][]uint64 // indexes below the cut
	numbers []verify.Hash                 // of the bodies of one run
	firsts  []uint64                      // their first numbers
}

func readTwin(t *testing.T, l *ledger.Ledger, size, cut uint64, run verify.Hash) *sourceTwin {
	t.Helper()
	w := &sourceTwin{streams: map[verify.StreamKey][]uint64{}}
	err := l.Entries(t.Context(), 0, size, func(i uint64, raw []byte) error {
		raw = bytes.Clone(raw)
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return err
		}
		w.raw, w.leaves, w.entries = append(w.raw, raw), append(w.leaves, verify.HashLeaf(raw)), append(w.entries, e)
		if i < cut {
			key := verify.StreamKeyOf(&e.Place)
			w.streams[key] = append(w.streams[key], i)
		}
		if e.Head.Run == run && e.Place.Number > 0 {
			w.numbers, w.firsts = append(w.numbers, sha256.Sum256(e.Body)), append(w.firsts, e.Place.Number)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// node is a node of a tree of leaves, in the plainest way.
func plainNode(leaves []verify.Hash, level uint, index uint64) verify.Hash {
	var f verify.Frontier
	for _, leaf := range leaves[index<<level : (index+1)<<level] {
		f.Append(leaf)
	}
	return f.Root()
}

func TestSourceReadsWhatTheLogHolds(t *testing.T) {
	w := newCountWorld(t, 11, noon())
	w.append(700)
	w.closeNow()
	w.append(500)
	old := archive(t, w.g.L)
	w.closeNow()
	w.append(3)
	item := w.access("s1", "t1", daybookv1.Side_SIDE_SOURCE, 0)
	w.number += 2
	appendBatch(t, w.g, ledger.Batch{Run: w.run, Epoch: 1, First: w.number - 2, Items: []ledger.Item{item, gapItem(t, w.number-1, 2)}})
	w.append(900)
	w.closeNow()
	now := archive(t, w.g.L)
	w.append(100) // after the checkpoint
	for _, a := range []ledger.Archived{old, now} {
		s, err := w.g.L.Source(t.Context(), a.Size, []byte("policy"))
		if err != nil {
			t.Fatal(err)
		}
		twin := readTwin(t, w.g.L, a.Size, s.Closed().Close.Cut, w.run)
		note, err := s.Checkpoint(t.Context())
		if err != nil || !bytes.Equal(note, a.Note) {
			t.Errorf("checkpoint %q, %v", note, err)
		}
		checkLogOf(t, s, twin)
		checkStreamsOf(t, s, twin, w.random)
		checkNumbersOf(t, s, twin, w.run, w.random)
	}
	if _, err := w.g.L.Source(t.Context(), 1<<40, nil); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("at a size that the log does not have: %v", err)
	}
}

func archive(t *testing.T, l *ledger.Ledger) ledger.Archived {
	t.Helper()
	a, err := l.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func checkLogOf(t *testing.T, s *ledger.Source, twin *sourceTwin) {
	t.Helper()
	ctx, size := t.Context(), uint64(len(twin.raw))
	for i := range size {
		raw, err := s.Entry(ctx, i)
		if err != nil || !bytes.Equal(raw, twin.raw[i]) {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	for level := range uint(12) {
		for n := range size >> level {
			h, err := s.Node(ctx, level, n)
			if err != nil || h != plainNode(twin.leaves, level, n) {
				t.Fatalf("node %d/%d: %v", level, n, err)
			}
		}
		if _, err := s.Node(ctx, level, size>>level); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("node %d/%d past the checkpoint: %v", level, size>>level, err)
		}
	}
	if _, err := s.Entry(ctx, size); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an entry past the checkpoint: %v", err)
	}
	for i, e := range twin.entries {
		first := uint64(i)
		for first > 0 && twin.entries[first-1].Head.LogTimeNS == e.Head.LogTimeNS {
			first--
		}
		if at, err := s.FirstAt(ctx, e.Head.LogTimeNS); err != nil || at != first {
			t.Fatalf("first at the time of entry %d: %d, want %d, %v", i, at, first, err)
		}
	}
	if at, err := s.FirstAt(ctx, 1<<62); err != nil || at != size {
		t.Errorf("first in the far future: %d, %v", at, err)
	}
}

func checkStreamsOf(t *testing.T, s *ledger.Source, twin *sourceTwin, random *rand.Rand) {
	t.Helper()
	ctx, rows := t.Context(), s.Closed().Close.Streams.Rows
	if uint64(len(twin.streams)) != rows {
		t.Fatalf("%d streams, the table has %d", len(twin.streams), rows)
	}
	for n := range rows {
		r, err := s.Row(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		key := verify.StreamKey(r.Key)
		at, indexes := uint64(0), twin.streams[key]
		if at, err = s.FindRow(ctx, r.Key); err != nil || at != n || r.Count != uint64(len(indexes)) {
			t.Fatalf("row %d of %q: found at %d with %d, %v", n, r.Key, at, r.Count, err)
		}
		checkStream(t, s, key, twin, random)
	}
	var leaves []verify.Hash
	for n := range rows {
		r, err := s.Row(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, verify.HashLeaf(r.AppendTo(nil)))
	}
	for level := range uint(10) {
		for n := range rows >> level {
			if h, err := s.RowNode(ctx, level, n); err != nil || h != plainNode(leaves, level, n) {
				t.Fatalf("node %d/%d of the table: %v", level, n, err)
			}
		}
	}
}

// checkStream asks about one stream in an order that no reader would choose.
func checkStream(t *testing.T, s *ledger.Source, key verify.StreamKey, twin *sourceTwin, random *rand.Rand) {
	t.Helper()
	ctx, indexes := t.Context(), twin.streams[key]
	count := uint64(len(indexes))
	var leaves []verify.Hash
	for _, i := range indexes {
		leaves = append(leaves, twin.leaves[i])
	}
	for range 6 {
		p := random.Uint64N(count)
		for ; p < count && random.IntN(20) > 0; p++ {
			if at, err := s.IndexAt(ctx, key, p); err != nil || at != indexes[p] {
				t.Fatalf("position %d of %q: %d, want %d, %v", p, key, at, indexes[p], err)
			}
		}
		from := random.Uint64N(uint64(len(twin.raw)))
		want := uint64(0)
		for want < count && indexes[want] < from {
			want++
		}
		if got, err := s.PositionFrom(ctx, key, from); err != nil || got != want {
			t.Fatalf("position of %q from entry %d: %d, want %d, %v", key, from, got, want, err)
		}
		level := uint(random.IntN(7))
		if nodes := count >> level; nodes > 0 {
			n := random.Uint64N(nodes)
			if h, err := s.StreamNode(ctx, key, level, n); err != nil || h != plainNode(leaves, level, n) {
				t.Fatalf("node %d/%d of %q: %v", level, n, key, err)
			}
		}
	}
	if _, err := s.IndexAt(ctx, key, count); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("past the end of %q: %v", key, err)
	}
}

func checkNumbersOf(t *testing.T, s *ledger.Source, twin *sourceTwin, run verify.Hash, random *rand.Rand) {
	t.Helper()
	most := twin.firsts[len(twin.firsts)-1]
	for range 60 {
		first := 1 + random.Uint64N(most+2)
		end := first + random.Uint64N(300)
		var want, got []verify.Hash
		for i, n := range twin.firsts {
			if n >= first && n < end {
				want = append(want, twin.numbers[i])
			}
		}
		producer := twin.entries[len(twin.entries)-1].Head.Producer
		for _, e := range twin.entries {
			if e.Head.Run == run {
				producer = e.Head.Producer
			}
		}
		if err := s.Numbers(t.Context(), producer, run, first, end, func(h verify.Hash) error { got = append(got, h); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("numbers [%d, %d): %d, want %d", first, end, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("numbers [%d, %d): the body %d is another", first, end, i)
			}
		}
	}
}
