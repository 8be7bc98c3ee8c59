package ledger

import (
	"context"
	"errors"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/index"
)

const (
	// listBlock is how many candidates are read at a time, by all workers: each is
	// in a frame of its own that must be decoded.
	listBlock = 64
	// maxListBytes bounds the entries of one page.
	maxListBytes = 8 << 20
)

// A lister reads the candidates of a search and keeps those that match, in order:
// the index knows hashes only. It belongs to one goroutine, which its workers
// never outlive.
type lister struct {
	l     *Ledger
	f     *ListFilter
	where []Match // of the span
	limit int
	page  *ListPage
	bytes int
	done  bool
	err   error

	block  []candidate
	values []index.Values // scratch of each worker
}

// search goes through the candidates of one span.
func (s *lister) search(ctx context.Context, in *listSpan) error {
	where, ok, err := s.l.where(s.f, in)
	if err != nil || !ok {
		return err
	}
	s.where = where
	seen := 0
	query := index.Query{Matches: where, OccurredFrom: s.f.OccurredFrom, OccurredUntil: s.f.OccurredUntil}
	err = s.l.index.Search(ctx, query, in.lo, in.hi, !s.f.Ascending, func(i uint64) bool {
		if seen++; seen%bundleWidth == 0 && ctx.Err() != nil {
			s.err = context.Cause(ctx)
			return false
		}
		return s.add(i)
	})
	if err == nil {
		s.flush()
	}
	return errors.Join(err, s.err)
}

type candidate struct {
	at    uint64
	raw   []byte
	match bool
	err   error
}

// add takes a candidate, and says whether more are wanted. Its block is read once
// it is full, or as large as what is left of the page.
func (s *lister) add(at uint64) bool {
	s.block = append(s.block, candidate{at: at})
	if len(s.block) < min(listBlock, s.limit+1-len(s.page.Indexes)) {
		return true
	}
	s.flush()
	return !s.done
}

// flush reads the block and puts what matches on the page.
func (s *lister) flush() {
	if s.done || s.err != nil || len(s.block) == 0 {
		return
	}
	s.read()
	for i := range s.block {
		c := &s.block[i]
		if c.err != nil {
			s.err, s.done = c.err, true
			return
		}
		if !c.match {
			continue
		}
		if len(s.page.Indexes) == s.limit || s.bytes > maxListBytes {
			s.page.More, s.done = true, true
			return
		}
		s.page.Indexes = append(s.page.Indexes, c.at)
		s.page.Entries = append(s.page.Entries, c.raw)
		s.bytes += len(c.raw)
		s.page.Next = c.at
		if s.f.Ascending {
			s.page.Next++
		}
	}
	s.block = s.block[:0]
}

// read reads the block, on several cores where it is worth it.
func (s *lister) read() {
	workers := min(s.l.workers, (len(s.block)+7)/8)
	if len(s.values) < workers {
		s.values = make([]index.Values, workers)
	}
	if workers == 1 {
		s.share(0, 1)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { s.share(w, workers) })
	}
	wg.Wait()
}

// share reads every workers-th candidate of the block, from w on.
func (s *lister) share(w, workers int) {
	for i := w; i < len(s.block); i += workers {
		c := &s.block[i]
		c.raw, c.match, c.err = s.look(c.at, &s.values[w])
	}
}

func (s *lister) look(at uint64, values *index.Values) ([]byte, bool, error) {
	raw, err := s.l.frames.entry(at)
	if err != nil {
		return nil, false, err
	}
	e, ev, _, err := parseAt(at, raw)
	if err != nil {
		return nil, false, err
	}
	if err := values.Read(&e, &ev); err != nil {
		return nil, false, &FaultError{at, err.Error()}
	}
	for i := range s.where {
		if !values.Holds(&s.where[i]) {
			return nil, false, nil
		}
	}
	if !values.Occurred(s.f.OccurredFrom, s.f.OccurredUntil) {
		return nil, false, nil
	}
	if s.f.Declared.Flow == "" {
		return raw, true, nil
	}
	judgement, err := s.l.Judgement(&e, &ev)
	return raw, err == nil && judgement.Flow.GetId() == s.f.Declared.Flow, err
}
