package audit

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// A piece is what is checked at a time: one entry bundle, and the tile of its
// leaves. One goroutine reads it, another applies it, one after the other, and then
// it is used again.
type piece struct {
	n       uint64 // of the bundle
	width   int
	raw     []byte
	list    [][]byte
	tile    []byte
	entries []Entry
	good    int         // entries that are right by themselves
	root    verify.Hash // of a full tile that is right
	fault   *Fault      // of the first that is not; nil: none
	altered bool        // it is that leaf and tile differ
	ready   chan struct{}
}

func newPiece() *piece {
	return &piece{entries: make([]Entry, verify.TileWidth), ready: make(chan struct{}, 1)}
}

func (p *piece) full() bool { return p.width == verify.TileWidth }

func (p *piece) bundle() verify.Tile { return verify.Tile{Entries: true, N: p.n, Width: p.width} }

func (p *piece) leaves() verify.Tile { return verify.Tile{N: p.n, Width: p.width} }

// first is the index of the first entry.
func (p *piece) first() uint64 { return p.n * verify.TileWidth }

// read reads bundle and tile, and checks what needs nothing from before.
func (p *piece) read(c *check) {
	p.good, p.fault, p.altered = 0, nil, false
	var err error
	if p.tile, err = c.tile(p.leaves(), p.tile); err == nil {
		p.raw, err = c.tile(p.bundle(), p.raw)
	}
	if err != nil {
		errors.As(err, &p.fault)
		return
	}
	p.list, err = verify.ParseBundle(p.list, p.raw, p.width)
	p.derive()
	if err != nil && p.fault == nil {
		p.fail(err)
	}
	if p.fault == nil && p.full() {
		p.root = verify.TileRoot(p.tile)
	}
}

// fail notes a fault of the entry after the good ones.
func (p *piece) fail(err error) {
	p.fault = &Fault{Index: p.first() + uint64(p.good), Known: true, File: verify.FormatTilePath(p.bundle()), Err: err}
}

// derive reads the entries and compares their leaves with the tile.
func (p *piece) derive() {
	var before *Entry
	at := 0
	for i, entry := range p.list {
		at += 2
		e := &p.entries[i]
		err := e.Read(before, p.raw[at-1:at+len(entry)])
		at += len(entry)
		if p.altered = e.Leaf != p.hash(i); p.altered {
			p.fail(fmt.Errorf("its hash differs from hash %d of %s", i, verify.FormatTilePath(p.leaves())))
			return
		}
		if err != nil {
			p.fail(err)
			return
		}
		before = e
		p.good++
	}
}

// hash is a hash of the tile.
func (p *piece) hash(i int) verify.Hash { return verify.Hash(p.tile[32*i:]) }

// blame says which of two files that differ was altered: want is the root of the
// one that was not.
func (p *piece) blame(want verify.Hash) {
	if want == verify.TileRoot(p.tile) {
		p.fault.Err = fmt.Errorf("altered: %w", p.fault.Err)
		return
	}
	var leaves []byte
	for _, entry := range p.list {
		leaf := verify.HashLeaf(entry)
		leaves = append(leaves, leaf[:]...)
	}
	if len(p.list) == verify.TileWidth && want == verify.TileRoot(leaves) {
		p.fault.File = verify.FormatTilePath(p.leaves())
		p.fault.Err = fmt.Errorf("altered: hash %d differs from the entry in %s", p.good, verify.FormatTilePath(p.bundle()))
	}
}

// A tower compares the roots of full tiles with the tiles above them, as they come.
type tower struct {
	c     *check
	tiles [8][]byte // by level, from 1
	at    [8]uint64 // number of each, plus 1; 0: none
}

// want returns the hash that the tile above level has of tile n.
func (t *tower) want(level uint, n uint64) (verify.Hash, verify.Tile, error) {
	above := verify.Tile{Level: level + 1, N: n >> 8}
	above.Width = verify.TileWidthAt(above.Level, above.N, t.c.size)
	if t.at[above.Level] != above.N+1 {
		raw, err := t.c.tile(above, t.tiles[above.Level])
		t.tiles[above.Level], t.at[above.Level] = raw, 0
		if err != nil {
			return verify.Hash{}, above, err
		}
		t.at[above.Level] = above.N + 1
	}
	return verify.Hash(t.tiles[above.Level][32*(n%verify.TileWidth):]), above, nil
}

// place compares the root of full tile n of level 0 with what is above it, and so
// on upwards where that completes a tile.
func (t *tower) place(n uint64, root verify.Hash) error {
	for level := uint(0); ; level++ {
		want, above, err := t.want(level, n)
		if err != nil {
			return err
		}
		if want != root {
			return &Fault{Index: n << (8 * (level + 1)), Known: true, File: verify.FormatTilePath(above),
				Err: fmt.Errorf("hash %d is not the root of %s, which is what its entries give", n%verify.TileWidth, verify.FormatTilePath(verify.Tile{Level: level, N: n, Width: verify.TileWidth}))}
		}
		if n%verify.TileWidth != verify.TileWidth-1 {
			return nil
		}
		root = verify.TileRoot(t.tiles[above.Level])
		n >>= 8
	}
}
