package ledger_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

var awaitRun = verify.Hash(sha256.Sum256([]byte("await")))

// awaiting makes a log, stops it, and opens it so that it awaits its witnesses.
func awaiting(t *testing.T) *ledgertest.Log {
	t.Helper()
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("await")
	appendBatch(t, g, ledgertest.Batch(run, 1, 1, 3))
	return restarted(t, g, ledgertest.Options{Policy: ledgertest.WitnessPolicy(2, witnessA, witnessB), Await: true})
}

// waitActivity waits until the log has an activity entry of a type, and returns the
// details of all.
func waitActivity(t *testing.T, g *ledgertest.Log, typ daybookv1.ActivityType) []string {
	t.Helper()
	for range 2000 {
		if found := activities(t, g, typ); len(found) > 0 {
			return found
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no activity entry of type %v", typ)
	return nil
}

// activities returns the details of the log's own activity entries of a type.
func activities(t *testing.T, g *ledgertest.Log, typ daybookv1.ActivityType) (details []string) {
	t.Helper()
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var m daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		if m.Type == typ {
			details = append(details, m.Detail)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return details
}

func TestAwaitsItsWitnesses(t *testing.T) {
	g := awaiting(t)
	defer func() { g.Close() }()
	batch := ledgertest.Batch(awaitRun, 1, 4, 2)
	h := g.L.Head()
	if h.Checkpoint == nil || !g.L.Awaits() || g.L.Shut() == "" {
		t.Fatalf("it does not await: %q", g.L.Shut())
	}
	var shut *ledger.ShutError
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, batch); !errors.As(err, &shut) {
		t.Fatalf("it appends before the witnesses answered: %v", err)
	}
	for i, w := range []cosigntest.Witness{witnessA, witnessB} {
		if _, ok, err := g.L.Cosign(h, []byte(w.Line(h.Checkpoint, 9))); err != nil || ok != (i == 1) || g.L.Awaits() != (i == 0) {
			t.Fatalf("witness %d: quorum %v, awaits %v, %v", i, ok, g.L.Awaits(), err)
		}
	}
	appendBatch(t, g, batch)
	g.L.OpenUp("is of no effect now")
	if found := waitActivity(t, g, daybookv1.ActivityType_ACTIVITY_TYPE_WITNESSED); len(found) != 1 || !strings.Contains(found[0], "quorum of witnesses confirmed") {
		t.Errorf("it says %q", found)
	}
}

func TestOpensWithoutItsWitnesses(t *testing.T) {
	g := awaiting(t)
	defer func() { g.Close() }()
	g.L.OpenUp("nobody answered")
	g.L.OpenUp("twice")
	appendBatch(t, g, ledgertest.Batch(awaitRun, 1, 4, 2))
	if found := waitActivity(t, g, daybookv1.ActivityType_ACTIVITY_TYPE_WITNESSED); len(found) != 1 || found[0] != "nobody answered" {
		t.Errorf("it says %q", found)
	}
}

// TestAwaitsInVain: what a witness shows proves that this is an older copy.
func TestAwaitsInVain(t *testing.T) {
	g := awaiting(t)
	defer g.Close()
	h := g.L.Head()
	if _, err := g.L.PresentCheckpoint("w0", sampleNote(t, h.Size+5)); err == nil || !g.L.Awaits() {
		t.Fatalf("a checkpoint that the log did not sign: %v", err)
	}
	if size, err := g.L.PresentCheckpoint("w0", h.Checkpoint); err != nil || size != h.Size || !g.L.Awaits() {
		t.Fatalf("its own head: %d, %v", size, err)
	}
	var fork *ledger.ForkError
	if _, err := g.L.PresentCheckpoint("w0", ledgertest.Checkpoint(h.Size+5, verify.Hash{5})); !errors.As(err, &fork) {
		t.Fatalf("a larger checkpoint under the log's key: %v", err)
	}
	g.L.OpenUp("is of no effect now")
	for _, w := range []cosigntest.Witness{witnessA, witnessB} {
		if _, _, err := g.L.Cosign(h, []byte(w.Line(h.Checkpoint, 9))); err != nil {
			t.Fatal(err)
		}
	}
	if g.L.Awaits() || g.L.Shut() == "" || g.Evidence.Note("presented") == nil {
		t.Errorf("awaits %v, shut %q, evidence %q", g.L.Awaits(), g.L.Shut(), g.Evidence.Note("presented"))
	}
}
