package server

import (
	"context"
	"errors"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
)

// A reader who is limited to domains sees the entries that touch them, with the
// same proofs against the same root as everybody. Of other entries it learns that
// they are there, which the tree's size says, and nothing else.

// errLimited refuses what cannot be shown in part.
func errLimited(what string) error {
	return &requestError{codes.PermissionDenied, ReasonNotAllowed, what + ": your grant is limited to some domains"}
}

// see refuses an entry that the caller may not see, without saying what it is.
func see(ctx context.Context, at uint64, raw []byte) error {
	scope := scopeOf(ctx)
	if scope.Whole {
		return nil
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return &ledger.FaultError{Index: at, Reason: err.Error()}
	}
	switch {
	case scope.Sees(&e):
		return nil
	case scope.Governs != "" && len(scope.Domains) == 0:
		return &requestError{codes.PermissionDenied, ReasonNotAllowed,
			"entry " + decimal(at) + " is not yours to see: an approver sees maps, approvals and its own acts; who is to see more is granted the role reader, too"}
	default:
		return errLimited("entry " + decimal(at) + " is not yours to see")
	}
}

// limitCall refuses a limited reader what cannot be shown in part, before anything
// is looked up: also whether it is there is not theirs to know.
func limitCall(scope access.Scope, req any) error {
	if scope.Whole {
		return nil
	}
	switch req.(type) {
	case *apiv1.GetDomainMapRequest, *apiv1.ListDomainMapsRequest:
		return errLimited("the domain map shows every domain")
	case *apiv1.ListValuesRequest:
		return errLimited("the values of a field are those of every domain")
	}
	return nil
}

// list is ledger.List for a caller: the whole of it, or the part it may see.
func (s *query) list(ctx context.Context, f ledger.ListFilter, size, from uint64, limit int) (ledger.ListPage, error) {
	scope := scopeOf(ctx)
	if scope.Whole {
		return s.log.List(ctx, f, size, from, limit)
	}
	m := merger{log: s.log, scope: scope, ascending: f.Ascending, size: size, limit: limit}
	m.add(f, scope, from)
	return m.page(ctx, from)
}

// listChunk is how many entries a cursor fetches ahead.
const listChunk = 64

// A merger lists what any of several filters finds, in order, each entry once. It
// belongs to one goroutine.
type merger struct {
	log       *ledger.Ledger
	scope     access.Scope
	ascending bool
	size      uint64
	limit     int
	cursors   []*cursor
}

// A cursor is where one filter stands.
type cursor struct {
	filter  ledger.ListFilter
	indexes []uint64
	entries [][]byte
	next    uint64
	more    bool
}

// add adds the filters that together find all that a caller may see: from and to
// each domain, and the kinds that everybody sees.
func (m *merger) add(f ledger.ListFilter, scope access.Scope, from uint64) {
	put := func(match ledger.Match) {
		c := &cursor{filter: f, next: from, more: true}
		c.filter.Where = append(slices.Clip(f.Where), match)
		m.cursors = append(m.cursors, c)
	}
	for _, d := range slices.Sorted(maps.Keys(scope.Domains)) {
		put(ledger.Match{Field: index.Source, Value: []byte(d)})
		put(ledger.Match{Field: index.Target, Value: []byte(d)})
	}
	for _, kind := range access.Structural() {
		if f.Kind == 0 || f.Kind == kind {
			put(ledger.Match{Field: index.Kind, Number: uint64(kind)})
		}
	}
}

// page returns what comes next in order.
func (m *merger) page(ctx context.Context, from uint64) (ledger.ListPage, error) {
	page := ledger.ListPage{Next: from}
	bytes := 0
	for {
		first, err := m.first(ctx)
		if err != nil || first == nil {
			return page, err
		}
		at, raw := first.indexes[0], first.entries[0]
		if len(page.Indexes) == m.limit || bytes > 2*maxAnswer {
			page.More = true
			return page, nil
		}
		m.drop(at)
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return page, &ledger.FaultError{Index: at, Reason: err.Error()}
		}
		if page.Next = at; m.ascending {
			page.Next++
		}
		if m.scope.Sees(&e) {
			page.Indexes = append(page.Indexes, at)
			page.Entries = append(page.Entries, raw)
			bytes += len(raw)
		}
	}
}

