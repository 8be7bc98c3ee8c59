package ledger

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

const (
	// cachedFrameBytes bounds the decoded parts in memory: about 1,100 of 64 usual
	// entries.
	cachedFrameBytes = 48 << 20
	// remembered is how many of the parts read lately are counted.
	remembered = 16384
	// keepAfter is the read of a part after which it stays decoded, at most 255.
	keepAfter = 3
)

// A frameCache reads entries from their frames, of a finished bundle the part
// alone that holds the entry. It is first decoded into scratch memory and only the
// entry is copied; asked for again and again, it stays decoded. So reads all over a large log cost no memory, and do not throw out what
// is read often. Safe for concurrent use.
type frameCache struct {
	engine  store.Engine
	parts   *cache[*decoded]
	lately  [remembered]atomic.Uint64 // part << 8 | its reads, by part; a hint that races may lose
	scratch sync.Pool                 // of *frame.Decoder
}

// decoded are entries of one part: those of [n*frame.PartWidth, (n+1)*frame.PartWidth).
type decoded struct {
	first   uint64
	entries [][]byte
}

func newFrameCache(engine store.Engine) *frameCache {
	return &frameCache{engine: engine, parts: newCache[*decoded](cachedFrameBytes),
		scratch: sync.Pool{New: func() any { return new(frame.Decoder) }}}
}

// entry returns the bytes of one entry; shared, not to be modified. The caller
// has made sure that index is below the published head. A finished bundle's
// frame replaces its small ones at any moment, so that what is not found is
// looked for once more.
func (c *frameCache) entry(index uint64) ([]byte, error) {
	part := index / frame.PartWidth
	if d, ok := c.parts.get(part); ok && index-d.first < uint64(len(d.entries)) {
		return d.entries[index-d.first], nil
	}
	keep := c.readOften(part)
	for range 2 {
		raw, err := c.read(index, keep)
		if err != nil || raw != nil {
			return raw, err
		}
	}
	return nil, &FaultError{index, "no frame holds the entry"}
}

// readOften counts one read of a part, and says whether it is time to keep it;
// then the count begins anew.
func (c *frameCache) readOften(part uint64) bool {
	slot := &c.lately[part%remembered]
	seen := slot.Load()
	if seen>>8 != part {
		seen = part << 8
	}
	if seen&0xff == keepAfter-1 {
		slot.Store(part << 8)
		return true
	}
	slot.Store(seen + 1)
	return false
}

// read returns the entry from the frame that holds it, or nil: from that of the
// finished bundle, or from a small one. keep says to keep the part, but not of a
// small frame: those are about to be replaced.
func (c *frameCache) read(index uint64, keep bool) (raw []byte, err error) {
	bundle := index - index%bundleWidth
	err = c.engine.Scan(store.Frames.Key(bundle), store.Frames.Key(bundle+1), func(_, value []byte) (err error) {
		raw, err = c.entryOf(bundle, value, index, keep)
		return err
	})
	if err != nil || raw != nil {
		return raw, err
	}
	err = c.engine.ScanReverse(store.Growing.Key(bundle), store.Growing.Key(index+1), func(key, value []byte) error {
		first, err := store.Growing.ParseKey(key)
		if err == nil {
			raw, err = c.entryOf(first, value, index, false)
		}
		return err
	})
	return raw, err
}

// entryOf returns the entry from one frame, or nil where it is not in it, and
// ErrStop.
func (c *frameCache) entryOf(first uint64, value []byte, index uint64, keep bool) ([]byte, error) {
	count, err := frame.Count(value)
	if err == nil && index-first >= uint64(count) {
		return nil, store.ErrStop
	}
	dec := c.scratch.Get().(*frame.Decoder)
	defer c.scratch.Put(dec)
	entries, skipped, err := dec.DecodePart(value, int(index-first))
	if err != nil {
		return nil, &FaultError{first, err.Error()}
	}
	first += uint64(skipped)
	if keep {
		c.keep(first, entries, index/frame.PartWidth)
	}
	return bytes.Clone(entries[index-first]), store.ErrStop
}

// keep caches a copy of what lies of a part in entries, the first of which is at
// first. What a frame in other parts has of it may be not all.
func (c *frameCache) keep(first uint64, entries [][]byte, part uint64) {
	lo := max(first, part*frame.PartWidth)
	hi := min(first+uint64(len(entries)), (part+1)*frame.PartWidth)
	entries = entries[lo-first : hi-first]
	d := &decoded{lo, make([][]byte, len(entries))}
	size := 0
	for _, e := range entries {
		size += len(e)
	}
	buf := make([]byte, 0, size)
	for i, e := range entries {
		from := len(buf)
		buf = append(buf, e...)
		d.entries[i] = buf[from:len(buf):len(buf)]
	}
	c.parts.put(part, d, size+24*len(entries)) // and their slices
}
