package ledger

import (
	"context"
	"errors"

	"github.com/daybook-ledger/daybook/ledger/index"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ListFilter selects entries; zero fields do not filter.
type ListFilter struct {
	Source, Target string
	Kind           daybookv1.Kind
	LoggedFrom     int64 // log time, UTC nanoseconds, inclusive
	LoggedUntil    int64 // exclusive
	OccurredFrom   int64 // time of occurrence, inclusive; only accesses match
	OccurredUntil  int64 // exclusive
	Ascending      bool  // oldest first; else newest first
}

// A ListPage is one page of a list.
type ListPage struct {
	Indexes []uint64
	// Next continues the list: give it as from. More says that there may be more.
	Next uint64
	More bool
}

// List returns the indexes of the entries below size that match, at most limit,
// starting at from: the next index to look at when ascending, one past it when
// descending (size for the first page). The answer is complete: it waits for
// the follower where that is behind.
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
	var inner error
	err = l.candidates(f, lo, hi, func(i uint64) bool {
		if i%bundleWidth == 0 && ctx.Err() != nil {
			inner = context.Cause(ctx)
			return false
		}
		ok, err := l.matches(f, i)
		if err != nil {
			inner = err
			return false
		}
		if !ok {
			return true
		}
		if len(page.Indexes) == limit {
			page.More = true
			return false
		}
		page.Indexes = append(page.Indexes, i)
		page.Next = i
		if f.Ascending {
			page.Next = i + 1
		}
		return true
	})
	return page, errors.Join(err, inner)
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

// candidates calls fn for every entry in [lo, hi) that may match, in the order
// asked, until it returns false.
func (l *Ledger) candidates(f ListFilter, lo, hi uint64, fn func(uint64) bool) error {
	var terms []index.Term
	if f.Source != "" {
		terms = append(terms, index.SourceTerm(f.Source))
	}
	if f.Target != "" {
		terms = append(terms, index.TargetTerm(f.Target))
	}
	if f.Kind != 0 {
		terms = append(terms, index.KindTerm(uint64(f.Kind)))
	}
	if len(terms) > 0 {
		return l.index.Candidates(terms, lo, hi, !f.Ascending, fn)
	}
	for n := lo; n < hi; n++ {
		i := n
		if !f.Ascending {
			i = hi - 1 - (n - lo)
		}
		if !fn(i) {
			return nil
		}
	}
	return nil
}

func (l *Ledger) matches(f ListFilter, at uint64) (bool, error) {
	raw, err := l.frames.entry(at)
	if err != nil {
		return false, err
	}
	e, ev, access, err := parseAt(at, raw)
	if err != nil {
		return false, err
	}
	if f.Source != "" && e.Place.Source != f.Source || f.Target != "" && e.Place.Target != f.Target || f.Kind != 0 && e.Place.Kind != f.Kind {
		return false, nil
	}
	if f.OccurredFrom == 0 && f.OccurredUntil == 0 {
		return true, nil
	}
	return access && ev.OccurredAtNS >= f.OccurredFrom && (f.OccurredUntil == 0 || ev.OccurredAtNS < f.OccurredUntil), nil
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
