package index_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
)

// A crashWorld is one index that is built while the disk breaks.
type crashWorld struct {
	world []row
	truth map[string]string // rows of an index that nothing broke
}

const (
	crashChunk = 5
	crashMerge = 1
)

func newCrashWorld(t *testing.T) *crashWorld {
	c := &crashWorld{world: makeWorld(11, 32*9+5)}
	e := openStore(t, vfs.NewMem())
	x, err := index.OpenSmall(e, crashChunk, crashMerge, 24)
	if err != nil {
		t.Fatal(err)
	}
	add(t, x, c.world, 0, len(c.world))
	if err := x.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.truth = rows(t, e)
	return c
}

// run builds the index, merging now and then, and acknowledges each chunk.
func (c *crashWorld) run(d *crashtest.Disk) {
	e, err := pebblestore.Open(pebblestore.Options{Dir: "store", FS: d.FS, Logger: slog.New(slog.DiscardHandler), MemTableBytes: 1 << 20, Fatal: d.Fatal})
	if err != nil {
		return
	}
	defer func() { _ = e.Close() }() // it may be broken: that is the point
	x, err := index.OpenSmall(e, crashChunk, crashMerge, 24)
	if err != nil {
		return
	}
	for i := range c.world {
		en, ev := c.world[i].entry(panics{})
		if err := x.Add(uint64(i), &en, &ev); err != nil {
			return
		}
		d.Ack(int(x.Position()))
		if i%70 == 69 {
			if err := x.Merge(context.Background()); err != nil {
				return
			}
		}
	}
}

// panics stands for a test where there is none.
type panics struct{ testing.TB }

func (panics) Fatal(args ...any) { panic(args) }

// check opens what is left: nothing acknowledged is missing, and the index goes
// on from there to the same rows.
func (c *crashWorld) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	e, err := pebblestore.Open(pebblestore.Options{Dir: "store", FS: fs, Logger: slog.New(slog.DiscardHandler), MemTableBytes: 1 << 20, Fatal: func(s string) { panic(s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	x, err := index.OpenSmall(e, crashChunk, crashMerge, 24)
	if err != nil {
		t.Fatal(err)
	}
	if x.Position() < uint64(acked) {
		t.Fatalf("position %d, %d were acknowledged", x.Position(), acked)
	}
	r := rand.New(rand.NewPCG(uint64(acked), 3))
	for range 5 {
		checkSearch(t, x, r, c.world[:x.Position()])
	}
	add(t, x, c.world, int(x.Position()), len(c.world))
	if err := x.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.truth, rows(t, e)); diff != "" {
		t.Fatal(diff)
	}
}

func TestEveryFileOperationFails(t *testing.T) {
	c := newCrashWorld(t)
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: 41}, crashtest.Program{Run: c.run, Check: c.check}); runs < 10 {
		t.Errorf("only %d runs", runs)
	}
}

func TestCrashAfterEverySync(t *testing.T) {
	c := newCrashWorld(t)
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: 2}, crashtest.Program{Run: c.run, Check: c.check}); runs < 5 {
		t.Errorf("only %d crashes", runs)
	}
}

// TestCheckFindsEveryChange changes rows of chunks, merged tables and dictionary,
// and finds each.
func TestCheckFindsEveryChange(t *testing.T) {
	c := newCrashWorld(t)
	longer := func(v string) string { return v + "x" }
	check := func(t *testing.T, changed string, change func(string) string) (found error) {
		e := openStore(t, vfs.NewMem())
		var kv []string
		for _, k := range sorted(c.truth) {
			v := c.truth[k]
			if k == changed {
				v = change(v)
			}
			kv = append(kv, k, v)
		}
		load(t, e, kv...)
		x, err := index.ViewSmall(e, crashChunk, crashMerge, 24)
		if err != nil {
			return err
		}
		defer func() {
			if err := passOver(t, x, c.world, 32*9, 8, func(int) {}); (err == nil) != (found == nil) || errors.Is(err, index.ErrDamaged) != errors.Is(found, index.ErrDamaged) {
				t.Errorf("row %x: a check says %v, a pass %v", changed, found, err)
			}
		}()
		for at, listed := uint64(0), uint64(0); ; {
			checked, err := x.Check(t.Context(), at, 1<<40, reader(t, c.world))
			if err != nil {
				return err
			}
			if checked.Next == at {
				if at != 32*9 {
					t.Errorf("checked up to %d", at)
				}
				return x.CheckDictionary(t.Context(), at, listed)
			}
			at, listed = checked.Next, listed+checked.Listed
		}
	}
	if err := check(t, "", longer); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range sorted(c.truth) {
		first := string(make([]byte, 8))
		listed := k[1] == 0xff && c.truth[k] != first
		if listed && r.IntN(4) == 0 { // that it is in an earlier chunk makes a search slower alone
			if err := check(t, k, func(string) string { return first }); !errors.Is(err, index.ErrDamaged) {
				t.Errorf("value %x said to be of the first chunk: %v", k, err)
			}
		}
		if r.IntN(40) > 0 {
			continue
		}
		if err := check(t, k, longer); !errors.Is(err, index.ErrDamaged) {
			t.Errorf("a change of row %x: %v", k, err)
		}
	}
}

// TestViewOfNoIndex: neither an empty index nor one of another version is there
// to check, and nothing is changed; one header of another version is damage.
func TestViewOfNoIndex(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	if x, err := index.ViewSmall(e, crashChunk, crashMerge, 24); x != nil || err != nil {
		t.Errorf("empty: %v, %v", x, err)
	}
	c := newCrashWorld(t)
	for name, headers := range map[string]int{"every header": 1 << 20, "one header": 1} {
		e := openStore(t, vfs.NewMem())
		var kv []string
		for _, k := range sorted(c.truth) {
			v := c.truth[k]
			if len(k) == 12 && k[1] != 0xff && k[9] == 0 && headers > 0 {
				v, headers = "\x01"+v[1:], headers-1
			}
			kv = append(kv, k, v)
		}
		load(t, e, kv...)
		x, err := index.ViewSmall(e, crashChunk, crashMerge, 24)
		if err != nil || (x != nil) != (name == "one header") {
			t.Errorf("%s of another version: %v, %v", name, x, err)
		}
		if len(rows(t, e)) != len(c.truth) {
			t.Errorf("%s: rows were deleted", name)
		}
	}
}

// TestRemove leaves nothing.
func TestRemove(t *testing.T) {
	e := openStore(t, vfs.NewMem())
	x, err := index.OpenSmall(e, 4, 1, 24)
	if err != nil {
		t.Fatal(err)
	}
	world := makeWorld(1, 100)
	add(t, x, world, 0, len(world))
	if err := index.Remove(e); err != nil {
		t.Fatal(err)
	}
	if left := rows(t, e); len(left) > 0 {
		t.Errorf("%d rows are left", len(left))
	}
}
