package bundle

import (
	"fmt"
	"strings"
)

// A Fault is what is wrong with a bundle: where, and what.
type Fault struct {
	File   string  // the bundle, where several are checked; empty: the only one
	Member string  // of the zip; empty: the zip itself
	Index  *uint64 // of the log's entry; nil: of none
	Err    error   // what is wrong; may wrap verify.ErrNewer
}

// Error names the place and what is wrong.
func (f *Fault) Error() string {
	var b strings.Builder
	for _, part := range []string{f.File, f.Member} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	if f.Index != nil {
		fmt.Fprintf(&b, "entry %d: ", *f.Index)
	}
	b.WriteString(f.Err.Error())
	return b.String()
}

// Unwrap gives what is wrong.
func (f *Fault) Unwrap() error { return f.Err }

// faulty makes a fault of a member.
func faulty(member, format string, args ...any) error {
	return &Fault{Member: member, Err: fmt.Errorf(format, args...)}
}

// faultAt makes a fault of an entry.
func faultAt(member string, index uint64, err error) error {
	return &Fault{Member: member, Index: &index, Err: err}
}
