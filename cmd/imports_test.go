// Package cmd_test holds the rules that no single package can test for itself:
// which package may import which, what the auditor's binary is made of, and how
// large a file or a function may grow.
package cmd_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
)

// module is the path that all of our import paths begin with.
const module = "github.com/daybook-ledger/daybook"

// rule says what a package must never import. A path stands for itself and for
// everything below it; one that begins with "=" stands for itself alone. Paths
// without a dot in their first element are ours where such a folder exists,
// else the standard library's.
type rule struct {
	pkg      string   // ours, relative to the module; "/..." takes in what is below
	never    []string // not even through another package
	directly []string // not in its own import lines
	reason   string
}

const (
	grpcPath    = "google.golang.org/grpc"
	gatewayPath = "github.com/grpc-ecosystem/grpc-gateway"
	pebblePath  = "github.com/cockroachdb/pebble"
)

// forbidden is the table of the layers: every import goes down.
var forbidden = []rule{
	{pkg: "proto/daybook/v1", never: []string{grpcPath, module + "/proto/daybook/api"},
		reason: "the hashed messages are read by auditors who run no services"},
	{pkg: "proto/daybook/api/v1", never: []string{gatewayPath, module + "/ledger", module + "/server"},
		reason: "a client must not pull in REST or the server"},
	{pkg: "verify/...", never: []string{grpcPath, pebblePath, "=net", "net/http"}, directly: []string{"os"},
		reason: "an auditor checks that the verifier cannot phone anyone and reads only what it is handed"},
	{pkg: "verify/...", never: []string{module + "/ledger", module + "/server", module + "/client", module + "/cmd", module + "/proto/daybook/api"},
		reason: "verify is the bottom layer: the ledger can issue only what the auditor accepts"},
	{pkg: "ledger/...", never: []string{grpcPath, module + "/server", module + "/client", module + "/cmd"},
		reason: "the core knows no transport"},
	{pkg: "ledger", never: []string{pebblePath, module + "/ledger/store/pebblestore"},
		reason: "the ledger is handed an engine; which one is the wiring's choice"},
	{pkg: "ledger/index", never: []string{pebblePath, module + "/ledger/store/pebblestore"},
		reason: "the index is built on the store's contract, not on an engine"},
	{pkg: "ledger/store", never: []string{pebblePath, "=" + module + "/ledger", module + "/ledger/index", module + "/ledger/frame", module + "/ledger/ledgertest"},
		reason: "the contract of an engine knows neither the ledger nor an engine"},
	{pkg: "ledger/store/pebblestore", never: []string{"=" + module + "/ledger", module + "/ledger/index", module + "/ledger/ledgertest"},
		reason: "an engine stores bytes; it knows nothing of logs"},
	{pkg: "server/...", never: []string{pebblePath, module + "/ledger/store/pebblestore", module + "/cmd"},
		reason: "a handler converts, calls, converts; only the wiring opens a store"},
	{pkg: "client/mapping", never: []string{module + "/ledger", module + "/server", grpcPath},
		reason: "a mapping turns one foreign record into one event and does nothing else"},
	{pkg: "client/...", never: []string{module + "/ledger", module + "/server", module + "/cmd", gatewayPath, pebblePath},
		reason: "what producers link must stay small and must not hold the ledger"},
	{pkg: "cmd/daybook", never: []string{pebblePath, module + "/ledger/store/pebblestore"},
		reason: "the producers' program never opens a log's directory"},
	{pkg: "cmd/daybook-verify", never: []string{grpcPath, pebblePath, "=net", "net/http"},
		reason: "the auditor's program has no network code"},
}

// onlyOurs lists, for some packages, all of our packages they may reach.
var onlyOurs = map[string][]string{
	"proto/daybook/v1":     nil,
	"proto/daybook/api/v1": {"proto/daybook/v1"},
	"verify":               {"proto/daybook/v1"},
	"cmd/daybook-verify": {"verify", "verify/audit", "verify/bundle", "verify/bundle/canonical", "verify/bundle/question",
		"verify/bundle/report", "verify/domains", "verify/domains/detect", "verify/page", "proto/daybook/v1"},
	"verify/page": {},
}

// maxClientModules bounds what a producer takes on by linking the client.
const maxClientModules = 30

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
	Module     *struct{ Path string }
}

// TestForbiddenImports holds the table of the layers against `go list -deps`.
// Test files are free to import what they like.
func TestForbiddenImports(t *testing.T) {
	pkgs := listPackages(t)
	for _, r := range forbidden {
		matched := matching(pkgs, r.pkg)
		if len(matched) == 0 {
			t.Logf("%s does not exist yet", r.pkg)
		}
		for _, pkg := range matched {
			for _, path := range r.never {
				if chain := findImport(pkgs, pkg, path); chain != nil {
					t.Errorf("%s must never import %s (%s)\n\t%s", trim(pkg), trim(path), r.reason, strings.Join(chain, "\n\t-> "))
				}
			}
			for _, path := range r.directly {
				if slices.ContainsFunc(pkgs[pkg].Imports, func(p string) bool { return covers(path, p) }) {
					t.Errorf("%s must not import %s itself (%s)", trim(pkg), path, r.reason)
				}
			}
		}
	}
}

