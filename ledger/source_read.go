package ledger

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// keptParts is how many decoded parts of frames an entryReader keeps: the one
	// that is read, and those at which walks of other streams stand.
	keptParts = 64
	// keptLeafBytes bounds the leaf hashes in a leafReader's memory: those of
	// 1,048,576 entries.
	keptLeafBytes = 32 << 20
	// keptKeyBytes bounds the names of streams in a keyReader's memory: those of
	// some 5 million entries.
	keptKeyBytes = 48 << 20
)

// An entryReader reads entries whose indexes mostly ascend: each part of a frame
// is decoded once. It keeps out of the cache that appends and searches live by.
type entryReader struct {
	frames *frameCache
	rest   func(context.Context) error // called before each part is read
	parts  [keptParts]heldPart
	clock  uint64
	newest *heldPart // that was read last
}

// A heldPart is one decoded part; its bytes are in buf.
type heldPart struct {
	first   uint64
	entries [][]byte
	buf     []byte
	used    uint64
}

// read returns the bytes of an entry, valid until the next read.
func (r *entryReader) read(ctx context.Context, index uint64) ([]byte, error) {
	r.clock++
	oldest := &r.parts[0]
	for i := range r.parts {
		p := &r.parts[i]
		if n := index - p.first; index >= p.first && n < uint64(len(p.entries)) {
			p.used, r.newest = r.clock, p
			return p.entries[n], nil
		}
		if p.used < oldest.used {
			oldest = p
		}
	}
	if err := r.rest(ctx); err != nil {
		return nil, err
	}
	for range 2 { // a finished bundle's frame replaces its small ones at any moment
		if err := r.load(oldest, index); err != nil {
			return nil, err
		}
		if n := index - oldest.first; n < uint64(len(oldest.entries)) {
			oldest.used, r.newest = r.clock, oldest
			return oldest.entries[n], nil
		}
	}
	return nil, &FaultError{index, "no frame holds the entry"}
}

// load reads the part that holds an entry; where none is found p is empty.
func (r *entryReader) load(p *heldPart, index uint64) error {
	p.entries, p.first = p.entries[:0], index
	bundle := index - index%bundleWidth
	engine := r.frames.engine
	if err := engine.Scan(store.Frames.Key(bundle), store.Frames.Key(bundle+1), func(_, value []byte) error {
		return r.take(p, bundle, value, index)
	}); err != nil || len(p.entries) > 0 {
		return err
	}
	return engine.ScanReverse(store.Growing.Key(bundle), store.Growing.Key(index+1), func(key, value []byte) error {
		first, err := store.Growing.ParseKey(key)
		if err != nil {
			return err
		}
		return r.take(p, first, value, index)
	})
}

func (r *entryReader) take(p *heldPart, first uint64, value []byte, index uint64) error {
	count, err := frame.Count(value)
	if err == nil && index-first >= uint64(count) {
		return store.ErrStop
	}
	dec := r.frames.scratch.Get().(*frame.Decoder)
	defer r.frames.scratch.Put(dec)
	entries, skipped, err := dec.DecodePart(value, int(index-first))
	if err != nil {
		return &FaultError{first, err.Error()}
	}
	size := 0
	for _, e := range entries {
		size += len(e)
	}
	if cap(p.buf) < size {
		p.buf = make([]byte, 0, size)
	}
	p.buf, p.first = p.buf[:0], first+uint64(skipped)
	for _, e := range entries {
		from := len(p.buf)
		p.buf = append(p.buf, e...)
		p.entries = append(p.entries, p.buf[from:len(p.buf):len(p.buf)])
	}
	return store.ErrStop
}

// A keyReader tells of which stream an entry is. The streams of a pair stand among
// each other in the log, so that each part would be decoded once for each of them:
// it keeps a number for each entry of a part.
type keyReader struct {
	entries *entryReader
	seed    maphash.Seed // of this process: nobody can choose keys that share a number
	kept    *cache[*partKeys]
	last    *partKeys // that was asked about last
	lastN   uint64
}

// partKeys are the names of the streams of the entries of one part; 0: not read.
type partKeys [frame.PartWidth]uint64

// name returns the number that stands for a stream, never 0.
func (r *keyReader) name(key verify.StreamKey) uint64 {
	return max(1, maphash.String(r.seed, string(key)))
}

// of returns the name of the stream of an entry.
func (r *keyReader) of(ctx context.Context, index uint64) (uint64, error) {
	if name := r.keys(index)[index%frame.PartWidth]; name != 0 {
		return name, nil
	}
	if _, err := r.entries.read(ctx, index); err != nil {
		return 0, err
	}
	p := r.entries.newest
	for i, raw := range p.entries {
		at := p.first + uint64(i)
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return 0, &FaultError{at, err.Error()}
		}
		r.keys(at)[at%frame.PartWidth] = r.name(verify.StreamKeyOf(&e.Place))
	}
	return r.keys(index)[index%frame.PartWidth], nil
}

// keys returns the names of the part that an entry is in.
func (r *keyReader) keys(index uint64) *partKeys {
	n := index / frame.PartWidth
	if r.last != nil && r.lastN == n {
		return r.last
	}
	keys, ok := r.kept.get(n)
	if !ok {
		keys = new(partKeys)
		r.kept.put(n, keys, 8*frame.PartWidth+64)
	}
	r.last, r.lastN = keys, n
	return keys
}

// A leafReader reads leaf hashes as they stand in the tiles of level 0, without
// the nodes above them.
type leafReader struct {
	tiles  *tiles
	engine store.Engine
	kept   *cache[[]byte] // finished tiles, by number
	last   []byte         // the tile that was read last, and its number
	lastN  uint64
}

// leaf returns the leaf hash of a published entry.
func (r *leafReader) leaf(index uint64) (verify.Hash, error) {
	n := index >> tileHeight
	place := index & (tileWidth - 1) * 32
	if r.last != nil && r.lastN == n {
		return verify.Hash(r.last[place:]), nil
	}
	raw, ok := r.kept.get(n)
	if !ok {
		r.tiles.mu.RLock()
		open := r.tiles.open[tileID{0, n}]
		r.tiles.mu.RUnlock()
		if open != nil {
			return open.nodes[at(0, index&(tileWidth-1))], nil
		}
		var err error
		if raw, err = r.engine.Get(store.TileKey(0, n)); err != nil {
			return verify.Hash{}, fmt.Errorf("leaf hash of entry %d: %w", index, err)
		}
		if len(raw) != tileWidth*32 {
			return verify.Hash{}, fmt.Errorf("leaf hash of entry %d: %w", index, errTileSize)
		}
		r.kept.put(n, raw, len(raw))
	}
	r.last, r.lastN = raw, n
	return verify.Hash(raw[place:]), nil
}
