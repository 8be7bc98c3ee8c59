package mirror_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/client/mirror"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/tilestest"
)

// A log is a source that grows, and misbehaves when it is told to.
type log struct {
	signer   note.Signer
	policy   *verify.Policy
	server   *httptest.Server
	dir      atomic.Pointer[fstest.MapFS]
	requests atomic.Int64
	bundles  atomic.Int64 // entry bundles served
	fail     atomic.Int64 // answers 503 from this request on; 0: never
}

func newLog(t testing.TB) *log {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	l := &log{}
	if l.signer, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	if l.policy, err = verify.KeyPolicy(vkey); err != nil {
		t.Fatal(err)
	}
	l.server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.server.Close)
	return l
}

func (l *log) serve(w http.ResponseWriter, r *http.Request) {
	if n, from := l.requests.Add(1), l.fail.Load(); from > 0 && n >= from {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	f := (*l.dir.Load())[strings.TrimPrefix(r.URL.Path, "/")]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if strings.Contains(r.URL.Path, "/entries/") {
		l.bundles.Add(1)
	}
	w.Write(f.Data)
}

// history returns n entries; those from fork on are of another history of this
// number.
func history(n, fork, number int) [][]byte {
	var list [][]byte
	for i := range n {
		entry := fmt.Appendf(nil, "entry %d", i)
		if i >= fork {
			entry = fmt.Appendf(entry, " of history %d", number)
		}
		list = append(list, entry)
	}
	return list
}

// show makes the log serve these entries.
func (l *log) show(t testing.TB, entries [][]byte) fstest.MapFS {
	t.Helper()
	dir, err := tilestest.Directory(entries, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	l.dir.Store(&dir)
	return dir
}

func (l *log) open(t testing.TB, dir string) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(mirror.Config{From: l.server.URL, Dir: dir, Policy: l.policy, Workers: 3, Patience: time.Nanosecond, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// files are the files of the copy.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && name == ".mirror" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		out[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantCopy compares the copy with the source.
func wantCopy(t testing.TB, dir string, want fstest.MapFS) {
	t.Helper()
	got := files(t, dir)
	for name, f := range want {
		if got[name] != string(f.Data) {
			t.Errorf("%s differs or is missing", name)
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s is in the copy and not in the log", name)
		}
	}
}

func TestACopyGrowsWithItsLog(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	m := l.open(t, dir)
	before := uint64(0)
	for _, n := range []int{1, 2, 255, 256, 257, 300, 511, 512, 1000, 1000, 65535, 65536, 66000} {
		want := l.show(t, history(n, n, 0))
		step, err := m.Once(t.Context())
		if err != nil {
			t.Fatalf("to %d: %v", n, err)
		}
		if step.Before != before || step.Size != uint64(n) {
			t.Errorf("to %d: %+v", n, step)
		}
		before = step.Size
		wantCopy(t, dir, want)
		if _, err := os.Stat(filepath.Join(dir, ".mirror", "checkpoints", fmt.Sprintf("%d.checkpoint", n))); err != nil {
			t.Error(err)
		}
	}
	m.Close()
	// Another mirror gets it in one step.
	other := t.TempDir()
	if _, err := l.open(t, other).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, other, *l.dir.Load())
}

func TestAForkStopsTheMirror(t *testing.T) {
	for _, sizes := range [][3]int{{300, 700, 299}, {300, 700, 0}, {700, 700, 699}, {700, 300, 0}, {256, 257, 255}, {70000, 70001, 69999}} {
		l, dir := newLog(t), t.TempDir()
		m := l.open(t, dir)
		kept := l.show(t, history(sizes[0], sizes[0], 0))
		if _, err := m.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		presented := l.show(t, history(sizes[1], sizes[2], 1))
		var fork *mirror.ForkError
		if _, err := m.Once(t.Context()); !errors.As(err, &fork) || fork.Kept.Size != uint64(sizes[0]) || fork.Presented.Size != uint64(sizes[1]) {
			t.Fatalf("from %d to %d, forked at %d: %v", sizes[0], sizes[1], sizes[2], err)
		}
		wantCopy(t, dir, kept)
		for name, want := range map[string][]byte{fmt.Sprintf("mirrored-%d.checkpoint", sizes[0]): kept["checkpoint"].Data,
			fmt.Sprintf("presented-%d.checkpoint", sizes[1]): presented["checkpoint"].Data} {
			if got, err := os.ReadFile(filepath.Join(fork.Evidence, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("evidence %s: %q, %v", name, got, err)
			}
		}
		l.show(t, history(sizes[0]+1000, sizes[0]+1000, 0))
		if _, err := m.Once(t.Context()); !errors.Is(err, mirror.ErrStopped) {
			t.Errorf("after a fork: %v", err)
		}
		wantCopy(t, dir, kept)
	}
}

// TestRun goes on after failures that pass, until the log forks.
func TestRun(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	m := l.open(t, dir)
	l.show(t, history(10, 10, 0))
	var sizes []uint64
	looks := 0
	err := m.Run(t.Context(), time.Millisecond, func(step mirror.Step, err error) {
		looks++
		switch {
		case looks == 1 && err == nil:
			l.fail.Store(1)
		case looks == 2 && err != nil:
			l.fail.Store(0)
			l.show(t, history(300, 300, 0))
		case looks == 3 && err == nil:
			l.show(t, history(400, 5, 1))
		case looks != 4:
			t.Errorf("look %d: %+v, %v", looks, step, err)
		}
		if err == nil {
			sizes = append(sizes, step.Size)
		}
	})
	var fork *mirror.ForkError
	if !errors.As(err, &fork) || looks != 4 || fmt.Sprint(sizes) != "[10 300]" {
		t.Errorf("%d looks, sizes %v, %v", looks, sizes, err)
	}
	if err := m.Run(canceled(t), time.Millisecond, func(mirror.Step, error) {}); err != nil {
		t.Errorf("ended from outside: %v", err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestASourceThatIsBehind(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	m := l.open(t, dir)
	want := l.show(t, history(700, 700, 0))
	if _, err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.show(t, history(300, 300, 0))
	if step, err := m.Once(t.Context()); err != nil || step.Behind != 300 || step.Size != 700 {
		t.Errorf("%+v, %v", step, err)
	}
	wantCopy(t, dir, want)
	// Where the copy itself is damaged that is no fork of the log.
	path := filepath.Join(dir, "tile", "0", "001")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var fork *mirror.ForkError
	if _, err := m.Once(t.Context()); err == nil || errors.As(err, &fork) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with a damaged copy: %v", err)
	}
}

func TestADamagedSourceReplacesNothing(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	m := l.open(t, dir)
	first := l.show(t, history(300, 300, 0))
	if _, err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := l.show(t, history(66000, 66000, 0))
	for _, name := range []string{"checkpoint", "tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/entries/001", "tile/entries/200", "tile/entries/257.p/208"} {
		for what, change := range map[string]func([]byte) []byte{
			"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"cut":     func(b []byte) []byte { return b[:len(b)-1] },
			"longer":  func(b []byte) []byte { return append(b, 0) },
			"empty":   func([]byte) []byte { return nil },
		} {
			bad := fstest.MapFS{}
			for n, f := range whole {
				bad[n] = f
			}
			bad[name] = &fstest.MapFile{Data: change(bytes.Clone(whole[name].Data))}
			l.dir.Store(&bad)
			var fork *mirror.ForkError
			if _, err := m.Once(t.Context()); err == nil || errors.As(err, &fork) {
				t.Errorf("%s %s: %v", name, what, err)
			}
			wantCopy(t, dir, first)
		}
	}
	l.dir.Store(&whole)
	if _, err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, dir, whole)
}

// TestAStepGoesOn has the source fail at each request in turn: every step gets
// further, and no bundle is fetched that is there.
func TestAStepGoesOn(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	want := l.show(t, history(256*20+7, 1<<30, 0))
	failures := 0
	for next := int64(1); ; next++ {
		m := l.open(t, dir) // as after a crash
		l.requests.Store(0)
		l.fail.Store(5 + next)
		_, err := m.Once(t.Context())
		m.Close()
		if err == nil {
			break
		}
		if failures++; failures > 100 {
			t.Fatal(err)
		}
		if got := files(t, dir); len(got) != 0 {
			t.Fatalf("a step that failed left %d files in the copy", len(got))
		}
	}
	wantCopy(t, dir, want)
	if n := l.bundles.Load(); failures == 0 || n < 21 || n > 21+2*int64(failures) { // what was under way is lost
		t.Errorf("%d failures, %d bundles fetched for 21", failures, n)
	}
}

// TestWhatACrashLeaves puts files where a crash leaves them.
func TestWhatACrashLeaves(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	m := l.open(t, dir)
	l.show(t, history(300, 300, 0))
	if _, err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := l.show(t, history(1000, 1000, 0))
	for name, text := range map[string]string{
		"tile/entries/001": string(want["tile/entries/001"].Data), "tile/0/001": "moved, and not synced", // ahead of the checkpoint
		".mirror/staging/tile/entries/002": "cut", ".mirror/staging/tile/entries/003.p/232.tmp": "cut", ".mirror/staging/tile/0/900": "of another size",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, dir, want)
	if left, err := os.ReadDir(filepath.Join(dir, ".mirror", "staging")); err != nil || len(left) != 0 {
		t.Errorf("left in staging: %v, %v", left, err)
	}
}

func TestWhoMirrors(t *testing.T) {
	l, dir := newLog(t), t.TempDir()
	l.show(t, history(10, 10, 0))
	m := l.open(t, dir)
	if _, err := mirror.Open(mirror.Config{From: l.server.URL, Dir: dir, Policy: l.policy}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	m.Close()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "log.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mirror.Open(mirror.Config{From: l.server.URL, Dir: data, Policy: l.policy}); err == nil || !strings.Contains(err.Error(), "data directory") {
		t.Errorf("to a log's own directory: %v", err)
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte(`{"message": "get the role mirror"}`))
	}))
	defer refusing.Close()
	m, err := mirror.Open(mirror.Config{From: refusing.URL, Dir: dir, Policy: l.policy, Patience: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var refused *mirror.RefusedError
	if _, err := m.Once(t.Context()); !errors.As(err, &refused) || refused.Text != "get the role mirror" {
		t.Errorf("refused: %v", err)
	}
	other := newLog(t)
	other.show(t, history(10, 10, 0))
	m2, err := mirror.Open(mirror.Config{From: other.server.URL, Dir: t.TempDir(), Policy: l.policy, Patience: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer m2.Close()
	if _, err := m2.Once(t.Context()); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("under another key: %v", err)
	}
	for _, bad := range []mirror.Config{{}, {From: "file:///x", Dir: dir, Policy: l.policy}, {From: "log.example", Dir: dir, Policy: l.policy},
		{From: l.server.URL, Dir: dir, Policy: l.policy, Token: func() (string, error) { return "x", nil }}} {
		if _, err := mirror.Open(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
