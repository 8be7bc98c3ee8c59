package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

var (
	witnessA = cosigntest.Witness{Name: "witness.test/a", Type: cosigntest.Ed25519}
	witnessB = cosigntest.Witness{Name: "witness.test/b", Type: cosigntest.MLDSA}
)

// archived returns the archived checkpoints by size.
func archived(t *testing.T, g *ledgertest.Log) map[uint64]string {
	t.Helper()
	out := map[uint64]string{}
	last := uint64(0)
	if err := g.L.Checkpoints(0, verify.MaxSize, func(a ledger.Archived) error {
		if a.Size <= last {
			t.Errorf("size %d after %d", a.Size, last)
		}
		last = a.Size
		out[a.Size] = string(a.Note)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// restarted stops the log cleanly and opens it again.
func restarted(t *testing.T, g *ledgertest.Log, o ledgertest.Options) *ledgertest.Log {
	t.Helper()
	g.Close()
	return restartedFrom(t, g, o)
}

func mustFsck(t *testing.T, g *ledgertest.Log) {
	t.Helper()
	if r, err := g.L.Fsck(t.Context(), nil); err != nil || !r.OK {
		t.Fatalf("fsck: %+v, %v", r, err)
	}
}

func TestArchiveIsKept(t *testing.T) {
	g := create(t, ledgertest.Options{})
	if _, err := g.L.ArchivedAt(1); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("nothing is archived yet: %v", err)
	}
	run, _ := g.Run("archive")
	first, err := g.L.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := g.L.Archive(t.Context())
	if err != nil || again.Size != first.Size || !bytes.Equal(again.Note, first.Note) {
		t.Fatalf("archived again: %+v, %v", again, err)
	}
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 3))
	second, err := g.L.Archive(t.Context())
	if err != nil || second.Size <= first.Size {
		t.Fatalf("%+v, %v", second, err)
	}
	want := map[uint64]string{first.Size: string(first.Note), second.Size: string(second.Note)}
	for range 2 {
		if got := archived(t, g); !maps.Equal(got, want) {
			t.Errorf("archive %v, want %v", got, want)
		}
		if note, err := g.L.ArchivedAt(first.Size); err != nil || string(note) != want[first.Size] {
			t.Errorf("%s, %v", note, err)
		}
		if _, err := g.L.ArchivedAt(first.Size + 1); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("a size that is not archived: %v", err)
		}
		if err := g.L.Checkpoints(first.Size, first.Size, func(ledger.Archived) error { return errAny }); err != nil {
			t.Errorf("an empty range: %v", err)
		}
		if err := g.L.Checkpoints(first.Size, second.Size, func(a ledger.Archived) error {
			if a.Size != first.Size {
				t.Errorf("size %d is in the range", a.Size)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		mustFsck(t, g)
		g = restarted(t, g, ledgertest.Options{})
	}
	if a, err := ledger.NewestArchived(g.Engine, 0, func([]byte) bool { return true }); err != nil || a.Size != second.Size || !bytes.Equal(a.Note, second.Note) {
		t.Errorf("the newest: %+v, %v", a, err)
	}
	if a, err := ledger.NewestArchived(g.Engine, 0, func(note []byte) bool { return bytes.Equal(note, first.Note) }); err != nil || a.Size != first.Size {
		t.Errorf("the newest that is taken: %+v, %v", a, err)
	}
	if _, err := ledger.NewestArchived(g.Engine, 0, func([]byte) bool { return false }); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("none is taken: %v", err)
	}
	g.Close()
	if _, err := g.L.Archive(t.Context()); err == nil {
		t.Error("a stopped log archives")
	}
}

var errAny = errors.New("any")

func TestCosign(t *testing.T) {
	policy := ledgertest.WitnessPolicy(2, witnessA, witnessB)
	g := create(t, ledgertest.Options{Policy: policy})
	defer func() { g.Close() }()
	run, _ := g.Run("cosign")
	if _, err := g.L.Witnessed(); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("nothing is witnessed yet: %v", err)
	}
	h := g.L.Head()
	for name, lines := range map[string]string{
		"bad":          strings.Replace(witnessA.Line(h.Checkpoint, 9), "A", "B", 1),
		"nothing":      "",
		"a page":       "<html>\n",
		"another's":    cosigntest.Witness{Name: "witness.test/c", Type: 4}.Line(h.Checkpoint, 9),
		"another size": witnessA.Line(sampleNote(t, h.Size+1), 9),
	} {
		if by, ok, err := g.L.Cosign(h, []byte(lines)); ok || len(by) != 0 || (err == nil) != (name == "another's") {
			t.Errorf("%s: %v, %v, %v", name, by, ok, err)
		}
	}
	if by, ok, err := g.L.Cosign(h, []byte(witnessA.Line(h.Checkpoint, 9))); err != nil || ok || len(by) != 1 || by[0].Witness != "w0" {
		t.Fatalf("%v, %v, %v", by, ok, err)
	}
	if a, err := g.L.Archive(t.Context()); err != nil || !strings.HasSuffix(string(a.Note), witnessA.Line(h.Checkpoint, 9)) {
		t.Fatalf("archived without its line: %s, %v", a.Note, err)
	}
	waited := make(chan ledger.Archived, 1)
	go func() {
		a, _ := g.L.WaitWitnessed(context.Background(), h.Size-1)
		waited <- a
	}()
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 3))
	if by, ok, err := g.L.Cosign(h, []byte(witnessB.Line(h.Checkpoint, 9))); err != nil || !ok || len(by) != 1 {
		t.Fatalf("%v, %v, %v", by, ok, err)
	}
	a := <-waited
	o, err := policy.Open(a.Note)
	if err != nil || o.Size != h.Size || len(o.Witnesses) != 2 {
		t.Fatalf("%+v, %v", o, err)
	}
	for range 1000 { // its late line joins what was archived
		note, err := g.L.ArchivedAt(h.Size)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(note, a.Note) {
			break
		}
		settle(t, g)
	}
	g = restarted(t, g, ledgertest.Options{Policy: policy})
	if w, err := g.L.Witnessed(); err != nil || !bytes.Equal(w.Note, a.Note) {
		t.Errorf("after a restart: %s, %v", w.Note, err)
	}
	if _, err := g.L.WaitWitnessed(t.Context(), h.Size-1); err != nil {
		t.Error(err)
	}
	if _, err := g.L.WaitWitnessed(t.Context(), g.L.Head().Size+1000); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	g = restarted(t, g, ledgertest.Options{Policy: ledgertest.WitnessPolicy(1, cosigntest.Witness{Name: "witness.test/c", Type: 4})})
	if w, err := g.L.Witnessed(); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("another policy is satisfied by %s, %v", w.Note, err)
	}
	g = restarted(t, g, ledgertest.Options{})
	if _, err := g.L.WaitWitnessed(t.Context(), 0); !errors.Is(err, ledger.ErrNoWitnesses) {
		t.Errorf("without witnesses: %v", err)
	}
}

