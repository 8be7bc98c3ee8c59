package bundle_test

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// TestTrust tells who vouches for a bundle.
func TestTrust(t *testing.T) {
	w := sampleWorld(t)
	b := build(t, w.source(), "from: test-db\n")
	stranger := newSigner("stranger.example/log", 1)
	parse := func(text string) *verify.Policy {
		p, err := verify.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name    string
		policy  *verify.Policy
		verdict bundle.Verdict
		reason  string
		claimed string // state of the last claim
	}{
		{"none", nil, bundle.SelfConsistent, bundle.Meant, "not claimed"},
		{"the log's", w.trust().Policy, bundle.Verified, "", "proved"},
		{"its key alone", parse(verify.FormatPolicy(w.origin.vkey(t))), bundle.Verified, "", "not claimed"},
		{"of another log", parse(verify.FormatPolicy(stranger.vkey(t))), bundle.Failed, "no signature by a log of the policy", "proved"},
		{"with another witness", parse("log " + w.origin.vkey(t) + "\nwitness x " + newSigner("witness.example/c", 4).vkey(t) + "\nquorum x\n"), bundle.Failed, "quorum", "proved"},
	} {
		r := check(t, bundle.Trust{Policy: c.policy}, b)
		if r.Verdict != c.verdict || !strings.Contains(r.Reason, c.reason) || string(r.Claims[4].State) != c.claimed {
			t.Errorf("policy %s: %s: %q, %+v", c.name, r.Verdict, r.Reason, r.Claims[4])
		}
	}
}

// TestHeld compares a checkpoint that an examiner kept with the bundle.
func TestHeld(t *testing.T) {
	w := sampleWorld(t)
	old, newest := w.sourceAt(1), w.source()
	b := build(t, newest, "period: 2026-05\n")
	earlier := build(t, old, "period: 2026-05\n")
	fork := thinnedWorld(t, 2)
	prove := func(from, to uint64) []verify.Hash {
		p, err := verify.ProveConsistency(from, to, w.tree.node)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	last := len(w.notes) - 1
	for _, c := range []struct {
		name   string
		file   []byte
		held   bundle.Held
		reason string // empty: it passes
	}{
		{"the same", b, bundle.Held{Note: w.notes[last].note}, ""},
		{"one that the file has", b, bundle.Held{Note: w.notes[1].note}, ""},
		{"one that it has not", b, bundle.Held{Note: w.notes[0].note}, "ask for the consistency proof"},
		{"the same with a proof", b, bundle.Held{Note: w.notes[0].note, Proof: prove(w.notes[0].size, w.notes[last].size)}, ""},
		{"with another proof", b, bundle.Held{Note: w.notes[0].note, Proof: prove(w.notes[1].size, w.notes[last].size)}, "proof"},
		{"a newer one", earlier, bundle.Held{Note: w.notes[last].note}, "an old copy was presented"},
		{"a newer one with a proof", earlier, bundle.Held{Note: w.notes[last].note, Proof: prove(w.notes[1].size, w.notes[last].size)}, ""},
		{"of another history", b, bundle.Held{Note: fork.notes[1].note}, "cannot be compared"},
		{"no note", b, bundle.Held{Note: []byte("x")}, "the checkpoint that you hold"},
	} {
		trust := w.trust()
		trust.Held = &c.held
		r := check(t, trust, c.file)
		if passed := r.Verdict == bundle.Verified || r.Verdict == bundle.DeclaredGaps; passed != (c.reason == "") || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Reason)
		}
	}
	forked := build(t, fork.source(), "period: 2026-05\n")
	trust := w.trust()
	for _, n := range w.notes {
		for _, other := range fork.notes {
			if n.size == other.size {
				trust.Held = &bundle.Held{Note: n.note}
				if r := check(t, trust, forked); r.Verdict != bundle.Failed {
					t.Errorf("two histories at size %d: %s", n.size, r.Verdict)
				}
			}
		}
	}
}

// TestNoClose: without a close no stream is shown to be whole.
func TestNoClose(t *testing.T) {
	w := newWorld(t, start)
	w.archive()
	if _, err := bundle.Prepare(t.Context(), w.source(), mustRead(t, "from: web\n"), 0); err != bundle.ErrNoClose {
		t.Errorf("prepared: %v", err)
	}
	for _, text := range []string{"log: true\n", "range: {first: 0, end: 2}\n", "range: {first: 1, end: 2}\n"} {
		if r := check(t, w.trust(), build(t, w.source(), text)); r.Verdict != bundle.Verified {
			t.Errorf("%s: %s: %s", text, r.Verdict, r.Reason)
		}
	}
	if _, err := bundle.Prepare(t.Context(), w.source(), mustRead(t, "range: {first: 0, end: 3}\n"), 0); err == nil {
		t.Error("a range beyond the log")
	}
}
