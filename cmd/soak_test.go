package cmd_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSoakInterrupted ends a soak of an hour after its first sample, as Ctrl-C
// does, and expects the report of what was until then.
func TestSoakInterrupted(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "log"), append(listenFlags(t), "--dev")...)
	cmd := exec.Command(program(t, "daybook"), "bench", "--soak", "--duration", "1h", "--sample-every", "300ms", "--producers", "1", "--rate", "1000", "--profile", d.profile())
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for lines, told := bufio.NewScanner(stderr), false; lines.Scan(); {
		if !told && strings.Contains(lines.Text(), "events/s") {
			told = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("daybook bench --soak: %v\n%s", err, stdout.String())
	}
	for _, want := range []string{"soak that was ended early of demo.invalid/", "memory MB", "Verdicts", "errors      ok"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, stdout.String())
		}
	}
	d.mustStop(t)
}
