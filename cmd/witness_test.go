package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/server/witness/witnesstest"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// A witnessedLog is the directory of a log and its two witnesses.
type witnessedLog struct {
	base, dir, config string
	a, b              *witnesstest.Witness
}

// newWitnessedLog makes a log with 5 events, and witnesses of which both make the
// quorum.
func newWitnessedLog(t *testing.T, atStart string) *witnessedLog {
	t.Helper()
	base := t.TempDir()
	w := &witnessedLog{base: base, dir: filepath.Join(base, "log"), config: filepath.Join(base, "config.yaml")}
	d := serve(t, w.dir, append(anyPorts(), "--dev")...)
	appendSome(t, d, filepath.Join(base, "first"), "before", 5)
	d.mustStop(t)
	vkey := strings.TrimSpace(readText(t, filepath.Join(w.dir, "log.vkey")))
	w.a = witnesstest.New(t, "witness.test/a", cosigntest.Ed25519, vkey)
	w.b = witnesstest.New(t, "witness.test/b", cosigntest.MLDSA, vkey)
	writeText(t, filepath.Join(base, "witnesses.policy"), fmt.Sprintf("# who cosigns\nwitness a %s %s\nwitness b %s %s\ngroup both all a b\nquorum both\n",
		w.a.Key.VKey(), w.a.URL(), w.b.Key.VKey(), w.b.URL()))
	writeText(t, w.config, "witnesses: witnesses.policy\nwitness_at_start: "+atStart+"\n")
	return w
}

func (w *witnessedLog) serve(t *testing.T) *daemon {
	t.Helper()
	return serve(t, w.dir, append(anyPorts(), "--dev", "--config", w.config)...)
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// witnessState is what `status --json` says of witnesses.
type witnessState struct {
	Size      uint64 `json:"size"`
	Shut      string `json:"shut"`
	Witnesses struct {
		WitnessedSize uint64 `json:"witnessed_size"`
		Awaited       bool   `json:"awaited"`
		Witnesses     []struct {
			Name        string `json:"name"`
			Size        uint64 `json:"size"`
			Failures    uint64 `json:"failures"`
			Error       string `json:"error"`
			Contradicts bool   `json:"contradicts"`
		} `json:"witnesses"`
	} `json:"witnesses"`
}

// awaitWitnesses waits for a state.
func awaitWitnesses(t *testing.T, dir, what string, want func(witnessState) bool) witnessState {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		var s witnessState
		mustJSON(t, &s, "daybookd", "status", "--data", dir, "--json")
		if want(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s: never; %+v", what, s)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestWitnesses: a receipt under a checkpoint that the quorum cosigned is accepted
// by the auditor's program with the policy alone; without one of the witnesses
// appends go on and the receipt is not to be had.
func TestWitnesses(t *testing.T) {
	w := newWitnessedLog(t, "require")
	d := w.serve(t)
	state := filepath.Join(w.base, "second")
	awaitWitnesses(t, w.dir, "open", func(s witnessState) bool { return s.Shut == "" })
	appendSome(t, d, state, "with", 5)
	out := filepath.Join(w.base, "receipts")
	profile := []string{"--profile", d.profile()}
	must(t, "daybook", append(profile, "receipt", "3", "--witnessed", "-o", out)...)
	policy := filepath.Join(w.base, "policy.txt")
	writeText(t, policy, must(t, "daybook", append(profile, "checkpoint", "--policy")...))
	if text := readText(t, policy); !strings.Contains(text, w.a.Key.VKey()) || !strings.Contains(text, "quorum both") || !strings.HasPrefix(text, "log ") {
		t.Errorf("policy\n%s", text)
	}
	verified := must(t, "daybook-verify", "receipt", "--policy", policy, filepath.Join(out, "3.tlog-proof"))
	if !strings.Contains(verified, "VERIFIED") || !strings.Contains(verified, "cosigned by") || !strings.Contains(verified, "witness.test/a at 20") || !strings.Contains(verified, "witness.test/b at 20") {
		t.Errorf("the auditor says\n%s", verified)
	}
	if note := must(t, "daybook", append(profile, "checkpoint", "--witnessed")...); strings.Count(note, "\n— ") != 3 {
		t.Errorf("witnessed checkpoint\n%s", note)
	}
	if text := must(t, "daybookd", "status", "--data", w.dir); !strings.Contains(text, "\nwitnessed   ") || !strings.Contains(text, "\n  a         cosigned ") {
		t.Errorf("status\n%s", text)
	}

	w.b.Die()
	appendSome(t, d, state, "after", 5)
	s := awaitWitnesses(t, w.dir, "b is missed", func(s witnessState) bool {
		return len(s.Witnesses.Witnesses) == 2 && s.Witnesses.Witnesses[1].Error != ""
	})
	if a := must(t, "daybook", append(profile, "receipt", fmt.Sprint(s.Size-1), "-o", out)...); a == "" {
		t.Error("no receipt without witnesses")
	}
	refused := run(t, "daybook", append(profile, "receipt", fmt.Sprint(s.Size-1), "--witnessed", "--timeout", "1s", "-o", out)...)
	if refused.code != 1 || !strings.Contains(refused.stderr, "not witnessed yet") || !strings.Contains(refused.stderr, "nothing is lost") {
		t.Errorf("exit %d: %s", refused.code, refused.stderr)
	}
	// What was witnessed before is there after a restart, without the witness.
	d.mustStop(t)
	writeText(t, w.config, "witnesses: witnesses.policy\n")
	d = w.serve(t)
	must(t, "daybook", "--profile", d.profile(), "receipt", "2", "--witnessed", "-o", out)
	must(t, "daybook-verify", "receipt", "--policy", policy, filepath.Join(out, "2.tlog-proof"))
	fsck(t, w.dir)
}

// TestWitnessesHoldOffAnOlderCopy puts an older copy in the place of a log, without
// the anchor beside it: the witnesses know more, and no append is taken, whether
// they are required or not.
func TestWitnessesHoldOffAnOlderCopy(t *testing.T) {
	for _, atStart := range []string{"require", "warn"} {
		t.Run(atStart, func(t *testing.T) {
			w := newWitnessedLog(t, atStart)
			older := filepath.Join(w.base, "backup")
			if err := os.CopyFS(older, os.DirFS(w.dir)); err != nil {
				t.Fatal(err)
			}
			d := w.serve(t)
			awaitWitnesses(t, w.dir, "open", func(s witnessState) bool { return s.Shut == "" })
			appendSome(t, d, filepath.Join(w.base, "second"), "more", 5)
			awaitWitnesses(t, w.dir, "cosigned", func(s witnessState) bool { return s.Witnesses.WitnessedSize == s.Size })
			d.mustStop(t)
			for _, err := range []error{os.RemoveAll(w.dir), os.Rename(older, w.dir), os.Remove(w.dir + ".anchor")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			d = w.serve(t)
			s := awaitWitnesses(t, w.dir, "contradicted", func(s witnessState) bool {
				return len(s.Witnesses.Witnesses) == 2 && s.Witnesses.Witnesses[0].Contradicts && s.Witnesses.Witnesses[1].Contradicts
			})
			if !s.Witnesses.Awaited || w.a.Size() <= s.Size {
				t.Errorf("%+v", s)
			}
			wantShut(t, d, filepath.Join(w.base, "stranger"), "quorum of its witnesses")
		})
	}
}
