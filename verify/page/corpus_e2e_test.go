//go:build e2e

package page_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// caseRunner is put into the page beside its own script, which it calls.
const caseRunner = `
globalThis.caseFiles = new Map();
globalThis.addFile = (name, text) => caseFiles.set(name, Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
globalThis.runCases = async (cases) => {
	const out = [];
	for (const c of cases) {
		let parts;
		if (c.files) {
			parts = c.files.map((f) => new Blob([caseFiles.get(f)]));
		} else {
			const base = caseFiles.get(c.base), pieces = [];
			let at = 0;
			for (const [offset, deleted, insert] of c.patch ?? []) {
				pieces.push(base.subarray(at, offset), Uint8Array.from(insert.match(/../g) ?? [], (h) => parseInt(h, 16)));
				at = offset + deleted;
			}
			parts = [new Blob([...pieces, base.subarray(at)])];
		}
		const r = await daybook.checkBundle(parts, { policy: c.policy ? caseFiles.get(c.policy) : null, checkpoint: c.checkpoint ? caseFiles.get(c.checkpoint) : null });
		const { Verdict, Code, Claims, Reason, Member, FirstBadIndex } = r;
		out.push({ Name: c.name, Verdict, Code, Claims, Reason, Member, FirstBad: FirstBadIndex === null ? null : Number(FirstBadIndex) });
	}
	return out;
};`

// addFiles gives the files of a folder to the page.
func (b *browser) addFiles(dir string) {
	b.t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() || strings.HasSuffix(f.Name(), ".jsonl") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			b.t.Fatal(err)
		}
		b.eval(fmt.Sprintf("void addFile(%q, %q)", f.Name(), base64.StdEncoding.EncodeToString(content)), nil)
	}
}

// runCases checks cases in the page, many in one call.
func (b *browser) runCases(cases []checkCase) []said {
	b.t.Helper()
	const atOnce = 100
	var out []said
	for len(cases) > 0 {
		some := cases[:min(atOnce, len(cases))]
		cases = cases[len(some):]
		text, err := json.Marshal(some)
		if err != nil {
			b.t.Fatal(err)
		}
		var got []said
		b.eval("runCases("+string(text)+")", &got)
		out = append(out, got...)
	}
	return out
}

// TestSamplesInBrowser checks the sample bundles in the page, opened from a file.
func TestSamplesInBrowser(t *testing.T) {
	b := openPage(t)
	b.eval(caseRunner+"void 0", nil)
	b.addFiles(samples)
	cases := sampleCases(t)
	for i, got := range b.runCases(cases) {
		compareSaid(t, goSays(t, cases[i]), got)
	}
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Errorf("asked for %q, complained %q", addresses, complaints)
	}
}

// TestAdversaryInBrowser checks in the page what the adversary made of bundles:
// every structured case, 2,000 random changes, and some of the single bits.
func TestAdversaryInBrowser(t *testing.T) {
	chromium(t)
	dir := t.TempDir()
	command := exec.Command("go", "test", "../bundle", "-run", "TestAdversary", "-count=1", "-timeout", "20m", "-corpus", dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("making the corpus: %v: %.2000s", err, out)
	}
	cases := readCases(t, filepath.Join(dir, "cases.jsonl"))
	b := openPage(t)
	b.eval(caseRunner+"void 0", nil)
	b.addFiles(dir)
	random := 0
	for i, got := range b.runCases(cases) {
		if strings.HasPrefix(cases[i].Name, "random/") {
			random++
		}
		compareCase(t, cases[i], got)
	}
	t.Logf("%d cases, %d of them random", len(cases), random)
	if random < 2000 || len(cases)-random < 100 {
		t.Errorf("%d cases, %d of them random: too few", len(cases), random)
	}
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Errorf("asked for %q, complained %q", addresses, complaints)
	}
}

// bitsStep is which of the cases of a single bit are checked here: every so many.
const bitsStep = 97

func readCases(t *testing.T, name string) []checkCase {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []checkCase
	in := bufio.NewScanner(f)
	in.Buffer(nil, 64<<20)
	bits := 0
	for in.Scan() {
		var c checkCase
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.Name, "bits/") {
			if bits++; bits%bitsStep != 0 {
				continue
			}
		}
		cases = append(cases, c)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// compareCase checks that a case has its exit code and that what is wrong is named.
func compareCase(t *testing.T, c checkCase, got said) {
	t.Helper()
	if got.Code != c.Exit {
		t.Errorf("%s: %s (%s), want exit %d", c.Name, got.Verdict, got.Reason, c.Exit)
		return
	}
	text := got.Member + " " + got.Reason
	if got.FirstBad != nil {
		text += fmt.Sprintf(" entry %d", *got.FirstBad)
	}
	for _, cl := range got.Claims {
		if cl.State == "failed" {
			text += " " + cl.Name + " " + cl.Detail
		}
	}
	for _, name := range c.Names {
		if strings.Contains(text, name) {
			return
		}
	}
	if len(c.Names) > 0 {
		t.Errorf("%s: named %q, want one of %q", c.Name, text, c.Names)
	}
}

// TestRichLogsInBrowser checks bundles of random logs in which every detector finds
// something, whole logs among them: the page says word for word what the other
// implementation says.
func TestRichLogsInBrowser(t *testing.T) {
	chromium(t)
	dir := t.TempDir()
	command := exec.Command("go", "test", "../bundle", "-run", "TestRichLogs", "-count=1", "-timeout", "20m", "-rich", dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("making the bundles: %v: %.2000s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d bundles: %v", len(files), err)
	}
	var cases []checkCase
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".zip")
		cases = append(cases, checkCase{Name: name, Files: []string{name + ".zip"}, Policy: name + ".policy"})
	}
	b := openPage(t)
	b.eval(caseRunner+"void 0", nil)
	b.addFiles(dir)
	for _, got := range b.runCases(cases) {
		text, err := os.ReadFile(filepath.Join(dir, got.Name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want said
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if got.Verdict != want.Verdict || got.Reason != want.Reason || !slices.Equal(got.Claims, want.Claims) {
			t.Errorf("%s: the page says %s (%s) %+v, not %s (%s) %+v", got.Name, got.Verdict, got.Reason, got.Claims, want.Verdict, want.Reason, want.Claims)
		}
	}
	t.Logf("%d bundles", len(cases))
}
