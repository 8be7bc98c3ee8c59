package client_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// grow opens a run, appends n events and ends it; the client is closed.
func (l *liar) grow(t *testing.T, n int) {
	t.Helper()
	c, err := client.Dial(l.config())
	must(t, err)
	run := openRun(t, c)
	_, err = run.Append(t.Context(), events(t, 0, n)...)
	must(t, err)
	_, err = run.End(t.Context(), "")
	must(t, err)
	must(t, c.Close())
}

// state reads a file of the state directory.
func (l *liar) state(t *testing.T, name string) []byte {
	t.Helper()
	note, err := os.ReadFile(filepath.Join(l.dir, "state", name))
	must(t, err)
	return note
}

// mustFork checks that an error is a fork, whose evidence is two checkpoints
// under the log's key that anybody can check.
func mustFork(t *testing.T, l *liar, err error) *client.ForkError {
	t.Helper()
	var fork *client.ForkError
	if !errors.As(err, &fork) {
		t.Fatalf("error %v, want a *ForkError", err)
	}
	policy, err := verify.KeyPolicy(l.log.vkey)
	must(t, err)
	older, err := policy.OpenCheckpoint(fork.Older)
	must(t, err)
	newer, err := policy.OpenCheckpoint(fork.Newer)
	must(t, err)
	if older.Size > newer.Size {
		t.Errorf("older has size %d, newer %d", older.Size, newer.Size)
	}
	dir := t.TempDir()
	paths, err := fork.WriteEvidence(filepath.Join(dir, "evidence"))
	must(t, err)
	if len(paths) < 2 {
		t.Errorf("evidence files %v", paths)
	}
	for i, want := range [][]byte{fork.Older, fork.Newer} {
		if got, err := os.ReadFile(paths[i]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the evidence: %v", paths[i], err)
		}
	}
	return fork
}

func TestNewestIsKeptAndPresented(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 3)
	want := l.log.checkpoint(l.size())
	if got := l.state(t, "newest.checkpoint"); !bytes.Equal(got, want) {
		t.Errorf("newest on disk is\n%s\nwant\n%s", got, want)
	}
	if got := l.state(t, "proven.checkpoint"); !bytes.Equal(got, want) {
		t.Errorf("proven on disk is\n%s\nwant\n%s", got, want)
	}
	var presented []byte
	l.bendRun = func(_ *apiv1.RunState, _ *apiv1.Receipt, _, consistency *[]byte) { presented = *consistency }
	l.grow(t, 4)
	if len(presented) == 0 {
		t.Error("no checkpoint was presented: the answer holds no proof")
	}
	files, err := os.ReadDir(filepath.Join(l.dir, "state"))
	must(t, err)
	if len(files) != 2 {
		t.Errorf("state directory holds %v, want two files", files)
	}
}

// TestForkSeenAtOpen: the log goes another way from a size we have passed.
func TestForkSeenAtOpen(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 3)
	other := l.log.fork()
	other.cut(4)
	l.log = other
	other.runs = map[verify.Hash]*memRun{}
	config := l.config()
	config.State = ""
	elsewhere, err := client.Dial(config) // somebody else fills the other log
	must(t, err)
	run := openRun(t, elsewhere)
	_, err = run.Append(t.Context(), events(t, 500, 9)...)
	must(t, err)
	must(t, elsewhere.Close())

	c := l.dial(t, nil)
	_, err = c.OpenRun(t.Context(), client.RunOptions{Provenance: 1})
	mustFork(t, l, err)
	if _, err := c.Checkpoint(t.Context(), 0); !errors.As(err, new(*client.ForkError)) {
		t.Errorf("the fork is forgotten: %v", err)
	}
}

// TestRolledBackLog: the log is smaller than what it signed; it reports that
// itself at open, and the evidence is both checkpoints.
func TestRolledBackLog(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 6)
	held := l.log.checkpoint(l.size())
	l.log.cut(5)
	c := l.dial(t, nil)
	_, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: 1})
	fork := mustFork(t, l, err)
	if !bytes.Equal(fork.Newer, held) || !bytes.Equal(fork.Older, l.log.checkpoint(5)) {
		t.Errorf("evidence\n%s\n%s", fork.Older, fork.Newer)
	}
	for name, call := range map[string]func(c *client.Client) error{
		"checkpoint": func(c *client.Client) error { _, err := c.Checkpoint(t.Context(), 0); return err },
	} {
		if err := call(l.dial(t, nil)); !errors.As(err, new(*client.ForkError)) {
			t.Errorf("%s of a log that was rolled back: %v", name, err)
		}
	}
}

