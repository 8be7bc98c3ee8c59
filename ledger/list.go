package ledger

import (
	"context"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/index"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ListFilter selects entries; zero fields do not filter.
type ListFilter struct {
	Source, Target string
	Kind           daybookv1.Kind
	Where          []Match // further fields: all must hold
	Declared       Declared
	LoggedFrom     int64 // log time, UTC nanoseconds, inclusive
	LoggedUntil    int64 // exclusive
	OccurredFrom   int64 // time of occurrence, inclusive; only accesses match
	OccurredUntil  int64 // exclusive
	Ascending      bool  // oldest first; else newest first
}

// Match asks for a value of an indexed field, or for a prefix of it.
type Match = index.Match

// QueryError says which part of a search cannot be answered, and why.
type QueryError = index.QueryError

// TooBroadError refuses a prefix that too many values have.
type TooBroadError = index.TooBroadError

// A ListPage is one page of a list.
type ListPage struct {
	Indexes []uint64
	Entries [][]byte // the bytes of each; shared, not to be modified
	// Next continues the list: give it as from. More says that there may be more.
	Next uint64
	More bool
}

// List returns the entries below size that match, at most limit and some
// megabytes, starting at from: the next index to look at when ascending, one past
// it when descending (size for the first page). The answer is complete: it waits
// for the follower where that is behind.
func (l *Ledger) List(ctx context.Context, f ListFilter, size, from uint64, limit int) (ListPage, error) {
	if size > l.Head().Size || from > size {
		return ListPage{}, ErrNotFound
	}
	if err := l.waitFollowed(ctx, size); err != nil {
		return ListPage{}, err
	}
	lo, hi, err := l.window(ctx, f, size, from)
	if err != nil {
		return ListPage{}, err
	}
	page := ListPage{Next: lo}
	if f.Ascending {
		page.Next = hi
	}
	spans, err := l.spans(&f, lo, hi)
	if err != nil {
		return ListPage{}, err
	}
	ls := lister{l: l, f: &f, limit: limit, page: &page}
	for i := range spans {
		if err := ls.search(ctx, &spans[i]); err != nil || ls.done {
			return page, err
		}
	}
	return page, nil
}

// window returns the range of indexes to look through.
func (l *Ledger) window(ctx context.Context, f ListFilter, size, from uint64) (lo, hi uint64, err error) {
	lo, hi = 0, size
	if f.LoggedFrom != 0 {
		if lo, err = l.SizeAtTime(ctx, f.LoggedFrom); err != nil {
			return 0, 0, err
		}
	}
	if f.LoggedUntil != 0 {
		until, err := l.SizeAtTime(ctx, f.LoggedUntil)
		if err != nil {
			return 0, 0, err
		}
		hi = min(hi, until)
	}
	if f.Ascending {
		lo = max(lo, from)
	} else {
		hi = min(hi, from)
	}
	return min(lo, hi), hi, nil
}

// matches returns all matches of the filter.
func (f *ListFilter) matches() []Match {
	where := slices.Clip(f.Where)
	if f.Source != "" {
		where = append(where, Match{Field: index.Source, Value: []byte(f.Source)})
	}
	if f.Target != "" {
		where = append(where, Match{Field: index.Target, Value: []byte(f.Target)})
	}
	if f.Kind != 0 {
		where = append(where, Match{Field: index.Kind, Number: uint64(f.Kind)})
	}
	return where
}

// Values returns the values of an indexed field that begin with a prefix,
// ascending, at most limit, and whether there are more: suggestions for a
// search. They are those of the entries below the size it returns, or newer. A
// *QueryError where the field's values are not listed.
func (l *Ledger) Values(ctx context.Context, field index.Field, prefix string, limit int) (list []string, more bool, size uint64, err error) {
	size = l.Head().Size
	if err := l.waitFollowed(ctx, size); err != nil {
		return nil, false, 0, err
	}
	list, more, err = l.index.Values(ctx, field, prefix, limit)
	return list, more, size, err
}

// parseAt parses an entry and, where it is an access, its event.
func parseAt(at uint64, raw []byte) (e verify.Entry, ev verify.EventFields, access bool, err error) {
	if e, err = verify.ParseEntry(raw); err != nil {
		return e, ev, false, &FaultError{at, err.Error()}
	}
	if e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
		return e, ev, false, nil
	}
	if ev, err = verify.ParseEvent(e.Body); err != nil {
		return e, ev, false, &FaultError{at, err.Error()}
	}
	return e, ev, true, nil
}
