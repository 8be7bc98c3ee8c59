package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// ops asks for rotations, cco approves them.
var ops = ledger.Person{ID: "spiffe://people.example/ops", Authentication: "mtls"}

// A keyBag holds the further keys of a test log.
type keyBag map[string]note.Signer

// newKey makes a key from a letter.
func (b keyBag) newKey(letter string) string {
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte(letter), 64)), ledgertest.Origin)
	if err != nil {
		panic(err)
	}
	if b[vkey], err = note.NewSigner(skey); err != nil {
		panic(err)
	}
	return vkey
}

func (b keyBag) find(vkey string) (note.Signer, error) {
	if s := b[vkey]; s != nil {
		return s, nil
	}
	return nil, ledger.ErrNoKey
}

// approveKey approves a key or successor by its vkey and returns the approval's
// index plus 1.
func approveKey(l *ledger.Ledger, who ledger.Person, subject daybookv1.ApprovalSubject, vkey, name string) (uint64, error) {
	sum, err := verify.VKeyFingerprint(vkey)
	if err != nil {
		return 0, err
	}
	a, _, err := l.Approve(context.Background(), who, &daybookv1.Approval{Subject: subject, Sha256: sum[:], Name: name})
	return a.Index + 1, err
}

const (
	forRotation   = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION
	forSuccession = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION
)

// rotate has cco approve a key and ops rotate to it.
func rotate(l *ledger.Ledger, vkey string, compromised bool) (uint64, error) {
	approval, err := approveKey(l, cco, forRotation, vkey, verify.KeyName(vkey))
	if err != nil {
		return 0, err
	}
	return l.RotateKey(context.Background(), ops, ledger.Rotation{VKey: vkey, Reason: "yearly", Compromised: compromised, Approvals: []uint64{approval}})
}

// opensUnder returns the keys that a checkpoint opens under.
func opensUnder(t *testing.T, checkpoint []byte, vkeys ...string) (under []bool) {
	t.Helper()
	for _, vkey := range vkeys {
		p, err := verify.KeyPolicy(vkey)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.OpenCheckpoint(checkpoint)
		under = append(under, err == nil)
	}
	return under
}

// TestRotateTwice turns a log's key twice; receipts of each time verify with the
// policy of that time, and who knows the first key alone follows to the last.
func TestRotateTwice(t *testing.T) {
	bag := keyBag{}
	b, c := bag.newKey("b"), bag.newKey("c")
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{Keys: bag.find})
	run, _ := g.Run("run")
	first := ledgertest.Batch(run, 1, 1, 3)
	receipt, err := g.L.Append(t.Context(), ledgertest.Producer, first)
	if err != nil {
		t.Fatal(err)
	}
	see := func(what string, want ...bool) {
		t.Helper()
		if got := opensUnder(t, g.L.Head().Checkpoint, ledgertest.VKey, b, c); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: opens under %v, want %v", what, got, want)
		}
	}
	reopen := func() {
		t.Helper()
		g.Close()
		if g, err = ledgertest.Open(t, fs, "log", ledgertest.Options{Keys: bag.find, Anchor: g.Anchor}); err != nil {
			t.Fatal(err)
		}
		if ready, why := g.L.Ready(); !ready {
			t.Fatal(why)
		}
	}
	see("at first", true, false, false)
	if _, err := rotate(g.L, b, false); err != nil {
		t.Fatal(err)
	}
	see("in the overlap", true, true, false)
	reopen()
	see("in the overlap, opened again", true, true, false)
	middle, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 4, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotate(g.L, c, false); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("a rotation in an overlap: %v", err)
	}
	if _, vkey, err := g.L.RetireKey(t.Context(), ops, "done", false); err != nil || vkey != ledgertest.VKey {
		t.Fatalf("%s, %v", vkey, err)
	}
	see("after the overlap", false, true, false)
	if _, _, err := g.L.RetireKey(t.Context(), ops, "again", false); err == nil {
		t.Error("a key was retired twice")
	}
	reopen()
	see("after the overlap, opened again", false, true, false)
	if _, err := rotate(g.L, c, false); err != nil {
		t.Fatal(err)
	}
	see("in the second overlap", false, true, true)
	ledgertest.CheckReceipt(first, receipt)
	if got := opensUnder(t, middle.Checkpoint, ledgertest.VKey, b); !got[0] || !got[1] {
		t.Errorf("a receipt of the overlap opens under %v", got)
	}
	if got := g.L.Keys(); got.Current().VKey != c || g.L.VKey() != c {
		t.Errorf("present key %s", got.Current().VKey)
	}
	followKeys(t, g.L, ledgertest.VKey, c)
	followKeys(t, g.L, b, c)
	if r, err := g.L.Fsck(t.Context(), nil); err != nil || !r.OK {
		t.Errorf("fsck: %+v, %v", r, err)
	}
	// A producer that kept a checkpoint of the first key is no fork.
	if _, err := g.L.OpenRun(t.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: bytes.Repeat([]byte{7}, 32), Provenance: 1}, receipt.Checkpoint); err != nil {
		t.Errorf("an old checkpoint presented: %v", err)
	}
	g.Close()
	// Without the present key the log does not open; without the one before it does.
	if _, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Anchor: g.Anchor}); !errors.Is(err, ledger.ErrForeignStore) || !strings.Contains(err.Error(), c) {
		t.Errorf("opened without its key: %v", err)
	}
	delete(bag, b)
	reopenWithout, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Keys: bag.find, Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	g = reopenWithout
	see("the key before is lost", false, false, true)
	if _, _, err := g.L.RetireKey(t.Context(), ops, "lost", false); err != nil {
		t.Error(err)
	}
	g.Close()
}

