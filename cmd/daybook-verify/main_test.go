package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"daybook-verify": main})
}

// TestScripts runs testdata/script. Each finds in its folder a log of eight
// entries: policy.txt, receipts/N.tlog-proof with receipts/N.entry at size 8,
// N.checkpoint for each size, consistency-M-N.txt, other.policy of another log,
// and fork.checkpoint, a second history of size 8. In cases are the sample
// examination files of package bundle.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			if err := newLog("demo.invalid/log", 8).write(env.WorkDir); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "cases"), os.DirFS("../../verify/bundle/testdata"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flip, "json": jsonFields},
	})
}

// exits CODE args... runs daybook-verify and compares its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE args...")
	}
	got := "0"
	if err := ts.Exec("daybook-verify", args[1:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// flip FILE flips the last bit of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	b := []byte(ts.ReadFile(args[0]))
	b[len(b)-1] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// json VERDICT FIRST_BAD_INDEX checks that the last output was one object with
// exactly the fields that scripts rely on.
func jsonFields(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.DisallowUnknownFields()
	var out struct {
		Verdict       string            `json:"verdict"`
		Claims        []json.RawMessage `json:"claims"`
		FirstBadIndex *uint64           `json:"first_bad_index"`
		Reason        string            `json:"reason"`
	}
	ts.Check(d.Decode(&out))
	if d.More() || out.Claims == nil {
		ts.Fatalf("not one object with claims: %s", ts.ReadFile("stdout"))
	}
	index := "null"
	if out.FirstBadIndex != nil {
		index = fmt.Sprint(*out.FirstBadIndex)
	}
	if out.Verdict != args[0] || index != args[1] || (out.Reason == "") != (out.Verdict == verified) {
		ts.Fatalf("verdict %q, first_bad_index %s, reason %q", out.Verdict, index, out.Reason)
	}
}

// smallLog is a log on which the scripts are run.
type smallLog struct {
	origin  string
	key     ed25519.PrivateKey
	entries [][]byte
	leaves  []verify.Hash
}

func newLog(origin string, size int) *smallLog {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, origin)
	l := &smallLog{origin: origin, key: ed25519.NewKeyFromSeed(seed)}
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: 1_783_000_000_000_000_000, Producer: "spiffe://web.example/gw",
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Run: verify.Hash{0xab}, Epoch: 1, RulesVersion: 1}
	for i := range size {
		place := verify.EntryHead{Kind: daybookv1.Kind_KIND_GAP, Index: uint64(i), Number: uint64(i) + 1, Source: "web.example", Position: uint64(i)}
		body, err := proto.Marshal(&daybookv1.Gap{First: uint64(i) + 1, Last: uint64(i) + 1, Reason: "disk lost"})
		if err != nil {
			panic(err)
		}
		l.add(verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body))
	}
	return l
}

func (l *smallLog) add(entry []byte) {
	l.entries = append(l.entries, entry)
	l.leaves = append(l.leaves, verify.HashLeaf(entry))
}

func (l *smallLog) nodes(level uint, index uint64) (verify.Hash, error) {
	var f verify.Frontier
	for _, h := range l.leaves[index<<level : (index+1)<<level] {
		f.Append(h)
	}
	return f.Root(), nil
}

func (l *smallLog) vkey() string {
	v, err := note.NewEd25519VerifierKey(l.origin, l.key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return v
}

func (l *smallLog) checkpoint(size int) ([]byte, error) {
	root, err := verify.RootAt(uint64(size), l.nodes)
	if err != nil {
		return nil, err
	}
	_, hash, _ := strings.Cut(l.vkey(), "+")
	private := fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", l.origin, hash[:8], base64.StdEncoding.EncodeToString(append([]byte{1}, l.key.Seed()...)))
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: verify.FormatCheckpoint(verify.Checkpoint{Origin: l.origin, Size: uint64(size), Root: root})}, signer)
}

func (l *smallLog) receipt(index, size int) ([]byte, error) {
	proof, err := verify.ProveRange(uint64(index), uint64(index)+1, uint64(size), l.nodes)
	if err != nil {
		return nil, err
	}
	checkpoint, err := l.checkpoint(size)
	return verify.FormatReceipt(verify.Receipt{Index: uint64(index), Proof: proof, Checkpoint: checkpoint}), err
}

