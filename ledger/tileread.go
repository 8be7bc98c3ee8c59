package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// TileAt appends to dst the bytes of a tile of c2sp.org/tlog-tiles: hashes, or an
// entry bundle. Any width that the published head has is there, also one that no
// checkpoint ever called for. At most 16 MiB for a bundle, 8 KiB for hashes.
// ErrNotFound for what is beyond the head.
func (l *Ledger) TileAt(dst []byte, t verify.Tile) ([]byte, error) {
	if !t.Within(l.Head().Size) {
		return dst, ErrNotFound
	}
	if t.Entries {
		return l.frames.bundle(dst, t.N*bundleWidth, t.Width)
	}
	return l.tiles.hashes(dst, tileID{uint8(t.Level), t.N}, t.Width)
}

// hashes appends the first hashes of a tile. A full one that is not in memory is
// taken from the store as it is: whoever reads a whole log does not throw out of
// memory what proofs are made of.
func (t *tiles) hashes(dst []byte, id tileID, width int) ([]byte, error) {
	t.mu.RLock()
	tl := t.open[id]
	t.mu.RUnlock()
	if tl == nil {
		tl, _ = t.full.get(id.cacheKey())
	}
	if tl != nil {
		for i := range width {
			dst = append(dst, tl.nodes[i][:]...)
		}
		return dst, nil
	}
	raw, err := t.engine.Get(store.TileKey(id.level, id.n))
	if err == nil && len(raw) != tileWidth*32 {
		err = errTileSize
	}
	if err != nil {
		return dst, fmt.Errorf("tile %d/%d: %w", id.level, id.n, err)
	}
	return append(dst, raw[:width*32]...), nil
}

// bundle appends the first entries of a bundle as tlog-tiles has them, which is
// what frames hold.
func (c *frameCache) bundle(dst []byte, lo uint64, width int) ([]byte, error) {
	dec := c.scratch.Get().(*frame.Decoder)
	defer c.scratch.Put(dec)
	hi := lo + uint64(width)
	err := scanFrames(c.engine, lo, hi, func(first uint64, coded []byte) error {
		payload, err := dec.Payload(coded)
		if err == nil && (first < lo || first >= hi) {
			err = errors.New("frame is not within its bundle")
		}
		if err == nil {
			payload, err = cutPayload(payload, hi-first)
		}
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		dst = append(dst, payload...)
		return nil
	})
	return dst, err
}

// cutPayload returns the first entries of a payload, all where there are fewer.
func cutPayload(payload []byte, most uint64) ([]byte, error) {
	end := 0
	for range most {
		if end == len(payload) {
			break
		}
		if len(payload)-end < 2 || len(payload)-end-2 < int(binary.BigEndian.Uint16(payload[end:])) {
			return nil, errors.New("payload ends inside an entry")
		}
		end += 2 + int(binary.BigEndian.Uint16(payload[end:]))
	}
	return payload[:end], nil
}

// PublicTiles tells whether the log was made with tiles that anybody may read.
func (l *Ledger) PublicTiles() bool { return l.publicTiles }
