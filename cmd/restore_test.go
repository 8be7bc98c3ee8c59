package cmd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// TestOlderCopyStaysShut puts an older copy of a log in its place. The anchor
// beside it tells; where the anchor is gone too, the first producer that
// returns tells, by the checkpoint it kept.
func TestOlderCopyStaysShut(t *testing.T) {
	base := t.TempDir()
	dir, state := filepath.Join(base, "log"), filepath.Join(base, "returning")
	flags := append(anyPorts(), "--dev")

	d := serve(t, dir, flags...)
	appendSome(t, d, state, "before", 5)
	d.mustStop(t)
	older := filepath.Join(base, "backup")
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	d = serve(t, dir, flags...)
	appendSome(t, d, state, "after", 5)
	d.mustStop(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, dir); err != nil {
		t.Fatal(err)
	}

	d = serve(t, dir, flags...)
	wantShut(t, d, filepath.Join(base, "stranger"), "anchor")
	d.mustStop(t)

	if err := os.Remove(dir + ".anchor"); err != nil {
		t.Fatal(err)
	}
	d = serve(t, dir, flags...)
	if !strings.Contains(d.said(), "anchor") {
		t.Errorf("nothing is said of the missing anchor:\n%s", d.said())
	}
	stranger := filepath.Join(base, "stranger")
	appendSome(t, d, stranger, "stranger", 1)
	wantFork(t, d, state)
	wantShut(t, d, stranger, "lost entries")
	d.mustStop(t)

	d = serve(t, dir, flags...)
	wantShut(t, d, stranger, "fork")
}

// dial makes a client that gives up soon and remembers in state.
func dial(t *testing.T, d *daemon, state string) *client.Client {
	t.Helper()
	config := loadProfile(t, d.profile()).Config()
	config.State, config.Patience = state, soon
	c, err := client.Dial(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// soon is how long a client that should be refused may try again.
const soon = 300 * time.Millisecond

// appendSome appends events in a run of its own.
func appendSome(t *testing.T, d *daemon, state, name string, n int) {
	t.Helper()
	c := dial(t, d, state)
	defer c.Close()
	run, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := event(name + string(rune('0'+i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Append(t.Context(), client.Event(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run.End(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
}

// wantShut checks that the log takes no append, says why, and still reads.
func wantShut(t *testing.T, d *daemon, state, why string) {
	t.Helper()
	c := dial(t, d, state)
	defer c.Close()
	_, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if !unavailable(err) || !strings.Contains(err.Error(), why) {
		t.Errorf("a shut log answers %v, want UNAVAILABLE because of: %s", err, why)
	}
	body, err := event("one-off")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AppendOneOff(t.Context(), client.Event(body)); !unavailable(err) {
		t.Errorf("a shut log answers a one-off with %v, want UNAVAILABLE", err)
	}
	var status struct {
		Shut string `json:"shut"`
	}
	mustJSON(t, &status, "daybookd", "status", "--data", d.dir, "--json")
	if !strings.Contains(status.Shut, why) {
		t.Errorf("status says %q, want %q", status.Shut, why)
	}
	newReader(t, d.profile()).first()
}

// wantFork lets a producer return that has seen more than the log has.
func wantFork(t *testing.T, d *daemon, state string) {
	t.Helper()
	c := dial(t, d, state)
	defer c.Close()
	_, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	var fork *client.ForkError
	if !errors.As(err, &fork) {
		t.Fatalf("a returning producer hears %v, want a fork", err)
	}
	r := newReader(t, d.profile())
	if older, newer := r.open(fork.Older), r.open(fork.Newer); older.Size >= newer.Size {
		t.Errorf("the evidence is of sizes %d and %d, want the log's and the larger one it signed before", older.Size, newer.Size)
	}
	evidence, err := os.ReadDir(filepath.Join(d.dir, "fork-evidence"))
	if err != nil || len(evidence) == 0 {
		t.Errorf("the log keeps no evidence: %v", err)
	}
}
