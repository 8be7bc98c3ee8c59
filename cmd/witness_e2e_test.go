//go:build e2e

package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The witnesses of others, pinned.
const (
	litewitnessModule = "filippo.io/torchwood/cmd/litewitness@v0.9.0"
	omniwitnessModule = "github.com/transparency-dev/witness/cmd/omniwitness@v0.0.0-20260720115447-2e1c6971d19e"
	witnessKeysModule = "github.com/transparency-dev/witness/cmd/generate_keys@v0.0.0-20260720115447-2e1c6971d19e"
)

// installed builds programs of others into a folder; what cannot be built skips
// the test, loudly.
func installed(t *testing.T, modules ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, m := range modules {
		cmd := exec.Command("go", "install", m)
		cmd.Dir = bin // of no module
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: go install %s: %v\n%s", m, err, out)
		}
	}
	return bin
}

// needs skips the test, loudly, where one of the programs is not there.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT TESTED: %s is not installed", name)
		}
	}
}

func mustExec(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// background starts a program that ends with the test; its stderr goes to lines.
func background(t *testing.T, lines func(string), name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines(s.Text())
		}
		_, _ = io.Copy(io.Discard, stderr)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	})
	return cmd
}

// freeAddress is an address of loopback that was free just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await waits until something accepts connections.
func await(t *testing.T, network, address string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// litewitness starts torchwood's witness for a log and returns its verifier key, its
// URL, and the process.
func litewitness(t *testing.T, bin, origin, vkey string) (string, string, *exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lw") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	key, socket, db, address := filepath.Join(dir, "k"), filepath.Join(dir, "s"), filepath.Join(dir, "db"), freeAddress(t)
	mustExec(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	background(t, func(string) {}, "ssh-agent", "-D", "-a", socket)
	await(t, "unix", socket)
	add := exec.Command("ssh-add", "-q", key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v\n%s", err, out)
	}
	mustExec(t, "sqlite3", db, `CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));
INSERT INTO log VALUES ('`+origin+`', 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
INSERT INTO key VALUES ('`+origin+`', '`+vkey+`');`)
	print := strings.Fields(mustExec(t, "ssh-keygen", "-l", "-f", key+".pub"))[1]
	said := make(chan string, 1)
	found := regexp.MustCompile(`vkey="?([^" ]+)`)
	cmd := background(t, func(line string) {
		if m := found.FindStringSubmatch(line); m != nil {
			select {
			case said <- m[1]:
			default:
			}
		}
	}, filepath.Join(bin, "litewitness"), "-db", db, "-name", "witness.example/lw", "-key", print, "-ssh-agent", socket, "-listen", address)
	await(t, "tcp", address)
	select {
	case k := <-said:
		return k, "http://" + address, cmd
	case <-time.After(patience):
		t.Fatal("litewitness does not say its key")
		return "", "", nil
	}
}

// omniwitness starts transparency-dev's witness for a log, with a key of each type,
// and returns the verifier keys and the URL.
func omniwitness(t *testing.T, bin, origin, vkey string) (ed25519, mldsa, url string) {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	keys := filepath.Join(bin, "generate_keys")
	mustExec(t, keys, "--origin", "witness.example/w1", "--out_priv", at("w1.sec"), "--out_pub", at("w1.pub"))
	mustExec(t, keys, "--origin", "witness.example/w2", "--out_priv", at("w2.sec"), "--out_pub", at("w2.pub"), "--mldsa")
	writeText(t, at("logs.yaml"), "Logs:\n  - Origin: "+origin+"\n    URL: http://127.0.0.1:1/\n    PublicKey: "+vkey+"\n    Feeder: none\n")
	background(t, func(string) {}, filepath.Join(bin, "omniwitness"), "-listen", address, "-metrics_listen", "", "-db_file", at("db"),
		"-private_key_path", at("w1.sec"), "-private_key_path", at("w2.sec"), "-additional_logs", at("logs.yaml"), "-logtostderr")
	await(t, "tcp", address)
	return strings.TrimSpace(readText(t, at("w1.pub"))), strings.TrimSpace(readText(t, at("w2.pub"))), "http://" + address
}

// TestWitnessesOfOthers has two witnesses that others wrote cosign a log, with
// Ed25519 and ML-DSA keys; the auditor's program accepts the receipt under the
// quorum of all. Without one of them appends go on, and the policy decides whether
// what is left is a quorum.
func TestWitnessesOfOthers(t *testing.T) {
	needs(t, "ssh-keygen", "ssh-agent", "ssh-add", "sqlite3")
	bin := installed(t, litewitnessModule, omniwitnessModule, witnessKeysModule)
	base := t.TempDir()
	dir, config, out := filepath.Join(base, "log"), filepath.Join(base, "config.yaml"), filepath.Join(base, "receipts")
	d := serve(t, dir, append(anyPorts(), "--dev")...)
	appendSome(t, d, filepath.Join(base, "first"), "before", 5)
	d.mustStop(t)
	vkey := strings.TrimSpace(readText(t, filepath.Join(dir, "log.vkey")))
	origin, _, _ := strings.Cut(vkey, "+")
	lwKey, lwURL, lw := litewitness(t, bin, origin, vkey)
	w1Key, w2Key, omniURL := omniwitness(t, bin, origin, vkey)
	policyOf := func(need string) {
		writeText(t, filepath.Join(base, "witnesses.policy"), fmt.Sprintf("witness lw %s %s/\nwitness w1 %s %s\nwitness w2 %s %s\ngroup g %s lw w1 w2\nquorum g\n",
			lwKey, lwURL, w1Key, omniURL, w2Key, omniURL, need))
	}
	policyOf("all")
	writeText(t, config, "witnesses: witnesses.policy\nwitness_at_start: require\n")

	d = serve(t, dir, append(anyPorts(), "--dev", "--config", config)...)
	awaitWitnesses(t, dir, "open", func(s witnessState) bool { return s.Shut == "" })
	for i := range 5 {
		appendSome(t, d, filepath.Join(base, fmt.Sprint("more", i)), "more", 5)
	}
	profile := []string{"--profile", d.profile()}
	newest := awaitWitnesses(t, dir, "sized", func(witnessState) bool { return true }).Size - 1
	must(t, "daybook", append(profile, "receipt", fmt.Sprint(newest), "3", "--witnessed", "-o", out)...)
	policy := filepath.Join(base, "policy.txt")
	writeText(t, policy, must(t, "daybook", append(profile, "checkpoint", "--policy")...))
	for _, index := range []uint64{3, newest} {
		said := must(t, "daybook-verify", "receipt", "--policy", policy, filepath.Join(out, fmt.Sprintf("%d.tlog-proof", index)))
		for _, name := range []string{"witness.example/lw", "witness.example/w1", "witness.example/w2"} {
			if !strings.Contains(said, name+" at ") {
				t.Errorf("the auditor does not name %s:\n%s", name, said)
			}
		}
	}

	if err := lw.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	appendSome(t, d, filepath.Join(base, "after"), "after", 5)
	s := awaitWitnesses(t, dir, "lw is missed", func(s witnessState) bool {
		return len(s.Witnesses.Witnesses) == 3 && s.Witnesses.Witnesses[0].Error != "" && s.Witnesses.Witnesses[2].Size == s.Size
	})
	if a := run(t, "daybook", append(profile, "receipt", fmt.Sprint(s.Size-1), "--witnessed", "--timeout", "1s", "-o", out)...); a.code != 1 {
		t.Errorf("two of three are a quorum of all: exit %d", a.code)
	}
	d.mustStop(t)
	policyOf("2")
	d = serve(t, dir, append(anyPorts(), "--dev", "--config", config)...)
	must(t, "daybook", "--profile", d.profile(), "receipt", fmt.Sprint(s.Size-1), "--witnessed", "-o", out)
	writeText(t, policy, must(t, "daybook", "--profile", d.profile(), "checkpoint", "--policy"))
	must(t, "daybook-verify", "receipt", "--policy", policy, filepath.Join(out, fmt.Sprintf("%d.tlog-proof", s.Size-1)))
}
