//go:build e2e

package cmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a mounted file system of its own, with a file that fills it.
type smallDisk struct {
	t    *testing.T
	path string
}

// mountDisk mounts a memory file system; it skips the test where that is not
// permitted.
func mountDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	d := &smallDisk{t, t.TempDir()}
	if err := syscall.Mount("none", d.path, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("NOT TESTED: a full disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *smallDisk) free() int64 {
	d.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		d.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

func (d *smallDisk) filler() string { return filepath.Join(d.path, "filler") }

// fill takes all room but so many bytes.
func (d *smallDisk) fill(leave int64) {
	d.t.Helper()
	f, err := os.Create(d.filler())
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, d.free()-leave); err != nil {
		d.t.Fatal(err)
	}
	if leave > 0 {
		return
	}
	if _, err := f.Seek(0, 2); err != nil {
		d.t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

func (d *smallDisk) empty() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

// diskState is what `status --json` says of the disk.
type diskState struct {
	Size     uint64 `json:"size"`
	NotReady string `json:"not_ready"`
	Free     uint64 `json:"disk_free_bytes"`
	Mark     uint64 `json:"disk_low_bytes"`
	Low      bool   `json:"disk_low"`
	Ballast  uint64 `json:"ballast_bytes"`
}

// awaitDisk asks a running log how its disk stands until it is as wanted.
func awaitDisk(t *testing.T, dir, what string, want func(diskState) bool) diskState {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		var s diskState
		mustJSON(t, &s, "daybookd", "status", "--data", dir, "--json")
		if want(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %+v", what, s)
		}
	}
}

// TestDiskRunsFull fills a real file system under a real server and producers
// that keep their receipts: by others, so that appends stop and go on; wholly,
// so that only the ballast lets the log open; and by the log itself, so that it
// ends. At the last every receipt still verifies.
func TestDiskRunsFull(t *testing.T) {
	disk := mountDisk(t, "400m")
	dir := filepath.Join(disk.path, "log")
	careful, careless := filepath.Join(t.TempDir(), "careful.yaml"), filepath.Join(t.TempDir(), "careless.yaml")
	for path, limits := range map[string]string{
		careful:  "limits: {disk_low_bytes: 67108864, ballast_bytes: 33554432}\n",
		careless: "limits: {disk_low_bytes: -1, ballast_bytes: -1}\n",
	} {
		if err := os.WriteFile(path, []byte(limits), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := append(listenFlags(t), "--dev")
	d := serve(t, dir, append(flags, "--config", careful)...)
	l := startLoad(t, d.profile(), 4)
	a := auditor{t: t}
	a.audit(newReader(t, d.profile()), l.await(500))
	awaitDisk(t, dir, "the ballast was not made", func(s diskState) bool { return s.Ballast == 32<<20 && !s.Low })

	disk.fill(48 << 20) // by others, below the mark
	s := awaitDisk(t, dir, "the disk is not low", func(s diskState) bool { return s.Low })
	if !strings.Contains(s.NotReady, "low") || s.Mark != 64<<20 {
		t.Errorf("status of a low disk: %+v", s)
	}
	a.audit(newReader(t, d.profile()), l.await(0))
	waiting := import1(t, d.profile())
	disk.empty()
	a.audit(newReader(t, d.profile()), l.await(100))
	waiting(t)

	d.kill()
	disk.fill(0) // wholly, while nobody serves
	d = serve(t, dir, append(flags, "--config", careful)...)
	s = awaitDisk(t, dir, "the disk is not low", func(s diskState) bool { return s.Low })
	if s.Ballast != 0 || !strings.Contains(d.said(), "ballast was dropped") {
		t.Errorf("a full disk still has its ballast: %+v", s)
	}
	a.audit(newReader(t, d.profile()), l.await(0))
	disk.empty()
	a.audit(newReader(t, d.profile()), l.await(100))
	awaitDisk(t, dir, "the ballast was not made again", func(s diskState) bool { return s.Ballast == 32<<20 && !s.Low })
	d.mustStop(t)

	disk.fill(2 << 20)
	d = serve(t, dir, append(flags, "--config", careless)...)
	a.audit(newReader(t, d.profile()), l.await(1))
	flood := exec.Command(program(t, "daybook"), "bench", "--profile", d.profile(), "--producers", "8", "--batch", "500", "--duration", patience.String())
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.exited:
	case <-time.After(patience):
		t.Errorf("the log did not fill its disk, %d bytes are free", disk.free())
	}
	_ = flood.Process.Kill() // errors of either say that it has ended
	_ = flood.Wait()
	if d.err == nil || !strings.Contains(d.said(), "no space left on device") {
		t.Errorf("on a full disk the server ended with %v", d.err)
	}
	if err := syscall.Mount("none", disk.path, "tmpfs", syscall.MS_REMOUNT, "size=1g"); err != nil {
		t.Fatal(err)
	}
	d = serve(t, dir, append(flags, "--config", careful)...)
	a.audit(newReader(t, d.profile()), l.await(100))
	l.end()
	receipts := l.await(0)
	t.Logf("%d receipts", len(receipts))
	r := newReader(t, d.profile())
	a.audit(r, receipts)
	auditWhole(t, r, receipts)
	verifyFiles(t, d.profile(), receipts)
	d.mustStop(t)
	fsck(t, dir)
}

// xroadFile writes records of an X-Road server for import.
func xroadFile(t *testing.T, records int) string {
	t.Helper()
	var text bytes.Buffer
	for i := range records {
		fmt.Fprintf(&text, `{"securityServerType":"Producer","requestInTs":%d,"messageId":"m-%d","clientXRoadInstance":"EE","clientMemberClass":"GOV","clientMemberCode":"1","clientSubsystemCode":"web","serviceXRoadInstance":"EE","serviceMemberClass":"GOV","serviceMemberCode":"2","serviceSubsystemCode":"db-%d","serviceCode":"read","succeeded":true}`+"\n",
			1700000000000+i, i, i%7)
	}
	file := filepath.Join(t.TempDir(), "opmon.jsonl")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// import1 starts an import on a log whose disk is low; the function it returns
// waits until it has gone through by itself, once, with nothing left out.
func import1(t *testing.T, profile string) func(t *testing.T) {
	t.Helper()
	const records = 300
	file := xroadFile(t, records)
	args := []string{"import", "--profile", profile, "--format", "xroad", "--json", file}
	ended := make(chan answer, 1)
	path := program(t, "daybook")
	said := make(chan struct{})
	go func() { ended <- watchProgram(path, args, "waiting for room on the log's disk", said) }()
	select {
	case <-said:
	case a := <-ended:
		t.Fatalf("the import ended on a low disk: %d\n%s%s", a.code, a.stdout, a.stderr)
	case <-time.After(patience):
		t.Fatal("the import does not say that it waits for room")
	}
	return func(t *testing.T) {
		t.Helper()
		a := <-ended
		if a.code != 0 {
			t.Fatalf("import: exit %d\n%s%s", a.code, a.stdout, a.stderr)
		}
		var again struct{ Accepted, Duplicates, Skipped int }
		mustJSON(t, &again, "daybook", args...)
		if again.Accepted != 0 || again.Duplicates+again.Skipped != records {
			t.Errorf("the same import again: %+v", again)
		}
	}
}

// watchProgram runs a program and closes said once its stderr holds a text.
func watchProgram(path string, args []string, text string, said chan struct{}) answer {
	cmd := exec.Command(path, args...)
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return answer{code: -1, stderr: err.Error()}
	}
	var all strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if said != nil && strings.Contains(lines.Text(), text) {
			close(said)
			said = nil
		}
	}
	_ = cmd.Wait() // the exit code says the same
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), all.String()}
}
