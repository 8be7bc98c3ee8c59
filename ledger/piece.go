package ledger

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// A piece is what a check takes at a time: the entries of one bundle, or of the
// last one up to the size that is checked. It is read by one goroutine, derived
// by a second and applied by a third, one after the other, and then used again:
// it takes about 350 KiB and its frames.
type piece struct {
	first  uint64 // index of the first entry, at a bundle's start
	hi     uint64 // end of what is to be checked in it
	next   uint64 // while it is read: index of the next entry
	frames []piecePart
	gap    error // where reading ended early, at next

	n       int // entries derived, without a fault
	entries []derived
	tree    tile  // of n leaves
	fault   error // at first+n; nil: none
	ready   chan struct{}

	collected bool // terms are of the entries
	terms     *index.Part
}

// A piecePart is one frame of a piece.
type piecePart struct {
	first   uint64
	skip    uint64 // entries that an earlier frame held
	raw     []byte
	decoder frame.Decoder
}

func newPiece() *piece {
	return &piece{entries: make([]derived, bundleWidth), ready: make(chan struct{}, 1)}
}

// reset makes the piece that of the bundle at first.
func (p *piece) reset(first, size uint64) {
	p.first, p.next, p.hi = first, first, min(size, first+bundleWidth)
	p.frames, p.gap, p.n, p.fault = p.frames[:0], nil, 0, nil
}

// collect has derive collect the terms for the index too, or not.
func (p *piece) collect(terms bool) {
	if p.collected = terms; !terms {
		return
	}
	if p.terms == nil {
		p.terms = new(index.Part)
	}
	p.terms.Reset()
}

// add copies a frame of the bundle. It believes the count in the frame's head:
// where that is damaged, derive finds out before it matters.
func (p *piece) add(first uint64, coded []byte) {
	if p.gap != nil || p.next >= p.hi {
		return
	}
	count, err := frame.Count(coded)
	if err != nil {
		p.gap = &FaultError{first, err.Error()}
		return
	}
	if first+uint64(count) <= p.next {
		return
	}
	if first > p.next {
		p.gap = &FaultError{p.next, "no frame holds the entry"}
		return
	}
	if len(p.frames) < cap(p.frames) {
		p.frames = p.frames[:len(p.frames)+1]
	} else {
		p.frames = append(p.frames, piecePart{})
	}
	part := &p.frames[len(p.frames)-1]
	part.first, part.skip, part.raw = first, p.next-first, append(part.raw[:0], coded...)
	p.next = first + uint64(count)
}

// unreadable ends the piece where it is.
func (p *piece) unreadable(err error) {
	reason := "reading frames: " + err.Error()
	var fault *FaultError
	if errors.As(err, &fault) {
		reason = fault.Reason
	}
	p.gap = &FaultError{p.next, reason}
}

// derive decodes the frames, derives every entry and builds the tree over the
// leaves. It needs nothing from before.
func (p *piece) derive() {
	p.fault = p.deriveEntries()
	if p.fault == nil {
		p.fault = p.gap
	}
	p.tree.build(p.n)
}

func (p *piece) deriveEntries() error {
	var before *verify.Entry
	for i := range p.frames {
		part := &p.frames[i]
		raws, err := part.decoder.DecodeAfter(part.raw)
		if err != nil {
			return &FaultError{p.first + uint64(p.n), err.Error()}
		}
		if part.first+uint64(len(raws)) > p.first+bundleWidth {
			return &FaultError{p.first + uint64(p.n), fmt.Sprintf("frame of %d entries crosses its bundle", len(raws))}
		}
		for _, raw := range raws[part.skip:] {
			if p.first+uint64(p.n) == p.hi {
				return nil
			}
			d := &p.entries[p.n]
			if err := d.derive(before, raw[1:], verify.HashLeafAfter(raw)); err != nil {
				return &FaultError{p.first + uint64(p.n), err.Error()}
			}
			p.tree.nodes[at(0, uint64(p.n))], before = d.leaf, &d.entry
			if p.collected {
				if err := p.terms.Add(&d.entry, &d.event); err != nil {
					return &FaultError{p.first + uint64(p.n), err.Error()}
				}
			}
			p.n++
		}
	}
	return nil
}

// full tells whether the piece is a whole bundle without a fault.
func (p *piece) full() bool { return p.n == bundleWidth && p.fault == nil }

// rootAt is the root of the log of size entries, at most those of the piece,
// where front is the frontier before it.
func (p *piece) rootAt(front *verify.Frontier, size uint64) verify.Hash {
	in := size - p.first
	var root verify.Hash
	have := false
	join := func(left verify.Hash) {
		if have {
			left = verify.HashNode(left, root)
		}
		root, have = left, true
	}
	for level := uint(0); level <= tileHeight; level++ {
		if in>>level&1 == 1 {
			join(p.tree.nodes[at(level, in>>level-1)])
		}
	}
	for i := len(front.Nodes) - 1; i >= 0; i-- {
		join(front.Nodes[i])
	}
	return root
}

// build computes the nodes that n leaves complete.
func (t *tile) build(n int) {
	for level := uint(1); n>>level > 0; level++ {
		for i := range uint64(n >> level) {
			t.nodes[at(level, i)] = verify.HashNode(t.nodes[at(level-1, 2*i)], t.nodes[at(level-1, 2*i+1)])
		}
	}
}

// A pieceReader reads bundles from disk, past the ledger's caches, and hands
// each on in order. What cannot be read is a fault in its piece, the last one.
type pieceReader struct {
	engine store.Engine
	size   uint64                 // end of what is read
	take   func() (*piece, error) // returns a piece to fill
	emit   func(*piece) error     // takes it, read

	piece *piece // being filled
	next  uint64 // start of the bundle after the last one handed on
	ended bool   // at a fault
	err   error  // of take or emit
}

// scanWidth bounds how long one scan keeps old files alive.
const scanWidth = 256 * bundleWidth

// read reads from the start of a bundle. Its error is that of take or emit.
func (r *pieceReader) read(from uint64) error {
	r.next = from
	for r.next < r.size && !r.ended {
		hi := min(r.size, r.next+scanWidth)
		err := scanFrames(r.engine, r.next, hi, r.frame)
		if r.err == nil && err != nil && !r.ended && r.open() {
			r.piece.unreadable(err)
			r.finish()
		}
		for r.next < hi && !r.ended && r.open() {
			r.finish()
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// frame takes the next frame of the scan.
func (r *pieceReader) frame(first uint64, coded []byte) error {
	for r.open() {
		if first < r.next+bundleWidth {
			r.piece.add(first, coded)
			return nil
		}
		if r.finish(); r.ended {
			return store.ErrStop
		}
	}
	return r.err
}

// open makes sure that there is a piece to fill; false: take failed.
func (r *pieceReader) open() bool {
	if r.piece != nil || r.err != nil {
		return r.err == nil
	}
	if r.piece, r.err = r.take(); r.err != nil {
		return false
	}
	r.piece.reset(r.next, r.size)
	return true
}

// finish hands the piece on.
func (r *pieceReader) finish() {
	p := r.piece
	r.piece = nil
	if p.gap == nil && p.next < p.hi {
		p.gap = &FaultError{p.next, "no frame holds the entry"}
	}
	r.next, r.ended = p.hi, p.gap != nil
	if r.err = r.emit(p); r.err != nil {
		r.ended = true
	}
}
