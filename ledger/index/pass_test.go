package index_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/verify"
)

// passOver goes over the first size entries of the world with a pass, in parts of
// so many, and calls between after each.
func passOver(t *testing.T, x *index.Index, world []row, size, parts int, between func(done int)) error {
	t.Helper()
	p := x.NewPass(uint64(size))
	var part index.Part
	for at := 0; at < int(p.End()); at += parts {
		part.Reset()
		for i := at; i < at+parts; i++ {
			e, ev := world[i].entry(t)
			if err := part.Add(&e, &ev); err != nil {
				t.Fatal(err)
			}
		}
		if terms := p.Take(t.Context(), uint64(at), &part); terms != nil {
			_, _, err := p.Compare(t.Context(), terms)
			p.Recycle(terms)
			if err != nil {
				return err
			}
		}
		between(at + parts)
	}
	rest, next, listed := p.Rest()
	read := reader(t, world)
	for _, r := range rest {
		checked, err := x.Check(t.Context(), r.At, r.Until, read)
		if err != nil {
			return err
		}
		listed, next = listed+checked.Listed, max(next, checked.Next)
	}
	for {
		checked, err := x.Check(t.Context(), next, 1<<40, read)
		if err != nil {
			return err
		}
		if checked.Next == next {
			return x.CheckDictionary(t.Context(), next, listed)
		}
		next, listed = checked.Next, listed+checked.Listed
	}
}

// reader reads entries of the world.
func reader(t *testing.T, world []row) index.EntryReader {
	return func(lo, hi uint64, add func(*verify.Entry, *verify.EventFields) error) error {
		for i := lo; i < hi; i++ {
			e, ev := world[i].entry(t)
			if err := add(&e, &ev); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestPassWhileTheIndexGrows has chunks added and merged at every point of a pass
// over it: nothing is wrong, neither then nor in a pass that ends within a chunk.
func TestPassWhileTheIndexGrows(t *testing.T) {
	const chunk, merge, length = 4, 2, 16 * 4 * 3
	world := makeWorld(3, length+20)
	for _, before := range []int{16, 16 * 3, 16 * 4, 16 * 6, length} {
		for moment := 0; moment <= before; moment += 8 {
			e := openStore(t, vfs.NewMem())
			x, err := index.OpenSmall(e, chunk, merge, 6)
			if err != nil {
				t.Fatal(err)
			}
			add(t, x, world, 0, before)
			grown := false
			grow := func(done int) {
				if grown || done != moment {
					return
				}
				grown = true
				add(t, x, world, before, len(world))
				if err := x.Merge(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			grow(0)
			for _, size := range []int{before, before - 7} {
				if err := passOver(t, x, world, size, 8, grow); err != nil {
					t.Fatalf("index of %d, grown at %d: %v", before, moment, err)
				}
			}
		}
	}
}

// TestPassStops: a pass that is given up does not wait.
func TestPassStops(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	x, err := index.OpenSmall(e, 4, 2, 6)
	if err != nil {
		t.Fatal(err)
	}
	world := makeWorld(3, 200)
	add(t, x, world, 0, len(world))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	p := x.NewPass(200)
	var part index.Part
	for i := range 16 {
		e, ev := world[i].entry(t)
		if err := part.Add(&e, &ev); err != nil {
			t.Fatal(err)
		}
	}
	var taken []*index.Terms
	for at := uint64(0); at < p.End(); at += 16 {
		terms := p.Take(ctx, at, &part)
		if terms == nil {
			break
		}
		taken = append(taken, terms)
	}
	if len(taken) > 3 || slices.Contains(taken, nil) {
		t.Errorf("%d chunks in memory", len(taken))
	}
	if len(taken) > 0 {
		if _, _, err := p.Compare(ctx, taken[0]); !errors.Is(err, enough) {
			t.Errorf("comparing: %v", err)
		}
	}
}
