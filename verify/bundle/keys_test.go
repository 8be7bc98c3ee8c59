package bundle_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// A keyWorld is a world whose key is replaced twice. Its policies ask for the
// cosignature of a witness, which no retirement carries.
type keyWorld struct {
	*world
	run  *worldRun
	keys []*signer // every key, oldest first
}

func newKeyWorld(t testing.TB) *keyWorld {
	w := &keyWorld{world: newWorld(t, start, "witness.example/a")}
	w.keys = append(w.keys, w.signing[0])
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	w.run = w.world.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.access()
	return w
}

func (w *keyWorld) access() {
	w.now += int64(time.Hour)
	w.append(w.run, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	w.heartbeat(w.run)
}

// turn rotates to a new key.
func (w *keyWorld) turn(seed string) {
	w.rotate(seed)
	w.keys = append(w.keys, w.signing[0])
	w.access()
}

// signed is a checkpoint of the tree as it stands under some keys, without a
// witness.
func (w *keyWorld) signed(signers ...*signer) []byte {
	size := uint64(len(w.entries))
	return noteUnder(w.t, size, w.tree.root(size), signers...)
}

func noteUnder(t testing.TB, size uint64, root verify.Hash, signers ...*signer) []byte {
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: worldOrigin, Size: size, Root: root})
	note := text + "\n"
	for _, s := range signers {
		note += s.line(t, text, 0)
	}
	return []byte(note)
}

// end retires the older key with a checkpoint; nil: none.
func (w *keyWorld) end(note []byte, compromised bool) {
	rotation := w.judge.Keys().Current().Since
	w.append(w.own, daybookv1.Kind_KIND_KEY_ROTATION, &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_RETIRED, OldVkey: w.signing[1].vkey(w.t),
		NewVkey: w.signing[0].vkey(w.t), Requester: "spiffe://people.example/alice", Rotation: rotation + 1, Note: note, Compromised: compromised})
	w.signing = w.signing[:1]
	w.access()
}

// finish closes the period and archives the checkpoint that bundles are of.
func (w *keyWorld) finish() {
	w.closeAt(w.now + 1)
	w.archive()
}

// policyOf trusts some keys, and asks for the witness.
func (w *keyWorld) policyOf(keys ...int) []byte {
	text := ""
	for _, k := range keys {
		text += "log " + w.keys[k].vkey(w.t) + "\n"
	}
	return []byte(text + "witness w0 " + w.wits[0].vkey(w.t) + "\nquorum w0\n")
}

func trustIn(t testing.TB, policy []byte) bundle.Trust {
	t.Helper()
	p, err := verify.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Trust{Policy: p}
}

// turnedTwice is a log whose key was replaced twice, honestly, and nothing archived
// but the first checkpoint and the last: what leads from key to key are the
// retirements.
func turnedTwice(t testing.TB) *keyWorld {
	w := newKeyWorld(t)
	w.archive()
	w.turn("second")
	w.end(w.signed(w.signing...), false)
	w.turn("third")
	w.end(w.signed(w.signing...), false)
	w.finish()
	return w
}

