package store_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// The examples of the package comment.
func TestExamples(t *testing.T) {
	if got := hex.EncodeToString(store.Frames.Key(256)); got != "660000000000000100" {
		t.Errorf("key of frame 256 is %s", got)
	}
	h := store.Head{Term: 2, Size: 3, Root: [32]byte{0xab}, TimeNS: 0x18d2a1f03c1e8000}
	want := "0000000000000002" + "0000000000000003" + "ab" + strings.Repeat("00", 31) + "18d2a1f03c1e8000"
	b := h.AppendTo(nil)
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("head is %s, want %s", got, want)
	}
	if got, err := store.ParseHead(b); err != nil || got != h {
		t.Errorf("ParseHead = %+v, %v", got, err)
	}
	for _, cut := range [][]byte{nil, b[:55], append(b, 0)} {
		if _, err := store.ParseHead(cut); err == nil {
			t.Errorf("a head of %d bytes was parsed", len(cut))
		}
	}
}

func TestKeys(t *testing.T) {
	if n, err := store.Commits.ParseKey(store.Commits.Key(7)); err != nil || n != 7 {
		t.Errorf("ParseKey = %d, %v", n, err)
	}
	for _, key := range [][]byte{nil, store.Frames.Key(7), store.Commits.Key(7)[:8]} {
		if _, err := store.Commits.ParseKey(key); err == nil {
			t.Errorf("%x was parsed as the key of a commit", key)
		}
	}
	lo, hi := store.Tiles.Range()
	for _, key := range [][]byte{store.TileKey(0, 0), store.TileKey(255, 1<<63)} {
		if bytes.Compare(key, lo) < 0 || bytes.Compare(key, hi) >= 0 {
			t.Errorf("tile key %x is outside [%x,%x)", key, lo, hi)
		}
	}
}

func TestDerivedRange(t *testing.T) {
	for _, tt := range []struct {
		lo, hi string
		ok     bool
	}{
		{"p", "q", true}, {"r", "t", true}, {"r1", "s2", true}, {"i", "j", true}, {"i", "i", true}, {"z", "a", true},
		{"p", "s", false}, {"s", "t1", false}, {"f", "g", false}, {"", "j", false}, {"h", "i", false},
	} {
		err := store.CheckDerivedRange([]byte(tt.lo), []byte(tt.hi))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, store.ErrNotDerived) {
			t.Errorf("[%s,%s): %v", tt.lo, tt.hi, err)
		}
	}
}
