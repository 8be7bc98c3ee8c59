package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// A tree reads the tiles of a log at one size, and returns none that is not proven.
// One goroutine owns it.
type tree struct {
	ctx  context.Context
	size uint64
	edge map[verify.Tile][]byte // those that are not full: proven by the root
	last [9]struct {            // newest full tile of each level
		tile verify.Tile
		raw  []byte
	}
	fetch func(context.Context, verify.Tile) ([]byte, error)
	// found is told of each full tile above level 0 that was fetched.
	found func(verify.Tile, []byte) error
}

// newTree fetches the right edge of the tree and compares its root.
func newTree(ctx context.Context, c verify.Checkpoint, fetch func(context.Context, verify.Tile) ([]byte, error)) (*tree, error) {
	t := &tree{ctx: ctx, size: c.Size, edge: map[verify.Tile][]byte{}, fetch: fetch}
	for level := uint(0); level < 8; level++ {
		n := c.Size >> (8 * (level + 1))
		edge := verify.Tile{Level: level, N: n, Width: verify.TileWidthAt(level, n, c.Size)}
		if edge.Width == 0 {
			continue
		}
		raw, err := fetch(ctx, edge)
		if err != nil {
			return nil, err
		}
		t.edge[edge] = raw
	}
	root, err := verify.RootAt(c.Size, verify.NodesOf(c.Size, func(at verify.Tile) ([]byte, error) {
		if raw, ok := t.edge[at]; ok {
			return raw, nil
		}
		return nil, errors.New("not at the right edge")
	}))
	if err != nil {
		return nil, err
	}
	if root != c.Root {
		return nil, fmt.Errorf("the tiles give root %x, the checkpoint says %x: one of them is damaged", root, c.Root)
	}
	return t, nil
}

// tile is a verify.TileFunc: the tile is proven.
func (t *tree) tile(at verify.Tile) ([]byte, error) {
	if raw, ok := t.edge[at]; ok {
		return raw, nil
	}
	if l := &t.last[at.Level]; l.raw != nil && l.tile == at {
		return l.raw, nil
	}
	want, err := t.want(at)
	if err != nil {
		return nil, err
	}
	raw, err := t.fetch(t.ctx, at)
	if err != nil {
		return nil, err
	}
	if len(raw) != verify.TileWidth*len(verify.Hash{}) {
		return nil, fmt.Errorf("%s has %d bytes", verify.FormatTilePath(at), len(raw))
	}
	if verify.TileRoot(raw) != want {
		return nil, fmt.Errorf("%s is not the one that the checkpoint covers: it is damaged", verify.FormatTilePath(at))
	}
	t.last[at.Level].tile, t.last[at.Level].raw = at, raw
	if at.Level > 0 && t.found != nil {
		return raw, t.found(at, raw)
	}
	return raw, nil
}

// want returns the root of a full tile, from the one above.
func (t *tree) want(at verify.Tile) (verify.Hash, error) {
	if at.Level >= 7 || at.Width != verify.TileWidth {
		return verify.Hash{}, fmt.Errorf("no tile above %s", verify.FormatTilePath(at))
	}
	above := verify.Tile{Level: at.Level + 1, N: at.N >> 8}
	above.Width = verify.TileWidthAt(above.Level, above.N, t.size)
	raw, err := t.tile(above)
	if err != nil {
		return verify.Hash{}, err
	}
	return verify.Hash(raw[32*(at.N%verify.TileWidth):]), nil
}

// errHistory says that the source's log does not go on from the mirrored one.
var errHistory = errors.New("another history")

// prove checks that the source's log begins with the mirrored one, by the
// consistency proof that its own proven tiles give.
func (c *copying) prove(ctx context.Context) error {
	var err error
	if c.tree, err = newTree(ctx, c.new, c.fetchTile); err != nil {
		return err
	}
	c.tree.found = c.stageTile
	if c.old.Size == 0 {
		return nil
	}
	proof, err := verify.ProveConsistency(c.old.Size, c.new.Size, verify.NodesOf(c.new.Size, c.tree.tile))
	if err != nil {
		return err
	}
	if err := verify.CheckConsistency(c.old.Size, c.new.Size, c.old.Root, c.new.Root, proof); err != nil {
		return errHistory // every tile is proven, so that it is the log that was rewritten
	}
	return nil
}

// fetchTile fetches a tile from the source.
func (c *copying) fetchTile(ctx context.Context, at verify.Tile) ([]byte, error) {
	return c.m.source.get(ctx, verify.FormatTilePath(at), verify.TileWidth*len(verify.Hash{}))
}
