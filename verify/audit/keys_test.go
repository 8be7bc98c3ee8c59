package audit_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
)

// A turned is a log whose key was replaced, and what it signed at each time.
type turned struct {
	first, second note.Signer
	vkey          string // of the second key
	dir           fstest.MapFS
	old           []byte // checkpoint under the first key alone
	both          []byte // under both
	overlap       fstest.MapFS
}

// turn makes such a log with the ledger.
func turn(t *testing.T) *turned {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte("b"), 64)), ledgertest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	k := &turned{first: ledgertest.Signer(), vkey: vkey}
	if k.second, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{Keys: func(wanted string) (note.Signer, error) {
		if wanted != vkey {
			return nil, ledger.ErrNoKey
		}
		return k.second, nil
	}})
	defer g.Close()
	run, _ := g.Run("first")
	next := uint64(1)
	say := func() {
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(run, 1, next, 5)); err != nil {
			t.Fatal(err)
		}
		next += 5
	}
	say()
	k.old = g.L.Head().Checkpoint
	sum, err := verify.VKeyFingerprint(vkey)
	if err != nil {
		t.Fatal(err)
	}
	cco, ops := ledger.Person{ID: "spiffe://people.example/cco", Authentication: "mtls"}, ledger.Person{ID: "spiffe://people.example/ops", Authentication: "mtls"}
	a, _, err := g.L.Approve(t.Context(), cco, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION, Sha256: sum[:], Name: "key"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.L.RotateKey(t.Context(), ops, ledger.Rotation{VKey: vkey, Reason: "yearly", Approvals: []uint64{a.Index + 1}}); err != nil {
		t.Fatal(err)
	}
	say()
	k.both = g.L.Head().Checkpoint
	if k.overlap, err = ledgertest.Tiles(g.L); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.L.RetireKey(t.Context(), ops, "done", false); err != nil {
		t.Fatal(err)
	}
	say()
	if k.dir, err = ledgertest.Tiles(g.L); err != nil {
		t.Fatal(err)
	}
	return k
}

// policyOf trusts the first key, the second, or both.
func (k *turned) policyOf(t *testing.T, which string) *verify.Policy {
	t.Helper()
	text := ""
	for _, w := range which {
		text += "log " + map[rune]string{'1': ledgertest.VKey, '2': k.vkey}[w] + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// resigned is a directory whose checkpoint other keys signed.
func resigned(t *testing.T, dir fstest.MapFS, signers ...note.Signer) fstest.MapFS {
	t.Helper()
	text, _, _ := strings.Cut(string(dir["checkpoint"].Data), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	out := clone(dir)
	out["checkpoint"].Data = signed
	return out
}

// TestKeysOfALog: a log is whole under the policy of any key that it has had, as
// long as the key leads to the present one.
func TestKeysOfALog(t *testing.T) {
	k := turn(t)
	for _, c := range []struct {
		name, policy string
		dir          fstest.MapFS
		followed     bool
		fault        string
	}{
		{"the first key", "1", k.dir, true, ""},
		{"the second key", "2", k.dir, false, ""},
		{"both", "12", k.dir, false, ""},
		{"overlap, the first key", "1", k.overlap, false, ""},
		{"overlap, the second key", "2", k.overlap, false, ""},
		// Who holds a retired key signs on: the log's own entries say that it had ended.
		{"a retired key, the first", "1", resigned(t, k.dir, k.first), false, "ended"},
		{"a retired key, both", "12", resigned(t, k.dir, k.first), false, "ended"},
		{"a retired key, the second", "2", resigned(t, k.dir, k.first), false, "ended"},
		// Leaving the retirement out, he leads those astray who know his key alone.
		{"without the retirement, the second", "2", resigned(t, k.overlap, k.first), false, "did not sign"},
		// Who holds the new key, and puts it into a log without the old one's word.
		{"the new key alone, the first", "1", resigned(t, k.overlap, k.second), false, "no checkpoint here"},
		{"a stranger", "1", resigned(t, k.dir, strangerTo(t)), false, "no signature"},
	} {
		r := check(t, c.dir, audit.Options{Policy: k.policyOf(t, c.policy)})
		if c.fault == "" {
			if r.Fault != nil || (r.Bridge > 0) != c.followed || r.Checkpoint.Origin == "" {
				t.Errorf("%s: %v, bridge %d", c.name, r.Fault, r.Bridge)
			}
			continue
		}
		if r.Fault == nil || !strings.Contains(r.Fault.Error(), c.fault) || r.Bridge != 0 {
			t.Errorf("%s: %v", c.name, r.Fault)
		}
	}
	// The tree is checked whoever signed: an altered entry is met as ever.
	altered := clone(k.dir)
	for name, f := range altered {
		if strings.HasPrefix(name, "tile/entries/") {
			f.Data[len(f.Data)-1] ^= 1
		}
	}
	if r := check(t, altered, audit.Options{Policy: k.policyOf(t, "1")}); r.Fault == nil || r.Checkpoint.Origin != "" {
		t.Errorf("altered under the first key: %v %+v", r.Fault, r.Checkpoint)
	}
}

func strangerTo(t *testing.T) note.Signer {
	t.Helper()
	skey, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte("s"), 64)), ledgertest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOlderOfOtherKeys holds a log against checkpoints under keys that the policy
// does not name.
func TestOlderOfOtherKeys(t *testing.T) {
	k := turn(t)
	newest := k.dir["checkpoint"].Data
	text, _, _ := strings.Cut(string(k.old), "\n\n")
	lines := strings.Split(text, "\n")
	lines[2] = strings.Split(string(newest), "\n")[2] // another root at that size
	sign := func(text string, s note.Signer) []byte {
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, s)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	longer := func(s note.Signer) []byte {
		return sign(fmt.Sprintf("%s\n%d\n%s", lines[0], 100_000, lines[2]), s)
	}
	for _, c := range []struct {
		name, policy string
		dir          fstest.MapFS
		older        []byte
		fault        string
	}{
		{"of the first key, the policy of the second", "2", k.dir, k.old, ""},
		{"of both, the policy of the second", "2", k.dir, k.both, ""},
		{"of the second key, the policy of the first", "1", k.dir, newest, ""},
		{"of the first key, the policy of the first", "1", k.dir, k.old, ""},
		{"another root, the policy of the second", "2", k.dir, sign(strings.Join(lines, "\n"), k.first), "FORK"},
		{"another root, the policy of the first", "1", k.dir, sign(strings.Join(lines, "\n"), k.first), "FORK"},
		{"of a stranger", "2", k.dir, sign(text, strangerTo(t)), "neither the policy nor"},
		{"of the first key after its end", "2", k.dir, longer(k.first), "ended"},
		{"longer, of the second key", "1", k.dir, longer(k.second), "ROLLED BACK"},
		{"longer, in the overlap", "2", k.overlap, longer(k.first), "ROLLED BACK"},
	} {
		r := check(t, c.dir, audit.Options{Policy: k.policyOf(t, c.policy), Older: [][]byte{c.older}})
		if c.fault == "" && (r.Fault != nil || len(r.Older) != 1) || c.fault != "" && (r.Fault == nil || !strings.Contains(r.Fault.Error(), c.fault)) {
			t.Errorf("%s: %v", c.name, r.Fault)
		}
	}
}
