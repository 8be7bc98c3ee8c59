package ledger_test

import (
	"bytes"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// TestCosignAcrossKeys: the quorum counts under each key that the log signs with,
// and what was archived of each time stays good.
func TestCosignAcrossKeys(t *testing.T) {
	bag := keyBag{}
	b := bag.newKey("b")
	o := ledgertest.Options{Keys: bag.find, Policy: ledgertest.WitnessPolicy(2, witnessA, witnessB)}
	g := create(t, o)
	defer func() { g.Close() }()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"the first key", func() error { return nil }},
		{"both", func() error { _, err := rotate(g.L, b, false); return err }},
		{"the second", func() error { _, _, err := g.L.RetireKey(t.Context(), ops, "done", false); return err }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		h := g.L.Head()
		for i, w := range []cosigntest.Witness{witnessA, witnessB} {
			if _, ok, err := g.L.Cosign(h, []byte(w.Line(h.Checkpoint, 9))); err != nil || ok != (i == 1) {
				t.Fatalf("%s: witness %d: quorum %v, %v", step.name, i, ok, err)
			}
		}
		settle(t, g)
		w, err := g.L.Witnessed()
		if err != nil || w.Size != h.Size {
			t.Fatalf("%s: size %d, %v", step.name, w.Size, err)
		}
		mustFsck(t, g)
		g = restarted(t, g, o)
		if again, err := g.L.Witnessed(); err != nil || !bytes.Equal(again.Note, w.Note) {
			t.Errorf("%s, opened again: size %d, %v", step.name, again.Size, err)
		}
	}
}
