package storetest

import (
	"fmt"
	"iter"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// pairs yields keys and values; the slices are overwritten after each pair.
func pairs(kv ...string) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		var k, v []byte
		for i := 0; i < len(kv); i += 2 {
			k, v = append(k[:0], kv[i]...), append(v[:0], kv[i+1]...)
			if !yield(k, v) {
				return
			}
			clear(k)
			clear(v)
		}
	}
}

func testDerive(t *testing.T, h Harness) {
	e := h.Open(t)
	b := put(t, e.NewBatch(), "p", "7", "r1", "x", "s1", "y")
	must(t, e.Derive(b))
	if b.Len() != 0 {
		t.Errorf("batch of %d bytes after Derive", b.Len())
	}
	put(t, b, "p", "8")
	must(t, b.Delete([]byte("r1")))
	must(t, e.Derive(b))
	must(t, e.Derive(b))
	want(t, read(t, e, nil, nil), "p=8", "s1=y")
	for _, key := range []string{"a", "h", "f1", "t1", "c1", "o1", "", "z"} {
		mustBe(t, e.Derive(put(t, e.NewBatch(), "p", "9", key, "")), store.ErrNotDerived)
	}
	_, err := e.Head()
	mustBe(t, err, store.ErrNotFound)
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	want(t, read(t, e, nil, nil), "p=8", "s1=y")
}

func testLoad(t *testing.T, h Harness) {
	e := h.Open(t)
	must(t, e.Load(pairs()))
	must(t, e.Load(pairs("i1a", "1", "i1b", "", "i1c", "3")))
	commit(t, e, store.Head{}, first(1), put(t, e.NewBatch(), "c1", "1"))
	must(t, e.Load(pairs("i2a", "4", "i\xffb", "5")))
	must(t, e.Load(pairs("i2b", "6", "i\xffa", "7", "i\xffc", "8"))) // overlaps the one before
	must(t, e.Derive(put(t, e.NewBatch(), "p", "2")))
	all := []string{"c1=1", "i1a=1", "i1b=", "i1c=3", "i2a=4", "i2b=6", "i\xffa=7", "i\xffb=5", "i\xffc=8", "p=2"}
	want(t, read(t, e, nil, nil), all...)
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	want(t, read(t, e, nil, nil), all...)
	many := make([]string, 0, 20000)
	for i := range 10000 {
		many = append(many, fmt.Sprintf("i3%06d", i), "posting")
	}
	must(t, e.Load(pairs(many...)))
	if n := len(read(t, e, []byte("i3"), []byte("i4"))); n != 10000 {
		t.Errorf("%d of 10000 loaded keys", n)
	}
}

func testLoadRefuses(t *testing.T, h Harness) {
	e := h.Open(t)
	defer closeEngine(t, e)
	mustBe(t, e.Load(pairs("i2", "", "i1", "")), store.ErrUnsorted)
	mustBe(t, e.Load(pairs("i1", "", "i1", "")), store.ErrUnsorted)
	mustBe(t, e.Load(pairs("f1", "")), store.ErrNotDerived)
	if err := e.Load(pairs("i1", "", "p", "")); err == nil {
		t.Error("a load of two tables went in")
	}
	mustBe(t, e.Load(pairs("i1", "", string(make([]byte, store.MaxKey+1)), "")), store.ErrTooLarge)
	want(t, read(t, e, nil, nil))
	must(t, e.Load(pairs("i1", "1"))) // a refused load leaves nothing in the way
	want(t, read(t, e, nil, nil), "i1=1")
}

func testDeleteRange(t *testing.T, h Harness) {
	e := h.Open(t)
	must(t, e.Load(pairs("i1", "1", "i2", "2", "i3", "3")))
	must(t, e.Derive(put(t, e.NewBatch(), "r1", "1", "s1", "2", "s2", "3")))
	commit(t, e, store.Head{}, first(1), put(t, e.NewBatch(), "c1", "1", "h1", "", "j1", ""))
	for _, r := range [][2]string{{"c", "d"}, {"a", "z"}, {"h", "j"}, {"i", "jz"}, {"", "i2"}, {"r", "tz"}} {
		mustBe(t, e.DeleteRange([]byte(r[0]), []byte(r[1])), store.ErrNotDerived)
	}
	mustBe(t, e.DeleteRange([]byte("i"), nil), store.ErrNotDerived)
	must(t, e.DeleteRange([]byte("i2"), []byte("i2")))
	must(t, e.DeleteRange([]byte("z"), []byte("i2")))
	must(t, e.DeleteRange([]byte("i2"), []byte("j")))
	must(t, e.DeleteRange([]byte("r"), []byte("s2")))
	want(t, read(t, e, nil, nil), "c1=1", "h1=", "i1=1", "j1=", "s2=3")
	must(t, e.Load(pairs("i2", "again", "i3", "again"))) // a rebuilt index goes where the old one was
	left := []string{"c1=1", "h1=", "i1=1", "i2=again", "i3=again", "j1=", "s2=3"}
	want(t, read(t, e, nil, nil), left...)
	closeEngine(t, e)
	e = h.Open(t)
	defer closeEngine(t, e)
	want(t, read(t, e, nil, nil), left...)
}
