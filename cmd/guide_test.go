package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A fence is a fenced block of a page: its info string and its text.
type fence struct{ info, text string }

// fences returns the fenced blocks of a page, in order.
func fences(t *testing.T, page string) []fence {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []fence
	inside := false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			if inside = !inside; inside {
				out = append(out, fence{info: strings.TrimSpace(strings.TrimPrefix(line, "```"))})
			}
		case inside:
			out[len(out)-1].text += line
		}
	}
	return out
}

// TestGuide runs every command of every page of the guide, one after the other,
// against a log of its own: blocks `sh` as they stand, blocks `file NAME` as files.
func TestGuide(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root(t), "server/console/guide/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no page: %v", err)
	}
	for _, page := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			dir := t.TempDir()
			serve(t, filepath.Join(dir, "log"), append(anyPorts(), "--dev")...)
			ran := 0
			for _, f := range fences(t, page) {
				if name, ok := strings.CutPrefix(f.info, "file "); ok {
					if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(f.text), 0o600); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if f.info != "sh" {
					t.Errorf("a block `%s` is neither sh nor a file: nothing runs it", f.info)
					continue
				}
				ran++
				if _, err := exec.LookPath("curl"); err != nil && strings.Contains(f.text, "curl ") {
					t.Logf("no curl here: not run\n%s", f.text)
					continue
				}
				runBlock(t, dir, f.text)
			}
			if ran == 0 {
				t.Error("the page has no command")
			}
		})
	}
}

// TestFirmReadme runs every command of the sample firm's page, in its folder.
func TestFirmReadme(t *testing.T) {
	folder := filepath.Join(root(t), "cmd/daybook/testdata/firm")
	ran := 0
	for _, f := range fences(t, filepath.Join(folder, "README.md")) {
		ran++
		runBlock(t, folder, f.text)
	}
	if ran == 0 {
		t.Error("the page has no command")
	}
}

// runBlock runs commands as a shell does that stops at the first which fails.
func runBlock(t *testing.T, dir, commands string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DAYBOOK_PROFILE=log/profile.yaml", "PATH="+filepath.Dir(program(t, "daybook"))+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
	t.Logf("%s\n%s", commands, out)
}