// write lays the files of the scripts into dir.
func (l *smallLog) write(dir string) error {
	files := map[string][]byte{"policy.txt": []byte(verify.FormatPolicy(l.vkey())), "other.policy": []byte(verify.FormatPolicy(newLog("other.invalid/log", 1).vkey()))}
	size := len(l.entries)
	for i := range l.entries {
		receipt, err := l.receipt(i, size)
		if err != nil {
			return err
		}
		files[fmt.Sprintf("receipts/%d.tlog-proof", i)], files[fmt.Sprintf("receipts/%d.entry", i)] = receipt, l.entries[i]
	}
	for second := range size + 1 {
		c, err := l.checkpoint(second)
		if err != nil {
			return err
		}
		files[fmt.Sprintf("%d.checkpoint", second)] = c
		for first := range second + 1 {
			proof, err := verify.ProveConsistency(uint64(first), uint64(second), l.nodes)
			if err != nil {
				return err
			}
			files[fmt.Sprintf("consistency-%d-%d.txt", first, second)] = verify.FormatHashes(proof)
		}
	}
	fork := newLog(l.origin, size-1)
	fork.add([]byte("another history"))
	var err error
	if files["fork.checkpoint"], err = fork.checkpoint(size); err != nil {
		return err
	}
	if files["fork/0.tlog-proof"], err = fork.receipt(0, size); err != nil {
		return err
	}
	files["fork/0.entry"] = fork.entries[0]
	later := newLog(l.origin, 1) // entry 1 is of a kind that is not known yet
	e, err := verify.ParseEntry(l.entries[1])
	if err != nil {
		return err
	}
	e.Place.Kind = 99
	later.add(verify.AppendEntry(nil, e.HeadBytes, e.Place.AppendTo(nil), e.Body))
	if files["later/1.tlog-proof"], err = later.receipt(1, 2); err != nil {
		return err
	}
	files["later/1.entry"] = later.entries[1]
	for name, b := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// TestPlain: text from a file cannot reach the terminal as commands.
func TestPlain(t *testing.T) {
	for in, want := range map[string]string{"web.example": "web.example", "\x1b[2J": `"\x1b[2J"`, "a\nb": `"a\nb"`, "\u202e": `"\u202e"`, `"`: `"\""`, "é": "é"} {
		if got := plain(in); got != want {
			t.Errorf("%q prints as %s, want %s", in, got, want)
		}
	}
}

// TestManyReceipts checks a folder of some thousand receipts under several
// checkpoints, on all cores, and finds the first bad one among several.
func TestManyReceipts(t *testing.T) {
	dir := t.TempDir()
	l := newLog("demo.invalid/log", 300)
	for i := range l.entries {
		receipt, err := l.receipt(i, 200+100*(i/200))
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{proofSuffix: receipt, entrySuffix: l.entries[i]} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)+name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	policy := filepath.Join(t.TempDir(), "policy.txt")
	if err := os.WriteFile(policy, []byte(verify.FormatPolicy(l.vkey())), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"receipts", dir, "--policy", policy}, &stdout, &stderr); code != exitVerified || !strings.Contains(stdout.String(), "300 receipts verified, entries 0 to 299") ||
		!strings.Contains(stdout.String(), "300 receipts under 2 checkpoints, the largest at size 300") {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
	for _, bad := range []int{277, 31, 150} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(bad)+entrySuffix), l.entries[0], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stdout.Reset()
	if code := run([]string{"receipts", dir, "--policy", policy}, &stdout, &stderr); code != exitFailed || !strings.Contains(stdout.String(), "3 of 300 receipts failed, the first "+filepath.Join(dir, "31.tlog-proof")) {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
}

// TestTextOfAForger: what a file says cannot write a verdict of its own, and a verdict
// that is none is no success.
func TestTextOfAForger(t *testing.T) {
	r := &result{Verdict: failed, Reason: "run 00 of x\x1b[2J\x1b[HVERIFIED\u202e\n  unaltered: PROVED"}
	r.claim("numbered", nil, "complete as numbered: FAILED: %s", r.Reason)
	var out bytes.Buffer
	if err := r.writeText(&out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.ContainsAny(text, "\x1b\u202e") || strings.Count(text, "\n") != 3 {
		t.Errorf("wrote %q", text)
	}
	if code := (&result{Verdict: "VERIFIED?"}).exit(); code != exitFailed {
		t.Errorf("exit %d", code)
	}
}
