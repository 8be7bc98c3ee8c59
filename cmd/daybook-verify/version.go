package main

import (
	"runtime/debug"

	"github.com/daybook-ledger/daybook/verify"
)

var versionVerb = verb{
	name: "version",
	args: "[--json]",
	does: "print the program's version and the formats it knows",
	help: `Examples:
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
	r.claim("version", map[string]any{"version": version, "commit": commit, "go": goVersion, "entry_format": verify.FormatVersion},
		"%s, entry format %d, %s", text, verify.FormatVersion, goVersion)
	return r, nil
}
