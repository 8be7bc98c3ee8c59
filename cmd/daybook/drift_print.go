package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/daybook-ledger/daybook/client/drift"
)

// A driftReport is what `daybook drift --json` prints, and without Appended what
// its file holds.
type driftReport struct {
	*drift.Result
	// MapSHA256 of the map's YAML file.
	MapSHA256 string `json:"map_sha256"`
	// Appended says where the result is in the log; only with --append.
	Appended *driftAppended `json:"appended,omitempty"`
}

type driftAppended struct {
	Index  uint64 `json:"index"`
	Alerts int    `json:"alerts"`
	SHA256 string `json:"sha256"` // of the file of -o
}

// print writes the result for people: worst first, grouped, with what to do.
func (r *driftReport) print(w io.Writer) error {
	var b strings.Builder
	severity := drift.Severity("")
	for _, d := range r.Differences {
		if d.Severity != severity {
			severity = d.Severity
			fmt.Fprintf(&b, "%s\n", strings.ToUpper(string(severity)))
		}
		fmt.Fprintf(&b, "  %s  %s%s\n      %s\n      next: %s\n", d.Check, printable(d.Subject), driftOf(d), printable(d.Detail), d.Advice)
	}
	for _, s := range r.Scanned {
		fmt.Fprintf(&b, "scanned     %s %s: %d\n", s.Kind, printable(s.Name), s.Items)
		if s.Note != "" {
			fmt.Fprintf(&b, "            %s\n", printable(s.Note))
		}
	}
	c := r.Counts
	fmt.Fprintf(&b, "map         sha256 %s\ndifferences %d high, %d medium, %d low, in %v\n", r.MapSHA256, c.High, c.Medium, c.Low, r.Ended.Sub(r.Started).Round(time.Millisecond))
	if a := r.Appended; a != nil {
		fmt.Fprintf(&b, "appended    entry %d, proven to be in the log; %d alerts rest on it; result sha256 %s\n", a.Index, a.Alerts, a.SHA256)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// driftOf names the domains of a difference.
func driftOf(d drift.Difference) string {
	switch {
	case d.Domain != "" && d.Other != "":
		return "  (" + d.Domain + ", " + d.Other + ")"
	case d.Domain+d.Other != "":
		return "  (" + d.Domain + d.Other + ")"
	}
	return ""
}

// printable keeps what others wrote from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