// followKeys follows the log's proofs from one key to another.
func followKeys(t *testing.T, l *ledger.Ledger, from, to string) {
	t.Helper()
	chain, err := verify.NewKeyChain(from)
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := l.KeyProofs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := false
	for i := range proofs {
		if known {
			if chain, err = chain.Follow(proofs[i].Rotation.Receipt, proofs[i].Rotation.Entry); err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
			if r := proofs[i-1].Retirement; r != nil {
				if chain, err = chain.Follow(r.Receipt, r.Entry); err != nil {
					t.Fatalf("retirement of key %d: %v", i-1, err)
				}
			}
		}
		known = known || proofs[i].VKey == from
	}
	if chain.Current().VKey != to {
		t.Errorf("followed to %s, want %s", chain.Current().VKey, to)
	}
}

// TestRotationNeedsTwoPeople refuses every way round the second person, and every
// key that may not be the next one.
func TestRotationNeedsTwoPeople(t *testing.T) {
	bag := keyBag{}
	b, c := bag.newKey("b"), bag.newKey("c")
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{Keys: bag.find})
	defer g.Close()
	must := func(index uint64, err error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return index
	}
	name := verify.KeyName(b)
	own := must(approveKey(g.L, ops, forRotation, b, name))
	other := must(approveKey(g.L, cco, forRotation, c, name))
	wrong := must(approveKey(g.L, cco, forSuccession, b, name))
	revoked := must(approveKey(g.L, cco, forRotation, b, name))
	if _, err := g.L.Revoke(t.Context(), cco, fmt.Sprint(revoked-1), "no", ""); err != nil {
		t.Fatal(err)
	}
	good := must(approveKey(g.L, cco, forRotation, b, name))
	size := g.L.Head().Size
	for name, approvals := range map[string][]uint64{
		"none": nil, "his own": {own}, "of another key": {other}, "of another act": {wrong}, "revoked": {revoked}, "no entry": {size + 9}, "no approval": {1}, "zero": {0},
	} {
		if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: b, Approvals: approvals}); err == nil {
			t.Errorf("rotated by an approval that is %s", name)
		}
	}
	if _, err := g.L.RotateKey(t.Context(), cco, ledger.Rotation{VKey: b, Approvals: []uint64{good}}); err == nil {
		t.Error("who approved it rotated")
	}
	var unapproved *domains.UnapprovedError
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: b, Approvals: []uint64{own}}); !errors.As(err, &unapproved) {
		t.Errorf("%v", err)
	}
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: ledgertest.VKey, Approvals: []uint64{good}}); err == nil {
		t.Error("rotated to the same key")
	}
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: "log.test/x+00000000+AA==", Approvals: []uint64{good}}); !errors.Is(err, ledger.ErrNoKey) {
		t.Errorf("rotated to a key that is not here: %v", err)
	}
	if got := g.L.Head().Size; got != size {
		t.Errorf("refusals appended %d entries", got-size)
	}
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: b, Approvals: []uint64{good}}); err != nil {
		t.Error(err)
	}
	if _, _, err := g.L.RetireKey(t.Context(), ops, "", false); err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: b, Approvals: []uint64{good}}); err == nil {
		t.Error("an approval was used twice")
	}
	if _, err := rotate(g.L, ledgertest.VKey, false); err == nil {
		t.Error("rotated back to a key that was retired")
	}
}