// settle has the archive's goroutine pass through what it keeps once all is read
// again from disk, and returns the heads that this archives.
func settle(t *testing.T, g *ledgertest.Log) (sizes [2]uint64) {
	t.Helper()
	if _, err := g.L.Closes(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	for i := range sizes { // it passes between the two
		a, err := g.L.Archive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = a.Size
	}
	return sizes
}

func sampleNote(t *testing.T, size uint64) []byte {
	t.Helper()
	return []byte(verify.FormatCheckpoint(verify.Checkpoint{Origin: ledgertest.Origin, Size: size, Root: verify.Hash{1}}) + "\n— x AAAAAAA=\n")
}

// An archiveTwin knows plainly what the archive must hold at least, and at most.
type archiveTwin struct {
	commits map[uint64]bool // sizes that were heads
	asked   map[uint64]bool
	lines   map[uint64]map[string]bool // names of witnesses by size
	newest  uint64                     // witnessed
	quorums []uint64                   // sizes witnessed, in the order they were
}

func (w *archiveTwin) cosign(size uint64, name string) {
	if w.lines[size] == nil {
		w.lines[size] = map[string]bool{}
	}
	w.lines[size][name] = true
	if len(w.lines[size]) == 2 {
		w.newest = max(w.newest, size)
		w.quorums = append(w.quorums, size)
	}
}

// check compares after a clean stop and a new start.
func (w *archiveTwin) check(t *testing.T, g *ledgertest.Log, policy *verify.Policy) {
	t.Helper()
	for _, size := range settle(t, g) {
		w.asked[size] = true
	}
	rows := archived(t, g)
	for size := range w.asked {
		if rows[size] == "" {
			t.Errorf("size %d was asked for and is not archived", size)
		}
	}
	closes := g.Closes()
	for _, c := range closes {
		first := uint64(verify.MaxSize)
		for size := range w.commits {
			if size > c.Index {
				first = min(first, size)
			}
		}
		covered := false
		for size, note := range rows {
			_, err := policy.Open([]byte(note))
			covered = covered || err == nil && size > c.Index
			if size > c.Index && size < first {
				first = size
			}
		}
		if rows[first] == "" {
			t.Errorf("close %d: its first checkpoint, of size %d, is not archived", c.Index, first)
		}
		if !covered && w.newest > c.Index {
			t.Errorf("close %d: no witnessed checkpoint is archived", c.Index)
		}
	}
	if w.newest != 0 {
		if _, err := policy.Open([]byte(rows[w.newest])); err != nil {
			t.Errorf("the newest witnessed one, of size %d: %v", w.newest, err)
		}
	}
	if len(rows) > len(w.asked)+2*len(closes)+1 {
		t.Errorf("%d checkpoints for %d asked for and %d closes", len(rows), len(w.asked), len(closes))
	}
	mustFsck(t, g)
}

// TestArchiveTwin does at random what an archive sees, and compares it with the
// plainest account of it.
func TestArchiveTwin(t *testing.T) {
	policy := ledgertest.WitnessPolicy(2, witnessA, witnessB)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			g := create(t, ledgertest.Options{Policy: policy})
			defer func() { g.Close() }()
			w := &archiveTwin{commits: map[uint64]bool{}, asked: map[uint64]bool{}, lines: map[uint64]map[string]bool{}}
			run, _ := g.Run("twin")
			next, heads := uint64(1), []ledger.Head{g.L.Head()}
			for range 120 {
				switch random.IntN(9) {
				case 0, 1, 2:
					n := 1 + random.IntN(40)
					w.commits[appendBatch(t, g, ledgertest.Batch(run, 1, next, n)).Size] = true
					next += uint64(n)
				case 3:
					if _, err := g.L.CloseNow(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.commits[g.L.Head().Size] = true
				case 4:
					a, err := g.L.Archive(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					w.asked[a.Size] = true
				case 5:
					if random.IntN(4) > 0 {
						break
					}
					g = restarted(t, g, ledgertest.Options{Policy: policy})
					w.lines = map[uint64]map[string]bool{} // those without a quorum are lost
					heads = nil
					w.check(t, g, policy)
				default:
					heads = append(heads, g.L.Head())
					heads = heads[max(0, len(heads)-3):]
					h := heads[random.IntN(len(heads))]
					by := []cosigntest.Witness{witnessA, witnessB}[random.IntN(2)]
					if _, _, err := g.L.Cosign(h, []byte(by.Line(h.Checkpoint, uint64(10+random.IntN(5))))); err != nil {
						t.Fatal(err)
					}
					w.cosign(h.Size, by.Name)
				}
			}
			g = restarted(t, g, ledgertest.Options{Policy: policy})
			w.check(t, g, policy)
		})
	}
}

