package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// checkCase is a bundle to check, as testdata/cases.mjs reads it.
type checkCase struct {
	Name       string   `json:"name"`
	Base       string   `json:"base,omitempty"` // file
	Patch      [][3]any `json:"patch,omitempty"`
	Files      []string `json:"files,omitempty"` // the parts, instead of base and patch
	Policy     string   `json:"policy,omitempty"`
	Checkpoint string   `json:"checkpoint,omitempty"`
	Exit       int      `json:"exit"`
	Names      []string `json:"names,omitempty"`
}

// said is what the page says of a case.
type said struct {
	Name     string
	Verdict  string
	Code     int
	Claims   []saidClaim
	Reason   string
	Member   string
	FirstBad *uint64
}

// saidClaim is what the page says of a claim.
type saidClaim struct{ Name, State, Detail string }

const samples = "../bundle/testdata"

// sampleCases are the sample bundles, with the policy and without, and the parts of
// a split one together.
func sampleCases(t *testing.T) []checkCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(samples, "*.zip"))
	if err != nil || len(files) == 0 {
		t.Fatal("no sample bundles: ", err)
	}
	var cases []checkCase
	var parts []string
	for _, f := range files {
		name := filepath.Base(f)
		cases = append(cases, checkCase{Name: name, Files: []string{name}, Policy: "policy.txt"}, checkCase{Name: name + " alone", Files: []string{name}})
		if ok, _ := filepath.Match("split-*.zip", name); ok {
			parts = append(parts, name)
		}
	}
	return append(cases, checkCase{Name: "parts", Files: parts, Policy: "policy.txt"}, checkCase{Name: "parts, one missing", Files: parts[1:], Policy: "policy.txt"},
		checkCase{Name: "different answers", Files: []string{"zero.zip", "streams.zip"}, Policy: "policy.txt"}, checkCase{Name: "a file twice", Files: []string{"zero.zip", "zero.zip"}, Policy: "policy.txt"},
		checkCase{Name: "a part twice", Files: append(parts[:1:1], parts[:len(parts)-1]...), Policy: "policy.txt"})
}

// keyCases are the bundles of logs whose keys were replaced, under the policies of
// each of their keys; and under a checkpoint of another key.
func keyCases(t *testing.T) []checkCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(samples, "keys", "*.zip"))
	if err != nil || len(files) == 0 {
		t.Fatal("no bundles of replaced keys: ", err)
	}
	var cases []checkCase
	for _, f := range files {
		name := filepath.Base(f)
		of, _, _ := strings.Cut(name, "-")
		policies, err := filepath.Glob(filepath.Join(samples, "keys", of+"-*.txt"))
		if err != nil || len(policies) == 0 {
			t.Fatal("no policies of "+of+": ", err)
		}
		for _, p := range policies {
			c := checkCase{Files: []string{"keys/" + name}, Policy: "keys/" + filepath.Base(p)}
			c.Name = name + " under " + c.Policy
			cases = append(cases, c)
			if c.Name, c.Checkpoint = c.Name+" with a checkpoint", "keys/held.checkpoint"; of == "honest" {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// goSays checks a case with the other implementation.
func goSays(t *testing.T, c checkCase) said {
	t.Helper()
	var trust bundle.Trust
	if c.Policy != "" {
		text, err := os.ReadFile(filepath.Join(samples, c.Policy))
		if err != nil {
			t.Fatal(err)
		}
		if trust.Policy, err = verify.ParsePolicy(text); err != nil {
			t.Fatal(err)
		}
	}
	if c.Checkpoint != "" {
		note, err := os.ReadFile(filepath.Join(samples, c.Checkpoint))
		if err != nil {
			t.Fatal(err)
		}
		trust.Held = &bundle.Held{Note: note}
	}
	var files []bundle.File
	for _, name := range c.Files {
		b, err := os.ReadFile(filepath.Join(samples, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, bundle.File{R: bytes.NewReader(b), Size: int64(len(b))})
	}
	r, err := bundle.Check(context.Background(), files, trust)
	var parts *bundle.PartsError
	if errors.As(err, &parts) {
		return said{Name: c.Name, Verdict: "NOT CHECKED", Code: 2, Claims: []saidClaim{}, Reason: parts.Error()}
	}
	if err != nil {
		t.Fatal(err)
	}
	out := said{Name: c.Name, Verdict: string(r.Verdict), Reason: r.Reason, FirstBad: r.FirstBad}
	out.Code = map[bundle.Verdict]int{bundle.Verified: 0, bundle.Failed: 1, bundle.SelfConsistent: 3, bundle.DeclaredGaps: 4, bundle.Newer: 5}[r.Verdict]
	for _, cl := range r.Claims {
		out.Claims = append(out.Claims, saidClaim{cl.Name, string(cl.State), cl.Detail})
	}
	if r.Fault != nil {
		out.Member = r.Fault.Member
	}
	return out
}

// TestSamplesUnderNode checks the sample bundles with both implementations, which
// say the same word for word, as long as nothing is wrong.
func TestSamplesUnderNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: no node on this machine: the sample bundles are checked in a browser only (-tags e2e)")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(samples)); err != nil {
		t.Fatal(err)
	}
	cases := append(sampleCases(t), keyCases(t)...)
	var list bytes.Buffer
	for _, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		list.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, "cases.jsonl"), list.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "testdata/cases.mjs", dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != len(cases) {
		t.Fatalf("%d answers to %d cases: %s", len(lines), len(cases), out)
	}
	for i, c := range cases {
		var got said
		if err := json.Unmarshal(lines[i], &got); err != nil {
			t.Fatal(err)
		}
		compareSaid(t, goSays(t, c), got)
	}
}

// compareSaid compares what both say of a case.
func compareSaid(t *testing.T, want, got said) {
	t.Helper()
	if want.Verdict == string(bundle.Failed) {
		want.Claims, got.Claims, want.Reason, got.Reason = nil, nil, "", "" // words of a refusal are free
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: the page differs (-bundle.Check +page):\n%s", want.Name, d)
	}
	if got.Verdict == string(bundle.Verified) && len(got.Claims) > 0 && got.Claims[0].State != string(report.Proved) {
		t.Errorf("%s: VERIFIED, and %s is %s", want.Name, got.Claims[0].Name, got.Claims[0].State)
	}
}
