package pebblestore_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

// TestUnreadableTable: a table that cannot be read, whose statistics Pebble wants,
// costs a try now and then, and does not hold up the end.
func TestUnreadableTable(t *testing.T) {
	mem := vfs.NewMem()
	s, err := pebblestore.Open(small(mem))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(func(yield func(k, v []byte) bool) { yield([]byte("i00"), []byte("posting")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		for _, name := range names {
			if strings.HasSuffix(name, ".sst") && filepath.Base(op.Path) == name && op.Kind == errorfs.OpFileReadAt {
				tries.Add(1)
				return errorfs.ErrInjected
			}
		}
		return nil
	}))
	if s, err = pebblestore.Open(small(fs)); err != nil {
		t.Fatal(err)
	}
	for tries.Load() == 0 {
		runtime.Gosched()
	}
	time.Sleep(50 * time.Millisecond) // thousands of tries, were none waited for
	if n := tries.Load(); n > 10 {
		t.Errorf("%d tries", n)
	}
	if _, err := s.Get([]byte("i00")); err == nil || err == store.ErrNotFound {
		t.Errorf("reading what cannot be read: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
