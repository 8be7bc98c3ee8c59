package domains

import (
	"fmt"
	"slices"
	"strings"
)

// MaxFaults bounds the faults that Parse reports; a last one counts the rest.
const MaxFaults = 1000

// Fault is one thing that is wrong in a map file, and where.
type Fault struct {
	Line    int    // from 1
	Column  int    // from 1, in characters
	Path    string // such as `domains[web].tier`; empty: the file
	Message string // lower-case words, with what to write instead where that is known
}

// String returns the fault on one line: `12:5: domains[web].tier: ...`.
func (f Fault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Message)
	}
	return fmt.Sprintf("%d:%d: %s: %s", f.Line, f.Column, f.Path, f.Message)
}

// Faults are all faults of a map file, in the order of their places; at least
// one, at most MaxFaults + 1. It is the error of Parse: match it with errors.As.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// report returns the faults in the order of their places, each once, and no more
// than MaxFaults of them.
func (r *reader) report() Faults {
	f := r.faults
	slices.SortStableFunc(f, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	f = slices.Compact(f)
	if n := len(f) - MaxFaults; n > 0 {
		last := f[MaxFaults]
		f = append(f[:MaxFaults:MaxFaults], Fault{Line: last.Line, Column: last.Column, Message: fmt.Sprintf("and %d more faults", n+r.more)})
	}
	return f
}
