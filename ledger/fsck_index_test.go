package ledger_test

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
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

// TestFsckOfAnIndexThatIsNone: an index of another version, one that is behind and
// none at all are no fault, and stay as they are.
func TestFsckOfAnIndexThatIsNone(t *testing.T) {
	d, size := flipLog(t, 66_000)
	var phases int
	progress := func(done, total uint64) {
		if total == index.ChunkLen && done == total {
			phases++
		}
		if done > total {
			t.Errorf("%d of %d", done, total)
		}
	}
	check := func(what string) {
		t.Helper()
		if r, err := ledger.Fsck(t.Context(), d, progress); err != nil || !r.OK || r.Entries != size {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	check("whole")
	if phases != 1 {
		t.Errorf("the index was compared %d times", phases)
	}
	d.Alter(append(store.Index.Key(0), 0, 0, 0), func(b []byte) []byte { return append([]byte{1}, b[1:]...) })
	check("of another version")
	d.Repair()
	if err := index.Remove(d.Engine); err != nil {
		t.Fatal(err)
	}
	check("none")
	if phases != 1 {
		t.Errorf("the index was compared %d times", phases)
	}
}
