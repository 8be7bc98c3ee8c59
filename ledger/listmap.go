package ledger

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/index"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// ErrNoMap: no domain map is in force, or none ever was.
var ErrNoMap = errors.New("the log has no domain map: propose one with `daybook domains propose`, or infer one with `daybook domains infer`")

// Declared selects entries by what the domain map says that was in force for
// each; zero fields do not filter. No entry matches from before the first map.
type Declared struct {
	Flow           string // id of the flow that declares the access
	Source, Target DomainWords
}

// DomainWords select domains; zero fields do not.
type DomainWords struct {
	Tier     daybookv1.Tier
	Function string
	Owner    string
}

// A listSpan is a range of entries under one version of the domain map.
type listSpan struct {
	lo, hi  uint64
	version uint64 // index of its entry; 0: the filter says nothing of the map
}

// spans cuts [lo, hi) into the versions of the domain map, in the order of the
// list. It reads the versions' entries, not their documents. ErrNoMap where the
// filter says something of the map and none ever came into force.
func (l *Ledger) spans(f *ListFilter, lo, hi uint64) ([]listSpan, error) {
	if f.Declared == (Declared{}) {
		return []listSpan{{lo: lo, hi: hi}}, nil
	}
	newest := l.MapInForce()
	if newest == nil {
		return nil, ErrNoMap
	}
	var out []listSpan
	for at := newest.Index; hi > lo; {
		if s := (listSpan{max(lo, at+1), hi, at}); s.lo < s.hi {
			out = append(out, s)
		}
		hi = min(hi, at+1)
		e, err := l.past().entry(at, daybookv1.Kind_KIND_DOMAIN_MAP)
		if err != nil {
			return nil, err
		}
		m := new(daybookv1.DomainMap)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return nil, &FaultError{at, err.Error()}
		}
		if m.Previous == 0 {
			break
		}
		at = m.Previous - 1
	}
	if f.Ascending {
		slices.Reverse(out)
	}
	return out, nil
}

// where returns what a filter asks for in a span: what it says of domains is
// another set of them under each version. False where no entry can match.
func (l *Ledger) where(f *ListFilter, s *listSpan) ([]Match, bool, error) {
	where := f.matches()
	if s.version == 0 {
		return where, true, nil
	}
	v, err := l.versionAt(s.version)
	if err != nil {
		return nil, false, err
	}
	more, ok := f.Declared.under(v.Map)
	return append(where, more...), ok, nil
}

// under returns what is asked for under a version of the map; false where no
// entry can match.
func (d *Declared) under(m *domains.Map) (where []Match, ok bool) {
	if d.Flow != "" {
		flow := m.Flow(d.Flow)
		if flow == nil {
			return nil, false
		}
		where = append(where, Match{Field: index.Kind, Number: uint64(daybookv1.Kind_KIND_ACCESS)},
			Match{Field: index.Source, Value: []byte(flow.From)}, Match{Field: index.Target, Value: []byte(flow.To)})
	}
	for _, side := range []struct {
		field index.Field
		words DomainWords
	}{{index.Source, d.Source}, {index.Target, d.Target}} {
		if side.words == (DomainWords{}) {
			continue
		}
		ids := side.words.domains(m)
		if len(ids) == 0 {
			return nil, false
		}
		where = append(where, Match{Field: side.field, Any: ids})
	}
	return where, true
}

// domains returns the ids of the domains that are meant, ascending as the
// document has them.
func (w *DomainWords) domains(m *domains.Map) [][]byte {
	var ids [][]byte
	for _, d := range m.Document().Domains {
		if (w.Tier == 0 || d.Tier == w.Tier) && (w.Function == "" || d.Function == w.Function) && (w.Owner == "" || d.Owner == w.Owner) {
			ids = append(ids, []byte(d.Id))
		}
	}
	return ids
}
