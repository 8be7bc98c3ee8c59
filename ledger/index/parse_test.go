package index_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/index"
)

// TestListsOfEveryForm writes and reads all lists of up to 10 offsets, and drawn
// ones of many densities.
func TestListsOfEveryForm(t *testing.T) {
	check := func(list []uint32, n int) {
		t.Helper()
		b := index.WriteList(list, n)
		got, err := index.ReadList(b, n)
		if err != nil || !slices.Equal(got, list) {
			t.Fatalf("%v of %d: % x is read as %v, %v", list, n, b, got, err)
		}
	}
	for n := 1; n <= 10; n++ {
		for set := range 1 << n {
			var list []uint32
			for o := range n {
				if set&(1<<o) != 0 {
					list = append(list, uint32(o))
				}
			}
			check(list, n)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{16, 33, 4096, 1 << 16} {
		for _, density := range []int{0, 1, 5, 100, 500, 900, 995, 1000} {
			var list []uint32
			for o := range n {
				if r.IntN(1000) < density {
					list = append(list, uint32(o))
				}
			}
			check(list, n)
		}
	}
}

// FuzzList reads anything without harm: what is read is ascending and in
// range, and written again it is read the same.
func FuzzList(f *testing.F) {
	f.Add([]byte{0x0c, 1, 2, 3}, uint16(100))
	f.Add([]byte{0x12, 0xff, 0, 0, 1}, uint16(32))
	f.Add([]byte{0x01}, uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		list, err := index.ReadList(b, int(n))
		if err != nil {
			return
		}
		for i, o := range list {
			if int(o) >= int(n) || i > 0 && o <= list[i-1] {
				t.Fatalf("%v of %d", list, n)
			}
		}
		again, err := index.ReadList(index.WriteList(list, int(n)), int(n))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%v is read as %v, %v", list, again, err)
		}
	})
}

// FuzzBucket reads anything without harm.
func FuzzBucket(f *testing.F) {
	f.Add([]byte("\x01\x00\x01\x0c\x00\x7f\x01\x0f\x04\x00\x09\x00"), uint32(2))
	f.Add([]byte{0}, uint32(1))
	f.Add([]byte{0xff, 0xff, 1}, uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, hash uint32) {
		for _, bits := range []uint{4, 16} {
			list, err := index.ReadBucket(bits, 4, b, hash)
			if err != nil {
				continue
			}
			for i, o := range list {
				if o >= 1<<bits || i > 0 && o <= list[i-1] {
					t.Fatalf("%v of %d bits", list, bits)
				}
			}
		}
	})
}

// FuzzHeader: what is read is written the same.
func FuzzHeader(f *testing.F) {
	f.Add(append([]byte{2}, make([]byte, 72)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := index.ReadHeader(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("% x is written as % x", b, again)
		}
	})
}

// FuzzValueKey: a value's key gives the value, or the begin of a long one.
func FuzzValueKey(f *testing.F) {
	f.Add([]byte("alice@broker.example"))
	f.Add(bytes.Repeat([]byte("a"), 403))
	f.Fuzz(func(t *testing.T, v []byte) {
		key := index.ValueKey(index.Actor, v)
		if len(key) > 512 {
			t.Fatalf("key of %d bytes", len(key))
		}
		got, whole := index.ValueOf(key)
		if whole != (len(v) <= 400) || !bytes.HasPrefix(v, got) || whole && len(got) != len(v) {
			t.Fatalf("%q is read as %q, whole %v", v, got, whole)
		}
	})
}
