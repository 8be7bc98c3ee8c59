package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Query asks for the entries that satisfy every match and occurred in time; a
// time of 0 is no bound, and only accesses have one.
type Query struct {
	Matches       []Match
	OccurredFrom  int64 // UTC nanoseconds, inclusive
	OccurredUntil int64 // exclusive
}

// group is a match made ready: any of its terms will do.
type group struct {
	field        Field
	terms        []listed // ascending by hash
	prefix       []byte   // nil for an exact match
	unlistedTail bool     // the chunk in memory may hold values that terms lack
}

// listed is the hash of a value and the first chunk that has it.
type listed struct {
	hash  uint32
	chunk uint64
}

// Candidates calls fn with the index of each entry in [lo, hi) that may satisfy
// all terms, ascending or descending, until fn returns false. Without terms each
// entry is a candidate. Entries from Size on are no candidates.
func (x *Index) Candidates(terms []Term, lo, hi uint64, descending bool, fn func(index uint64) bool) error {
	t := x.tail.Load()
	hi = min(hi, t.first+uint64(t.n.Load()))
	var groups []group
	for _, term := range terms {
		if term.Field == 0 || term.Field >= fieldEnd || fields[term.Field].shape == reserved {
			return fmt.Errorf("search for unknown field %d", term.Field)
		}
		groups = addTerm(groups, term)
	}
	s := &search{x: x, tail: t, groups: order(groups), descending: descending, fn: fn}
	return s.run(context.Background(), lo, hi)
}

// Search is Candidates for a query. A *QueryError says what of it cannot be
// answered; ctx ends it between two tables.
func (x *Index) Search(ctx context.Context, q Query, lo, hi uint64, descending bool, fn func(index uint64) bool) error {
	t := x.tail.Load()
	hi = min(hi, t.first+uint64(t.n.Load())) // before the tail's values are looked at
	groups, err := x.compile(ctx, t, q.Matches)
	if err != nil {
		return err
	}
	s := &search{x: x, tail: t, groups: groups, from: q.OccurredFrom, until: q.OccurredUntil, descending: descending, fn: fn}
	return s.run(ctx, lo, hi)
}

func addTerm(groups []group, t Term) []group {
	if t.Hash == 0 {
		return groups
	}
	return append(groups, group{field: t.Field, terms: []listed{{hash: t.Hash}}})
}

// order puts the groups first that cost least and narrow most.
func order(groups []group) []group {
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.cost(), b.cost()), cmp.Compare(a.field, b.field))
	})
	return groups
}

// cost ranks one value before several, and these before a prefix.
func (g *group) cost() int {
	switch {
	case g.prefix != nil:
		return 2
	case len(g.terms) > 1:
		return 1
	}
	return 0
}

// compile makes the matches ready. Source and target together are a pair.
func (x *Index) compile(ctx context.Context, t *tail, matches []Match) ([]group, error) {
	var groups []group
	var source, target *Match
	for i := range matches {
		m := &matches[i]
		if err := m.check(); err != nil {
			return nil, err
		}
		switch {
		case m.Prefix:
			g, err := x.prefixed(ctx, t, m)
			if err != nil {
				return nil, err
			}
			groups = append(groups, g)
		case m.Any != nil:
			groups = append(groups, group{field: m.Field, terms: m.anyOf()})
		case m.Field == Source && source == nil && len(m.Value) > 0:
			source = m
		case m.Field == Target && target == nil && len(m.Value) > 0:
			target = m
		default:
			groups = addTerm(groups, m.term())
		}
	}
	switch {
	case source != nil && target != nil:
		groups = addTerm(groups, PairTerm(string(source.Value), string(target.Value)))
	case source != nil:
		groups = addTerm(groups, source.term())
	case target != nil:
		groups = addTerm(groups, target.term())
	}
	return order(groups), nil
}

// search is one search: a walk over tables, each looked up at once.
type search struct {
	x           *Index
	tail        *tail
	groups      []group
	from, until int64 // of occurrence
	descending  bool
	fn          func(index uint64) bool

	chunks []Chunk // of the table; nil where the search does not need them
	found  []postings
}

// run walks [lo, hi).
func (s *search) run(ctx context.Context, lo, hi uint64) error {
	for lo < hi {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		at := lo
		if s.descending {
			at = hi - 1
		}
		var start, end uint64
		var more bool
		if at >= s.tail.first {
			start, end = s.tail.first, hi
			more = s.inTail(max(lo, start), hi)
		} else {
			t := s.x.tableOf(at)
			start, end = t.first, min(t.end(), s.tail.first)
			ok, err := s.inTable(t, max(lo, start), min(hi, end))
			if s.x.gone(t) {
				continue // merged while it was read: what it gave is void
			}
			if err != nil {
				return err
			}
			more = !ok || s.report(t, max(lo, start), min(hi, end))
		}
		if !more {
			return nil
		}
		if s.descending {
			hi = max(start, lo)
		} else {
			lo = min(end, hi)
		}
	}
	return nil
}