// TestCompromisedKeyShutsNothing: after an emergency rotation the thief of the old
// key can neither have a checkpoint believed nor shut the log with one.
func TestCompromisedKeyShutsNothing(t *testing.T) {
	bag := keyBag{}
	b := bag.newKey("b")
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{Keys: bag.find})
	run, _ := g.Run("run")
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 1, 3)); err != nil {
		t.Fatal(err)
	}
	kept := g.L.Head().Checkpoint
	at, err := rotate(g.L, b, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := opensUnder(t, g.L.Head().Checkpoint, ledgertest.VKey, b); got[0] || !got[1] {
		t.Errorf("the checkpoint that covers the rotation opens under %v", got)
	}
	forged := func(size uint64) []byte {
		signed, err := note.Sign(&note.Note{Text: verify.FormatCheckpoint(verify.Checkpoint{Origin: ledgertest.Origin, Size: size, Root: verify.Hash{1}})}, ledgertest.Signer())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for i, presented := range [][]byte{forged(at + 1), forged(at + 1000), forged(2), kept} {
		_, err := g.L.OpenRun(t.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: bytes.Repeat([]byte{byte(i + 1)}, 32), Provenance: 1}, presented)
		if (err == nil) != (i == 3) {
			t.Errorf("presented %d: %v", i, err)
		}
	}
	if ready, why := g.L.Ready(); !ready {
		t.Errorf("the thief shut the log: %s", why)
	}
	g.Close()
	g, err = ledgertest.Open(t, fs, "log", ledgertest.Options{Keys: bag.find, Anchor: &ledgertest.MemAnchor{Note: kept}})
	if err != nil {
		t.Fatal(err)
	}
	if ready, why := g.L.Ready(); !ready {
		t.Errorf("opened with an anchor of before: %s", why)
	}
	g.Close()
}

