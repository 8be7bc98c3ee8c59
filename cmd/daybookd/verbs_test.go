package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// daybookd runs one command line in this process.
func daybookd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// wantExit runs a command line and checks exit code and what stderr names.
func wantExit(t *testing.T, code int, says string, args ...string) string {
	t.Helper()
	got, stdout, stderr := daybookd(t, args...)
	if got != code || !strings.Contains(stderr, says) {
		t.Errorf("daybookd %v: exit %d, want %d and %q:\n%s", args, got, code, says, stderr)
	}
	return stdout
}

var freePorts = config.Listen{
	Ingest: "127.0.0.1:0", Query: "127.0.0.1:0", QueryHTTP: "127.0.0.1:0",
	Admin: "127.0.0.1:0", Public: "127.0.0.1:0", Operations: "127.0.0.1:0",
}

// serving serves a directory until the returned function is called.
func serving(t *testing.T, dir string, dev bool) (s *runningServer, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := startServer(ctx, serveOptions{Dir: datadir.Dir(dir), Dev: dev, Listen: freePorts, Stderr: io.Discard})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := s.Wait(); err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func TestInitMakesALogOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	wantExit(t, 0, "daybookd serve --data", "init", "--data", dir, "--origin", "broker.example/audit")
	vkey, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	origin, _, _ := strings.Cut(string(vkey), "+")
	end, ok := strings.CutPrefix(origin, "broker.example/audit/")
	if !ok || len(end) != 8 || strings.Trim(end, "0123456789abcdef") != "" {
		t.Errorf("origin is %q", origin)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "log.key": 0o600, "ca/ca.key": 0o600, "clients/producer.key": 0o600, "profile.yaml": 0o644} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", path, info, err, mode)
		}
	}
	wantExit(t, 1, "holds a log already", "init", "--data", dir, "--origin", "broker.example/audit")
	if again, err := os.ReadFile(filepath.Join(dir, "log.vkey")); err != nil || !bytes.Equal(again, vkey) {
		t.Errorf("a second init changed the log: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("init left %v behind", left)
	}
}

func TestInitRefuses(t *testing.T) {
	base := t.TempDir()
	foreign := filepath.Join(base, "foreign")
	if err := os.MkdirAll(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "letters.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := filepath.Join(base, "lost")
	if err := os.WriteFile(lost+".anchor", []byte("broker.example/audit/01234567\n9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 1, "holds other files", "init", "--data", foreign, "--origin", "broker.example/audit")
	wantExit(t, 1, "anchor", "init", "--data", lost, "--origin", "broker.example/audit")
	wantExit(t, 1, "does not exist", "init", "--data", filepath.Join(base, "no", "folder"), "--origin", "broker.example/audit")
	for _, name := range []string{"Broker.example/audit", "/audit", "broker.example/a b", "broker.example/a+b", strings.Repeat("a", 300)} {
		wantExit(t, 2, "origin", "init", "--data", filepath.Join(base, "new"), "--origin", name)
	}
	wantExit(t, 2, "--data", "init", "--origin", "broker.example/audit")
	wantExit(t, 2, "--origin", "init", "--data", filepath.Join(base, "new"))
	if _, err := os.Stat(filepath.Join(base, "new")); err == nil {
		t.Error("a refused init left a directory")
	}
}

func TestServeMakesNothingWithoutDev(t *testing.T) {
	base := t.TempDir()
	wantExit(t, 1, "daybookd init", "serve", "--data", filepath.Join(base, "typo"))
	wantExit(t, 1, "--allow-remote", "serve", "--data", filepath.Join(base, "dev"), "--dev", "--ingest-addr", "0.0.0.0:0")
	wantExit(t, 1, "daybookd init", "status", "--data", filepath.Join(base, "typo"))
	wantExit(t, 1, "daybookd init", "fsck", "--data", filepath.Join(base, "typo"))
	left, err := os.ReadDir(base)
	if err != nil || len(left) != 0 {
		t.Errorf("these were made: %v, %v", left, err)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"nosuch"}, {"serve"}, {"serve", "--nosuch"}, {"status"}, {"fsck"}, {"init"}, {"version", "unexpected"}, {"serve", "extra", "--data", "x"},
	} {
		if out := wantExit(t, 2, "--help", args...); out != "" {
			t.Errorf("daybookd %v printed data: %s", args, out)
		}
	}
}

// TestReindexWantsTheServerStopped rebuilds the index of a stopped log only, and
// leaves a log that is served as it was.
func TestReindexWantsTheServerStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, stop := serving(t, dir, true)
	s.settle(t)
	wantExit(t, 1, "stop it", "reindex", "--data", dir)
	stop()
	var report reindexReport
	if err := json.Unmarshal([]byte(wantExit(t, 0, "", "reindex", "--data", dir, "--json")), &report); err != nil || report.Entries == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if out := wantExit(t, 0, "", "reindex", "--data", dir); !strings.Contains(out, "built anew") {
		t.Errorf("reindex says %q", out)
	}
	wantExit(t, 0, "", "fsck", "--data", dir)
}

// TestStatusAndFsckServedAndStopped asks both ways and gets the same answers.
func TestStatusAndFsckServedAndStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, stop := serving(t, dir, true)
	s.settle(t)
	ask := func(running bool) logStatus {
		t.Helper()
		var status logStatus
		if err := json.Unmarshal([]byte(wantExit(t, 0, "", "status", "--data", dir, "--json")), &status); err != nil {
			t.Fatal(err)
		}
		var report fsckReport
		if err := json.Unmarshal([]byte(wantExit(t, 0, "", "fsck", "--data", dir, "--json")), &report); err != nil {
			t.Fatal(err)
		}
		if !report.OK || report.Entries != status.Size || status.Running != running || !status.Demo || status.Shut != "" {
			t.Errorf("running %v: status %+v, fsck %+v", running, status, report)
		}
		return status
	}
	served := ask(true)
	if v := served.Verification; v == nil || v.Period != "168h0m0s" || v.NextTime == "" || v.Fault != "" {
		t.Errorf("verification %+v", v)
	}
	if out := wantExit(t, 0, "", "status", "--data", dir); !strings.Contains(out, "verified    no pass") || !strings.Contains(out, "verifying   next pass at 2") {
		t.Errorf("status says\n%s", out)
	}
	wantExit(t, 1, "served already", "serve", "--data", dir)
	stop()
	stopped := ask(false)
	if served.Size != stopped.Size || served.Root != stopped.Root || served.Origin != stopped.Origin || served.HeadTime != stopped.HeadTime {
		t.Errorf("served %+v\nstopped %+v", served, stopped)
	}
	if out := wantExit(t, 0, "", "status", "--data", dir); !strings.Contains(out, "DEMO") || !strings.Contains(out, "stopped") {
		t.Errorf("status says\n%s", out)
	}
}

