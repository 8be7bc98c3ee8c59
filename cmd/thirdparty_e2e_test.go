//go:build e2e

package cmd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/verify"
)

// Programs of others that read a log, by the name they get here. They are built
// from the module proxy, in two minutes of processor time at most, once.
var others = map[string]string{
	"fsck":    "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4",
	"mirror":  "github.com/transparency-dev/tessera/cmd/experimental/mirror/posix@v1.0.4",
	"migrate": "github.com/transparency-dev/tessera/cmd/experimental/migrate/posix@v1.0.4",
	"oneshot": "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot@v1.0.4",
	"spicy":   "filippo.io/torchwood/cmd/spicy@v0.9.0",
}

var builtOthers = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "daybook-others-")
	if err != nil {
		return "", err
	}
	for name, path := range others {
		cmd := exec.Command("go", "install", path)
		bin := filepath.Join(dir, name)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("%s: %w\n%s", path, err, out)
		}
	}
	return dir, nil
})

// other returns the path of a program of others; where they cannot be built, the
// test is skipped.
func other(t *testing.T, name string) string {
	t.Helper()
	dir, err := builtOthers()
	if err != nil {
		t.Skipf("SKIPPED: no program of others checks the log here, for they could not be built: %v", err)
	}
	list, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %v, %v", name, list, err)
	}
	return filepath.Join(dir, name, list[0].Name())
}

