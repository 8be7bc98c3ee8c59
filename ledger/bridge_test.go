package ledger_test

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// TestBridgeIsArchived: a rotation and a retirement each keep a checkpoint that both
// keys signed, in the archive and in the log.
func TestBridgeIsArchived(t *testing.T) {
	bag := keyBag{}
	b, c := bag.newKey("b"), bag.newKey("c")
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{Keys: bag.find, Policy: ledgertest.WitnessPolicy(1, witnessA)})
	defer func() { g.Close() }()
	run, _ := g.Run("run")
	at, err := rotate(g.L, b, false)
	if err != nil {
		t.Fatal(err)
	}
	if note, err := g.L.ArchivedAt(at + 1); err != nil || g.L.Keys().Vouched(1, note) != at+1 {
		t.Errorf("the rotation's checkpoint: %v", err)
	}
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 3))
	size := g.L.Head().Size
	end, _, err := g.L.RetireKey(t.Context(), ops, "done", false)
	if err != nil {
		t.Fatal(err)
	}
	if note, err := g.L.ArchivedAt(size); err != nil || g.L.Keys().Vouched(1, note) != size {
		t.Errorf("the checkpoint before the retirement: %v", err)
	}
	if bridges := g.L.Keys().Bridges(); len(bridges) != 1 || bridges[0].Size != size || bridges[0].Index != end || end != size {
		t.Errorf("bridges %+v, retired by entry %d at size %d", bridges, end, size)
	}
	// A second rotation is of the second key: the first one's bridges are none of it.
	if _, err := rotate(g.L, c, false); err != nil {
		t.Fatal(err)
	}
	if countBridges(t, g.L, 2) == 0 {
		t.Error("no bridge of the second rotation")
	}
	mustFsck(t, g)
}

// TestBridgeOfALostKey: where the old key is lost in the overlap, the retirement has
// what it signed before, as the archive kept it with a witness's line or without.
func TestBridgeOfALostKey(t *testing.T) {
	for _, cosigned := range []bool{false, true} {
		bag := keyBag{}
		b, c := bag.newKey("b"), bag.newKey("c")
		o := ledgertest.Options{Keys: bag.find, Policy: ledgertest.WitnessPolicy(1, witnessA)}
		g := ledgertest.Create(t, vfs.NewMem(), "log", o)
		run, _ := g.Run("run")
		if _, err := rotate(g.L, b, false); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.L.RetireKey(t.Context(), ops, "", false); err != nil {
			t.Fatal(err)
		}
		if _, err := rotate(g.L, c, false); err != nil {
			t.Fatal(err)
		}
		size := g.L.Head().Size
		if h := g.L.Head(); cosigned {
			if _, _, err := g.L.Cosign(h, []byte(witnessA.Line(h.Checkpoint, 1_800_000_000))); err != nil {
				t.Fatal(err)
			}
		}
		delete(bag, b)
		g = restarted(t, g, o)
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, 1, 3)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.L.RetireKey(t.Context(), ops, "lost", false); err != nil {
			t.Fatal(err)
		}
		bridges := g.L.Keys().Bridges()
		if len(bridges) != 2 || bridges[1].Size != size {
			t.Fatalf("cosigned %v: bridges %+v, want one of size %d", cosigned, bridges, size)
		}
		p, err := verify.KeyPolicy(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Open(bridges[1].Note); err != nil {
			t.Errorf("cosigned %v: %v", cosigned, err)
		}
		mustFsck(t, g)
		g.Close()
	}
}

// TestBridgeAfterACrash: a rotation whose checkpoint was not archived before the
// process ended has one once the log was open again.
func TestBridgeAfterACrash(t *testing.T) {
	bag := keyBag{}
	b := bag.newKey("b")
	o := ledgertest.Options{Keys: bag.find}
	g := ledgertest.Create(t, vfs.NewMem(), "log", o)
	if _, err := rotate(g.L, b, false); err != nil {
		t.Fatal(err)
	}
	g.Close()
	engine, err := ledgertest.OpenStore(g.FS, g.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	emptyArchive(t, engine)
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	g = restartedFrom(t, g, o)
	g = restarted(t, g, o) // what a log archives by itself it has archived when it is closed
	defer g.Close()
	if countBridges(t, g.L, 1) == 0 {
		t.Error("no bridge")
	}
}

// emptyArchive removes every archived checkpoint.
func emptyArchive(t *testing.T, engine store.Engine) {
	t.Helper()
	batch, removed := engine.NewBatch(), 0
	lo, hi := store.Archive.Range()
	if err := engine.Scan(lo, hi, func(key, _ []byte) error {
		removed++
		return batch.Delete(bytes.Clone(key))
	}); err != nil {
		t.Fatal(err)
	}
	head, err := engine.Head()
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := engine.Commit(head, head, batch)
	if err == nil {
		err = ticket.Wait()
	}
	if err != nil || removed == 0 {
		t.Fatalf("%d removed, %v", removed, err)
	}
}

// restartedFrom opens a log that is closed.
func restartedFrom(t *testing.T, g *ledgertest.Log, o ledgertest.Options) *ledgertest.Log {
	t.Helper()
	o.Anchor = g.Anchor
	g, err := ledgertest.Open(t, g.FS, g.Dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