func (s *search) inTail(lo, hi uint64) bool {
	c := s.tail.chunk()
	if !c.mayHold(s.from, s.until) {
		return true
	}
	first := s.tail.first
	return s.tail.search(s.groups, int(lo-first), int(hi-first), s.descending, func(o int) bool { return s.fn(first + uint64(o)) })
}

// inTable looks the groups up in a table, and tells whether it may have hits in
// [lo, hi), which report then goes through.
func (s *search) inTable(t table, lo, hi uint64) (bool, error) {
	s.chunks, s.found = s.chunks[:0], s.found[:0]
	if s.needsHeader() {
		var err error
		if s.chunks, err = header(s.x.engine, s.chunks, t); err != nil {
			return false, err
		}
		if !slices.ContainsFunc(s.chunks, func(c Chunk) bool { return s.wants(&c, lo, hi) }) {
			return false, nil
		}
	}
	for i := range s.groups {
		p, err := s.lookUp(t, &s.groups[i])
		if err != nil {
			return false, fmt.Errorf("field %v of %v: %w", s.groups[i].field, t, err)
		}
		if p.size() == 0 {
			return false, nil
		}
		s.found = append(s.found, p)
	}
	if len(s.found) == 0 {
		s.found = append(s.found, all(t.len()))
	}
	slices.SortFunc(s.found, func(a, b postings) int { return cmp.Compare(a.size(), b.size()) })
	return true, nil
}

func (s *search) needsHeader() bool {
	return s.from != 0 || s.until != 0 || slices.ContainsFunc(s.groups, func(g group) bool { return g.prefix != nil })
}

// wants tells whether a chunk overlaps [lo, hi) and may hold the time.
func (s *search) wants(c *Chunk, lo, hi uint64) bool {
	return c.First < hi && lo < c.First+uint64(c.Entries) && c.mayHold(s.from, s.until)
}

// report calls fn for what is in all that was found, and tells whether to go on.
func (s *search) report(t table, lo, hi uint64) bool {
	each := func(lo, hi uint64) bool {
		return s.found[0].each(int(lo-t.first), int(hi-t.first), s.descending, func(o int) bool {
			for i := range s.found[1:] {
				if !s.found[1+i].has(o) {
					return true
				}
			}
			return s.fn(t.first + uint64(o))
		})
	}
	if len(s.chunks) == 0 {
		return each(lo, hi)
	}
	for n := range s.chunks {
		c := &s.chunks[n]
		if s.descending {
			c = &s.chunks[len(s.chunks)-1-n]
		}
		if s.wants(c, lo, hi) && !each(max(lo, c.First), min(hi, c.First+uint64(c.Entries))) {
			return false
		}
	}
	return true
}

// lookUp returns the offsets at which the table has any term of a group.
func (s *search) lookUp(t table, g *group) (postings, error) {
	if g.prefix == nil {
		return s.x.find(t, g.field, g.terms)
	}
	found, err := s.x.find(t, g.field, g.terms)
	if err != nil {
		return found, err
	}
	any := []postings{found}
	bit := uint32(1) << fields[g.field].slot
	for _, c := range s.chunks {
		if c.unlisted&bit == 0 {
			continue
		}
		whole := none(t.len())
		for o := range uint32(c.Entries) {
			whole.list = append(whole.list, uint32(c.First-t.first)+o)
		}
		any = append(any, whole)
	}
	return union(t.len(), any), nil
}

// find returns the offsets at which the table has any of the terms of a field,
// which ascend: one read for each bucket.
func (x *Index) find(t table, f Field, terms []listed) (postings, error) {
	var any []postings
	var open bucket
	last, have := uint32(0), false
	end := t.end() >> x.g.chunk
	for _, term := range terms {
		if term.chunk >= end {
			continue
		}
		if top := term.hash >> t.restBits(); !have || top != last {
			b, err := x.engine.Get(t.appendBucketKey(nil, f, top))
			if errors.Is(err, store.ErrNotFound) {
				b, err = []byte{0}, nil // no list, no posting
			}
			if err != nil {
				return postings{}, err
			}
			if open, err = openBucket(t, b); err != nil {
				return postings{}, err
			}
			last, have = top, true
		}
		p, err := open.find(term.hash)
		if err != nil {
			return postings{}, err
		}
		if p.size() > 0 {
			any = append(any, p)
		}
	}
	if len(any) == 0 {
		return none(t.len()), nil
	}
	return union(t.len(), any), nil
}
