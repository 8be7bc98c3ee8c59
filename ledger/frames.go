package ledger

import (
	"container/list"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// cachedFrames bounds the cache of decoded frames: 256 entries each, about
// 170 KiB of usual entries.
const cachedFrames = 64

// A frameCache reads entries from their frames. Safe for concurrent use.
type frameCache struct {
	engine store.Engine

	mu    sync.Mutex
	byKey map[uint64]*list.Element // finished bundles, by first index; guarded by mu
	lru   *list.List               // of *decoded; guarded by mu
}

type decoded struct {
	first   uint64
	entries [][]byte
}

func newFrameCache(engine store.Engine) *frameCache {
	return &frameCache{engine: engine, byKey: map[uint64]*list.Element{}, lru: list.New()}
}

// entry returns the bytes of one entry; shared, not to be modified. The caller
// has made sure that index is below the published head.
func (c *frameCache) entry(index uint64) ([]byte, error) {
	d, err := c.frameOf(index)
	if err != nil {
		return nil, err
	}
	return d.entries[index-d.first], nil
}

// frameOf returns the decoded frame that holds index. A finished bundle's frame
// replaces its small ones at any moment, so that what is not found is looked
// for once more.
func (c *frameCache) frameOf(index uint64) (*decoded, error) {
	bundle := index - index%bundleWidth
	c.mu.Lock()
	if e := c.byKey[bundle]; e != nil {
		c.lru.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*decoded), nil
	}
	c.mu.Unlock()
	for range 2 {
		d, err := c.read(bundle, index)
		if err != nil {
			return nil, err
		}
		if d != nil {
			c.keep(d)
			return d, nil
		}
	}
	return nil, &FaultError{index, "no frame holds the entry"}
}

func (c *frameCache) read(bundle, index uint64) (*decoded, error) {
	var d *decoded
	err := c.engine.ScanReverse(store.Frames.Key(bundle), store.Frames.Key(index+1), func(key, value []byte) error {
		first, err := store.Frames.ParseKey(key)
		if err != nil {
			return err
		}
		entries, err := frame.Decode(append([]byte(nil), value...))
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		if index-first < uint64(len(entries)) {
			d = &decoded{first, entries}
		}
		return store.ErrStop
	})
	return d, err
}

// keep caches finished bundles; small frames are about to be replaced.
func (c *frameCache) keep(d *decoded) {
	if len(d.entries) != bundleWidth {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[d.first] != nil {
		return
	}
	c.byKey[d.first] = c.lru.PushFront(d)
	if c.lru.Len() > cachedFrames {
		last := c.lru.Back()
		delete(c.byKey, last.Value.(*decoded).first)
		c.lru.Remove(last)
	}
}

// scan calls fn for each entry in [lo, hi), from disk, past the cache. The bytes
// are valid during the call only.
func (c *frameCache) scan(lo, hi uint64, fn func(index uint64, raw []byte) error) error {
	if lo >= hi {
		return nil
	}
	var dec frame.Decoder
	next := lo
	// From the start of the bundle: one scan sees one state, but where the frames
	// of a growing bundle begin changes between two.
	err := c.engine.Scan(store.Frames.Key(lo-lo%bundleWidth), store.Frames.Key(hi), func(key, value []byte) error {
		first, err := store.Frames.ParseKey(key)
		if err != nil {
			return err
		}
		count, err := frame.Count(value)
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		if first+uint64(count) <= next {
			return nil
		}
		if first > next {
			return &FaultError{next, "no frame holds the entry"}
		}
		entries, err := dec.Decode(value)
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		for i := next - first; i < uint64(len(entries)) && next < hi; i++ {
			if err := fn(next, entries[i]); err != nil {
				return err
			}
			next++
		}
		return nil
	})
	if err == nil && next < hi {
		return &FaultError{next, "no frame holds the entry"}
	}
	return err
}