// keyCases are logs with what the policies of their keys make of them; testdata has
// their bundles, which the other implementation reads too.
var keyCases = []struct {
	name   string
	make   func(t testing.TB) *keyWorld
	good   [][]int                      // keys of the policies under which it passes
	bad    [][]int                      // and under which it does not
	reason string                       // where it does not
	honest func(t testing.TB) *keyWorld // the same but for the lie, where the bundle of a log with it is not even built
}{
	{"honest", turnedTwice, [][]int{{0}, {1}, {2}, {0, 2}, {0, 1, 2}}, nil, "", nil},
	{"overlap", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.turn("second")
		w.finish()
		return w
	}, [][]int{{0}, {1}, {0, 1}}, nil, "", nil},
	// The old key signed nothing that covers the rotation: its successor has but its own word.
	{"unvouched", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.archive()
		w.turn("second")
		w.end(nil, false)
		w.finish()
		return w
	}, [][]int{{1}, {0, 1}}, [][]int{{0}}, "no checkpoint here", nil},
	// The old key signed, and what it signed is another tree.
	{"otherroot", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.turn("second")
		w.end(noteUnder(t, uint64(len(w.entries)), sha256.Sum256([]byte("another")), w.signing...), false)
		w.finish()
		return w
	}, nil, [][]int{{0}, {1}}, "FORK", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.turn("second")
		w.end(w.signed(w.signing...), false)
		w.finish()
		return w
	}},
	// Who holds the new key and no other puts the rotation behind an old checkpoint.
	{"before", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.archive() // under the old key, and does not cover what follows
		w.turn("second")
		w.end(nil, false)
		w.closeAt(w.now + 1)
		w.archive()
		w.finish()
		return w
	}, [][]int{{1}}, [][]int{{0}}, "no checkpoint here", nil},
	// The log says that the key is in other hands.
	{"compromised", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.turn("second")
		w.archive()
		w.end(w.signed(w.signing...), true)
		w.finish()
		return w
	}, [][]int{{1}}, [][]int{{0}}, "in other hands", nil},
	// A retired key signs on.
	{"retired", func(t testing.TB) *keyWorld {
		w := retiredOnce(t)
		w.signing = w.keys[:1]
		w.archive()
		return w
	}, nil, [][]int{{0}, {1}, {0, 1}}, "had ended", func(t testing.TB) *keyWorld {
		w := retiredOnce(t)
		w.archive()
		return w
	}},
	// Who holds a retired key leaves out the retirement, and signs alone: who knows
	// the newer key does not go back.
	{"backwards", func(t testing.TB) *keyWorld {
		w := newKeyWorld(t)
		w.turn("second")
		w.end(w.signed(w.signing...), false)
		w.turn("third")
		w.archive() // honest, under the second key and the third
		w.access()
		w.closeAt(w.now + 1)
		w.signing = w.keys[1:2]
		w.archive()
		return w
	}, [][]int{{0}, {1}, {1, 2}}, [][]int{{2}}, "did not sign this checkpoint", nil},
}

var keyQuestions = []struct{ name, text string }{{"streams", "from: web\n"}, {"log", "log: true\n"}}

func retiredOnce(t testing.TB) *keyWorld {
	w := newKeyWorld(t)
	w.turn("second")
	w.end(w.signed(w.signing...), false)
	w.closeAt(w.now + 1)
	return w
}

