package pebblestore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

// writeFile puts a file into the test store's directory.
func writeFile(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	if err := fs.MkdirAll(testDir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(fs.PathJoin(testDir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// makeStore makes a store of n commits of the script and closes it.
func makeStore(t *testing.T, fs vfs.FS, n int) {
	t.Helper()
	s := mustOpen(t, small(fs))
	for i := 1; i <= n; i++ {
		ticket, err := scriptStep(s, i)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
}

func mustOpen(t testing.TB, o pebblestore.Options) *pebblestore.Store {
	t.Helper()
	s, err := pebblestore.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s *pebblestore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// silent is a Pebble logger.
type silent struct{}

// Infof says nothing.
func (silent) Infof(string, ...any) {}

// Errorf says nothing.
func (silent) Errorf(string, ...any) {}

// Fatalf panics.
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func TestForeignDirectories(t *testing.T) {
	const ready = "daybook store\nlayout 2\nstate ready\n"
	tests := []struct {
		name string
		make func(t *testing.T, fs vfs.FS)
		want error
		say  string
	}{
		{"another Pebble store", func(t *testing.T, fs vfs.FS) {
			db, err := pebble.Open(testDir, &pebble.Options{FS: fs, Logger: silent{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}, store.ErrForeign, "Pebble store of something else"},
		{"an old Pebble or RocksDB store", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "CURRENT", "MANIFEST-000001\n") }, store.ErrForeign, "Pebble store of something else"},
		{"somebody's files", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "thesis.txt", "x") }, store.ErrForeign, "it holds thesis.txt"},
		{"another marker", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "DAYBOOK", "dear diary\n") }, store.ErrForeign, "not ours"},
		{"a newer layout", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "DAYBOOK", "daybook store\nlayout 3\nshape round\n") }, store.ErrNewer, "layout 3, this version knows 2"},
		{"an early layout", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "DAYBOOK", "daybook store\nlayout 1\nstate ready\n") }, store.ErrForeign, "before the first release"},
		{"a garbled marker", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "DAYBOOK", ready+"x") }, store.ErrDamaged, "garbled"},
		{"a store that lost its files", func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "DAYBOOK", ready) }, store.ErrDamaged, "database files are gone"},
		{"a store that lost its manifest", func(t *testing.T, fs vfs.FS) {
			makeStore(t, fs, 3)
			for _, name := range list(t, fs) {
				if strings.Contains(name, "MANIFEST") {
					if err := fs.Remove(fs.PathJoin(testDir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}, store.ErrDamaged, "database files are gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			tt.make(t, fs)
			before := list(t, fs)
			_, err := pebblestore.Open(small(fs))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.say) {
				t.Fatalf("error %v, want %v with %q", err, tt.want, tt.say)
			}
			if errors.Is(tt.want, store.ErrForeign) || errors.Is(tt.want, store.ErrNewer) {
				if diff := cmp.Diff(before, list(t, fs)); diff != "" {
					t.Errorf("a refused directory was touched: %s", diff)
				}
			}
		})
	}
}

func TestMustExist(t *testing.T) {
	fs := vfs.NewMem()
	for _, o := range []pebblestore.Options{{MustExist: true}, {ReadOnly: true}} {
		o.Dir, o.FS, o.Logger = testDir, fs, quiet
		if _, err := pebblestore.Open(o); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
	if got := list(t, fs); len(got) != 0 {
		t.Errorf("a refused open made %v", got)
	}
	if _, err := pebblestore.Open(pebblestore.Options{CacheBytes: -1}); err == nil || !strings.Contains(err.Error(), "no directory") || !strings.Contains(err.Error(), "cache of -1") {
		t.Errorf("not every fault of the options is named: %v", err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	for name, o := range map[string]pebblestore.Options{"in memory": small(vfs.NewMem()), "on disk": small(nil)} {
		t.Run(name, func(t *testing.T) {
			if o.FS == nil {
				o.Dir = filepath.Join(t.TempDir(), "store")
			}
			s := mustOpen(t, o)
			for _, readOnly := range []bool{false, true} {
				o.ReadOnly = readOnly
				if _, err := pebblestore.Open(o); !errors.Is(err, store.ErrLocked) {
					t.Errorf("read-only %v: error %v", readOnly, err)
				}
			}
			mustClose(t, s)
			o.ReadOnly = false
			mustClose(t, mustOpen(t, o))
		})
	}
}

// contents returns every file of a directory with its bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m[e.Name()] = string(b)
	}
	return m
}

func TestReadOnlyChangesNothing(t *testing.T) {
	// A store as a killed process leaves it: the log must be replayed to read it.
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, small(fs))
	for i := 1; i <= 6; i++ {
		ticket, err := scriptStep(s, i)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, s)
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.Clone(left, vfs.Default, testDir, dir); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)

	o := small(nil)
	o.Dir, o.ReadOnly = dir, true
	for range 2 {
		s := mustOpen(t, o)
		if n := checkContents(t, s); n != 6 {
			t.Errorf("%d commits, want 6", n)
		}
		for what, err := range map[string]error{
			"Derive":      s.Derive(s.NewBatch()),
			"Load":        s.Load(func(func(k, v []byte) bool) {}),
			"DeleteRange": s.DeleteRange([]byte("i"), []byte("j")),
		} {
			if !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := s.Commit(scriptHead(6), scriptHead(7), nil); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("Commit: %v", err)
		}
		mustClose(t, s)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("a read-only open changed the directory:\n%s", diff)
	}
}

func TestFormatIsPinned(t *testing.T) {
	fs := vfs.NewMem()
	mustClose(t, mustOpen(t, small(fs)))
	desc, err := pebble.Peek(testDir, fs)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := desc.FormatMajorVersion, pebble.FormatTableFormatV6; got != want {
		t.Errorf("format %d on disk, want %d: raising it is a one-way migration", got, want)
	}
	if pebble.FormatTableFormatV6 < pebble.FormatWALSyncChunks {
		t.Error("the format does not know sync offsets")
	}
}

// A table of the log is never rewritten by a compaction, only renamed: after many
// flushes what compactions wrote is little.
func TestAppendOnlyTablesAreNotRewritten(t *testing.T) {
	s := mustOpen(t, small(vfs.NewMem()))
	defer mustClose(t, s)
	for i := 1; i <= 400; i++ {
		ticket, err := scriptStep(s, i)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := s.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d flushes, %d bytes in tables, %d of them by %d compactions", m.Flushes, m.TableWritten, m.Compacted, m.Compactions)
	const tiles = 400 * 40 << 10
	if m.Flushes < 20 || m.TableWritten < tiles/2 {
		t.Fatalf("%d flushes of %d bytes: nothing to compact", m.Flushes, m.TableWritten)
	}
	// About 0.6 MB, and where compactions fall behind up to 5; without spans 40.
	if m.Compacted > tiles {
		t.Errorf("compactions wrote %d bytes of %d", m.Compacted, m.TableWritten)
	}
	if m.Fsync.Count < 400 || m.Fsync.Sum < 0 || len(m.Fsync.Buckets) == 0 {
		t.Errorf("fsync histogram of %d syncs and %d buckets", m.Fsync.Count, len(m.Fsync.Buckets))
	}
	if m.DiskBytes < tiles/2 || s.DiskBytes() == 0 {
		t.Errorf("%d bytes on disk", m.DiskBytes)
	}
}
