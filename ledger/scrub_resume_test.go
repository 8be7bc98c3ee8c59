package ledger_test

import (
	"context"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"bytes"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// TestScrubResumesAfterAStop stops the log at every few steps of a pass and opens
// it again: it is one pass, with one entry, from where it was.
func TestScrubResumesAfterAStop(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		c, fs := newVerifyClock(), vfs.NewMem()
		anchor := filled(t, fs, c, 3000)
		d, o := new(ledgertest.Damage), c.options()
		o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; return d }
		bad := uint64(0)
		if damaged {
			o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; bad = damageCommit(t, d, 1400); return d }
		}
		c.allow(time.Hour)
		began, position := int64(0), uint64(0)
		for life := 0; ; life++ {
			if life > 40 {
				t.Fatal("the pass does not come to an end")
			}
			g := reopened(t, fs, anchor, o)
			c.allow(600 * time.Millisecond) // two bundles and a bit
			v := until(t, g, "a wait", func(v ledger.Verification) bool {
				return (c.waits() || v.Position == v.Target) && (v.Position > position || ended(v))
			})
			if ended(v) {
				verified, alerts := own(t, g)
				if len(verified) != 1 || verified[0].FirstNs != began || (len(alerts) != 0) != damaged || len(alerts) > 1 {
					t.Errorf("damaged %v: after %d lives: %v, %v", damaged, life, verified, alerts)
				}
				if damaged && v.BadIndex != bad || damaged != (v.Bad != "") {
					t.Errorf("damaged %v: %+v", damaged, v)
				}
				g.Close()
				break
			}
			if began == 0 {
				began = v.BeganNS
			}
			if v.BeganNS != began {
				t.Fatalf("life %d: another pass: %+v", life, v)
			}
			position = v.Position
			g.Close()
		}
	}
}

// damageCommit alters the record of the first commit of that size or more, which
// an open does not read, and returns the commit's first entry.
func damageCommit(t *testing.T, d *ledgertest.Damage, size uint64) uint64 {
	t.Helper()
	if err := d.Engine.Scan(store.Commits.Key(size), nil, func(key, _ []byte) (err error) {
		d.Alter(append([]byte(nil), key...), ledgertest.Flip(0))
		if size, err = store.Commits.ParseKey(key); err == nil {
			err = store.ErrStop
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return commitFirst(t, d, size)
}

// waits: the clock stands at its limit.
func (c *verifyClock) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// TestScrubResumesAfterACrash takes what a crash leaves at many moments of a pass
// that meets a fault, opens that, and lets the pass end: one entry, one alert.
func TestScrubResumesAfterACrash(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 7))
	for moment := range 16 {
		c, fs := newVerifyClock(), vfs.NewCrashableMem()
		anchor := filled(t, fs, c, 2000)
		d, o := new(ledgertest.Damage), c.options()
		bad := uint64(0)
		o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; bad = damageCommit(t, d, 900); return d }
		var left *vfs.MemFS
		sleep := o.Sleep
		n := 0
		o.Sleep = func(ctx context.Context, wait time.Duration) error {
			// The first waits are for the log's own age.
			if c.mono() >= time.Hour {
				if n++; n == moment {
					left = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
				}
			}
			return sleep(ctx, wait)
		}
		g := reopened(t, fs, anchor, o)
		c.allow(3 * time.Hour)
		until(t, g, "the pass to end", ended)
		g.Close()
		if left == nil {
			left = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
		}
		o.Sleep = sleep
		g = reopened(t, left, &ledgertest.MemAnchor{}, o)
		c.allow(3 * time.Hour)
		v := until(t, g, "the pass to end", ended)
		verified, alerts := ownFrom(t, g, 1792)
		if len(verified) != 1 || len(alerts) != 1 || verified[0].Code != "fault" || v.BadIndex != bad {
			t.Errorf("moment %d: %v, %v, %+v", moment, verified, alerts, v)
		}
		g.Close()
	}
}

// TestScrubFindsAFlippedByteOnDisk flips one byte of an old frame in its file,
// while the log is stopped.
func TestScrubFindsAFlippedByteOnDisk(t *testing.T) {
	c, fs := newVerifyClock(), vfs.NewMem()
	anchor := filled(t, fs, c, 68_000) // an open reads what the index's first chunk does not cover
	engine, err := ledgertest.OpenStore(fs, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := engine.Get(store.Frames.Key(1024))
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	flipOnDisk(t, fs, frame)
	g := reopened(t, fs, anchor, c.options())
	c.allow(2 * time.Hour)
	v := until(t, g, "the pass to end", ended)
	want := uint64(0) // the file's block is unreadable as a whole
	if err := g.L.Entries(t.Context(), 0, 1500, func(i uint64, _ []byte) error { want = i + 1; return nil }); err == nil {
		t.Fatal("every entry was read")
	}
	_, alerts := ownFrom(t, g, 67_584)
	if len(alerts) != 1 || alerts[0].Entries[0] != want+1 {
		t.Errorf("alerts %v, want one of entry %d", alerts, want)
	}
	if v.BadIndex != want || want > 1024 || v.LastFaults == 0 {
		t.Errorf("first bad index %d of %+v", want, v)
	}
	g.Close()
}

// flipOnDisk flips a byte in the middle of the value in whatever file holds it.
func flipOnDisk(t *testing.T, fs vfs.FS, value []byte) {
	t.Helper()
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = path.Join("log", name)
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if closeErr := f.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		at := bytes.Index(data, value)
		if at < 0 {
			continue
		}
		data[at+len(value)/2] ^= 1
		out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no file holds the frame")
}
