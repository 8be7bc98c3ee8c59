package index

import (
	"math/rand/v2"
	"testing"
)

// TestKnownNeverInvents adds values at random, many to a line: what is said to be
// known was added before, and the newest of a line are known.
func TestKnownNeverInvents(t *testing.T) {
	k := newKnown()
	r := rand.New(rand.NewPCG(1, 2))
	newest := map[uint64][]uint64{} // by line, as a dumb twin
	for range 20_000 {
		line, sum := r.Uint64N(8), 1+r.Uint64N(24)
		hash := line + r.Uint64N(4)*uint64(len(k.lines))
		list := newest[line]
		want := false
		for i, s := range list {
			if s == sum {
				want = true
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		if list = append([]uint64{sum}, list...); len(list) > knownLine {
			list = list[:knownLine]
		}
		newest[line] = list
		if got := k.add(hash, sum); got != want {
			t.Fatalf("line %d, sum %d: known %v, want %v", line, sum, got, want)
		}
	}
}

// TestSeenKeepsItsSums passes from chunk to chunk: a value has one sum and one
// hash in all of them, which is how it is known to be in the dictionary.
func TestSeenKeepsItsSums(t *testing.T) {
	a := newSeen(100, nil)
	a.note([]byte("settlement"))
	a.note([]byte("audit"))
	b := newSeen(100, a)
	b.note([]byte("audit"))
	if a.values[1] != b.values[0] {
		t.Fatal("the next chunk sums a value otherwise")
	}
	if string(b.value(0)) != "audit" || len(b.values) != 1 {
		t.Fatalf("the next chunk holds %d values, first %q", len(b.values), b.value(0))
	}
}
