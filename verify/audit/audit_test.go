package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
	"github.com/daybook-ledger/daybook/verify/tilestest"
)

// sample is a log of three pieces and some: a run with a gap, heartbeats and an end,
// events without a run, a close on demand and one of a day.
func sample(t testing.TB) (fstest.MapFS, [][]byte) { return sampleThen(t, nil) }

// sampleThen is sample, and then what more does: say appends n accesses.
func sampleThen(t testing.TB, more func(g *ledgertest.Log, clock *ledgertest.Clock, say func(n int))) (fstest.MapFS, [][]byte) {
	t.Helper()
	clock := ledgertest.NewClock(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{Clock: clock.Ledger()})
	defer g.Close()
	run, _ := g.Run("first")
	say := func(first uint64, n int) {
		t.Helper()
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, first, n)); err != nil {
			t.Fatal(err)
		}
	}
	say(1, 300)
	gap, err := proto.Marshal(&daybookv1.Gap{First: 301, Last: 310, Reason: "its disk failed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledger.Batch{Run: run, Epoch: 1, First: 301,
		Items: []ledger.Item{{Kind: daybookv1.Kind_KIND_GAP, Body: gap}}}); err != nil {
		t.Fatal(err)
	}
	clock.Move(time.Hour)
	if _, err := g.L.CloseNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(311, 250)
	for i := range 3 {
		if _, err := g.L.AppendOneOff(t.Context(), ledgertest.Producer, ledger.Item{Body: ledgertest.Event(run, uint64(9000+i))}); err != nil {
			t.Fatal(err)
		}
	}
	clock.Move(12 * time.Hour)
	g.WaitCloses(2)
	say(561, 100)
	next := uint64(661)
	if more != nil {
		more(g, clock, func(n int) { say(next, n); next += uint64(n) })
	}
	dir, err := ledgertest.Tiles(g.L)
	if err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	head := open(t, dir)
	if err := g.L.Entries(t.Context(), 0, head.Size, func(_ uint64, entry []byte) error {
		entries = append(entries, bytes.Clone(entry))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return dir, entries
}

func open(t testing.TB, dir fstest.MapFS) verify.Checkpoint {
	t.Helper()
	c, err := verify.OpenUnverified(dir["checkpoint"].Data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func policy(t testing.TB) *verify.Policy {
	t.Helper()
	p, err := verify.KeyPolicy(ledgertest.VKey)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func check(t testing.TB, dir fstest.MapFS, o audit.Options) *audit.Report {
	t.Helper()
	r, err := audit.Check(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// build makes the directory of entries under the log's own key, as an operator could
// who wants another history.
func build(t testing.TB, entries [][]byte) fstest.MapFS {
	t.Helper()
	dir, err := tilestest.Directory(entries, ledgertest.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func clone(dir fstest.MapFS) fstest.MapFS {
	out := fstest.MapFS{}
	for name, f := range dir {
		out[name] = &fstest.MapFile{Data: bytes.Clone(f.Data)}
	}
	return out
}

func TestAWholeLogPasses(t *testing.T) {
	dir, entries := sample(t)
	var told []uint64
	r := check(t, dir, audit.Options{Policy: policy(t), Progress: func(done, total uint64) {
		if told = append(told, done); total != uint64(len(entries)) {
			t.Errorf("%d entries in all, not %d", total, len(entries))
		}
	}})
	if r.Fault != nil {
		t.Fatal(r.Fault)
	}
	c := r.Counts
	if c.Entries != uint64(len(entries)) || c.Accesses != 653 || c.OneOffs != 3 || c.Gaps != 1 || c.Lost != 10 || c.Closes != 2 || c.Runs != 2 || len(told) == 0 {
		t.Errorf("counts %+v, progress %v", c, told)
	}
	same := build(t, entries)
	for name := range dir {
		if same[name] == nil || name != "checkpoint" && !bytes.Equal(same[name].Data, dir[name].Data) {
			t.Errorf("%s differs from what the entries give", name)
		}
	}
	for _, o := range []audit.Options{{}, {Policy: policy(t), Workers: 1}, {Policy: policy(t), Workers: 7}} {
		if r := check(t, same, o); r.Fault != nil {
			t.Errorf("%+v: %v", o, r.Fault)
		}
	}
}

// TestEveryFileIsHeld flips bits all over every file, and removes, cuts and swaps
// files.
func TestEveryFileIsHeld(t *testing.T) {
	dir, entries := sample(t)
	random := rand.New(rand.NewPCG(5, 6))
	p := policy(t)
	for name, f := range dir {
		for range 25 {
			at, bit := random.IntN(len(f.Data)), byte(1)<<random.IntN(8)
			bad := clone(dir)
			bad[name].Data[at] ^= bit
			fault := check(t, bad, audit.Options{Policy: p}).Fault
			if fault == nil {
				t.Fatalf("%s: bit %#x of byte %d flipped, and nothing is wrong", name, bit, at)
			}
			if want, known := badIndex(name, at, entries); known && (!fault.Known || fault.Index != want) {
				t.Errorf("%s: byte %d is of entry %d, the fault is %v", name, at, want, fault)
			}
			if !strings.Contains(fault.Error(), name) {
				t.Errorf("%s: byte %d: the fault does not name the file: %v", name, at, fault)
			}
		}
		for what, change := range map[string]func(fstest.MapFS){
			"missing":  func(d fstest.MapFS) { delete(d, name) },
			"cut":      func(d fstest.MapFS) { d[name].Data = d[name].Data[:len(f.Data)-1] },
			"empty":    func(d fstest.MapFS) { d[name].Data = nil },
			"longer":   func(d fstest.MapFS) { d[name].Data = append(d[name].Data, 0) },
			"doubled":  func(d fstest.MapFS) { d[name].Data = append(d[name].Data, f.Data...) },
			"a folder": func(d fstest.MapFS) { d[name+"/x"] = d[name]; delete(d, name) },
		} {
			bad := clone(dir)
			change(bad)
			if fault := check(t, bad, audit.Options{Policy: p}).Fault; fault == nil || !strings.Contains(strings.ToLower(fault.Error()), name) {
				t.Errorf("%s is %s: %v", name, what, fault)
			}
		}
	}
}

// badIndex is the entry that a byte of a file belongs to, where it is one's.
func badIndex(name string, at int, entries [][]byte) (index uint64, known bool) {
	tile, err := verify.ParseTilePath(name)
	if err != nil || tile.Level > 0 {
		return 0, false
	}
	if !tile.Entries {
		return tile.N*256 + uint64(at/32), true
	}
	for i := tile.N * 256; ; i++ {
		if at -= 2 + len(entries[i]); at < 0 {
			return i, at+len(entries[i]) >= 0 // in a length, what follows moves
		}
	}
}

func TestExtraFiles(t *testing.T) {
	dir, _ := sample(t)
	for _, name := range []string{
		"tile/0/999", "tile/entries/999.p/7", "tile/0/000.p/256", "tile/3/000.p/1", "notes.txt", "tile/readme", "tile/0/.hidden", "checkpoint.old", "tile/0/000~",
	} {
		bad := clone(dir)
		bad[name] = &fstest.MapFile{Data: []byte("x")}
		if fault := check(t, bad, audit.Options{}).Fault; fault == nil || !strings.Contains(fault.Error(), name) {
			t.Errorf("%s beside the log: %v", name, fault)
		}
	}
	more := clone(dir)
	more[".mirror/lock"] = &fstest.MapFile{}
	more["tile/0/000.p/7"] = &fstest.MapFile{Data: dir["tile/0/000"].Data[:7*32]}
	more["tile/entries/000.p/1"] = &fstest.MapFile{Data: dir["tile/entries/000"].Data[:2+int(dir["tile/entries/000"].Data[0])<<8+int(dir["tile/entries/000"].Data[1])]}
	if r := check(t, more, audit.Options{}); r.Fault != nil || !slices.Equal(r.Unread, []string{".mirror"}) {
		t.Errorf("with tiles of earlier sizes: %v, unread %v", r.Fault, r.Unread)
	}
	for _, name := range []string{"tile/0/000.p/7", "tile/entries/000.p/1"} {
		bad := clone(more)
		bad[name].Data[5] ^= 1
		if fault := check(t, bad, audit.Options{}).Fault; fault == nil || !strings.Contains(fault.Error(), name) {
			t.Errorf("%s altered: %v", name, fault)
		}
	}
}

func TestOlderCheckpoints(t *testing.T) {
	dir, entries := sample(t)
	p := policy(t)
	short := build(t, entries[:400])
	for _, size := range []int{1, 255, 256, 257, 400, len(entries)} {
		old := build(t, entries[:size])["checkpoint"].Data
		if r := check(t, dir, audit.Options{Policy: p, Older: [][]byte{old}}); r.Fault != nil || len(r.Older) != 1 {
			t.Errorf("at %d: %v", size, r.Fault)
		}
	}
	if fault := check(t, short, audit.Options{Policy: p, Older: [][]byte{dir["checkpoint"].Data}}).Fault; fault == nil ||
		!strings.Contains(fault.Error(), "ROLLED BACK") || fault.Index != 400 {
		t.Errorf("rolled back: %v", fault)
	}
	other := slices.Clone(entries[:400])
	other[7] = bytes.Clone(other[7])
	other[7][100] ^= 1
	if fault := check(t, dir, audit.Options{Policy: p, Older: [][]byte{build(t, other)["checkpoint"].Data}}).Fault; fault == nil || !strings.Contains(fault.Error(), "FORK") {
		t.Errorf("another history: %v", fault)
	}
	if fault := check(t, dir, audit.Options{Policy: p, Older: [][]byte{[]byte("x")}}).Fault; fault == nil {
		t.Error("an older checkpoint that is none is believed")
	}
}

func TestUnderAnotherKeyItFails(t *testing.T) {
	dir, _ := sample(t)
	other, err := verify.KeyPolicy("example.com/x+" + strings.TrimPrefix(ledgertest.VKey, ledgertest.Signer().Name()+"+"))
	if err == nil {
		if fault := check(t, dir, audit.Options{Policy: other}).Fault; fault == nil || !errors.Is(fault, verify.ErrUnsigned) {
			t.Errorf("under another key: %v", fault)
		}
	}
}

// TestAnotherHistoryUnderTheSameKey has the operator make a log that hashes and
// signs well and is not what the ledger could have written.
func TestAnotherHistoryUnderTheSameKey(t *testing.T) {
	_, entries := sample(t)
	at := func(fits func(*verify.Entry) bool) int {
		return slices.IndexFunc(entries, func(raw []byte) bool {
			e, err := verify.ParseEntry(raw)
			return err == nil && fits(&e)
		})
	}
	kind := func(k daybookv1.Kind) func(*verify.Entry) bool {
		return func(e *verify.Entry) bool { return e.Place.Kind == k }
	}
	access := at(func(e *verify.Entry) bool { return e.Place.Kind == daybookv1.Kind_KIND_ACCESS && e.Place.Number == 9 })
	placed := func(i int, change func(*verify.EntryHead, *verify.BatchHead)) func([][]byte) ([][]byte, int) {
		return func(list [][]byte) ([][]byte, int) {
			e, err := verify.ParseEntry(list[i])
			if err != nil {
				t.Fatal(err)
			}
			change(&e.Place, &e.Head)
			list[i] = verify.AppendEntry(nil, e.Head.AppendTo(nil), e.Place.AppendTo(nil), e.Body)
			return list, i
		}
	}
	closeOf := func(change func(*daybookv1.Close)) func([][]byte) ([][]byte, int) {
		return func(list [][]byte) ([][]byte, int) {
			i := at(kind(daybookv1.Kind_KIND_CLOSE))
			e, err := verify.ParseEntry(list[i])
			if err != nil {
				t.Fatal(err)
			}
			m := new(daybookv1.Close)
			if err := proto.Unmarshal(e.Body, m); err != nil {
				t.Fatal(err)
			}
			change(m)
			body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			list[i] = verify.AppendEntry(nil, e.HeadBytes, e.PlaceBytes, body)
			return list, i
		}
	}
	for name, change := range map[string]func([][]byte) ([][]byte, int){
		"an entry is dropped":     func(l [][]byte) ([][]byte, int) { return slices.Delete(l, access, access+1), access },
		"an entry is doubled":     func(l [][]byte) ([][]byte, int) { return slices.Insert(l, access, l[access]), access + 1 },
		"two entries are swapped": func(l [][]byte) ([][]byte, int) { l[access], l[access+1] = l[access+1], l[access]; return l, access },
		"an entry is renumbered":  placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) { p.Number++ }),
		"another position":        placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) { p.Position++ }),
		"another stream": placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) {
			p.Target, p.Position, p.PreviousInStream = "elsewhere", 0, 0
		}),
		"another verdict":           placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) { p.Verdict = daybookv1.Verdict_VERDICT_AUTHORIZED }),
		"marked late":               placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) { p.Late, p.Position, p.PreviousInStream = true, 0, 0 }),
		"an earlier log time":       placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.LogTimeNS -= int64(time.Hour) }),
		"another epoch":             placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.Epoch++ }),
		"another map":               placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.MapIndex = 3 }),
		"another producer":          placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.Producer = "spiffe://example.com/other" }),
		"another run":               placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.Run[0] ^= 1 }),
		"another chain in the run":  placed(access, func(p *verify.EntryHead, _ *verify.BatchHead) { p.PreviousInRun-- }),
		"the log's own key":         placed(at(kind(daybookv1.Kind_KIND_CLOSE)), func(_ *verify.EntryHead, h *verify.BatchHead) { h.KeyFingerprint[0] ^= 1 }),
		"a later rules version":     placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.RulesVersion = 99 }),
		"a later format":            placed(access, func(_ *verify.EntryHead, h *verify.BatchHead) { h.FormatVersion = 99 }),
		"the close has a wrong sum": closeOf(func(c *daybookv1.Close) { c.Streams.Root[0] ^= 1 }),
		"the close hides a run":     closeOf(func(c *daybookv1.Close) { c.Runs.Rows-- }),
		"the close has a wrong cut": closeOf(func(c *daybookv1.Close) { c.Cut--; c.Streams.Sum--; c.Kinds[0].Count-- }),
		"the close has a wrong end": closeOf(func(c *daybookv1.Close) { c.PeriodEndNs += int64(time.Hour) }),
		"the close has other kinds": closeOf(func(c *daybookv1.Close) { c.Kinds[0].Count--; c.Kinds[1].Count++ }),
		"the close names another":   closeOf(func(c *daybookv1.Close) { c.PreviousClose, c.PreviousCut = 1, 0 }),
	} {
		t.Run(name, func(t *testing.T) {
			list := slices.Clone(entries)
			list, want := change(list)
			r := check(t, build(t, list), audit.Options{Policy: policy(t)})
			if r.Fault == nil || !r.Fault.Known || r.Fault.Index != uint64(want) {
				t.Errorf("the fault is %v, of entry %d", r.Fault, want)
			}
			if newer := strings.Contains(name, "later"); newer != errors.Is(r.Fault, verify.ErrNewer) {
				t.Errorf("of a later format: %v", r.Fault)
			}
		})
	}
}

