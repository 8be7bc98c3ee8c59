//go:build e2e

package page_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seen is what a person finds on the page.
type seen struct {
	Title, Focus, Verdict, Means, Reason, Hint, Fault, Bundle, Trust, Checkpoint string
	Inputs, Progress, Ready                                                      bool
	Wide                                                                         bool // it must be scrolled sideways
}

func (b *browser) look() (s seen) {
	b.t.Helper()
	b.eval(`(() => {
		const text = (selector) => document.querySelector(selector)?.innerText.trim() ?? "";
		const visible = (id) => !document.getElementById(id).hidden;
		return {
			Title: document.title, Focus: document.activeElement.innerText?.slice(0, 60) ?? "", Verdict: text("#verdict h2"), Means: text("#verdict .means"),
			Reason: text("#verdict dd"), Hint: text("#check-hint"), Fault: visible("input-fault") ? text("#input-fault") : "",
			Bundle: text("#held-bundle"), Trust: text("#held-trust"), Checkpoint: text("#held-checkpoint"),
			Inputs: visible("inputs"), Progress: visible("progress"), Ready: document.getElementById("check").getAttribute("aria-disabled") !== "true",
			Wide: document.documentElement.scrollWidth > innerWidth,
		};
	})()`, &s)
	return s
}

// check presses the button and waits for the verdict.
func (b *browser) check() seen {
	b.t.Helper()
	b.eval(`document.getElementById("check").click()`, nil)
	b.waitFor("a verdict", `!document.getElementById("verdict").hidden`)
	return b.look()
}

// drop drops files of these names and texts on what the selector finds.
func (b *browser) drop(selector string, files map[string]string) {
	b.t.Helper()
	list, err := json.Marshal(files)
	if err != nil {
		b.t.Fatal(err)
	}
	b.eval(fmt.Sprintf(`(() => {
		const carried = new DataTransfer();
		for (const [name, text] of Object.entries(%s)) carried.items.add(new File([text], name));
		const event = new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: carried});
		document.querySelector(%q).dispatchEvent(event);
		if (!event.defaultPrevented) throw new Error("the browser would open the file");
	})()`, list, selector), nil)
	b.eval(`new Promise((done) => setTimeout(done, 200))`, nil)
}

const (
	uiKey        = "example.com/audit/log1+c6035237+Ad3jG6xR2Y9ARFwCsRdD2piiz0dpiNz24cvJW844ibcW"
	uiPolicy     = "log " + uiKey + "\nquorum none\n"
	uiCheckpoint = "example.com/audit/log1\n1\nZuJHxvtFOEujZohrhm+nl/FWKZvPtRDtWLejRDH1pYo=\n\n\u2014 example.com/audit/log1 AAAAAAAA\n"
	uiBundle     = "PK\x03\x04 is how a zip begins"
)

