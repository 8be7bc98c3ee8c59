package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/daybook-ledger/daybook/verify/page"
)

// A verifierFile is a program that checks, by the sum of its bytes.
type verifierFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // hex
	// Made is how anybody makes the same bytes in the source; empty: that is not
	// known.
	Made string `json:"made_by,omitempty"`
	// Caution says why nobody else may be able to; empty: nothing is known against it.
	Caution string `json:"caution,omitempty"`
}

// verifierFiles sums the page that is in this program, the daybook-verify beside it
// where it is there, and the files that are named.
func verifierFiles(paths []string) ([]verifierFile, error) {
	p := sumVerifier("verify.html", page.HTML())
	p.Made, p.Caution = "daybook-verify page -o verify.html (verify/page/verify.html of the source)", ""
	list := []verifierFile{p}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name := "daybook-verify"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(self), name))
	switch {
	case err == nil:
		list = append(list, sumVerifier(name+" for "+runtime.GOOS+"/"+runtime.GOARCH, b))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("verifier: %w", err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("verifier: %w", err)
		}
		list = append(list, sumVerifier(path, b))
	}
	return list, nil
}

func sumVerifier(name string, program []byte) verifierFile {
	v := verifierFile{Name: name, SHA256: fmt.Sprintf("%x", sha256.Sum256(program))}
	v.Made, v.Caution = madeBy(program)
	return v
}

// verifierPackage ends the path of the package that daybook-verify is.
const verifierPackage = "/cmd/daybook-verify"

// madeBy says by which command a program is made again, as `daybook-verify version`
// prints it, or why not by that: the program says itself how it was built, but for
// flags of the linker, whose work is looked for.
func madeBy(program []byte) (command, caution string) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil || !strings.HasSuffix(info.Path, verifierPackage) {
		return "", "this is no daybook-verify that says how it was built"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	command = fmt.Sprintf("GOTOOLCHAIN=%s CGO_ENABLED=0 GOOS=%s GOARCH=%s GOFLAGS= go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' .%s",
		info.GoVersion, settings["GOOS"], settings["GOARCH"], verifierPackage)
	released := map[string]string{"-buildmode": "exe", "-compiler": "gc", "-trimpath": "true", "CGO_ENABLED": "0", "GOAMD64": "v1", "GOARM64": "v8.0"}
	same := info.Main.Version == "(devel)" && settings["-trimpath"] == "true" && settings["CGO_ENABLED"] == "0"
	for key, value := range settings {
		want, known := released[key]
		same = same && (known && value == want || key == "GOOS" || key == "GOARCH" || key == "DefaultGODEBUG")
	}
	for _, trace := range []string{"debug_info", "note.go.buildid", `Go build ID: "`} {
		same = same && !linked(program, trace)
	}
	if !same {
		return "", "it was not built as it is released, so that nobody else gets these bytes: put the one that this makes beside daybookd, and print the card again: " + command
	}
	return command, ""
}

// linked tells whether a program has what the linker leaves where it is not told
// otherwise: the name of a section, or a build id that is not empty.
func linked(program []byte, trace string) bool {
	at := bytes.Index(program, []byte(trace))
	if at < 0 {
		return false
	}
	next := at + len(trace)
	return !strings.HasSuffix(trace, `"`) || next < len(program) && program[next] != '"'
}