// TestClosesAreFoundWhereverTheyAre has the newest close far from the end, on a day
// without another and behind one on demand, and links that are broken.
func TestClosesAreFoundWhereverTheyAre(t *testing.T) {
	far, _ := sampleThen(t, func(_ *ledgertest.Log, _ *ledgertest.Clock, say func(int)) { say(900) })
	demand, entries := sampleThen(t, func(g *ledgertest.Log, clock *ledgertest.Clock, say func(int)) {
		say(900)
		clock.Move(time.Hour)
		if _, err := g.L.CloseNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		say(900)
	})
	for name, dir := range map[string]fstest.MapFS{"far": far, "on demand": demand} {
		for _, bundles := range []uint64{1, 2, 100} {
			o := audit.Options{}
			audit.SearchAtOnce(&o, bundles)
			r := check(t, dir, o)
			if want := map[string]uint64{"far": 2, "on demand": 3}[name]; r.Fault != nil || r.Counts.Closes != want {
				t.Errorf("%s, searched in %d bundles: %d closes, %v", name, bundles, r.Counts.Closes, r.Fault)
			}
		}
	}
	// Where an entry on the way cannot be read, that is what is said.
	list := slices.Clone(entries)
	list[5*256] = []byte("no entry")
	o := audit.Options{}
	audit.SearchAtOnce(&o, 1)
	if fault := check(t, build(t, list), o).Fault; fault == nil || !fault.Known || fault.Index != 5*256 {
		t.Errorf("the fault is %v", fault)
	}
}

