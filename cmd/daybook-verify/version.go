package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/daybook-ledger/daybook/verify"
)

var versionVerb = verb{
	name: "version",
	args: "[--json]",
	does: "print the program's version, the formats it knows, and how it is built again",
	help: `The program is reproducible: the printed command, run in the source of the same
version with the same version of Go, makes the same bytes on whatever machine. Compare
their SHA-256 with the firm's key card, or build your own and use that one.

Examples:
  daybook-verify version
  daybook-verify version --json
`,
	run: runVersion,
}

func runVersion(c *call) (*result, error) {
	if err := c.want(); err != nil {
		return nil, err
	}
	version, commit, goVersion := "(devel)", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	text := "daybook-verify " + version
	if commit != "" && len(commit) > 12 {
		text += " (" + commit[:12] + ")"
	}
	r := &result{version: text}
	rebuild := rebuildCommand(goVersion)
	r.claim("version", map[string]any{"version": version, "commit": commit, "go": goVersion, "entry_format": verify.FormatVersion, "rebuild": rebuild},
		"%s, entry format %d, %s\nbuilt again by: %s", text, verify.FormatVersion, goVersion, rebuild)
	return r, nil
}

// rebuildCommand is the command that makes this program from its source.
func rebuildCommand(goVersion string) string {
	return fmt.Sprintf("GOTOOLCHAIN=%s CGO_ENABLED=0 GOOS=%s GOARCH=%s GOFLAGS= go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' ./cmd/daybook-verify",
		goVersion, runtime.GOOS, runtime.GOARCH)
}
