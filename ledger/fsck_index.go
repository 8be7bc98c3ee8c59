package ledger

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// An indexPass compares the tables of the search index with the entries while an
// fsck goes over them: one goroutine gathers the terms of the pieces that were
// applied, another compares what becomes complete. Its fault is held back: one in
// an entry goes before.
type indexPass struct {
	index *index.Index
	pass  *index.Pass
	over  atomic.Bool // there was a fault, or the index has no more tables: the rest is not compared
	fault error       // owned by the comparing goroutine until pipe returns
}

// newIndexPass opens the index. Nil where there is none to check.
func (c *fsck) newIndexPass() (*indexPass, error) {
	if c.openIndex == nil {
		return nil, nil
	}
	x, err := c.openIndex()
	if err != nil {
		return nil, faultIn(store.Index, 0, "%v", err)
	}
	if x == nil || x.Position() == 0 {
		return nil, nil
	}
	return &indexPass{index: x, pass: x.NewPass(c.size)}, nil
}

// wants tells whether the terms of the piece at first are needed.
func (p *indexPass) wants(first uint64) bool {
	return p != nil && first < p.pass.End() && !p.over.Load()
}

// abandon ends the pass: a fault was found that goes before any in the index.
func (p *indexPass) abandon() {
	if p != nil {
		p.over.Store(true)
	}
}

// gather takes the pieces that were applied, in order, until there are no more,
// and gives them back.
func (p *indexPass) gather(ctx context.Context, applied <-chan *piece, free chan<- *piece) {
	complete := make(chan *index.Terms)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(complete)
	wg.Go(func() { p.compare(ctx, complete) })
	for piece := range applied {
		if piece.collected && !p.over.Load() && ctx.Err() == nil {
			if terms := p.pass.Take(ctx, piece.first, piece.terms); terms != nil {
				complete <- terms
			}
		}
		free <- piece
	}
}

func (p *indexPass) compare(ctx context.Context, complete <-chan *index.Terms) {
	for terms := range complete {
		if !p.over.Load() && ctx.Err() == nil {
			over, at, err := p.pass.Compare(ctx, terms)
			if err != nil {
				p.fault = faultIn(store.Index, at, "%v", err)
			}
			if over || err != nil {
				p.over.Store(true)
			}
		}
		p.pass.Recycle(terms)
	}
}

// end compares what the pass over the entries did not, size of them, and the
// dictionary.
func (p *indexPass) end(ctx context.Context, engine store.Engine, size uint64) error {
	if p == nil || p.fault != nil {
		if ctx.Err() != nil || p == nil {
			return context.Cause(ctx)
		}
		return p.fault
	}
	rest, counted, listed := p.pass.Rest()
	c := indexCheck{index: p.index, engine: engine, next: counted, listed: listed, pace: func(uint64) error { return context.Cause(ctx) }}
	for _, r := range rest {
		part := indexCheck{index: p.index, engine: engine, next: r.At, pace: c.pace}
		if err := part.table(ctx, r.Until); err != nil {
			return err
		}
		c.listed, c.next = c.listed+part.listed, max(c.next, part.next)
	}
	for size = min(size, p.index.Position()); c.next < size; {
		at := c.next
		if err := c.table(ctx, verify.MaxSize); err != nil {
			return err
		}
		if c.next == at {
			break
		}
	}
	return c.dictionary(ctx)
}