// A growing directory shows an older checkpoint the first time.
type growing struct {
	fstest.MapFS
	older fstest.MapFS
	seen  bool
}

func (g *growing) Open(name string) (fs.File, error) {
	if name == "checkpoint" && !g.seen {
		g.seen = true
		return g.older.Open(name)
	}
	return g.MapFS.Open(name)
}

// TestAMirrorAtWork has the checkpoint replaced while the log is checked.
func TestAMirrorAtWork(t *testing.T) {
	dir, entries := sample(t)
	r, err := audit.Check(t.Context(), &growing{MapFS: dir, older: build(t, entries[:300])}, audit.Options{Policy: policy(t)})
	if err != nil || r.Fault != nil || r.Counts.Entries != uint64(len(entries)) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestStopsWhenToldTo(t *testing.T) {
	dir, _ := sample(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if r, err := audit.Check(ctx, dir, audit.Options{}); !errors.Is(err, stop) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
}

func TestDamagedDirectoriesNeverPanic(t *testing.T) {
	dir, _ := sample(t)
	random := rand.New(rand.NewPCG(7, 8))
	names := make([]string, 0, len(dir))
	for name := range dir {
		names = append(names, name)
	}
	slices.Sort(names)
	for range 300 {
		bad := clone(dir)
		for range 1 + random.IntN(4) {
			f := bad[names[random.IntN(len(names))]]
			switch random.IntN(4) {
			case 0:
				f.Data = f.Data[:random.IntN(len(f.Data)+1)]
			case 1:
				f.Data = append(f.Data, f.Data[:random.IntN(len(f.Data)+1)]...)
			default:
				if len(f.Data) > 0 {
					f.Data[random.IntN(len(f.Data))] = byte(random.Uint32())
				}
			}
		}
		// Without a policy, where only what the files say of themselves is left.
		if r := check(t, bad, audit.Options{}); r.Fault != nil && r.Fault.Error() == "" {
			t.Error("a fault without words")
		}
	}
}
