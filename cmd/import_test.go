package cmd_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// sampleRecords is the number of records in sampleFile.
const sampleRecords = 2000

func sampleFile(t *testing.T) string {
	return filepath.Join(root(t), "client", "mapping", "sample", "lanl-auth.jsonl.gz")
}

// imported is what `daybook import --json` prints.
type imported struct {
	Accepted   uint64 `json:"accepted"`
	Duplicates uint64 `json:"duplicates"`
	Skipped    uint64 `json:"skipped"`
}

func (i imported) check(t *testing.T, what string) {
	t.Helper()
	if sum := i.Accepted + i.Duplicates + i.Skipped; sum != sampleRecords {
		t.Errorf("%s: %+v are %d records, want %d", what, i, sum, sampleRecords)
	}
}

// TestImportKilled kills an import, then the server under the next one, and
// expects every record in the log once.
func TestImportKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	flags := append(listenFlags(t), "--dev")
	d := serve(t, dir, flags...)

	first := startImport(t, d, "--rate", "1000", "--batch", "20")
	awaitSize(t, d, 300)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.cmd.Wait()
	size := newReader(t, d.profile()).checkpoint().Size
	if size >= sampleRecords {
		t.Fatalf("the import had ended at size %d before it was killed", size)
	}

	second := startImport(t, d, "--rate", "1000", "--batch", "20")
	awaitSize(t, d, size+300)
	d.kill()
	d = serve(t, dir, flags...)
	got := second.wait(t)
	got.check(t, "the import that went on")
	if got.Duplicates == 0 || got.Accepted == 0 {
		t.Errorf("the import that went on: %+v, want some of both", got)
	}

	again := startImport(t, d).wait(t)
	again.check(t, "the same file again")
	if again.Accepted != 0 {
		t.Errorf("the same file again: %d accepted", again.Accepted)
	}
	auditWhole(t, newReader(t, d.profile()), nil)
	d.mustStop(t)
	fsck(t, dir)
}

// importer is a running `daybook import`.
type importer struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func startImport(t *testing.T, d *daemon, args ...string) *importer {
	t.Helper()
	args = append([]string{"import", "--json", "--format", "lanl-auth", "--profile", d.profile()}, args...)
	i := &importer{cmd: exec.Command(program(t, "daybook"), append(args, sampleFile(t))...)}
	i.cmd.Stdout, i.cmd.Stderr = &i.stdout, &i.stderr
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.cmd.Process.Kill() }) // an error says that it has ended already
	return i
}

// wait waits for the end of an import that has to succeed.
func (i *importer) wait(t *testing.T) imported {
	t.Helper()
	timer := time.AfterFunc(patience, func() { _ = i.cmd.Process.Kill() })
	defer timer.Stop()
	if err := i.cmd.Wait(); err != nil {
		t.Fatalf("daybook import: %v\n%s%s", err, i.stdout.String(), i.stderr.String())
	}
	var result imported
	if err := json.Unmarshal(i.stdout.Bytes(), &result); err != nil {
		t.Fatalf("%v in\n%s", err, i.stdout.String())
	}
	return result
}

// awaitSize waits until the log has grown to a size. The log tells nobody of
// its growth, so it is asked again and again.
func awaitSize(t *testing.T, d *daemon, size uint64) {
	t.Helper()
	r := newReader(t, d.profile())
	for deadline := time.Now().Add(patience); r.checkpoint().Size < size; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not grow to %d", size)
		}
	}
}
