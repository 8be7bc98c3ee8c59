package identity_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/server/identity"
)

func TestWatcherReadsWhatChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	inForce, loads := "", 0
	var outcomes []string
	var log bytes.Buffer
	w := identity.NewWatcher(slog.New(slog.NewTextHandler(&log, nil)), func(name string, err error) {
		outcomes = append(outcomes, name+": "+map[bool]string{true: "loaded", false: "refused"}[err == nil])
	}, identity.Group{Name: "test", Files: func() []string { return []string{path} }, Load: func() error {
		loads++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(text), "broken") {
			return errors.New("it is broken")
		}
		inForce = string(text)
		return nil
	}})
	t0 := time.Unix(1_700_000_000, 0)
	for i, step := range []struct {
		text  string // empty: nothing changes
		at    time.Time
		want  string
		loads int
	}{
		{"a", t0, "a", 1},
		{"", t0, "a", 1},
		{"b", t0.Add(1), "b", 2},
		{"bb", t0.Add(1), "bb", 3},           // another size
		{"broken", t0.Add(2), "bb", 4},       // the old one stays
		{"", t0, "bb", 5},                    // and is tried again
		{"broken still", t0.Add(3), "bb", 6}, // said once
		{"c", t0.Add(4), "c", 7},
		{"", t0, "c", 7},
	} {
		if step.text != "" {
			write(step.text, step.at)
		}
		w.Look()
		if inForce != step.want || loads != step.loads {
			t.Errorf("step %d: %q is in force after %d loads, want %q after %d", i, inForce, loads, step.want, step.loads)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.Look()
	if inForce != "c" {
		t.Errorf("without the file %q is in force", inForce)
	}
	want := []string{"test: loaded", "test: loaded", "test: loaded", "test: refused", "test: refused", "test: loaded", "test: refused"}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "it is broken"); n != 1 {
		t.Errorf("the failure was logged %d times:\n%s", n, log.String())
	}
}
