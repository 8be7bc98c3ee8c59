package mirror

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/verify"
)

// A copying is one step from an older to a newer size of the log.
type copying struct {
	m        *Mirror
	old, new verify.Checkpoint
	tree     *tree

	mu   sync.Mutex
	step *Step  // its counts guarded by mu
	done uint64 // entries copied; guarded by mu
}

// A job is one bundle to be copied, and what its tile must be.
type job struct {
	tile verify.Tile // of the leaves
	root verify.Hash // of a full one
	edge []byte      // the tile itself where it is not full
}

// run stages every tile and bundle that the newer size has and the older one has
// not.
func (c *copying) run(ctx context.Context) error {
	for at, raw := range c.tree.edge {
		if at.Level > 0 {
			if err := c.stageTile(at, raw); err != nil {
				return err
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	c.tree.ctx = ctx
	jobs := make(chan job)
	group.Go(func() error {
		defer close(jobs)
		return c.plan(ctx, jobs)
	})
	for range c.m.c.Workers {
		group.Go(func() error {
			for j := range jobs {
				if err := c.bundle(ctx, j); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// plan gives out the bundles in order. Tiles above them are staged on the way.
func (c *copying) plan(ctx context.Context, jobs chan<- job) error {
	for n := c.old.Size / verify.TileWidth; ; n++ {
		j := job{tile: verify.Tile{N: n, Width: verify.TileWidthAt(0, n, c.new.Size)}}
		if j.tile.Width == 0 {
			return nil
		}
		var err error
		if j.edge = c.tree.edge[j.tile]; j.edge == nil {
			j.root, err = c.tree.want(j.tile)
		}
		if err != nil {
			return err
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// bundle stages a bundle and the tile of its leaves: what an earlier step left, where
// that is good.
func (c *copying) bundle(ctx context.Context, j job) error {
	at := j.tile
	at.Entries = true
	raw, err := c.m.dir.staged(at)
	if err == nil {
		if tile, err := j.hash(raw); err == nil {
			return c.stage(j.tile, tile, at, nil)
		}
	}
	if raw, err = c.m.source.get(ctx, verify.FormatTilePath(at), maxBundle); err != nil {
		return err
	}
	tile, err := j.hash(raw)
	if err != nil {
		return fmt.Errorf("%s of the source: %w: the source is damaged", verify.FormatTilePath(at), err)
	}
	return c.stage(j.tile, tile, at, raw)
}

// stage writes a tile and its bundle; raw nil: the bundle is there, and so may be
// the tile.
func (c *copying) stage(tile verify.Tile, hashes []byte, bundle verify.Tile, raw []byte) error {
	if raw != nil {
		if err := c.m.dir.stage(bundle, raw); err != nil {
			return err
		}
	}
	if there, err := c.m.dir.staged(tile); raw != nil || err != nil || !bytes.Equal(there, hashes) {
		if err := c.m.dir.stage(tile, hashes); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if raw != nil {
		c.step.Bundles++
	}
	c.step.Tiles++
	c.step.Bytes += uint64(len(raw) + len(hashes))
	c.done += uint64(tile.Width)
	if c.m.c.Progress != nil {
		c.m.c.Progress(c.done, c.new.Size-c.old.Size/verify.TileWidth*verify.TileWidth)
	}
	return nil
}

func (c *copying) stageTile(at verify.Tile, raw []byte) error {
	if at.N < c.old.Size>>(8*(at.Level+1)) {
		return nil // the copy has it: it was read for the proof
	}
	if err := c.m.dir.stage(at, raw); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step.Tiles++
	c.step.Bytes += uint64(len(raw))
	return nil
}

// hash returns the tile of a bundle's leaves, which must be the proven one.
func (j *job) hash(bundle []byte) ([]byte, error) {
	entries, err := verify.ParseBundle(nil, bundle, j.tile.Width)
	if err != nil {
		return nil, err
	}
	tile := make([]byte, 0, j.tile.Width*len(verify.Hash{}))
	for i, entry := range entries {
		leaf := verify.HashLeaf(entry)
		tile = append(tile, leaf[:]...)
		if j.edge != nil && !bytes.HasPrefix(j.edge, tile) {
			return nil, fmt.Errorf("entry %d does not hash into its tile", j.tile.N*verify.TileWidth+uint64(i))
		}
	}
	if j.edge == nil && verify.TileRoot(tile) != j.root {
		return nil, fmt.Errorf("entries %d to %d do not hash into their tile", j.tile.N*verify.TileWidth, (j.tile.N+1)*verify.TileWidth-1)
	}
	return tile, nil
}
