package ledger

import (
	"errors"
	"fmt"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileNodes  = 2*tileWidth - 1

	// A tile with its inner nodes takes 16 KiB.
	tileBytes = 32 * tileNodes
	// cachedTileBytes bounds the finished tiles in memory, apart from the newest.
	cachedTileBytes = 24 << 20
	// newestTiles is how many of the tiles finished last stay in memory whatever
	// is read: those of commits that are not yet in the store among them. They
	// take 8 MiB and cover 131,072 entries, over what may be in flight.
	newestTiles = 512
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

func (id tileID) cacheKey() uint64 { return uint64(id.level)<<56 ^ id.n }

// tileOf returns the tile of a node, and the node's place in it.
func tileOf(level uint, index uint64) (id tileID, place int) {
	inner := level % tileHeight
	id = tileID{uint8(level / tileHeight), index >> (tileHeight - inner)}
	return id, at(inner, index&(1<<(tileHeight-inner)-1))
}

// tiles serves complete tree nodes, from memory where it can. Tiles that are
// still growing stay in memory, and so do the newest finished ones; older ones
// may leave it, for they are in the store. Safe for concurrent use.
type tiles struct {
	engine store.Engine
	full   *cache[*tile]

	mu     sync.RWMutex
	open   map[tileID]*tile // growing, or among the newest; guarded by mu
	newest []tileID         // the finished ones of open, oldest first; guarded by mu
}

func newTiles(engine store.Engine) *tiles {
	return &tiles{engine: engine, full: newCache[*tile](cachedTileBytes), open: map[tileID]*tile{}}
}

// node is a verify.NodeFunc.
func (t *tiles) node(level uint, index uint64) (verify.Hash, error) {
	id, place := tileOf(level, index)
	tl, err := t.get(id)
	if err != nil {
		return verify.Hash{}, fmt.Errorf("tree node (%d,%d): %w", level, index, err)
	}
	return tl.nodes[place], nil
}

// nodes returns a verify.NodeFunc for one proof, by one goroutine: it holds on
// to the tile it looked at last, where most of a proof's next nodes are.
func (t *tiles) nodes() verify.NodeFunc {
	var last *tile
	var lastID tileID
	return func(level uint, index uint64) (verify.Hash, error) {
		id, place := tileOf(level, index)
		if last == nil || id != lastID {
			tl, err := t.get(id)
			if err != nil {
				return verify.Hash{}, fmt.Errorf("tree node (%d,%d): %w", level, index, err)
			}
			last, lastID = tl, id
		}
		return last.nodes[place], nil
	}
}

// get looks among the open tiles first: from there a tile moves to the cache, so
// that no order of events hides it.
func (t *tiles) get(id tileID) (*tile, error) {
	t.mu.RLock()
	tl := t.open[id]
	t.mu.RUnlock()
	if tl != nil {
		return tl, nil
	}
	if tl, ok := t.full.get(id.cacheKey()); ok {
		return tl, nil
	}
	raw, err := t.engine.Get(store.TileKey(id.level, id.n))
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d: %w", id.level, id.n, err)
	}
	if tl, err = expandTile(raw); err != nil {
		return nil, fmt.Errorf("tile %d/%d: %w", id.level, id.n, err)
	}
	t.full.put(id.cacheKey(), tl, tileBytes)
	return tl, nil
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

// finish takes a tile that is full and given to the store, where it need not be
// readable yet.
func (t *tiles) finish(id tileID, tl *tile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[id] = tl
	t.newest = append(t.newest, id)
	if len(t.newest) <= newestTiles {
		return
	}
	old := t.newest[0]
	t.newest = t.newest[1:]
	t.full.put(old.cacheKey(), t.open[old], tileBytes)
	delete(t.open, old)
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
