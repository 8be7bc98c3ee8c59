package ledger_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// wantIndexFault wants a check to find all entries right and the index wrong.
func wantIndexFault(t *testing.T, what string, index uint64, check func() (ledger.FsckResult, error)) {
	t.Helper()
	r, err := check()
	if err != nil || r.OK || r.FirstBadIndex != index || r.Entries < 3000 || !strings.Contains(r.Reason, "damaged index") {
		t.Errorf("%s: %+v, %v, want a fault at %d", what, r, err, index)
	}
}

// indexScans counts the tables of the index that are read.
type indexScans struct {
	store.Engine
	tables atomic.Int64
}

func (e *indexScans) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	if bytes.Equal(lo, store.Index.Key(0)) && bytes.Equal(hi, store.Index.Key(1)) {
		e.tables.Add(1)
	}
	return e.Engine.Scan(lo, hi, fn)
}

// TestFsckOfAnIndexThatIsNone: an index of another version, one that is behind and
// none at all are no fault, and stay as they are.
func TestFsckOfAnIndexThatIsNone(t *testing.T) {
	d, size := flipLog(t, 66_000)
	e := &indexScans{Engine: d}
	check := func(what string) {
		t.Helper()
		if r, err := ledger.Fsck(t.Context(), e, nil); err != nil || !r.OK || r.Entries != size {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	check("whole")
	if n := e.tables.Load(); n != 1 {
		t.Errorf("%d tables were compared", n)
	}
	d.Alter(append(store.Index.Key(0), 0, 0, 0), func(b []byte) []byte { return append([]byte{1}, b[1:]...) })
	check("of another version")
	d.Repair()
	if err := index.Remove(d.Engine); err != nil {
		t.Fatal(err)
	}
	check("none")
	if n := e.tables.Load(); n != 1 {
		t.Errorf("%d tables were compared", n)
	}
}

// TestFsckNamesTheEntryFirst: a fault in an entry goes before one in the index,
// though its index is higher and it is met later.
func TestFsckNamesTheEntryFirst(t *testing.T) {
	d, _ := flipLog(t, 66_000)
	row := rowOf(t, d, 0)
	d.Alter(row, ledgertest.Flip(-1))
	wantIndexFault(t, "index alone", 0, func() (ledger.FsckResult, error) { return ledger.Fsck(t.Context(), d, nil) })
	d.Alter(store.Frames.Key(65_792), ledgertest.Flip(40))
	wantFault(t, "index and frame", d, 65_792)
}