// TestFsckArchive damages archived checkpoints in every way.
func TestFsckArchive(t *testing.T) {
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("damage")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 3))
	a, err := g.L.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	appendBatch(t, g, ledgertest.Batch(run, 1, 4, 3))
	other, err := g.L.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	put := func(rows map[uint64][]byte) {
		t.Helper()
		head, err := g.Engine.Head()
		if err != nil {
			t.Fatal(err)
		}
		b := g.Engine.NewBatch()
		for size, row := range rows {
			if err := b.Set(store.Archive.Key(size), row); err != nil {
				t.Fatal(err)
			}
		}
		ticket, err := g.Engine.Commit(head, head, b)
		if err != nil || ticket.Wait() != nil {
			t.Fatal(err)
		}
	}
	good := append([]byte{1}, a.Note...)
	for name, row := range map[string][]byte{
		"no reason":      append([]byte{0}, a.Note...),
		"unknown reason": append([]byte{0x80}, a.Note...),
		"empty":          {},
		"no note":        {1},
		"a bit":          bytes.Replace(good, []byte("\n— "), []byte("\n\n— "), 1),
		"unsigned":       append([]byte{1}, sampleNote(t, a.Size)...),
		"another size":   append([]byte{1}, mustCheckpoint(t, g, a.Size-1)...),
		"another key":    bytes.Replace(good, []byte(ledgertest.Origin), []byte("log.test/other"), 1),
	} {
		put(map[uint64][]byte{a.Size: row})
		r, err := ledger.Fsck(t.Context(), g.Engine, nil)
		if err != nil || r.OK || !strings.Contains(r.Reason, "archived checkpoint") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	put(map[uint64][]byte{a.Size: append([]byte{8}, a.Note...), other.Size: append([]byte{9}, other.Note...)})
	if r, err := ledger.Fsck(t.Context(), g.Engine, nil); err != nil || r.OK {
		t.Errorf("two newest ones: %+v, %v", r, err)
	}
	put(map[uint64][]byte{a.Size: good, other.Size: append([]byte{1}, other.Note...)})
	if r, err := ledger.Fsck(t.Context(), g.Engine, nil); err != nil || !r.OK {
		t.Errorf("restored: %+v, %v", r, err)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustCheckpoint(t *testing.T, g *ledgertest.Log, size uint64) []byte {
	t.Helper()
	note, _, err := g.L.CheckpointAt(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	return note
}
