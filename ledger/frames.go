package ledger

import (
	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

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