// TestStatusSaysWhatIsWrong prints a pass under way after one that found a fault.
func TestStatusSaysWhatIsWrong(t *testing.T) {
	var out bytes.Buffer
	if err := verificationOf(&apiv1.Verification{Position: 512, Target: 2048, ExpectedEndTime: timestamppb.New(time.Unix(1e9, 0)),
		LastEndTime: timestamppb.New(time.Unix(9e8, 0)), LastEntries: 1000, LastFaults: 3, Fault: "tiles: hash 7 differs", FirstBadIndex: 7}).print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAULTS at 1998-07-09T16:00:00Z: 3, in 1000 entries", "512 of 2048 entries (25.0 %), ends about 2001-09-09T01:46:40Z",
		"first at index 7: tiles: hash 7 differs", "next: keep this directory"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// settle returns once the log holds what it writes at its first start: entry 0,
// its own run opened, and that it opened.
func (r *runningServer) settle(t *testing.T) {
	t.Helper()
	for r.ledger.Head().Size < 3 {
		if t.Context().Err() != nil {
			t.Fatal("the log does not write that it opened")
		}
		runtime.Gosched()
	}
}

func TestRestartKeepsKeysAndProfile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	_, stop := serving(t, dir, true)
	stop()
	kept := []string{"log.key", "log.vkey", "ca/ca.pem", "ca/ca.key", "ca/bundle.pem", "clients/producer.pem", "clients/operator.key", "tls/ingest.pem", "tls/admin.key", "profile.yaml"}
	before := make(map[string]string)
	for _, name := range kept {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(b)
	}
	_, stop = serving(t, dir, true)
	stop()
	for _, name := range kept {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != before[name] {
			t.Errorf("%s changed with a restart: %v", name, err)
		}
	}
}

// TestDevBeginsAnewWhereADemoWas: the anchor of a demonstration that was deleted
// is in nobody's way.
func TestDevBeginsAnewWhereADemoWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	first, stop := serving(t, dir, true)
	stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	second, stop := serving(t, dir, true)
	if ready, reason := second.ledger.Ready(); !ready || first.Origin == second.Origin {
		t.Errorf("origins %s and %s, ready %v: %s", first.Origin, second.Origin, ready, reason)
	}
	stop()
}

func TestServeRefusesAnotherLogsKey(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "other")
	for _, d := range []string{dir, other} {
		wantExit(t, 0, "", "init", "--data", d, "--origin", "broker.example/audit")
	}
	b, err := os.ReadFile(filepath.Join(other, "log.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log.key"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 1, "put the right one back", "serve", "--data", dir)
}

func TestServeReportsEveryFaultOfItsConfiguration(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	wantExit(t, 0, "", "init", "--data", dir, "--origin", "broker.example/audit")
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("colour: red\nlisten: {ingest: nowhere}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 1, "colour", "serve", "--data", dir)
	wantExit(t, 1, "listen.ingest", "serve", "--data", dir)
	wantExit(t, 1, "nosuch.yaml", "serve", "--data", dir, "--config", "nosuch.yaml")
}