// logOf puts the log of one world into the bundle of another, of the same size.
// What is derived stays that of the other: the lie is met before it.
func (w *keyWorld) logOf(b []byte) []byte {
	w.t.Helper()
	size := len(w.entries)
	if size >= verify.TileWidth {
		w.t.Fatal("more than one tile")
	}
	var entries, leaves []byte
	for i, e := range w.entries {
		entries = append(binary.BigEndian.AppendUint16(entries, uint16(len(e))), e...)
		leaves = append(leaves, w.tree[0][i][:]...)
	}
	members := unzip(w.t, b)
	delete(members, "manifest.json")
	for name, content := range map[string][]byte{
		"checkpoint": w.notes[len(w.notes)-1].note, "log/checkpoint": w.notes[len(w.notes)-1].note, "policy.txt": w.policy(),
		fmt.Sprintf("log/tile/entries/000.p/%d", size): entries, fmt.Sprintf("log/tile/0/000.p/%d", size): leaves,
	} {
		if members[name] == nil {
			w.t.Fatalf("the other bundle has no %s", name)
		}
		members[name] = content
	}
	out, err := bundle.Pack(worldOrigin, members)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestSamplesOfKeys asks what the policies of a log's keys make of its bundles.
func TestSamplesOfKeys(t *testing.T) {
	for _, c := range keyCases {
		w := c.make(t)
		sample := c.name != "overlap" && c.name != "before" // which others show
		for i := range w.keys {
			if !sample {
				break
			}
			golden(t, fmt.Sprintf("keys/%s-%d.txt", c.name, i), w.policyOf(i))
		}
		for _, q := range keyQuestions {
			var b []byte
			if c.honest == nil {
				b = build(t, w.source(), q.text)
			} else if q.name == "log" {
				b = w.logOf(build(t, c.honest(t).source(), q.text))
			} else {
				continue // only the whole log shows the lie
			}
			if sample {
				golden(t, fmt.Sprintf("keys/%s-%s.zip", c.name, q.name), b)
			}
			for _, keys := range c.good {
				if r := check(t, trustIn(t, w.policyOf(keys...)), b); r.Verdict != bundle.Verified || r.Claims[4].State != "proved" {
					t.Errorf("%s, %s under keys %v: %s: %s", c.name, q.name, keys, r.Verdict, r.Reason)
				}
			}
			for _, keys := range c.bad {
				if r := check(t, trustIn(t, w.policyOf(keys...)), b); r.Verdict != bundle.Failed || !strings.Contains(r.Reason, c.reason) {
					t.Errorf("%s, %s under keys %v: %s: %s", c.name, q.name, keys, r.Verdict, r.Reason)
				}
			}
		}
	}
}

// TestKeyAdvice: who cannot follow is told which line to add, and of which words to
// ask.
func TestKeyAdvice(t *testing.T) {
	w := turnedTwice(t)
	now := w.keys[2].vkey(t)
	sum, err := verify.VKeyFingerprint(now)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newSigner(worldOrigin, 1)
	seed := sha256.Sum256([]byte("stranger"))
	stranger.key = ed25519.NewKeyFromSeed(seed[:])
	r := check(t, trustIn(t, []byte(verify.FormatPolicy(stranger.vkey(t)))), build(t, w.source(), "log: true\n"))
	if r.Verdict != bundle.Failed || !strings.Contains(r.Reason, "log "+now) || !strings.Contains(r.Reason, strings.Join(verify.FingerprintWords(sum), " ")) {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
	r = check(t, trustIn(t, w.policyOf(0)), build(t, w.source(), "range: {first: 2, end: 5}\n"))
	if r.Verdict != bundle.Failed || !strings.Contains(r.Reason, "newer card") {
		t.Errorf("a range: %s: %s", r.Verdict, r.Reason)
	}
}

// TestSamplesOfHeld holds bundles against checkpoints under keys that the
// examiner's policy does not name, and that the log has had.
func TestSamplesOfHeld(t *testing.T) {
	w := turnedTwice(t)
	size := w.notes[0].size
	proof, err := verify.ProveConsistency(size, uint64(len(w.entries)), w.tree.node)
	if err != nil {
		t.Fatal(err)
	}
	other := noteUnder(t, size, sha256.Sum256([]byte("another")), w.keys[0])
	stranger := newSigner(worldOrigin, 1)
	seed := sha256.Sum256([]byte("stranger"))
	stranger.key = ed25519.NewKeyFromSeed(seed[:])
	last := w.notes[len(w.notes)-1]
	for _, q := range keyQuestions {
		b := build(t, w.source(), q.text)
		for _, c := range []struct {
			name   string
			keys   int
			held   bundle.Held
			reason string // empty: it passes
		}{
			{"of the first key under the last", 2, bundle.Held{Note: w.notes[0].note, Proof: proof}, ""},
			{"of the last key under the first", 0, bundle.Held{Note: last.note}, ""},
			{"of another history under the last", 2, bundle.Held{Note: other, Proof: proof}, "proof"},
			{"of a stranger's", 2, bundle.Held{Note: noteUnder(t, size, w.tree.root(size), stranger), Proof: proof}, "no signature"},
			{"of a key that had ended", 2, bundle.Held{Note: noteUnder(t, last.size, w.tree.root(last.size), w.keys[0])}, "had ended"},
		} {
			trust := trustIn(t, w.policyOf(c.keys))
			trust.Held = &c.held
			r := check(t, trust, b)
			if (r.Verdict == bundle.Verified) != (c.reason == "") || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%s, %s: %s: %s", q.name, c.name, r.Verdict, r.Reason)
			}
		}
	}
	golden(t, "keys/held.checkpoint", last.note)
}
