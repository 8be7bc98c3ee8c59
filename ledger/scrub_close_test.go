package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// pass moves the clock on at once.
func (c *verifyClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.limit = c.now+d, c.limit+d
}

// doctoredLog makes a log with closes before and after one that is doctored,
// whose stored tables agree with it and which the snapshots believe. It returns
// the index of that close.
func doctoredLog(t *testing.T, fs vfs.FS, c *verifyClock, doctor func(*daybookv1.Close)) (*ledgertest.MemAnchor, uint64) {
	t.Helper()
	anchor := filled(t, fs, c, 1000)
	o := c.options()
	o.VerifyPeriod = 0
	g := reopened(t, fs, anchor, o)
	run, _ := g.Run("doctored")
	for n := range uint64(3) {
		c.pass(time.Duration(n) * 13 * time.Hour) // a day ends
		c.pass(time.Second)
		appendQuietly(t, g, ledgertest.Batch(run, 1, 1+n*300, 300))
		if _, err := g.L.CloseNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(time.Second)
	appendQuietly(t, g, ledgertest.Batch(run, 1, 901, 500))
	c.pass(time.Second)
	before, err := g.L.Closes(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ledger.TrueClose(t.Context(), g.Engine, g.L.Head().TimeNS+1)
	if err != nil {
		t.Fatal(err)
	}
	m.PreviousClose = before[0].Index + 1
	doctor(m)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	doctored, err := g.L.AppendOwn(t.Context(), daybookv1.Kind_KIND_CLOSE, body)
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Stop() // the follower may have stopped the log
	if err := ledger.Believe(t.Context(), g.Engine); err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	g = reopened(t, fs, anchor, o)
	later, _ := g.Run("later")
	appendQuietly(t, g, ledgertest.Batch(later, 1, 1, 700))
	c.pass(time.Second)
	if _, err := g.L.CloseNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.Close()
	return anchor, doctored
}

// TestScrubNamesTheClose doctors a close in a log that is sound in all else: a
// pass names it, goes on to the end, and finds no other wrong. It does so whole,
// and stopped and resumed at every turn.
func TestScrubNamesTheClose(t *testing.T) {
	for name, f := range map[string]struct {
		doctor func(*daybookv1.Close)
		part   string
		faults uint64
	}{
		"nothing":   {func(*daybookv1.Close) {}, "", 0},
		"a kind":    {func(m *daybookv1.Close) { m.Kinds[len(m.Kinds)-1].Value++ }, "counts of kinds", 1},
		"a verdict": {func(m *daybookv1.Close) { m.Verdicts[len(m.Verdicts)-1].Value++ }, "counts of verdicts", 1},
		"the root":  {func(m *daybookv1.Close) { m.Root[5] ^= 1 }, "root", 1},
		"its end":   {func(m *daybookv1.Close) { m.PeriodEndNs-- }, "no rule calls for", 2}, // the next one rests on it
	} {
		t.Run(name, func(t *testing.T) {
			for _, resumed := range []bool{false, true} {
				c, fs := newVerifyClock(), vfs.NewMem()
				anchor, doctored := doctoredLog(t, fs, c, f.doctor)
				g := reopened(t, fs, anchor, c.options())
				lives := 1
				for v := passOn(t, g, c); !ended(v); v = passOn(t, g, c) {
					if resumed {
						g.Close()
						g = reopened(t, fs, anchor, c.options())
						lives++
					}
				}
				v := g.L.Status().Verification
				if resumed && lives < 4 {
					t.Errorf("the pass was stopped %d times", lives-1)
				}
				if f.part == "" {
					if v.LastFaults != 0 || v.Bad != "" {
						t.Errorf("resumed %v: %+v", resumed, v)
					}
				} else if v.LastFaults != f.faults || v.BadIndex != doctored || !strings.HasPrefix(v.Bad, "closes: ") || !strings.HasSuffix(v.Bad, f.part) {
					t.Errorf("resumed %v: %+v, want the close at %d", resumed, v, doctored)
				}
				verified, alerts := ownFrom(t, g, doctored+1)
				if len(verified) != 1 || f.part != "" && (len(alerts) != 1 || alerts[0].Subject != fmt.Sprintf("closes at index %d", doctored)) {
					t.Errorf("resumed %v: entries %v, alerts %v", resumed, verified, alerts)
				}
				g.Close()
			}
		})
	}
}

// passOn lets the verification go on a little.
func passOn(t *testing.T, g *ledgertest.Log, c *verifyClock) ledger.Verification {
	t.Helper()
	c.allow(600 * time.Millisecond)
	return until(t, g, "a wait", func(v ledger.Verification) bool { return ended(v) || c.waits() })
}