// TestForkWithinRun: the log changes its past while a run is open: seen by the
// proof that is asked for while receipts come in.
func TestForkWithinRun(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, func(c *client.Config) { c.ProveEvery = time.Nanosecond })
	run := openRun(t, c)
	_, err := run.Append(t.Context(), events(t, 0, 3)...)
	must(t, err)
	l.set(func(l *liar) { // an early entry changes
		l.log.entries[0] = append([]byte(nil), l.log.entries[0]...)
		l.log.leaves[0][0] ^= 1
	})
	r, err := run.Append(t.Context(), events(t, 3, 3)...)
	if r != nil {
		t.Error("a receipt of a forked log was returned")
	}
	mustFork(t, l, err)
}

// TestTwoRootsOfOneSize need no proof: they are the plainest fork.
func TestTwoRootsOfOneSize(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	_, err := c.Checkpoint(t.Context(), 0)
	must(t, err)
	l.set(func(l *liar) { l.log.leaves[0][0] ^= 1 })
	_, err = c.Checkpoint(t.Context(), 0)
	mustFork(t, l, err)
}

// TestQueryAway: what cannot be asked now does not stop an append, is kept as
// newest, and is proven by the next client.
func TestQueryAway(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 2)
	proven := l.state(t, "proven.checkpoint")
	config := l.config()
	config.Query = "127.0.0.1:1" // nobody there
	c, err := client.Dial(config)
	must(t, err)
	run := openRun(t, c)
	_, err = run.Append(t.Context(), events(t, 0, 2)...)
	must(t, err)
	_, err = run.End(t.Context(), "")
	must(t, err)
	if err := c.Prove(t.Context()); status.Code(errors.Unwrap(err)) != codes.Unavailable {
		t.Errorf("proving without a query listener: %v", err)
	}
	must(t, c.Close())
	newest := l.log.checkpoint(l.size())
	if got := l.state(t, "newest.checkpoint"); !bytes.Equal(got, newest) {
		t.Errorf("newest on disk is\n%s\nwant\n%s", got, newest)
	}
	if got := l.state(t, "proven.checkpoint"); bytes.Equal(got, newest) || bytes.Equal(got, proven) {
		t.Errorf("proven on disk is\n%s\nwant that of the opening", got)
	}
	l.grow(t, 1)
	if got := l.state(t, "proven.checkpoint"); !bytes.Equal(got, l.log.checkpoint(l.size())) {
		t.Errorf("proven on disk is\n%s\nafter the next run", got)
	}
}

func TestStateOfAnotherLog(t *testing.T) {
	l := newLiar(t)
	stranger := newMemLog(t, "example.com/other")
	must(t, os.MkdirAll(filepath.Join(l.dir, "state"), 0o700))
	for name, note := range map[string][]byte{"another log": stranger.checkpoint(1), "garbage": []byte("x"), "empty": {}} {
		must(t, os.WriteFile(filepath.Join(l.dir, "state", "newest.checkpoint"), note, 0o600))
		if _, err := client.Dial(l.config()); err == nil {
			t.Errorf("state with %s was accepted", name)
		}
	}
}

// TestSlowerProcessDoesNotShrinkState: another process saved a larger
// checkpoint meanwhile.
func TestSlowerProcessDoesNotShrinkState(t *testing.T) {
	l := newLiar(t)
	slow, err := client.Dial(l.config())
	must(t, err)
	_, err = slow.Checkpoint(t.Context(), 0)
	must(t, err)
	l.grow(t, 5)
	held := l.state(t, "newest.checkpoint")
	openRun(t, slow)
	must(t, slow.Close())
	l.grow(t, 1)
	if now := l.state(t, "newest.checkpoint"); bytes.Equal(now, held) {
		t.Error("state did not move on")
	}
	again, err := client.Dial(l.config())
	must(t, err)
	if !bytes.Equal(again.Newest(), l.log.checkpoint(l.size())) {
		t.Error("state was replaced by an older checkpoint")
	}
	must(t, again.Close())
}