// TestSuccession ends a log: nothing comes after, and reads and receipts go on.
func TestSuccession(t *testing.T) {
	bag := keyBag{}
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{Keys: bag.find})
	run, _ := g.Run("run")
	batch := ledgertest.Batch(run, 1, 1, 3)
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, batch); err != nil {
		t.Fatal(err)
	}
	_, successor, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte("n"), 64)), "log.test/00000002")
	if err != nil {
		t.Fatal(err)
	}
	end := &daybookv1.Succession{Origin: "log.test/00000002", Vkey: successor, Reason: "moved"}
	if _, err := g.L.Succeed(t.Context(), ops, end); err == nil {
		t.Error("ended by one person")
	}
	approval, err := approveKey(g.L, cco, forSuccession, successor, end.Origin)
	if err != nil {
		t.Fatal(err)
	}
	end.Approvals = []uint64{approval}
	itself := &daybookv1.Succession{Origin: ledgertest.Origin, Vkey: bag.newKey("b"), Approvals: end.Approvals}
	if _, err := g.L.Succeed(t.Context(), ops, itself); err == nil {
		t.Error("a log succeeded itself")
	}
	last, err := g.L.Succeed(t.Context(), ops, end)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if h := g.L.Head(); h.Size != last+1 || h.Checkpoint == nil {
			t.Errorf("size %d after the last entry %d", h.Size, last)
		}
		var ended *ledger.SucceededError
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 4, 1)); !errors.As(err, &ended) || ended.Origin != end.Origin || ended.VKey != successor {
			t.Errorf("an append after the end: %v", err)
		}
		if again, err := g.L.Succeed(t.Context(), ops, end); err != nil || again != last {
			t.Errorf("told again where it ended: %d, %v", again, err)
		}
		if _, err := g.L.Succeed(t.Context(), ops, itself); err == nil {
			t.Error("ended twice")
		}
		if ready, why := g.L.Ready(); ready || !strings.Contains(why, end.Origin) {
			t.Errorf("ready: %v, %s", ready, why)
		}
		repeat, err := g.L.Append(t.Context(), ledgertest.Producer, batch)
		if !errors.As(err, &ended) && err != nil {
			t.Error(err)
		}
		if err == nil {
			g.CheckReceipt(batch, repeat)
		}
		if _, _, err := g.L.CheckpointAt(t.Context(), 3); err != nil {
			t.Errorf("a past checkpoint: %v", err)
		}
		if a, err := g.L.Archive(t.Context()); err != nil || a.Size != last+1 {
			t.Errorf("the last checkpoint, archived: %+v, %v", a, err)
		}
	}
	check()
	for range 2 {
		g.Close()
		if g, err = ledgertest.Open(t, fs, "log", ledgertest.Options{Keys: bag.find, Anchor: g.Anchor}); err != nil {
			t.Fatal(err)
		}
		check()
	}
	if r, err := g.L.Fsck(t.Context(), nil); err != nil || !r.OK {
		t.Errorf("fsck: %+v, %v", r, err)
	}
	g.Close()
}

// A turnLife is a script of two rotations, the second of a key in other hands, and
// a succession.
type turnLife struct {
	bag       keyBag
	b, c, end string
}

func newTurnLife() *turnLife {
	f := &turnLife{bag: keyBag{}}
	f.b, f.c = f.bag.newKey("b"), f.bag.newKey("c")
	var err error
	if _, f.end, err = note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte("n"), 64)), "log.test/00000002"); err != nil {
		panic(err)
	}
	return f
}

// steps are what people do; each may be done again until it is.
func (f *turnLife) steps() []func(l *ledger.Ledger) error {
	has := func(l *ledger.Ledger, vkey string) bool {
		for _, k := range l.Keys().Keys() {
			if k.VKey == vkey {
				return true
			}
		}
		return false
	}
	return []func(l *ledger.Ledger) error{
		func(l *ledger.Ledger) error {
			if has(l, f.b) {
				return nil
			}
			_, err := rotate(l, f.b, false)
			return err
		},
		func(l *ledger.Ledger) error {
			if _, overlap := l.Keys().Overlap(); !overlap {
				return nil
			}
			_, _, err := l.RetireKey(context.Background(), ops, "done", false)
			return err
		},
		func(l *ledger.Ledger) error {
			if has(l, f.c) {
				return nil
			}
			_, err := rotate(l, f.c, true)
			return err
		},
		func(l *ledger.Ledger) error {
			var ended *ledger.SucceededError
			approval, err := approveKey(l, cco, forSuccession, f.end, "log.test/00000002")
			if err == nil {
				_, err = l.Succeed(context.Background(), ops, &daybookv1.Succession{Origin: "log.test/00000002", Vkey: f.end, Approvals: []uint64{approval}})
			}
			if errors.As(err, &ended) {
				return nil
			}
			return err
		},
	}
}

func (f *turnLife) run(d *crashtest.Disk) {
	if !makeLog(d) {
		return
	}
	for i, step := range f.steps() {
		l, closeLog, err := openLogWith(d.FS, d.Fatal, f.bag.find)
		if err != nil {
			return
		}
		ok := step(l) == nil
		if ok {
			d.Ack(i + 1)
		}
		if err := closeLog(); err != nil || !ok {
			return
		}
	}
}

