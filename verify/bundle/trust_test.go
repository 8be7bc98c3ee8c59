package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// TestTrust tells who vouches for a bundle.
func TestTrust(t *testing.T) {
	w := sampleWorld(t)
	b := build(t, w.source(), "from: test-db\nperiod: 2026-05-17\n")
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
		if named := strings.Contains(r.Claims[4].Detail, "which your policy does not bear out"); named != (c.name == "its key alone") {
			t.Errorf("policy %s: who countersigned by the file alone: %s", c.name, r.Claims[4].Detail)
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

// TestRotation: who trusts the first key follows it to a later one, where a
// checkpoint under the first key covers the rotation.
func TestRotation(t *testing.T) {
	w := newWorld(t, start, "witness.example/a")
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	r := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	first := w.trust()
	for i := range 6 {
		w.now += int64(time.Hour)
		w.append(r, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
		w.heartbeat(r)
		switch i {
		case 1:
			w.rotate("second")
			w.archive()
		case 2:
			w.closeAt(w.now + 1)
			w.retire()
		case 3:
			w.rotate("third")
			w.archive()
			w.retire()
		}
	}
	w.closeAt(w.now + 1)
	w.archive()
	for _, text := range []string{"from: web\n", "log: true\n"} {
		b := build(t, w.source(), text)
		if r := check(t, w.trust(), b); r.Verdict != bundle.Verified {
			t.Fatalf("%s under the present key: %s: %s", text, r.Verdict, r.Reason)
		}
	}
	b := build(t, w.source(), "from: web\n")
	r2 := check(t, first, b)
	if r2.Verdict != bundle.Verified || !strings.Contains(r2.Claims[0].Detail, "its key is a later one") || r2.Claims[4].State != report.Proved {
		t.Errorf("under the first key: %s: %s %+v", r2.Verdict, r2.Reason, r2.Claims)
	}
	// Without the checkpoint that the first and the second key signed there is no way.
	members := unzip(t, b)
	size := w.notes[0].size
	delete(members, fmt.Sprintf("checkpoints/%020d.note", size))
	delete(members, fmt.Sprintf("checkpoints/%020d.proof", size))
	cut, err := bundle.Pack(worldOrigin, members)
	if err != nil {
		t.Fatal(err)
	}
	if r := check(t, first, cut); r.Verdict != bundle.Failed {
		t.Errorf("without the bridge: %s", r.Verdict)
	}
	stranger := newSigner(worldOrigin, 1)
	sum := sha256.Sum256([]byte("stranger"))
	stranger.key = ed25519.NewKeyFromSeed(sum[:])
	var other bundle.Trust
	if other.Policy, err = verify.KeyPolicy(stranger.vkey(t)); err != nil {
		t.Fatal(err)
	}
	if r := check(t, other, b); r.Verdict != bundle.Failed {
		t.Errorf("under a stranger's key: %s", r.Verdict)
	}
}

// TestNewer: a file of a later format is no failure.
func TestNewer(t *testing.T) {
	w := sampleWorld(t)
	b := build(t, w.source(), "period: 2027\n")
	for member, format := range map[string]string{"question.json": "daybook-question/v", "answer.json": "daybook-answer/v"} {
		members := unzip(t, b)
		members[member] = bytes.Replace(members[member], []byte(format+"1"), []byte(format+"2"), 1)
		later, err := bundle.Pack(worldOrigin, members)
		if err != nil {
			t.Fatal(err)
		}
		if r := check(t, w.trust(), later); r.Verdict != bundle.Newer || r.Fault == nil || r.Fault.Member != member {
			t.Errorf("%s of a later format: %s: %s", member, r.Verdict, r.Reason)
		}
	}
}