// TestFilesFindTheirBoxes drops, chooses and types what the page takes.
func TestFilesFindTheirBoxes(t *testing.T) {
	b := openPage(t)
	if s := b.look(); s.Ready || !s.Inputs || s.Verdict != "" {
		t.Fatalf("at first: %+v", s)
	}
	b.eval(`document.getElementById("check").click()`, nil)
	if s := b.look(); s.Verdict != "" || s.Progress {
		t.Errorf("checked without a file: %+v", s)
	}
	b.drop("footer, body", map[string]string{"A.zip": uiBundle, "policy.txt": uiPolicy, "held.note": uiCheckpoint})
	s := b.look()
	if !strings.HasPrefix(s.Bundle, "A.zip") || !strings.HasPrefix(s.Trust, "policy.txt") || !strings.HasPrefix(s.Checkpoint, "held.note") || !s.Ready || s.Fault != "" {
		t.Errorf("three files dropped at once: %+v", s)
	}
	b.drop("#box-bundle", map[string]string{"key.txt": uiKey + "\n"})
	if s := b.look(); !strings.HasPrefix(s.Trust, "key.txt") || !strings.HasPrefix(s.Bundle, "A.zip") {
		t.Errorf("a key dropped on the wrong box: %+v", s)
	}
	b.drop("#box-trust", map[string]string{"B.zip.age": "age-encryption.org/v1\n"})
	if s := b.look(); !strings.Contains(s.Fault, "B.zip.age is encrypted: open it first, with age --decrypt -i KEYFILE -o CASE.zip B.zip.age") {
		t.Errorf("an encrypted file: %+v", s)
	}
	b.drop("body", map[string]string{"letter.txt": "Dear Sir"})
	if s := b.look(); !strings.Contains(s.Fault, "letter.txt is neither") {
		t.Errorf("a letter: %+v", s)
	}
	b.eval(`document.querySelector("#held-trust button").click()`, nil)
	if s := b.look(); s.Trust != "" || !strings.Contains(s.Hint, "SELF-CONSISTENT") {
		t.Errorf("key removed: %+v", s)
	}
	b.eval(`(() => { const t = document.getElementById("text-trust"); t.value = "  `+uiKey+` "; t.dispatchEvent(new Event("input")); })()`, nil)
	if s := b.look(); !strings.HasPrefix(s.Trust, "typed in") || s.Hint != "Ready." {
		t.Errorf("key typed: %+v", s)
	}
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Errorf("asked for %q, complained %q", addresses, complaints)
	}
}

// TestVerdictsAreShown checks what is no bundle, under a policy that is one and
// one that is none, and looks at the page on a desk and on a telephone.
func TestVerdictsAreShown(t *testing.T) {
	b := openPage(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "CASE.zip")
	if err := os.WriteFile(file, []byte(uiBundle), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1280, 390} {
		b.call(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 800}, nil)
		b.setFiles("#file-bundle", file)
		b.waitFor("the file", `document.querySelector("#held-bundle li")`)
		for _, c := range []struct{ trust, verdict, reason string }{
			{uiPolicy, "FAILED", ""},
			{"", "FAILED", ""},
			{"log nobody\nquorum none\n", "NOT CHECKED", "policy"},
		} {
			b.eval(fmt.Sprintf(`(() => { const t = document.getElementById("text-trust"); t.value = %q; t.dispatchEvent(new Event("input")); })()`, c.trust), nil)
			s := b.check()
			if !strings.HasSuffix(s.Verdict, c.verdict) || s.Inputs || s.Progress || s.Wide || s.Means == "" || !strings.Contains(s.Reason, c.reason) || !strings.Contains(s.Title, "CASE.zip") {
				t.Errorf("%d wide, trust %q: %+v", width, c.trust, s)
			}
			if !strings.Contains(s.Focus, c.verdict) {
				t.Errorf("the focus is on %q, not on the verdict", s.Focus)
			}
			b.screenshot(fmt.Sprintf("ui-%d-%s", width, strings.ReplaceAll(strings.ToLower(c.verdict), " ", "-")))
			b.eval(`document.querySelector("#verdict .actions button").click()`, nil)
			if s := b.look(); !s.Inputs || s.Verdict != "" {
				t.Errorf("back at the files: %+v", s)
			}
		}
	}
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Errorf("asked for %q, complained %q", addresses, complaints)
	}
}

// TestFileThatChangesIsNotChecked changes a file after it was chosen.
func TestFileThatChangesIsNotChecked(t *testing.T) {
	b := openPage(t)
	file := filepath.Join(t.TempDir(), "CASE.zip")
	for _, text := range []string{uiBundle, uiBundle + " and how it goes on"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == uiBundle {
			b.setFiles("#file-bundle", file)
			b.waitFor("the file", `document.querySelector("#held-bundle li")`)
		}
	}
	if s := b.check(); !strings.HasSuffix(s.Verdict, "NOT CHECKED") || !strings.Contains(s.Reason, "changed or moved") {
		t.Errorf("%+v", s)
	}
}

