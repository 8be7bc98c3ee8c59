package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// judgeAgain judges every access by the entries before it, as an auditor does who
// has nothing else. The error names the first entry that was judged otherwise.
func judgeAgain(entries [][]byte) error {
	var judge domains.Judge
	for i, raw := range entries {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		var ev verify.EventFields
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			if ev, err = verify.ParseEvent(e.Body); err != nil {
				return fmt.Errorf("entry %d: %w", i, err)
			}
		}
		if _, err := judge.Check(&e, &ev); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if err := judge.Apply(e.Place.Index, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

// TestWrongVerdictIsFound: a log whose hashes are all right, and whose ledger gave
// one wrong verdict, fails fsck and an auditor's check, which name the entry.
func TestWrongVerdictIsFound(t *testing.T) {
	g := create(t, ledgertest.Options{})
	bringIntoForce(t, g.L, firmMap(needsApproval))
	s := newSpeaker(t, g.L, "spiffe://web/app", "web", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	approveActor(t, g.L, "alice")
	s.verdict(t, daybookv1.Verdict_VERDICT_AUTHORIZED, write)
	read := func() [][]byte {
		var out [][]byte
		if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
			out = append(out, slices.Clone(raw))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := judgeAgain(read()); err != nil {
		t.Fatal(err)
	}
	if err := g.L.Misjudge(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrong := s.verdict(t, daybookv1.Verdict_VERDICT_NOT_APPROVED, write)
	s.verdict(t, daybookv1.Verdict_VERDICT_UNDECLARED, func(m *daybookv1.Event) { m.Action.Class = daybookv1.ActionClass_ACTION_CLASS_DELETE })
	want := fmt.Sprintf("entry %d: verdict VERDICT_NOT_APPROVED, not VERDICT_AUTHORIZED", wrong.Place.Index)
	if err := judgeAgain(read()); err == nil || err.Error() != want {
		t.Errorf("judged again: %v", err)
	}
	g.Close()
	engine, err := ledgertest.OpenStore(g.FS, g.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	r, err := ledger.Fsck(context.Background(), engine, nil)
	if err != nil || r.OK || r.FirstBadIndex != wrong.Place.Index || !strings.Contains(r.Reason, "verdict VERDICT_NOT_APPROVED, not VERDICT_AUTHORIZED") {
		t.Errorf("fsck: %+v, %v", r, err)
	}
}