// check opens what is left: by the one key or the other, never not.
func (f *turnLife) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	steps := f.steps()
	for open := range 2 {
		l, closeLog, err := openLogWith(fs, nil, f.bag.find)
		if err != nil {
			if acked == 0 && open == 0 {
				return // no log was promised yet
			}
			t.Fatalf("opening what is left after %d steps: %v", acked, err)
		}
		if at := f.standing(l); at < acked || at > acked+1 && open == 0 {
			t.Fatalf("after %d steps the keys stand at %d", acked, at)
		}
		if _, err := l.Keys().OpenCheckpoint(l.Head().Checkpoint); err != nil {
			t.Fatalf("after %d steps the checkpoint does not open: %v", acked, err)
		}
		checkBridge(t, l)
		for i, step := range steps[min(acked, len(steps)):] {
			if err := step(l); err != nil {
				t.Fatalf("after %d steps, %d more: %v", acked, i, err)
			}
			checkBridge(t, l)
		}
		acked = len(steps)
		if r, err := l.Fsck(context.Background(), nil); err != nil || !r.OK {
			t.Fatalf("fsck: %+v, %v", r, err)
		}
		if err := closeLog(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkBridge checks that what leads from the first key to the second is archived
// once the first has signed for the last time, and stands in the retirement.
func checkBridge(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	keys := l.Keys()
	if _, overlap := keys.Overlap(); overlap || len(keys.Keys()) < 2 {
		return
	}
	if n := countBridges(t, l, 1); n == 0 || len(keys.Bridges()) != 1 {
		t.Fatalf("the first key was retired, with %d bridges in the archive and %d in the log", n, len(keys.Bridges()))
	}
}

// countBridges counts the archived checkpoints by which key i-1 says that key i
// follows it.
func countBridges(t testing.TB, l *ledger.Ledger, i int) (n int) {
	t.Helper()
	if err := l.Checkpoints(0, verify.MaxSize, func(a ledger.Archived) error {
		if l.Keys().Vouched(i, a.Note) > 0 {
			n++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// standing is how many steps were done.
func (f *turnLife) standing(l *ledger.Ledger) int {
	_, overlap := l.Keys().Overlap()
	_, why := l.Ready()
	switch keys := len(l.Keys().Keys()); {
	case strings.Contains(why, "log.test/00000002"):
		return 4
	case keys == 3:
		return 3
	case keys == 2 && !overlap:
		return 2
	default:
		return keys - 1
	}
}

func TestCrashAroundKeys(t *testing.T) {
	f := newTurnLife()
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}

func TestFaultsAroundKeys(t *testing.T) {
	f := newTurnLife()
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: closeFaultStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}

// TestCosignedThroughRotation: witnesses' lines count under the new key from the
// first head that it signs, without the log being opened again.
func TestCosignedThroughRotation(t *testing.T) {
	bag := keyBag{}
	b := bag.newKey("b")
	w := witnessA
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{Keys: bag.find, Policy: ledgertest.WitnessPolicy(1, w)})
	defer g.Close()
	cosign := func(what string) {
		t.Helper()
		h := g.L.Head()
		if by, enough, err := g.L.Cosign(h, []byte(w.Line(h.Checkpoint, 1_800_000_000))); err != nil || !enough || len(by) != 1 {
			t.Errorf("%s: by %v, enough %v, %v", what, by, enough, err)
		}
	}
	cosign("at first")
	if _, err := rotate(g.L, b, false); err != nil {
		t.Fatal(err)
	}
	cosign("in the overlap")
	if _, _, err := g.L.RetireKey(t.Context(), ops, "", false); err != nil {
		t.Fatal(err)
	}
	cosign("after it")
}

func TestCreateChecksPredecessor(t *testing.T) {
	engine, err := ledgertest.OpenStore(vfs.NewMem(), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	lost := &daybookv1.Predecessor{Origin: "old.test/00000001", Vkey: ledgertest.VKey, Checkpoints: [][]byte{[]byte("no note")}}
	if err := ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: ledgertest.Signer(), VKey: ledgertest.VKey, Succeeds: lost}); err == nil {
		t.Error("a log cites a checkpoint that nobody signed")
	}
}