// TestOnlyOurs checks the packages that may reach only a few of ours.
func TestOnlyOurs(t *testing.T) {
	pkgs := listPackages(t)
	for pkg, allowed := range onlyOurs {
		p, ok := pkgs[module+"/"+pkg]
		if !ok {
			t.Logf("%s does not exist yet", pkg)
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/") && !slices.Contains(allowed, trim(dep)) {
				t.Errorf("%s may reach only %v of ours, not %s\n\t%s", pkg, allowed, trim(dep),
					strings.Join(findImport(pkgs, p.ImportPath, "="+dep), "\n\t-> "))
			}
		}
	}
}

// TestEngineIsWiredInCmd checks that only programs, and packages that serve
// tests (storetest, ledgertest), choose the engine.
func TestEngineIsWiredInCmd(t *testing.T) {
	for path, p := range listPackages(t) {
		if strings.HasPrefix(path, module+"/") && !strings.HasPrefix(path, module+"/cmd/") && !strings.HasSuffix(path, "test") &&
			slices.Contains(p.Imports, module+"/ledger/store/pebblestore") {
			t.Errorf("%s imports the embedded engine; only cmd and tests do", trim(path))
		}
	}
}

// TestClientIsSmall counts the modules a producer takes on with the client.
func TestClientIsSmall(t *testing.T) {
	pkgs := listPackages(t)
	client, ok := pkgs[module+"/client"]
	if !ok {
		t.Fatal("there is no package client")
	}
	modules := map[string]bool{}
	for _, dep := range client.Deps {
		if m := pkgs[dep].Module; m != nil && m.Path != module {
			modules[m.Path] = true
		}
	}
	names := make([]string, 0, len(modules))
	for m := range modules {
		names = append(names, m)
	}
	sort.Strings(names)
	t.Logf("client links %d modules: %v", len(names), names)
	if len(names) >= maxClientModules {
		t.Errorf("client links %d modules, want fewer than %d", len(names), maxClientModules)
	}
}

// TestAuditorHasNoNetworkCode builds daybook-verify as it is released and reads
// its symbols: a static binary that can neither dial nor listen.
func TestAuditorHasNoNetworkCode(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads an ELF binary")
	}
	if _, ok := listPackages(t)[module+"/cmd/daybook-verify"]; !ok {
		t.Fatal("there is no package cmd/daybook-verify")
	}
	binary := filepath.Join(t.TempDir(), "daybook-verify")
	build := exec.Command("go", "build", "-o", binary, module+"/cmd/daybook-verify")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building daybook-verify: %v\n%s", err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libs, err := file.ImportedLibraries(); err == nil && len(libs) > 0 {
		t.Errorf("daybook-verify is not static: it loads %v", libs)
	}
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	if len(symbols) == 0 {
		t.Fatal("the binary has no symbols to read")
	}
	for _, s := range symbols {
		for _, bad := range []string{"net.", "net/http.", "crypto/tls.", "syscall.Connect", "syscall.Listen", "syscall.Bind"} {
			if strings.HasPrefix(s.Name, bad) {
				t.Errorf("daybook-verify contains %s", s.Name)
			}
		}
	}
}

// listPackages returns every package of the module and all that they import,
// without tests.
func listPackages(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,Deps,Standard,Module", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	pkgs := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}

// matching returns the import paths of our packages that a rule names.
func matching(pkgs map[string]listed, pattern string) []string {
	base, deep := strings.CutSuffix(module+"/"+pattern, "/...")
	var out []string
	for path := range pkgs {
		if path == base || deep && strings.HasPrefix(path, base+"/") {
			out = append(out, path)
		}
	}
	sort.Strings(out)
	return out
}

// covers reports whether a path of a rule stands for the import path p.
func covers(rulePath, p string) bool {
	if exact, ok := strings.CutPrefix(rulePath, "="); ok {
		return p == exact
	}
	return p == rulePath || strings.HasPrefix(p, rulePath+"/")
}

// findImport returns the shortest chain of imports from a package to one that
// the path covers, or nil.
func findImport(pkgs map[string]listed, from, rulePath string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range pkgs[queue[0]].Imports {
			if _, seen := before[next]; seen {
				continue
			}
			before[next] = queue[0]
			if !covers(rulePath, next) {
				queue = append(queue, next)
				continue
			}
			var chain []string
			for p := next; p != ""; p = before[p] {
				chain = append(chain, trim(p))
			}
			slices.Reverse(chain)
			return chain
		}
	}
	return nil
}

// trim shortens a path of ours for a message.
func trim(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "="), module+"/")
}

// root returns the repository's top folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatalf("the tests of cmd run in cmd: %v", err)
	}
	return dir
}