// TestSamplesAreShown checks sample bundles as a person does, and finds the report
// that the check wrote anew in a frame without rights.
func TestSamplesAreShown(t *testing.T) {
	b := openPage(t)
	samples, err := filepath.Abs("../bundle/testdata")
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(samples, "policy.txt")
	const early = "checkpoints/00000000000000000050" // the newest before the samples' own
	for _, c := range []struct {
		name, policy, verdict, says string
		files                       []string
		report                      bool
		held                        []string // members of a sample that the examiner holds
	}{
		{"zero", policy, "VERIFIED", "nothing that the question asks for was left out", []string{"zero.zip"}, true, nil},
		{"gaps", policy, "VERIFIED WITH DECLARED GAPS", "the log itself says that reports are missing", []string{"occurred.zip"}, true, nil},
		{"self", "", "SELF-CONSISTENT", "whoever made this file could have made all of it", []string{"zero.zip"}, true, nil},
		{"held", policy, "VERIFIED", "checkpoint that you hold agrees", []string{"zero.zip"}, true, []string{"checkpoint"}},
		{"proof", policy, "VERIFIED", "checkpoint that you hold agrees", []string{"zero.zip"}, true, []string{early + ".note", early + ".proof"}},
		{"parts", policy, "VERIFIED WITH DECLARED GAPS", "Each part has a report of its own", []string{"split-1.zip", "split-2.zip", "split-3.zip"}, true, nil},
		{"zero lost", policy, "VERIFIED WITH DECLARED GAPS", "spiffe://web/gateway, of a domain that is asked for", []string{"zero-lost.zip"}, true, nil},
		{"mistyped", policy, "VERIFIED", "Caution: from: no domain map in force up to the close knows a domain \"prod-bd\"", []string{"mistyped.zip"}, true, nil},
		{"part", policy, "VERIFIED", "This is part 1 of 3", []string{"split-1.zip"}, true, nil},
		{"too few", policy, "NOT CHECKED", "parts 1, 3 of 3 are here, part 2 is missing", []string{"split-1.zip", "split-3.zip"}, false, nil},
	} {
		b.call(b.session, "Page.reload", nil, nil)
		b.waitFor("the page", "document.readyState === 'complete' && globalThis.daybook !== undefined")
		var files []string
		for _, f := range c.files {
			files = append(files, filepath.Join(samples, f))
		}
		b.setFiles("#file-bundle", files...)
		b.waitFor("the files", fmt.Sprintf(`document.querySelectorAll("#held-bundle li").length === %d`, len(files)))
		if c.policy != "" {
			b.setFiles("#file-trust", c.policy)
			b.waitFor("the policy", `document.querySelector("#held-trust li")`)
		}
		if len(c.held) > 0 {
			b.setFiles("#file-checkpoint", unzipMembers(t, filepath.Join(samples, "web-to-prod.zip"), c.held)...)
			b.waitFor("what is held", fmt.Sprintf(`document.querySelectorAll("#held-checkpoint li").length === %d`, len(c.held)))
		}
		s := b.check()
		var text string
		b.eval(`document.querySelector("main").innerText.replace(/\s+/g, " ")`, &text)
		word, _, _ := strings.Cut(s.Verdict, "\nnot claimed: ")
		if !strings.HasSuffix(word, c.verdict) || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s, %s", c.name, s.Verdict, text)
		}
		var report, confined bool
		b.eval(`document.querySelector("iframe.report")?.srcdoc.includes("Examination report") ?? false`, &report)
		if report != c.report {
			t.Errorf("%s: a report is there: %v", c.name, report)
		}
		if b.eval(`document.querySelector("iframe.report")?.getAttribute("sandbox") === ""`, &confined); confined != c.report {
			t.Errorf("%s: the report's frame has rights", c.name)
		}
		var saved string
		b.eval(`(async () => {
			let blob = null, name = "";
			const real = URL.createObjectURL, click = HTMLAnchorElement.prototype.click;
			URL.createObjectURL = (b) => { blob = b; return real.call(URL, b); };
			HTMLAnchorElement.prototype.click = function () { name = this.download; };
			[...document.querySelectorAll("#verdict button")].find((b) => b.innerText.includes("Save")).click();
			URL.createObjectURL = real, HTMLAnchorElement.prototype.click = click;
			return name + "\n" + await blob.text();
		})()`, &saved)
		if !strings.HasPrefix(saved, strings.TrimSuffix(c.files[0], ".zip")+"-verdict.txt\n"+strings.ReplaceAll(strings.TrimPrefix(s.Verdict[strings.Index(s.Verdict, c.verdict):], "\n"), "\n", "; ")+"\n") {
			t.Errorf("%s: saved %q", c.name, saved)
		}
		b.screenshot("ui-sample-" + strings.ReplaceAll(c.name, " ", "-"))
	}
	if addresses, complaints := b.requests(); len(addresses)+len(complaints) > 0 {
		t.Errorf("asked for %q, complained %q", addresses, complaints)
	}
}

