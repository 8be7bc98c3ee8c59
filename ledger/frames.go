package ledger

import (
	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// scan calls fn for each entry in [lo, hi), from disk, past the cache. The bytes
// are valid during the call only.
func (c *frameCache) scan(lo, hi uint64, fn func(index uint64, raw []byte) error) error {
	dec := c.scratch.Get().(*frame.Decoder)
	defer c.scratch.Put(dec)
	return scanFrames(c.engine, lo, hi, func(first uint64, coded []byte) error {
		entries, err := dec.Decode(coded)
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		for i, raw := range entries {
			if index := first + uint64(i); index >= lo && index < hi {
				if err := fn(index, raw); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// scanFrames calls fn for each frame that holds entries of [lo, hi), in order: an
// index is in one of them only. The coded bytes are valid during the call only.
// What fn returns ends the scan, store.ErrStop without an error.
func scanFrames(engine store.Engine, lo, hi uint64, fn func(first uint64, coded []byte) error) error {
	s := frameScan{next: lo, fn: fn}
	for s.next < hi && !s.stopped {
		// A growing bundle may be completed at any moment: what was in one table is
		// then in the other.
		before := s.next
		tables := []store.Table{store.Frames, store.Growing}
		if bundle := hi - hi%bundleWidth; s.next >= bundle {
			tables = []store.Table{store.Growing, store.Frames}
		}
		for _, t := range tables {
			if s.next >= hi || s.stopped {
				break
			}
			from := s.next - s.next%bundleWidth
			if err := engine.Scan(t.Key(from), t.Key(hi), func(key, value []byte) error { return s.frame(t, key, value) }); err != nil {
				return err
			}
		}
		if s.next == before && !s.stopped {
			return &FaultError{s.next, "no frame holds the entry"}
		}
	}
	return nil
}

// A frameScan walks the frames of one scan.
type frameScan struct {
	next    uint64
	fn      func(first uint64, coded []byte) error
	stopped bool
}

func (s *frameScan) frame(t store.Table, key, value []byte) error {
	first, err := t.ParseKey(key)
	if err != nil {
		return err
	}
	count, err := frame.Count(value)
	if err != nil {
		return &FaultError{first, err.Error()}
	}
	end := first + uint64(count)
	switch {
	case end <= s.next:
		return nil
	case first > s.next:
		return store.ErrStop // the rest is in the other table, or nowhere
	}
	if err := s.fn(first, value); err != nil {
		s.stopped = true
		return err
	}
	s.next = end
	return nil
}