// runOther runs a program of others and returns what it said, whatever its exit code.
func runOther(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, other(t, name), args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

// tesseraFsck has Tessera's fsck recompute a whole log; it exits with 0 in any case.
func tesseraFsck(t *testing.T, url, vkeyFile string) (ok bool, said string) {
	t.Helper()
	said = runOther(t, "fsck", "-storage_url", url, "-public_key", vkeyFile, "-ui=false", "-N", "8")
	return strings.Contains(said, "Successfully fsck'd log"), said
}

// A public is a log that is served with public tiles, and what it takes to read it.
type public struct {
	url, policy, vkeyFile, vkey string
	receipts                    string // folder with receipts
}

func servePublic(t *testing.T, events int) *public {
	t.Helper()
	dir := t.TempDir()
	d, err := startDaemon(program(t, "daybookd"), filepath.Join(dir, "log"), append(anyPorts(), "--dev")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	if err := d.awaitReady(); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(dir, "log", "profile.yaml")
	must(t, "daybook", "import", "--profile", profile, "--format", "xroad", xroadFile(t, events))
	p := &public{url: "http://" + d.address(t, "public") + "/", policy: filepath.Join(dir, "policy.txt"), vkeyFile: filepath.Join(dir, "log.pub"), receipts: filepath.Join(dir, "receipts")}
	p.vkey = strings.TrimSpace(must(t, "daybook", "checkpoint", "--profile", profile, "--vkey"))
	for path, text := range map[string]string{p.policy: verify.FormatPolicy(p.vkey), p.vkeyFile: p.vkey} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "daybook", "receipt", "--profile", profile, "0", "7", "-o", p.receipts)
	return p
}

// TestOthersReadTheLog has programs that share no code with ours recompute the log,
// copy it, rebuild it, and check a receipt.
func TestOthersReadTheLog(t *testing.T) {
	other(t, "fsck")
	p := servePublic(t, 66_000) // a third level of tiles
	if ok, said := tesseraFsck(t, p.url, p.vkeyFile); !ok {
		t.Errorf("Tessera's fsck of the log: %.2000s", said)
	}
	ours := filepath.Join(t.TempDir(), "ours")
	must(t, "daybookd", "mirror", "--from", p.url, "--data", ours, "--policy", p.policy, "--once")
	must(t, "daybook-verify", "log", "--policy", p.policy, ours)
	if ok, said := tesseraFsck(t, "file://"+ours, p.vkeyFile); !ok {
		t.Errorf("Tessera's fsck of our copy: %.2000s", said)
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	said := runOther(t, "mirror", "-source_url", p.url, "-storage_dir", theirs)
	if ok, checked := tesseraFsck(t, "file://"+theirs, p.vkeyFile); !ok {
		t.Errorf("Tessera's mirror: %.2000s\nits fsck: %.2000s", said, checked)
	}
	must(t, "daybook-verify", "log", "--policy", p.policy, theirs)
	if said := runOther(t, "migrate", "-source_url", p.url, "-storage_dir", filepath.Join(t.TempDir(), "migrated")); !strings.Contains(said, "Migration successful") {
		t.Errorf("Tessera's migration: %.2000s", said)
	}
	t.Run("the same tree", func(t *testing.T) { sameTree(t, ours) })
	t.Run("a receipt", func(t *testing.T) { spicyAccepts(t, p) })
	t.Run("damage", func(t *testing.T) { bothFindDamage(t, p, ours) })
}

// sameTree feeds the entries of a copy to Tessera's own log and compares every tile
// and bundle.
func sameTree(t *testing.T, copied string) {
	note, err := os.ReadFile(filepath.Join(copied, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := verify.OpenUnverified(note)
	if err != nil {
		t.Fatal(err)
	}
	entries, theirs := t.TempDir(), filepath.Join(t.TempDir(), "theirs")
	for n := uint64(0); verify.TileWidthAt(0, n, head.Size) > 0; n++ {
		bundle := verify.Tile{Entries: true, N: n, Width: verify.TileWidthAt(0, n, head.Size)}
		raw, err := os.ReadFile(filepath.Join(copied, verify.FormatTilePath(bundle)))
		if err != nil {
			t.Fatal(err)
		}
		list, err := verify.ParseBundle(nil, raw, bundle.Width)
		if err != nil {
			t.Fatal(err)
		}
		for i, entry := range list {
			if err := os.WriteFile(filepath.Join(entries, fmt.Sprintf("%08d", n*256+uint64(i))), entry, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	said := runOther(t, "oneshot", "-storage_dir", theirs, "-entries", entries+"/*", "-private_key", newKey(t))
	their, err := os.ReadFile(filepath.Join(theirs, "checkpoint"))
	if err != nil {
		t.Fatalf("%v: %.2000s", err, said)
	}
	got, err := verify.OpenUnverified(their)
	if err != nil || got.Size != head.Size || got.Root != head.Root {
		t.Fatalf("their log has size %d, root %x; ours size %d, root %x: %v", got.Size, got.Root, head.Size, head.Root, err)
	}
	compared := 0
	err = fs.WalkDir(os.DirFS(copied), "tile", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ours, err := os.ReadFile(filepath.Join(copied, name))
		if err != nil {
			return err
		}
		theirs, err := os.ReadFile(filepath.Join(theirs, name))
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%s differs: %v", name, err)
		}
		compared++
		return nil
	})
	if err != nil || compared < 519 {
		t.Errorf("%d files compared: %v", compared, err)
	}
}

// newKey makes a key for a log of Tessera's.
func newKey(t *testing.T) string {
	t.Helper()
	skey, _, err := note.GenerateKey(rand.Reader, "example.com/theirs")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(skey), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// spicyAccepts has torchwood's spicy check a receipt. It knows the layout without the
// first line, beside the entry.
func spicyAccepts(t *testing.T, p *public) {
	proof, err := os.ReadFile(filepath.Join(p.receipts, "7.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := os.ReadFile(filepath.Join(p.receipts, "7.entry"))
	if err != nil {
		t.Fatal(err)
	}
	_, legacy, _ := strings.Cut(string(proof), "\n")
	file := filepath.Join(t.TempDir(), "entry")
	verdict := func(entry []byte) error {
		for path, b := range map[string][]byte{file: entry, file + ".spicy": []byte(legacy)} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return exec.CommandContext(t.Context(), other(t, "spicy"), "-verify", p.vkey, file).Run()
	}
	if err := verdict(entry); err != nil {
		t.Errorf("spicy refuses a receipt: %v", err)
	}
	entry[len(entry)-1] ^= 1
	if verdict(entry) == nil {
		t.Error("spicy accepts a receipt of another entry")
	}
}

// bothFindDamage flips a bit of each kind of file: their check fails, and ours names
// the file.
func bothFindDamage(t *testing.T, p *public, copied string) {
	for _, name := range []string{"tile/entries/001", "tile/0/002", "tile/1/000", "tile/2/000.p/1", "checkpoint"} {
		dir := filepath.Join(t.TempDir(), "bad")
		if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if ok, _ := tesseraFsck(t, "file://"+dir, p.vkeyFile); ok {
			t.Errorf("%s altered: Tessera's fsck finds nothing", name)
		}
		if a := run(t, "daybook-verify", "log", "--policy", p.policy, dir); a.code != 1 || !strings.Contains(a.stdout, name) {
			t.Errorf("%s altered: ours exits with %d and says %s", name, a.code, a.stdout)
		}
	}
}

// address is where a listener of a daemon is.
func (d *daemon) address(t *testing.T, listener string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, "addresses.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all[listener]
}