// first returns the cursor whose entry is next; nil where none has any.
func (m *merger) first(ctx context.Context) (*cursor, error) {
	var first *cursor
	for _, c := range m.cursors {
		if err := m.fill(ctx, c); err != nil {
			return nil, err
		}
		if len(c.indexes) == 0 {
			continue
		}
		if first == nil || (c.indexes[0] < first.indexes[0]) == m.ascending && c.indexes[0] != first.indexes[0] {
			first = c
		}
	}
	return first, nil
}

// fill fetches more for a cursor that has run empty.
func (m *merger) fill(ctx context.Context, c *cursor) error {
	for len(c.indexes) == 0 && c.more {
		p, err := m.log.List(ctx, c.filter, m.size, c.next, min(m.limit+1, listChunk))
		if err != nil {
			return err
		}
		c.indexes, c.entries, c.next, c.more = p.Indexes, p.Entries, p.Next, p.More
	}
	return nil
}

// drop takes an entry from every cursor that stands at it.
func (m *merger) drop(at uint64) {
	for _, c := range m.cursors {
		if len(c.indexes) > 0 && c.indexes[0] == at {
			c.indexes, c.entries = c.indexes[1:], c.entries[1:]
		}
	}
}

// maxRunRounds bounds how often one page of runs looks for more that the caller
// may see.
const maxRunRounds = 64

// runs is ledger.Runs for a caller. A page of a limited reader may be short of
// its limit, or empty, and yet not be the last.
func (s *query) runs(ctx context.Context, f ledger.RunFilter, size, from uint64, limit int) (ledger.RunPage, error) {
	if scopeOf(ctx).Whole {
		return s.log.Runs(ctx, f, size, from, limit)
	}
	page := ledger.RunPage{Next: from, More: true}
	for range maxRunRounds {
		p, err := s.log.Runs(ctx, f, size, page.Next, maxPage)
		if err != nil {
			return ledger.RunPage{}, err
		}
		for i := range p.Runs {
			visible, err := s.seesRun(ctx, &p.Runs[i])
			if err != nil {
				return ledger.RunPage{}, err
			}
			if visible && len(page.Runs) == limit {
				return page, nil
			}
			if page.Next = p.Runs[i].OpenedIndex; visible {
				page.Runs = append(page.Runs, p.Runs[i])
			}
		}
		if !p.More {
			page.More = false
			return page, nil
		}
		page.Next = p.Next
	}
	return page, nil
}

// seesRun tells whether the caller sees the entry that opened a run.
func (s *query) seesRun(ctx context.Context, r *ledger.RunReport) (bool, error) {
	raw, err := s.log.Entry(ctx, r.OpenedIndex)
	if err == nil {
		err = see(ctx, r.OpenedIndex, raw)
	}
	if isForbidden(err) {
		return false, nil
	}
	return err == nil, err
}

// seesRow tells whether the caller sees a row of a close's table: of a stream by
// its kind and pair, of a run by its producer's domain.
func (s *query) seesRow(scope access.Scope, table ledger.CloseTable, key []byte) (bool, error) {
	if scope.Whole {
		return true, nil
	}
	if table == ledger.TableRuns {
		producer, _, _, err := verify.ParseRunRowKey(key)
		if err != nil {
			return false, err
		}
		domain, err := verify.ProducerDomain(producer)
		if err != nil {
			return false, nil
		}
		if v := s.log.MapInForce(); v != nil {
			domain, _ = v.Resolve([]byte(domain))
		}
		return scope.Touches(domain, ""), nil
	}
	kind, source, target, _, _, err := verify.ParseStreamKey(key)
	if err != nil {
		return false, err
	}
	var e verify.Entry
	e.Place.Kind, e.Place.Source, e.Place.Target = daybookv1.Kind(kind), source, target
	return scope.Sees(&e), nil
}

// seeFound refuses a row, or a proof that there is none, that shows rows of
// others.
func (s *query) seeFound(ctx context.Context, table ledger.CloseTable, key []byte, found *ledger.FoundRow) error {
	scope := scopeOf(ctx)
	mine, err := s.seesRow(scope, table, key)
	if err == nil && !mine {
		return errLimited("the row is not yours to see")
	}
	for _, beside := range []*verify.ProvenRow{found.Before, found.After} {
		if err != nil || beside == nil {
			continue
		}
		var seen bool
		if seen, err = s.seesRow(scope, table, beside.Row.Key); err == nil && !seen {
			return errLimited("there is no such row, and the proof of that would show rows of other domains")
		}
	}
	return errors.Join(err)
}
