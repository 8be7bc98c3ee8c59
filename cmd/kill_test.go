package cmd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// TestKill is the short form of TestKillFiftyTimes.
func TestKill(t *testing.T) { killCycles(t, 3) }

// killCycles kills the server again and again in the middle of commits, under
// producers that keep every receipt and know nothing of the kills, and holds the
// log to those receipts after each restart.
func killCycles(t *testing.T, cycles int) {
	dir := filepath.Join(t.TempDir(), "log")
	flags := append(listenFlags(t), "--dev")
	d := serve(t, dir, flags...)
	l := startLoad(t, d.profile(), 4)
	a := auditor{t: t}
	for range cycles {
		l.await(1 + rand.IntN(2<<rand.IntN(11)))
		d.kill()
		d = serve(t, dir, flags...)
		a.audit(newReader(t, d.profile()), l.await(1))
	}
	l.end()
	receipts := l.await(0)
	t.Logf("%d receipts", len(receipts))
	r := newReader(t, d.profile())
	a.audit(r, receipts)
	auditWhole(t, r, receipts)
	verifyFiles(t, d.profile(), receipts)
	d.mustStop(t)
	fsck(t, dir)
}

// TestStopUnderLoad ends the server in the orderly way while producers append.
func TestStopUnderLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	flags := append(listenFlags(t), "--dev")
	d := serve(t, dir, flags...)
	l := startLoad(t, d.profile(), 4)
	l.await(200)
	d.mustStop(t)
	fsck(t, dir)
	d = serve(t, dir, flags...)
	l.await(50)
	l.end()
	receipts := l.await(0)
	r := newReader(t, d.profile())
	a := auditor{t: t}
	a.audit(r, receipts)
	auditWhole(t, r, receipts)
}

// verifyFiles gives all receipts to daybook-verify: files and a policy, without
// the log.
func verifyFiles(t *testing.T, profilePath string, receipts []kept) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(t.TempDir(), "policy.txt")
	text := verify.FormatPolicy(loadProfile(t, profilePath).VKey)
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range receipts {
		base := filepath.Join(dir, fmt.Sprint(k.index))
		for name, data := range map[string][]byte{base + ".tlog-proof": k.proof, base + ".entry": k.entry} {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(t, "daybook-verify", "receipts", "--policy", policy, dir)
}

// fsck checks a stopped directory and returns its number of entries.
func fsck(t *testing.T, dir string) uint64 {
	t.Helper()
	var result struct {
		Entries uint64 `json:"entries"`
		OK      bool   `json:"ok"`
	}
	mustJSON(t, &result, "daybookd", "fsck", "--data", dir, "--json")
	if !result.OK || result.Entries == 0 {
		t.Errorf("fsck of %s: %+v", dir, result)
	}
	return result.Entries
}
