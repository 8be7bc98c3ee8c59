//go:build e2e

package cmd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client/synthetic"
	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// bigExport is how many entries TestBigExport has; $DAYBOOK_BIG_EXPORT says another
// number, such as 1000000.
const bigExport = 200_000

// TestBigExport exports a large log and checks the file, and reports what that
// takes: DAYBOOK_BIG_EXPORT=1000000 go test -tags e2e -run BigExport -v ./cmd
func TestBigExport(t *testing.T) {
	n := bigExport
	if text := os.Getenv("DAYBOOK_BIG_EXPORT"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	bigLog(t, log, n)
	d := serve(t, log, append(anyPorts(), "--dev")...)
	policy := filepath.Join(dir, "policy")
	t.Setenv("DAYBOOK_PROFILE", filepath.Join(log, "profile.yaml"))
	if err := os.WriteFile(policy, []byte(must(t, "daybook", "checkpoint", "--policy")), 0o600); err != nil {
		t.Fatal(err)
	}
	before := peakOf(d.cmd.Process.Pid)
	for _, scope := range []string{"--accesses", "--all"} {
		out, took, peak := measured(t, "daybook", "export", scope, "--no-check", "--json", "-o", filepath.Join(dir, "case"+scope+".zip"))
		var said struct {
			Files []struct {
				File  string
				Bytes int64
			}
		}
		if err := json.Unmarshal(out, &said); err != nil {
			t.Fatal(err)
		}
		size, args := int64(0), []string{"bundle", "--policy", policy}
		for _, f := range said.Files {
			size, args = size+f.Bytes, append(args, f.File)
		}
		t.Logf("%s: %d accesses, %d MiB in %d files, written in %v, daybook's peak %d MiB, daybookd's %d MiB (%d before)", scope, n, size>>20, len(said.Files),
			took.Round(time.Millisecond), peak>>20, peakOf(d.cmd.Process.Pid)>>20, before>>20)
		_, took, peak = measured(t, "daybook-verify", args...)
		t.Logf("%s: checked in %v, peak %d MiB", scope, took.Round(time.Millisecond), peak>>20)
		for _, f := range said.Files {
			if err := os.Remove(f.File); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// bigLog makes the data directory of a log with n accesses.
func bigLog(t *testing.T, dir string, n int) {
	serve(t, dir, append(anyPorts(), "--dev")...).mustStop(t)
	for _, old := range []string{filepath.Join(dir, "store"), dir + ".anchor", dir + ".state"} {
		if err := os.RemoveAll(old); err != nil {
			t.Fatal(err)
		}
	}
	l, stop := firmLedger(t, dir, nil, ledger.SystemClock())
	defer stop()
	const callers, size = 4, 1000
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			maker := synthetic.NewMaker(caller)
			p := ledger.Producer{ID: fmt.Sprintf("spiffe://producer-%d.example/gateway", caller), KeyFingerprint: sha256.Sum256([]byte{byte(caller)})}
			run := verify.Hash(sha256.Sum256([]byte(p.ID)))
			if _, err := l.OpenRun(t.Context(), p, &daybookv1.RunOpened{Run: run[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}, nil); err != nil {
				t.Error(err)
				return
			}
			for i := range n / callers / size {
				batch := ledger.Batch{Run: run, Epoch: 1, First: 1 + uint64(i*size)}
				for range size {
					batch.Items = append(batch.Items, ledger.Item{Body: maker.Next()})
				}
				if _, err := l.Append(t.Context(), p, batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// measured runs a program to its end, and returns its output, its time and its peak
// memory in bytes, as far as a look each 10 ms shows it.
func measured(t *testing.T, name string, args ...string) (out []byte, took time.Duration, peak int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
			}
			return stdout.Bytes(), time.Since(began), peak
		case <-tick.C:
			peak = max(peak, peakOf(cmd.Process.Pid))
		}
	}
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakOf returns the peak memory of a running process in bytes; 0 where it is not
// known.
func peakOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := peakLine.FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
	return n << 10
}
