package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/daybook-ledger/daybook/verify"
)

// entries checks every entry. Where the closes are is learnt from the log itself,
// by the links from its newest one; links that mislead cost a second pass.
func (c *check) entries(ctx context.Context) error {
	cuts, err := c.linkedCuts(ctx)
	if err != nil {
		if cuts, err = c.allCuts(ctx, 0, c.size); err != nil {
			return err
		}
	}
	err = c.pass(ctx, cuts)
	var unknown *UnannouncedError
	if !errors.As(err, &unknown) {
		return err
	}
	if cuts, err = c.allCuts(ctx, 0, c.size); err != nil {
		return err
	}
	return c.pass(ctx, cuts)
}

// progressEvery is after how many entries progress is told.
const progressEvery = 16384

// pass reads every piece on all cores and applies them in order.
func (c *check) pass(ctx context.Context, cuts []Cut) error {
	state := NewState(c.head.Origin, cuts)
	tower := &tower{c: c}
	told := uint64(0)
	err := c.pipe(ctx, func(p *piece) error {
		if err := c.apply(state, tower, p); err != nil {
			return err
		}
		if c.o.Progress != nil && (state.size-told >= progressEvery || state.size == c.size) {
			told = state.size
			c.o.Progress(told, c.size)
		}
		return nil
	})
	c.r.Counts = state.Counts()
	if err != nil {
		return err
	}
	if err := state.End(); err != nil {
		return &Fault{Index: c.size - 1, Known: true, Err: err}
	}
	c.keys = state.Keys()
	if c.o.Policy == nil {
		return nil // signatures are not checked
	}
	if _, err := c.keys.OpenCheckpoint(c.note); err != nil && !errors.Is(err, verify.ErrKeyCompromised) {
		return &Fault{File: checkpointFile, Err: fmt.Errorf("by the keys that the log's own entries name: %w", err)}
	}
	return nil
}

// apply applies a piece. Its own fault counts where no entry before it is wrong.
func (c *check) apply(state *State, tower *tower, p *piece) error {
	for i := range p.good {
		if err := state.Take(&p.entries[i]); err != nil {
			return &Fault{Index: p.first() + uint64(i), Known: true, File: verify.FormatTilePath(p.bundle()), Err: err}
		}
	}
	if p.fault != nil {
		if p.altered && p.full() {
			if want, _, err := tower.want(0, p.n); err == nil {
				p.blame(want)
			}
		}
		return p.fault
	}
	if !p.full() {
		state.settle()
		return nil
	}
	if err := tower.place(p.n, p.root); err != nil {
		return err
	}
	state.takeTree(p.root)
	return nil
}

// pipe reads every piece and gives it to apply, in order. What is in flight is
// bounded: two pieces for each worker, and two.
func (c *check) pipe(ctx context.Context, apply func(*piece) error) error {
	depth := 2*c.o.Workers + 2
	free, work, order := make(chan *piece, depth), make(chan *piece, depth), make(chan *piece, depth)
	for range depth {
		free <- newPiece()
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(work)
		defer close(order)
		for n := uint64(0); n*verify.TileWidth < c.size; n++ {
			select {
			case p := <-free:
				p.n, p.width = n, verify.TileWidthAt(0, n, c.size)
				order <- p
				work <- p
			case <-ctx.Done():
				return
			}
		}
	})
	for range c.o.Workers {
		wg.Go(func() {
			for p := range work {
				p.read(c)
				p.ready <- struct{}{}
			}
		})
	}
	for p := range order {
		<-p.ready
		if err := apply(p); err != nil {
			return err
		}
		free <- p
	}
	return context.Cause(ctx)
}
