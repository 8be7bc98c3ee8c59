package ledger

import (
	"container/list"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileNodes  = 2*tileWidth - 1

	// A tile with its inner nodes takes 16 KiB: 32 MiB at most.
	cachedTiles = 2048
)

// A tile holds the 256 hashes of a tlog-tiles tile and the 255 nodes above
// them, level by level from the bottom. A node is written once, by the
// integrator, before a head that covers it is published; readers look only at
// nodes below their head, so that they never meet a write.
type tile struct {
	nodes [tileNodes]verify.Hash
}

// at is the place of node (level, index) in the tile; level < 8.
func at(level uint, index uint64) int {
	return 2*tileWidth - (2*tileWidth)>>level + int(index)
}

type tileID struct {
	level uint8
	n     uint64
}

// tiles serves complete tree nodes, from memory where it can. Tiles that are
// still growing stay in memory; finished ones may leave it, for they are in the
// store. Safe for concurrent use.
type tiles struct {
	engine store.Engine

	mu   sync.Mutex
	open map[tileID]*tile         // growing; guarded by mu
	full map[tileID]*list.Element // of *cachedTile; guarded by mu
	lru  *list.List               // guarded by mu
}

type cachedTile struct {
	id   tileID
	tile *tile
}

func newTiles(engine store.Engine) *tiles {
	return &tiles{engine: engine, open: map[tileID]*tile{}, full: map[tileID]*list.Element{}, lru: list.New()}
}

// node is a verify.NodeFunc.
func (t *tiles) node(level uint, index uint64) (verify.Hash, error) {
	id := tileID{uint8(level / tileHeight), index >> (tileHeight - level%tileHeight)}
	tl, err := t.get(id)
	if err != nil {
		return verify.Hash{}, fmt.Errorf("tree node (%d,%d): %w", level, index, err)
	}
	inner := level % tileHeight
	return tl.nodes[at(inner, index&(1<<(tileHeight-inner)-1))], nil
}

func (t *tiles) get(id tileID) (*tile, error) {
	t.mu.Lock()
	if tl := t.open[id]; tl != nil {
		t.mu.Unlock()
		return tl, nil
	}
	if e := t.full[id]; e != nil {
		t.lru.MoveToFront(e)
		t.mu.Unlock()
		return e.Value.(*cachedTile).tile, nil
	}
	t.mu.Unlock()
	raw, err := t.engine.Get(store.TileKey(id.level, id.n))
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d: %w", id.level, id.n, err)
	}
	tl, err := expandTile(raw)
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d: %w", id.level, id.n, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cache(id, tl)
	return tl, nil
}

// cache keeps a finished tile; mu is held.
func (t *tiles) cache(id tileID, tl *tile) {
	if t.full[id] != nil {
		return
	}
	t.full[id] = t.lru.PushFront(&cachedTile{id, tl})
	if t.lru.Len() > cachedTiles {
		last := t.lru.Back()
		delete(t.full, last.Value.(*cachedTile).id)
		t.lru.Remove(last)
	}
}

func (t *tiles) growing(id tileID) *tile {
	t.mu.Lock()
	defer t.mu.Unlock()
	tl := t.open[id]
	if tl == nil {
		tl = new(tile)
		t.open[id] = tl
	}
	return tl
}

func (t *tiles) finish(id tileID, tl *tile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
	t.cache(id, tl)
}

var errTileSize = errors.New("tile is not 8,192 bytes")

func expandTile(raw []byte) (*tile, error) {
	if len(raw) != tileWidth*32 {
		return nil, errTileSize
	}
	tl := new(tile)
	for i := range tileWidth {
		copy(tl.nodes[i][:], raw[i*32:])
	}
	for level := uint(1); level <= tileHeight; level++ {
		for i := range uint64(tileWidth) >> level {
			tl.nodes[at(level, i)] = verify.HashNode(tl.nodes[at(level-1, 2*i)], tl.nodes[at(level-1, 2*i+1)])
		}
	}
	return tl, nil
}

func (t *tile) bytes() []byte {
	raw := make([]byte, 0, tileWidth*32)
	for i := range tileWidth {
		raw = append(raw, t.nodes[i][:]...)
	}
	return raw
}

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
