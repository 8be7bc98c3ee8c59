package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds the wait for what a program must do. It is no measurement:
// a test that runs into it has hung.
const patience = 2 * time.Minute

// built is where the programs are, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "daybook-programs-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), module+"/cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if used {
		dir, _ := built()
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// used: some test has built the programs.
var used bool

// program returns the path of one of our programs.
func program(t *testing.T, name string) string {
	t.Helper()
	used = true
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// answer is what a program said.
type answer struct {
	code           int
	stdout, stderr string
}

// run runs a program to its end.
func run(t *testing.T, name string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs a program that has to exit with code 0 and returns its stdout.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	a := run(t, name, args...)
	if a.code != 0 {
		t.Fatalf("%s %v: exit %d\n%s%s", name, args, a.code, a.stdout, a.stderr)
	}
	return a.stdout
}

// mustJSON is must for a program that prints one JSON object.
func mustJSON(t *testing.T, into any, name string, args ...string) {
	t.Helper()
	out := must(t, name, args...)
	dec := json.NewDecoder(strings.NewReader(out))
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s %v: %v in\n%s", name, args, err, out)
	}
	if dec.More() {
		t.Fatalf("%s %v: more than one object:\n%s", name, args, out)
	}
}

// listeners are those of a daemon, as its flags name them.
var listeners = []string{"ingest", "query", "query-http", "admin", "public", "operations"}

// daemon is a running daybookd.
type daemon struct {
	dir    string
	cmd    *exec.Cmd
	ready  chan struct{} // closed by the reader of stderr at the line `ready`
	exited chan struct{} // closed once the process has ended and all was read
	err    error         // of Wait; set before exited is closed

	mu  sync.Mutex
	log strings.Builder // stderr so far; guarded by mu
}

// startDaemon starts daybookd serve and returns at once.
func startDaemon(path, dir string, args ...string) (*daemon, error) {
	d := &daemon{dir: dir, ready: make(chan struct{}), exited: make(chan struct{})}
	d.cmd = exec.Command(path, append([]string{"serve", "--data", dir}, args...)...)
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go d.read(stderr)
	return d, nil
}

// read follows stderr until it ends, then waits for the process.
func (d *daemon) read(stderr io.Reader) {
	defer close(d.exited)
	isReady := false
	lines := bufio.NewScanner(stderr)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		d.mu.Lock()
		d.log.WriteString(lines.Text() + "\n")
		d.mu.Unlock()
		if !isReady && strings.TrimSpace(lines.Text()) == "ready" {
			isReady = true
			close(d.ready)
		}
	}
	d.err = d.cmd.Wait()
}

// awaitReady returns once the daemon says that it serves.
func (d *daemon) awaitReady() error {
	select {
	case <-d.ready:
		return nil
	case <-d.exited:
		return fmt.Errorf("daybookd ended before it was ready: %w\n%s", d.err, d.said())
	case <-time.After(patience):
		return fmt.Errorf("daybookd is not ready\n%s", d.said())
	}
}

// serve starts daybookd and returns once it says that it serves. It is killed
// at the end of the test if it still runs.
func serve(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	d, err := startDaemon(program(t, "daybookd"), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("daybookd serve --data %s %v said:\n%s", dir, args, d.said())
		}
	})
	if err := d.awaitReady(); err != nil {
		t.Fatal(err)
	}
	return d
}

// said returns what the daemon has written to stderr.
func (d *daemon) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// kill ends the process as a power cut would end it, for the process.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // an error says that it has ended already
	<-d.exited
}

// stop asks the daemon to end in the orderly way, which has to give exit code 0.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-d.exited:
		if d.err != nil {
			return fmt.Errorf("daybookd at SIGTERM: %w\n%s", d.err, d.said())
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("daybookd does not end at SIGTERM\n%s", d.said())
	}
}

// mustStop is stop in a test.
func (d *daemon) mustStop(t *testing.T) {
	t.Helper()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
}

// profile is the path of the profile that `serve --dev` and `init` write.
func (d *daemon) profile() string { return filepath.Join(d.dir, "profile.yaml") }

// listenFlags returns flags that make a daemon listen on the same ports after
// each restart: free just now, and outside of the range from which the system
// takes the near end of a connection, so that no client can sit on one meanwhile.
func listenFlags(t *testing.T) []string {
	t.Helper()
	var flags []string
	for _, name := range listeners {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		for tries := 0; err != nil && tries < 100; tries++ {
			l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		flags = append(flags, fmt.Sprintf("--%s-addr=%s", name, l.Addr()))
	}
	return flags
}

// anyPorts makes each listener pick a free port.
func anyPorts() []string {
	var flags []string
	for _, name := range listeners {
		flags = append(flags, fmt.Sprintf("--%s-addr=127.0.0.1:0", name))
	}
	return flags
}
