package ledger

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/daybook-ledger/daybook/verify"
)

// An integrator adds leaves to the tree, in order; owned by the sequencer.
type integrator struct {
	tiles *tiles
	size  uint64
	cur   [8]*tile // growing tile of each tile level, or nil
}

// add appends one leaf: it fills in the nodes that become complete and calls
// emit with each finished tile.
func (g *integrator) add(leaf verify.Hash, emit func(id tileID, tl *tile) error) error {
	index := g.size
	g.size++
	return g.place(0, index, leaf, emit)
}

// frontier returns the frontier of the tree. All its nodes are in growing
// tiles: the node of a set bit of the size has no right sibling yet.
func (g *integrator) frontier() verify.Frontier {
	f := verify.Frontier{Size: g.size, Nodes: make([]verify.Hash, 0, bits.OnesCount64(g.size))}
	for level := bits.Len64(g.size) - 1; level >= 0; level-- {
		if index := g.size >> uint(level); index&1 == 1 {
			inner := uint(level) % tileHeight
			f.Nodes = append(f.Nodes, g.cur[level/tileHeight].nodes[at(inner, (index-1)&(tileWidth>>inner-1))])
		}
	}
	return f
}

// place sets node index of a tile level and the nodes above it that become
// complete.
func (g *integrator) place(level uint8, index uint64, h verify.Hash, emit func(id tileID, tl *tile) error) error {
	id := tileID{level, index / tileWidth}
	cur := g.cur[level]
	if cur == nil {
		cur = g.tiles.growing(id)
		g.cur[level] = cur
	}
	place := index % tileWidth
	cur.nodes[at(0, place)] = h
	for inner := uint(0); inner < tileHeight; inner++ {
		if place&1 == 0 {
			return nil
		}
		h = verify.HashNode(cur.nodes[at(inner, place-1)], h)
		place >>= 1
		cur.nodes[at(inner+1, place)] = h
	}
	if err := emit(id, cur); err != nil {
		return err
	}
	g.tiles.finish(id, cur)
	g.cur[level] = nil
	return g.place(level+1, id.n, h, emit)
}

var errTileEmitted = errors.New("a tile was finished while resuming")

// resume sets the integrator to the tree of size leaves whose full tiles are in
// the store; tail are the leaf hashes of the last size%256 entries.
func (g *integrator) resume(size uint64, tail []verify.Hash) error {
	none := func(tileID, *tile) error { return errTileEmitted }
	base := size - size%tileWidth
	if uint64(len(tail)) != size-base {
		return fmt.Errorf("resuming at %d: %d leaf hashes of the last bundle, not %d", size, len(tail), size-base)
	}
	for i, leaf := range tail {
		if err := g.place(0, base+uint64(i), leaf, none); err != nil {
			return err
		}
	}
	for level := uint8(1); base>>(uint(level)*tileHeight) > 0; level++ {
		done := base >> (uint(level) * tileHeight)
		for i := done - done%tileWidth; i < done; i++ {
			child, err := g.tiles.get(tileID{level - 1, i})
			if err != nil {
				return err
			}
			if err := g.place(level, i, child.nodes[at(tileHeight, 0)], none); err != nil {
				return err
			}
		}
	}
	g.size = size
	return nil
}
