package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const week = 7 * 24 * time.Hour

// A verifyClock is a clock that only moves while the background verification
// waits, and never past the limit that the test sets.
type verifyClock struct {
	mu         sync.Mutex
	base       int64
	now, limit time.Duration // guarded by mu
	raised     chan struct{} // closed when the limit is; guarded by mu
	waiting    bool          // at the limit; guarded by mu
	slept      []time.Duration
}

// newVerifyClock starts an hour after UTC midnight: tests move it on by hours, and
// no day must end on the way.
func newVerifyClock() *verifyClock {
	base := time.Now().Truncate(24 * time.Hour).Add(time.Hour)
	return &verifyClock{base: base.UnixNano(), raised: make(chan struct{})}
}

func (c *verifyClock) clock() ledger.Clock {
	return ledger.Clock{Wall: func() int64 { return c.base + int64(c.mono()) }, Mono: c.mono}
}

func (c *verifyClock) mono() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// allow lets the clock move on by d.
func (c *verifyClock) allow(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit += d
	c.waiting = false
	close(c.raised)
	c.raised = make(chan struct{})
}

func (c *verifyClock) sleep(ctx context.Context, d time.Duration) error {
	for {
		c.mu.Lock()
		c.waiting = false
		if ctx.Err() == nil && c.now+d <= c.limit {
			c.now += d
			c.slept = append(c.slept, d)
			c.mu.Unlock()
			return nil
		}
		raised := c.raised
		c.waiting = true
		c.mu.Unlock()
		select {
		case <-raised:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// options are those of a log whose clock is c.
func (c *verifyClock) options() ledgertest.Options {
	return ledgertest.Options{Clock: c.clock(), Sleep: c.sleep, VerifyPeriod: week, VerifyRate: 1000}
}

// filled makes a log of n events in batches of 500, with a heartbeat after each,
// and stops it cleanly.
func filled(t *testing.T, fs vfs.FS, c *verifyClock, n int) *ledgertest.MemAnchor {
	t.Helper()
	o := c.options()
	o.VerifyPeriod = 0
	g := ledgertest.Create(t, fs, "log", o)
	run, _ := g.Run("filled")
	hash := verify.RunStart(ledgertest.Producer.ID, run)
	for next := 1; next <= n; next += 500 {
		b := ledgertest.Batch(run, 1, uint64(next), 500)
		appendQuietly(t, g, b)
		for i := range b.Items {
			hash = verify.RunNext(hash, b.First+uint64(i), sha256.Sum256(b.Items[i].Body))
		}
		beat, err := proto.Marshal(&daybookv1.RunHeartbeat{Last: uint64(next) + 499, Hash: hash[:], Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.L.Heartbeat(t.Context(), ledgertest.Producer, run, beat); err != nil {
			t.Fatal(err)
		}
	}
	g.Close()
	return g.Anchor
}

// reopened opens the log again; wrap may be nil.
func reopened(t *testing.T, fs vfs.FS, anchor *ledgertest.MemAnchor, o ledgertest.Options) *ledgertest.Log {
	t.Helper()
	o.Anchor = anchor
	g, err := ledgertest.Open(t, fs, "log", o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// until waits until the verification stands as wanted.
func until(t *testing.T, g *ledgertest.Log, what string, ok func(ledger.Verification) bool) ledger.Verification {
	t.Helper()
	for range 300_000 {
		if v := g.L.Status().Verification; ok(v) {
			return v
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("waited for %s: %+v", what, g.L.Status().Verification)
	panic("unreachable")
}

// ended: at least one pass has.
func ended(v ledger.Verification) bool { return v.LastEndNS > 0 && !v.Running }

// own returns the verified and alert entries of a filled log: they come after
// what the tests damage.
func own(t *testing.T, g *ledgertest.Log) (verified []*daybookv1.Activity, alerts []*daybookv1.Alert) {
	t.Helper()
	return ownFrom(t, g, 2816)
}

func ownFrom(t *testing.T, g *ledgertest.Log, from uint64) (verified []*daybookv1.Activity, alerts []*daybookv1.Alert) {
	t.Helper()
	if err := g.L.Entries(t.Context(), from, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return nil
		}
		switch e.Place.Kind {
		case daybookv1.Kind_KIND_ACTIVITY:
			m := new(daybookv1.Activity)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				return err
			}
			if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_VERIFIED {
				verified = append(verified, m)
			}
		case daybookv1.Kind_KIND_ALERT:
			m := new(daybookv1.Alert)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				return err
			}
			alerts = append(alerts, m)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return verified, alerts
}

// TestScrubPass lets one pass run: it is an entry, the log may grow meanwhile, and
// the next one waits for the period.
func TestScrubPass(t *testing.T) {
	c, fs := newVerifyClock(), vfs.NewMem()
	anchor := filled(t, fs, c, 3000)
	g := reopened(t, fs, anchor, c.options())
	defer g.Close()
	if v := g.L.Status().Verification; v.Period != week || v.LastEndNS != 0 {
		t.Errorf("at first: %+v", v)
	}
	c.allow(time.Hour + time.Second)
	v := until(t, g, "a pass under way", func(v ledger.Verification) bool { return v.Running && v.Position > 256 })
	if v.Target < 3000 || v.EndsNS <= c.base {
		t.Errorf("under way: %+v", v)
	}
	run, _ := g.Run("meanwhile")
	appendQuietly(t, g, ledgertest.Batch(run, 1, 1, 700))
	c.allow(time.Hour)
	done := until(t, g, "the pass to end", ended)
	verified, alerts := own(t, g)
	if len(verified) != 1 || len(alerts) != 0 {
		t.Fatalf("entries %v, alerts %v", verified, alerts)
	}
	m := verified[0]
	if m.Code != "ok" || m.Count != v.Target || m.FirstNs != v.BeganNS || m.LastNs != done.LastEndNS || !strings.Contains(m.Detail, "root ") {
		t.Errorf("the pass said %v, status %+v", m, done)
	}
	if done.LastFaults != 0 || done.Bad != "" || done.NextNS != v.BeganNS+int64(week) {
		t.Errorf("at the end: %+v", done)
	}
	c.allow(week)
	until(t, g, "a second pass", func(v ledger.Verification) bool { return v.LastEndNS > done.LastEndNS })
	if verified, _ := own(t, g); len(verified) != 2 || verified[1].Count < m.Count {
		t.Errorf("entries %v", verified)
	}
	g.Check()
}

// TestScrubRate: at the floor a pass takes its entries over the floor's rate, in
// steps of one bundle; where the period asks for more, the period.
func TestScrubRate(t *testing.T) {
	for _, o := range []struct {
		period time.Duration
		rate   uint64
		want   time.Duration // for 5,000 entries
	}{{week, 1000, 5 * time.Second}, {week, 100, 50 * time.Second}, {2 * time.Hour, 1, 83 * time.Minute}} {
		c, fs := newVerifyClock(), vfs.NewMem()
		anchor := filled(t, fs, c, 5000)
		options := c.options()
		options.VerifyPeriod, options.VerifyRate = o.period, o.rate
		g := reopened(t, fs, anchor, options)
		c.allow(min(time.Hour, o.period) + o.period - time.Minute)
		until(t, g, "the pass to end", ended)
		verified, _ := own(t, g)
		g.Close()
		took := time.Duration(verified[0].LastNs - verified[0].FirstNs)
		if o.rate == 1 {
			if took > o.period || took < o.period/2 {
				t.Errorf("period %v: the pass took %v", o.period, took)
			}
		} else if took > o.want*11/10 || took < o.want*8/10 {
			t.Errorf("rate %d: %d entries took %v, not about %v", o.rate, verified[0].Count, took, o.want)
		}
		for _, d := range c.slept {
			if step := time.Duration(256 * int64(time.Second) / int64(o.rate)); d > min(max(step, scrubPoll), time.Hour) {
				t.Errorf("rate %d: a wait of %v", o.rate, d)
			}
		}
	}
}

// scrubPoll is the longest wait between two passes.
const scrubPoll = time.Minute

// TestScrubFindsAFault damages one thing in each table of a log that opens, and
// wants the alert, the status and the entry of the pass to name it exactly; the
// next pass reports it again, and one after the repair nothing.
func TestScrubFindsAFault(t *testing.T) {
	last := func(entry []byte) { entry[len(entry)-1] ^= 2 }
	for _, f := range []struct {
		name, table string
		index       uint64
		damage      func(d *ledgertest.Damage)
	}{
		{"frame", "frames", 512, func(d *ledgertest.Damage) { d.Alter(store.Frames.Key(512), ledgertest.Flip(40)) }},
		{"no frame", "frames", 768, func(d *ledgertest.Damage) { d.Alter(store.Frames.Key(768), ledgertest.Gone) }},
		{"altered entry", "tiles", 700, func(d *ledgertest.Damage) { alter(t, d, 700, last) }},
		{"tile", "tiles", 1024 + 9, func(d *ledgertest.Damage) { d.Alter(store.TileKey(0, 4), ledgertest.Flip(32*9)) }},
		{"no tile", "tiles", 1024, func(d *ledgertest.Damage) { d.Alter(store.TileKey(0, 4), ledgertest.Gone) }},
		{"commit", "commits", 0, func(d *ledgertest.Damage) { d.Alter(store.Commits.Key(1), ledgertest.Flip(7)) }},
		{"identity", "identity", 0, func(d *ledgertest.Damage) { d.Alter([]byte{'a'}, ledgertest.Flip(-1)) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			c, fs := newVerifyClock(), vfs.NewMem()
			anchor := filled(t, fs, c, 3000)
			d, o := new(ledgertest.Damage), c.options()
			o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; return d }
			g := reopened(t, fs, anchor, o)
			defer g.Close()
			f.damage(d)
			c.allow(2 * time.Hour)
			v := until(t, g, "the pass to end", ended)
			if v.LastFaults == 0 || v.Faults == 0 || v.BadIndex != f.index || !strings.HasPrefix(v.Bad, f.table+": ") {
				t.Errorf("status %+v", v)
			}
			wantReported(t, g, 1, f.table, f.index)
			if ok, reason := g.L.Ready(); !ok {
				t.Errorf("the log stopped: %s", reason)
			}
			c.allow(week)
			v = until(t, g, "the second pass", func(w ledger.Verification) bool { return w.LastEndNS > v.LastEndNS })
			wantReported(t, g, 2, f.table, f.index)
			d.Repair()
			c.allow(week)
			v = until(t, g, "the third pass", func(w ledger.Verification) bool { return w.LastEndNS > v.LastEndNS })
			if verified, alerts := own(t, g); len(alerts) != 2 || verified[2].Code != "ok" || v.Bad != "" || v.LastFaults != 0 {
				t.Errorf("after the repair: %v, %v, %+v", verified, alerts, v)
			}
		})
	}
}

// wantReported wants n alerts of that place, all with one id, and as many passes
// that found it.
func wantReported(t *testing.T, g *ledgertest.Log, n int, table string, index uint64) {
	t.Helper()
	verified, alerts := own(t, g)
	if len(verified) != n || len(alerts) != n {
		t.Fatalf("%d passes and %d alerts, want %d", len(verified), len(alerts), n)
	}
	subject := fmt.Sprintf("%s at index %d", table, index)
	for i := range n {
		a, m := alerts[i], verified[i]
		// What is damaged at the end of the log rests on its last entry.
		rests := len(a.Entries) == 1 && (a.Entries[0] == index+1 || table == "snapshots" && a.Entries[0] == index)
		if a.Type != daybookv1.AlertType_ALERT_TYPE_INTEGRITY || a.Subject != subject || !rests ||
			string(a.Id) != string(alerts[0].Id) {
			t.Errorf("alert %v, want %s", a, subject)
		}
		if m.Code != "fault" || !strings.Contains(m.Detail, fmt.Sprintf("first bad index is %d", index)) {
			t.Errorf("pass %v", m)
		}
	}
}

// TestScrubFindsADamagedSnapshot damages the snapshots of a run and of a stream:
// the first entry that would be placed by them is the first bad index.
func TestScrubFindsADamagedSnapshot(t *testing.T) {
	for _, table := range []store.Table{store.Runs, store.Streams} {
		c, fs := newVerifyClock(), vfs.NewMem()
		anchor := filled(t, fs, c, 3000)
		d, o := new(ledgertest.Damage), c.options()
		o.Wrap = func(e store.Engine) store.Engine { d.Engine = e; return d }
		g := reopened(t, fs, anchor, o)
		lo, hi := table.Range()
		if err := d.Engine.Scan(lo, hi, func(key, _ []byte) error {
			d.Alter(append([]byte(nil), key...), ledgertest.Flip(-1))
			return store.ErrStop
		}); err != nil {
			t.Fatal(err)
		}
		c.allow(2 * time.Hour)
		v := until(t, g, "the pass to end", ended)
		if v.BadIndex != v.LastEntries || v.LastFaults == 0 {
			t.Errorf("table %c: %+v", table, v)
		}
		wantReported(t, g, 1, "snapshots", v.LastEntries)
		g.Close()
	}
}
