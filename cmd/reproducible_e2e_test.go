//go:build e2e

package cmd_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestVerifierIsReproducible builds daybook-verify for every platform twice: in place
// with the usual cache, and from a copy of the source elsewhere with an empty cache.
// The bytes are the same.
func TestVerifierIsReproducible(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "elsewhere", "source")
	copySource(t, root(t), copied)
	fresh := t.TempDir()
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"} {
		t.Run(platform, func(t *testing.T) {
			here := buildVerifier(t, root(t), platform)
			there := buildVerifier(t, copied, platform, "GOCACHE="+fresh)
			if here != there {
				t.Errorf("SHA-256 %x, and elsewhere %x", here, there)
			}
			t.Logf("SHA-256 %x", here)
		})
	}
}

// TestVerifierSaysHowItIsBuilt runs the command that `version` prints, and gets the
// same bytes.
func TestVerifierSaysHowItIsBuilt(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	_, command, ok := strings.Cut(must(t, "daybook-verify", "version"), "built again by: ")
	if !ok {
		t.Fatal("version says nothing of it")
	}
	out := filepath.Join(t.TempDir(), "again")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(strings.TrimSpace(command), "go build ", "go build -o "+out+" ", 1))
	cmd.Dir = root(t)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", command, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := buildVerifier(t, root(t), platform); sha256.Sum256(b) != want {
		t.Errorf("the printed command makes %x, want %x", sha256.Sum256(b), want)
	}
}

// TestCardCanBeMadeAgain runs the command that a key card has beside a sum, as it is
// printed, in a copy of the source elsewhere, and gets a program of that sum.
func TestCardCanBeMadeAgain(t *testing.T) {
	released := filepath.Join(t.TempDir(), "released-verifier")
	sum := buildVerifierAt(t, root(t), runtime.GOOS+"/"+runtime.GOARCH, released)
	d := serve(t, filepath.Join(t.TempDir(), "log"), append(listenFlags(t), "--dev")...)
	defer d.mustStop(t)
	card := must(t, "daybookd", "key", "card", "--data", d.dir, "--verifier", released)
	_, rest, ok := strings.Cut(card, fmt.Sprintf("  sha256    %x\n  made by   ", sum))
	command, _, ended := strings.Cut(rest, "\n\n")
	if !ok || !ended {
		t.Fatalf("no command stands beside %x:\n%s", sum, card)
	}
	copied := filepath.Join(t.TempDir(), "elsewhere", "source")
	copySource(t, root(t), copied)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = copied, append(os.Environ(), "GOCACHE="+t.TempDir(), "GOFLAGS=-tags=other")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", command, err, text)
	}
	b, err := os.ReadFile(filepath.Join(copied, "daybook-verify"))
	if err != nil {
		t.Fatal(err)
	}
	if again := sha256.Sum256(b); again != sum {
		t.Errorf("the card's command makes %x, the card has %x", again, sum)
	}
	if !strings.Contains(strings.ReplaceAll(must(t, "daybook-verify", "version"), "\n", " "), strings.Join(strings.Fields(strings.ReplaceAll(command, "\\\n", "")), " ")) {
		t.Errorf("`daybook-verify version` prints another command than the card:\n%s", command)
	}
}

// buildVerifier builds the verifier as it is released and returns the sum of its
// bytes.
func buildVerifier(t *testing.T, source, platform string, env ...string) [32]byte {
	t.Helper()
	return buildVerifierAt(t, source, platform, filepath.Join(t.TempDir(), "daybook-verify"), env...)
}

// buildVerifierAt is buildVerifier to a file.
func buildVerifierAt(t *testing.T, source, platform, out string, env ...string) [32]byte {
	t.Helper()
	system, processor, _ := strings.Cut(platform, "/")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, "./cmd/daybook-verify")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), append([]string{"CGO_ENABLED=0", "GOFLAGS=", "GOOS=" + system, "GOARCH=" + processor}, env...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building for %s: %v\n%s", platform, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// copySource copies what the verifier is built from.
func copySource(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum", "proto", "verify", "cmd/daybook-verify"} {
		info, err := os.Stat(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(target, os.DirFS(filepath.Join(from, name)))
		} else {
			var b []byte
			if b, err = os.ReadFile(filepath.Join(from, name)); err == nil {
				err = os.WriteFile(target, b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(fmt.Errorf("copying %s: %w", name, err))
		}
	}
}
