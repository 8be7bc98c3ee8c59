package ledger

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

const (
	// cachedFrameBytes bounds the decoded bundles in memory: about 280 of 256
	// usual entries.
	cachedFrameBytes = 48 << 20
	// remembered is how many of the bundles read lately are counted.
	remembered = 4096
	// keepAfter is the read of a bundle after which it stays decoded, at most 255.
	keepAfter = 3
)

// A frameCache reads entries from their frames. A bundle is first decoded into
// scratch memory and only the entry is copied; asked for again and again, it stays
// decoded. So reads all over a large log cost no memory, and do not throw out what
// is read often. Safe for concurrent use.
type frameCache struct {
	engine  store.Engine
	bundles *cache[*decoded]
	lately  [remembered]atomic.Uint64 // bundle << 8 | its reads, by bundle; a hint that races may lose
	scratch sync.Pool                 // of *frame.Decoder
}

type decoded struct {
	first   uint64
	entries [][]byte
}

// entryAt returns an entry of the frame.
func (d *decoded) entryAt(index uint64) []byte { return d.entries[index-d.first] }

func newFrameCache(engine store.Engine) *frameCache {
	return &frameCache{engine: engine, bundles: newCache[*decoded](cachedFrameBytes),
		scratch: sync.Pool{New: func() any { return new(frame.Decoder) }}}
}

// entry returns the bytes of one entry; shared, not to be modified. The caller
// has made sure that index is below the published head. A finished bundle's
// frame replaces its small ones at any moment, so that what is not found is
// looked for once more.
func (c *frameCache) entry(index uint64) ([]byte, error) {
	bundle := index / bundleWidth
	if d, ok := c.bundles.get(bundle); ok {
		return d.entryAt(index), nil
	}
	keep := c.readOften(bundle)
	for range 2 {
		raw, err := c.read(bundle*bundleWidth, index, keep)
		if err != nil || raw != nil {
			return raw, err
		}
	}
	return nil, &FaultError{index, "no frame holds the entry"}
}

// readOften counts one read of a bundle, and says whether it is time to keep it;
// then the count begins anew.
func (c *frameCache) readOften(bundle uint64) bool {
	slot := &c.lately[bundle%remembered]
	seen := slot.Load()
	if seen>>8 != bundle {
		seen = bundle << 8
	}
	if seen&0xff == keepAfter-1 {
		slot.Store(bundle << 8)
		return true
	}
	slot.Store(seen + 1)
	return false
}

// read returns the entry from the frame that holds it, or nil. keep says to keep
// the frame if it is a finished bundle: small ones are about to be replaced.
func (c *frameCache) read(bundle, index uint64, keep bool) ([]byte, error) {
	var raw []byte
	for _, t := range []store.Table{store.Frames, store.Growing} {
		err := c.engine.ScanReverse(t.Key(bundle), t.Key(index+1), func(key, value []byte) (err error) {
			raw, err = c.entryOf(t, key, value, index, keep)
			return err
		})
		if err != nil || raw != nil {
			return raw, err
		}
	}
	return nil, nil
}

// entryOf returns the entry from one frame, or nil where it is not in it.
func (c *frameCache) entryOf(t store.Table, key, value []byte, index uint64, keep bool) (raw []byte, err error) {
	first, err := t.ParseKey(key)
	if err != nil {
		return nil, err
	}
	count, err := frame.Count(value)
	if err == nil && index-first >= uint64(count) {
		return nil, store.ErrStop
	}
	if err == nil && keep && count == bundleWidth {
		raw, err = c.keep(first, index, value)
	} else if err == nil {
		raw, err = c.pick(first, index, value)
	}
	if err != nil {
		return nil, &FaultError{first, err.Error()}
	}
	return raw, store.ErrStop
}

// pick returns a copy of one entry of a frame.
func (c *frameCache) pick(first, index uint64, value []byte) ([]byte, error) {
	dec := c.scratch.Get().(*frame.Decoder)
	defer c.scratch.Put(dec)
	entries, err := dec.Decode(value)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(entries[index-first]), nil
}

// keep caches a finished bundle and returns one entry of it.
func (c *frameCache) keep(first, index uint64, value []byte) ([]byte, error) {
	entries, err := frame.Decode(bytes.Clone(value)) // a stored frame's entries are the value
	if err != nil {
		return nil, err
	}
	d := &decoded{first, entries}
	weight := 0
	for _, e := range entries {
		weight += len(e) + 24 // and its slice
	}
	c.bundles.put(first/bundleWidth, d, weight)
	return d.entryAt(index), nil
}
