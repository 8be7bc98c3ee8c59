//go:build e2e

package cmd_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killedExports is how often an export is killed on each side.
const killedExports = 20

// TestKilledExports kills the server, and apart from that the client, at any moment
// of an export: the log is whole, nothing has the name that was asked for but a good
// file, nothing is left in the server's folder, every part that came is an entry,
// and the same export gives the same file.
func TestKilledExports(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	bigLog(t, log, 12_000)
	flags := append(listenFlags(t), "--dev")
	d := serve(t, log, flags...)
	t.Setenv("DAYBOOK_PROFILE", d.profile())
	e := &killing{t: t, dir: dir, spool: filepath.Join(log, "exports")}
	began := time.Now()
	e.size = e.export("whole.zip").Size // makes a close and a checkpoint
	e.takes = time.Since(began)
	whole := e.take("whole.zip")

	for range killedExports {
		cmd := e.start("case.zip")
		time.Sleep(rand.N(e.takes + e.takes/4)) // at any moment, the end included
		d.kill()
		e.ended(cmd, "case.zip", whole)
		fsck(t, log)
		d = serve(t, log, flags...)
		e.wantEmptySpool()
	}
	for range killedExports {
		cmd := e.start("case.zip")
		time.Sleep(rand.N(e.takes + e.takes/4))
		_ = cmd.Process.Kill() // an error says that it has ended already
		e.ended(cmd, "case.zip", whole)
	}
	e.wantEmptySpool()
	e.export("again.zip", "--at", e.at())
	if !bytes.Equal(e.take("again.zip"), whole) {
		t.Error("the same export gives another file")
	}
	// Each export that came to an end is an entry, and those that were killed are where
	// they had come so far as to send.
	if n := strings.Count(must(t, "daybook", "list", "--kind", "activity", "--limit", "500", "--json"), "ACTIVITY_TYPE_EXPORTED"); n < e.whole || n > 2*killedExports+2 {
		t.Errorf("%d entries tell of exports, %d files came whole", n, e.whole)
	}
	t.Logf("of %d killed exports %d had come whole, %d left a file under another name", 2*killedExports, e.whole-2, e.hidden)
	d.mustStop(t)
	fsck(t, log)
}

// killing is exports that are killed.
type killing struct {
	t      *testing.T
	dir    string // where files are written
	spool  string
	takes  time.Duration // about, for one export
	size   uint64
	whole  int // files that came whole
	hidden int // files that killed clients left
}

// exportSaid is what `export --json` prints.
type exportSaid struct {
	Verdict string
	Size    uint64
}

// at is the size of the checkpoint, as a flag has it.
func (e *killing) at() string {
	return strconv.FormatUint(e.size, 10)
}

// export writes a file, which must be good.
func (e *killing) export(name string, more ...string) (said exportSaid) {
	e.t.Helper()
	mustJSON(e.t, &said, "daybook", append([]string{"export", "--accesses", "--json", "-o", filepath.Join(e.dir, name)}, more...)...)
	if said.Verdict != "VERIFIED" {
		e.t.Fatalf("%s is %s", name, said.Verdict)
	}
	e.whole++
	return said
}

// start starts an export.
func (e *killing) start(name string) *exec.Cmd {
	e.t.Helper()
	cmd := exec.CommandContext(e.t.Context(), program(e.t, "daybook"), "export", "--accesses", "--at", e.at(), "--json", "-o", filepath.Join(e.dir, name))
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	return cmd
}

// ended looks at what an export left that was killed on either side, and removes it.
func (e *killing) ended(cmd *exec.Cmd, name string, whole []byte) {
	e.t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.t.Fatal(err)
	}
	killed := exit != nil && !exit.Exited()
	files, err := os.ReadDir(e.dir)
	if err != nil {
		e.t.Fatal(err)
	}
	found := false
	for _, f := range files {
		switch {
		case f.Name() == name:
			found = true
			if !bytes.Equal(e.take(name), whole) {
				e.t.Errorf("%s is not the whole file", name)
			}
		case strings.HasPrefix(f.Name(), "."+name+".") && killed:
			e.hidden++
			if err := os.Remove(filepath.Join(e.dir, f.Name())); err != nil {
				e.t.Fatal(err)
			}
		case f.Name() != "log" && f.Name() != "log.anchor" && f.Name() != "log.state":
			e.t.Errorf("%s is left, killed: %v", f.Name(), killed)
		}
	}
	if exit == nil && !found {
		e.t.Errorf("%s is not there, and the export said nothing", name)
	}
	if found {
		e.whole++
	}
}

// take reads a file and removes it.
func (e *killing) take(name string) []byte {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		e.t.Fatal(err)
	}
	return b
}

// wantEmptySpool waits until the server has no file of an export.
func (e *killing) wantEmptySpool() {
	e.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left, err := os.ReadDir(e.spool)
		if err != nil {
			e.t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			e.t.Fatalf("%d files are left in the server's folder", len(left))
		}
	}
}
