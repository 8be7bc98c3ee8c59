package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// derivedLog makes a log with a close and so many chunks of the index, stops it,
// and returns the index of the close.
func derivedLog(t *testing.T, fs vfs.FS, c *verifyClock, chunks int) (*ledgertest.MemAnchor, uint64) {
	t.Helper()
	anchor := filled(t, fs, c, 3000)
	o := c.options()
	o.VerifyPeriod = 0
	g := reopened(t, fs, anchor, o)
	closed, err := g.L.CloseNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, _ := g.Run("more")
	for next := uint64(1); g.L.Head().Size < uint64(chunks)*index.ChunkLen+3000; next += 4000 {
		appendQuietly(t, g, ledgertest.Batch(run, 1, next, 4000))
	}
	g.Close()
	return anchor, closed
}

// rowOf returns the first key of the table of the chunk, or of the dictionary
// where it is negative.
func rowOf(t *testing.T, e store.Engine, chunk int) (found []byte) {
	t.Helper()
	lo, hi := store.Index.Key(uint64(max(chunk, 0))), store.Index.Key(uint64(chunk)+1)
	if chunk < 0 {
		lo, hi = []byte{byte(store.Index), 0xff}, []byte{byte(store.Index) + 1}
	}
	if err := e.Scan(lo, hi, func(key, _ []byte) error {
		if chunk >= 0 && key[9] == 0 {
			return nil // the header
		}
		found = append([]byte(nil), key...)
		return store.ErrStop
	}); err != nil {
		t.Fatal(err)
	}
	if found == nil {
		t.Fatalf("no row of chunk %d", chunk)
	}
	return found
}

