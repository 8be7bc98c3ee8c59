package cmd_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script: how the three programs behave towards
// people and towards scripts. $FIRM is the folder of the sample firm. Five
// commands are added to testscript's own:
//
//	exits CODE REGEXP program args...   the exit code, and words on stdout or stderr
//	serve DIR flags...                  starts daybookd and waits until it serves
//	halt DIR                            ends it in the orderly way
//	address DIR LISTENER VARIABLE       puts where it listens into the environment
//	flip FILE                           flips a bit in the middle of a file
func TestScripts(t *testing.T) {
	daybookd := program(t, "daybookd")
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DAYBOOKD", daybookd)
			env.Setenv("FIRM", filepath.Join(root(t), "cmd/daybook/testdata/firm"))
			env.Setenv("PATH", filepath.Dir(daybookd)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Values[daemonsKey{}] = map[string]*daemon{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"serve":   scriptServe,
			"halt":    scriptHalt,
			"address": scriptAddress,
			"flip":    scriptFlip,
		},
	})
}

// daemonsKey finds the daemons of a script, by the folder they serve.
type daemonsKey struct{}

// scriptServe starts a daemon and waits until it serves.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve DIR flags...")
	}
	dir := ts.MkAbs(args[0])
	d, err := startDaemon(ts.Getenv("DAYBOOKD"), dir, append(anyPorts(), args[1:]...)...)
	ts.Check(err)
	ts.Defer(d.kill)
	ts.Check(d.awaitReady())
	ts.Value(daemonsKey{}).(map[string]*daemon)[dir] = d
}

// scriptHalt ends a daemon in the orderly way.
func scriptHalt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: halt DIR")
	}
	d := ts.Value(daemonsKey{}).(map[string]*daemon)[ts.MkAbs(args[0])]
	if d == nil {
		ts.Fatalf("nothing serves %s", args[0])
	}
	ts.Check(d.stop())
}

// exits runs a program and compares its exit code and its output.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: exits CODE REGEXP program args...")
	}
	want, err := regexp.Compile("^(" + args[0] + ")$")
	ts.Check(err)
	words, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[2], args[3:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if !want.MatchString(strconv.Itoa(code)) {
		ts.Fatalf("%v: exit code %d, want %s", args[2:], code, args[0])
	}
	if out := ts.ReadFile("stdout") + ts.ReadFile("stderr"); !words.MatchString(out) {
		ts.Fatalf("%v: no match for %q", args[2:], args[1])
	}
}

// scriptAddress finds a listener of a daemon.
func scriptAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: address DIR LISTENER VARIABLE")
	}
	var addresses map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(args[0], "addresses.json"))), &addresses))
	ts.Setenv(args[2], addresses[args[1]])
}

// scriptFlip flips one bit.
func scriptFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	b := []byte(ts.ReadFile(args[0]))
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}
