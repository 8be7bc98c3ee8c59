package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/verify"
)

// demonstrate runs `daybookd demo` and returns exit code and output.
func demonstrate(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"demo"}, args...), &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Logf("stderr: %s", stderr.String())
	}
	return code, stdout.String()
}

// TestDemo runs the demo twice on one directory: every promise is kept, and the
// second time nothing is added.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	for _, want := range []string{"400    400             0", "400    0           400"} {
		code, out := demonstrate(t, "--data", dir, "--exit")
		if code != 0 || strings.Count(out, "  ok      ") != len(new(examiner).checks()) || strings.Contains(out, "FAILED") {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
		for _, want := range []string{"DEMO", "demo.invalid/", want, "aws-internal", " of test-db -> prod-db, number 1 of its run", "verdicts: ", "forbidden ", "not approved", "approved before", "one credential"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in:\n%s", want, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Error("escape codes, and no terminal")
		}
	}
}

// TestDemoLeavesNothing checks that the temporary directory is gone at the end.
func TestDemoLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if code, out := demonstrate(t, "--exit"); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("%d files are left (%v)", len(left), err)
	}
}

// TestDemoServes ends the demo as Ctrl-C does, once it has said what to do next.
func TestDemoServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "In another terminal", found: cancel}
	d := &demo{data: filepath.Join(t.TempDir(), "log"), out: out, stderr: os.Stderr}
	if err := d.run(ctx); err != nil {
		t.Errorf("the demo ended with %v:\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "curl --cacert ") {
		t.Errorf("no next command in:\n%s", out.String())
	}
}

// watched calls found once the text was written.
type watched struct {
	bytes.Buffer
	text  string
	found func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.text) {
		w.found()
	}
	return n, err
}

// TestDemoFails checks that a broken promise is reported, and fails the demo.
func TestDemoFails(t *testing.T) {
	s, err := startDemoServer(t.Context(), filepath.Join(t.TempDir(), "log"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := new(demoImport).importSample(t.Context(), c, "xroad"); err != nil {
		t.Fatal(err)
	}
	x, err := newExaminer(c, s.VKey, s.receipts())
	if err != nil {
		t.Fatal(err)
	}
	x.index = 3
	// The key of another log: nothing it should verify does.
	_, vkey, err := note.GenerateKey(rand.Reader, s.Origin)
	if err != nil {
		t.Fatal(err)
	}
	other, err := verify.KeyPolicy(vkey)
	if err != nil {
		t.Fatal(err)
	}
	x.policy = other
	var out bytes.Buffer
	d := &demo{out: &out}
	if err := d.check(t.Context(), x); !errors.Is(err, errDemo) || !strings.Contains(out.String(), "FAILED  a receipt verifies") {
		t.Errorf("the demo went on with %v:\n%s", err, out.String())
	}
}

// TestFirstGap leaves each entry of a small log out in turn.
func TestFirstGap(t *testing.T) {
	s, err := startDemoServer(t.Context(), filepath.Join(t.TempDir(), "log"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := new(demoImport).importSample(t.Context(), c, "xroad"); err != nil {
		t.Fatal(err)
	}
	x := &examiner{client: c}
	if _, err := x.everyEntry(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range len(x.entries) - 1 {
		x.index = uint64(i)
		if seen, err := x.leftOut(t.Context()); err != nil || !strings.Contains(seen, "index ") {
			t.Errorf("entry %d left out: %q, %v", i, seen, err)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 2530: "2,530", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