// TestVerdictIsOfWhatWasThere drops another policy while a check is under way: the
// verdict is that under the first, and names it.
func TestVerdictIsOfWhatWasThere(t *testing.T) {
	b := openPage(t)
	samples, err := filepath.Abs("../bundle/testdata")
	if err != nil {
		t.Fatal(err)
	}
	b.setFiles("#file-bundle", filepath.Join(samples, "zero.zip"))
	b.setFiles("#file-trust", filepath.Join(samples, "policy.txt"))
	b.waitFor("the files", `document.querySelectorAll(".held li").length === 2`)
	b.eval(fmt.Sprintf(`(() => {
		document.getElementById("check").click();
		const carried = new DataTransfer();
		carried.items.add(new File([%q], "other.txt"));
		document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: carried}));
	})()`, uiPolicy), nil)
	b.waitFor("a verdict", `!document.getElementById("verdict").hidden`)
	var text string
	b.eval(`document.getElementById("verdict").innerText`, &text)
	if !strings.Contains(text, "VERIFIED") || !strings.Contains(text, "the policy policy.txt") || strings.Contains(text, "other.txt") {
		t.Errorf("the verdict says %s", text)
	}
	b.eval(`document.querySelector("#verdict .actions button").click()`, nil)
	if s := b.look(); !strings.HasPrefix(s.Trust, "other.txt") {
		t.Errorf("what was dropped meanwhile is not there: %+v", s)
	}
}

// unzipMembers writes members of a sample to files, which it names.
func unzipMembers(t *testing.T, sample string, names []string) (files []string) {
	t.Helper()
	z, err := zip.OpenReader(sample)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, name := range names {
		b, err := fs.ReadFile(z, name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// TestEverythingHasAName checks that whoever hears the page is told what each thing
// to operate is, and that the keyboard reaches it.
func TestEverythingHasAName(t *testing.T) {
	b := openPage(t)
	var nameless []string
	b.eval(`[...document.querySelectorAll("button, input, textarea, a, progress, iframe")].filter((e) =>
		!(e.labels?.length > 0 || e.innerText?.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.title)).map((e) => e.outerHTML)`, &nameless)
	if len(nameless) > 0 {
		t.Errorf("without a name: %q", nameless)
	}
	reached := map[string]bool{}
	for range 12 {
		for _, typ := range []string{"keyDown", "keyUp"} {
			b.call(b.session, "Input.dispatchKeyEvent", map[string]any{"type": typ, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
		var id string
		b.eval(`document.activeElement.id || document.activeElement.className || document.activeElement.tagName`, &id)
		reached[id] = true
	}
	for _, id := range []string{"file-bundle", "file-trust", "file-checkpoint", "check", "skip", "SUMMARY"} {
		if !reached[id] {
			t.Errorf("the Tab key does not reach %s, only %v", id, reached)
		}
	}
}