func firstOf(t *testing.T, e store.Engine, table store.Table) (found []byte) {
	t.Helper()
	lo, hi := table.Range()
	if err := e.Scan(lo, hi, func(key, _ []byte) error {
		found = append([]byte(nil), key...)
		return store.ErrStop
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDamagedTablesAreFound flips a byte in each kind of derived table: the
// background verification, the check of the running log and that of the stopped
// one find each.
func TestDamagedTablesAreFound(t *testing.T) {
	c, fs := newVerifyClock(), vfs.NewMem()
	anchor, closed := derivedLog(t, fs, c, 1)
	d, o := new(ledgertest.Damage), c.options()
	o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; return d }
	g := reopened(t, fs, anchor, o)
	t.Cleanup(func() { g.Close() })
	var last int64
	pass := func() ledger.Verification {
		c.allow(week)
		v := until(t, g, "a pass", func(v ledger.Verification) bool { return v.LastEndNS > last && !v.Running })
		last = v.LastEndNS
		return v
	}
	cases := []struct {
		name, table string
		key         []byte
		change      func([]byte) []byte
		index       uint64
	}{
		{"bucket", "index", rowOf(t, d, 0), ledgertest.Flip(-1), 0},
		{"dictionary", "index", rowOf(t, d, -1), ledgertest.Flip(7), 0},
		{"page of a close", "closes", firstOf(t, d, store.Closes), ledgertest.Flip(20), closed},
	}
	for _, f := range cases {
		d.Alter(f.key, f.change)
		v := pass()
		if v.LastFaults == 0 || v.BadIndex != f.index || !strings.HasPrefix(v.Bad, f.table+": ") {
			t.Errorf("%s: %+v", f.name, v)
		}
		verified, alerts := ownFrom(t, g, closed+1)
		if n := len(verified); n == 0 || verified[n-1].Code != "fault" || !strings.Contains(verified[n-1].Detail,
			fmt.Sprintf("first bad index is %d, in %s", f.index, f.table)) || !strings.Contains(verified[n-1].Detail, "root ") {
			t.Errorf("%s: entries %v", f.name, verified)
		}
		if n := len(alerts); n == 0 || alerts[n-1].Subject != fmt.Sprintf("%s at index %d", f.table, f.index) || len(verified) != n {
			t.Errorf("%s: alerts %v", f.name, alerts)
		}
		if f.table == "index" {
			wantIndexFault(t, f.name, f.index, func() (ledger.FsckResult, error) { return g.L.Fsck(t.Context(), nil) })
		}
		d.Repair()
	}
	if v := pass(); v.Bad != "" || v.LastFaults != 0 {
		t.Errorf("after the repair: %+v", v)
	}
	if r, err := g.L.Fsck(t.Context(), nil); err != nil || !r.OK {
		t.Errorf("running: %+v, %v", r, err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, f := range cases {
		d.Alter(f.key, f.change)
		if f.table == "index" {
			wantIndexFault(t, f.name, f.index, func() (ledger.FsckResult, error) { return ledger.Fsck(t.Context(), d, nil) })
		} else if r, err := ledger.Fsck(t.Context(), d, nil); err != nil || r.OK || !strings.Contains(r.Reason, "stored table of the close") {
			t.Errorf("%s: %+v, %v", f.name, r, err)
		}
		d.Repair()
	}
}

// TestScrubResumesInTheIndex stops the log while a pass compares the index's first
// and second table: it is one pass, which goes on there.
func TestScrubResumesInTheIndex(t *testing.T) {
	c, fs := newVerifyClock(), vfs.NewMem()
	anchor, closed := derivedLog(t, fs, c, 2)
	d, o := new(ledgertest.Damage), c.options()
	o.Wrap = func(e store.Engine) store.Engine {
		d.Engine = e
		for chunk := range 2 {
			d.Alter(rowOf(t, e, chunk), ledgertest.Flip(0))
		}
		return d
	}
	c.allow(time.Hour)
	began, stops := int64(0), 0
	for life := 0; ; life++ {
		if life > 20 {
			t.Fatal("the pass does not come to an end")
		}
		g := reopened(t, fs, anchor, o)
		c.allow(90 * time.Second) // more than a table
		v := until(t, g, "a wait", func(v ledger.Verification) bool { return ended(v) || c.waits() && v.Running })
		if began == 0 {
			began = v.BeganNS
		}
		if !ended(v) {
			if v.BeganNS != began {
				t.Fatalf("life %d: another pass: %+v", life, v)
			}
			if v.Position == v.Target {
				stops++
			}
			g.Close()
			continue
		}
		verified, alerts := ownFrom(t, g, closed+1)
		if len(verified) != 1 || verified[0].FirstNs != began || len(alerts) != 1 || v.LastFaults != 2 || v.BadIndex != 0 {
			t.Errorf("after %d lives: %v, %v, %+v", life, verified, alerts, v)
		}
		if stops < 2 {
			t.Errorf("the pass was stopped %d times among the tables", stops)
		}
		d.Repair()
		d.Alter(rowOf(t, d, 1), ledgertest.Flip(0))
		wantIndexFault(t, "second table", index.ChunkLen, func() (ledger.FsckResult, error) { return g.L.Fsck(t.Context(), nil) })
		g.Close()
		break
	}
}

// TestScrubTellsOfTheWorse: a fault in what was committed is alerted after one in
// a derived table, and is what the pass reports.
func TestScrubTellsOfTheWorse(t *testing.T) {
	c, fs := newVerifyClock(), vfs.NewMem()
	anchor, closed := derivedLog(t, fs, c, 0)
	d, o := new(ledgertest.Damage), c.options()
	o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; return d }
	g := reopened(t, fs, anchor, o)
	run, _ := g.Run("later")
	appendQuietly(t, g, ledgertest.Batch(run, 1, 1, 2000))
	g.Close()
	g = reopened(t, fs, anchor, o)
	defer func() { g.Close() }()
	d.Alter(firstOf(t, d, store.Closes), ledgertest.Flip(20))
	bad := (closed/256 + 3) * 256
	d.Alter(store.Frames.Key(bad), ledgertest.Flip(40))
	c.allow(2 * time.Hour)
	v := until(t, g, "the pass to end", ended)
	_, alerts := ownFrom(t, g, bad+256)
	if v.BadIndex != bad || !strings.HasPrefix(v.Bad, "frames: ") || len(alerts) != 2 ||
		alerts[0].Subject != fmt.Sprintf("closes at index %d", closed) || alerts[1].Subject != fmt.Sprintf("frames at index %d", bad) {
		t.Errorf("%+v, alerts %v", v, alerts)
	}
}
