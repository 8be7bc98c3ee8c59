package audit_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/daybook-ledger/daybook/verify/audit"
)

// FuzzDirectory changes bytes of one file of a log, or gives it another name:
// nothing panics, and no other directory passes.
func FuzzDirectory(f *testing.F) {
	dir, _ := sample(f)
	p := policy(f)
	var names []string
	for name := range dir {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		f.Add(uint(i), uint(7*i), []byte{byte(i)}, uint(i%3), name)
		f.Add(uint(i), uint(0), []byte{}, uint(0), name+".p/7")
	}
	f.Fuzz(func(t *testing.T, file, at uint, put []byte, cut uint, name string) {
		from := names[file%uint(len(names))]
		old := dir[from].Data
		lo := at % uint(len(old)+1)
		changed := slices.Concat(old[:lo], put, old[min(lo+cut, uint(len(old))):])
		bad := fstest.MapFS{}
		for n, f := range dir {
			bad[n] = f
		}
		if name == "" || len(name) > 100 || name == from {
			name = from
		}
		delete(bad, from)
		bad[name] = &fstest.MapFile{Data: changed}
		if name == from && bytes.Equal(changed, old) || from == "checkpoint" || name == "checkpoint" {
			p := p
			if name != from {
				p = nil
			}
			_, _ = audit.Check(t.Context(), bad, audit.Options{Policy: p, Workers: 1})
			return // a signature of a stranger says nothing
		}
		r, err := audit.Check(t.Context(), bad, audit.Options{Policy: p, Workers: 1})
		if err != nil || r.Fault == nil {
			t.Errorf("%s as %s with %d bytes for %d at %d passes, %v", from, name, len(put), cut, lo, err)
		}
	})
}
