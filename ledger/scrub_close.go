package ledger

import (
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A wrongClose is a close that the pass met and does not compute.
type wrongClose struct {
	index  uint64
	reason string
}

// computeCloses has the pass compute each close of its entries anew, at its cut,
// and compare it with the one in the log. One that differs is a fault, and the
// pass goes on: what comes after it does not rest on it. Where the closes of the
// log cannot be listed, what stands in the way is the pass's to find, and closes
// are not computed.
func (s *scrub) computeCloses(c *closing) {
	refs, err := s.closesFrom(s.row.position)
	if s.row.computes = err == nil; err != nil {
		s.l.log.Warn("the closes of the log cannot be listed: the background verification does not compute them", "error", err)
		return
	}
	c.ahead = refs
	c.setNext()
	c.store = func(_ int64, pages iter.Seq2[[]byte, []byte]) error {
		n := uint64(0)
		for range pages {
			n++
		}
		s.extra += n * pageRows / rowsPerEntry
		return nil
	}
	c.wrong = func(index uint64, err error) { s.wrong = append(s.wrong, wrongClose{index, err.Error()}) }
	s.audit.replay.closing = c
}

// closesFrom lists the closes among the entries of the pass whose cut is from or
// later, and which are thus not computed, oldest first: backwards from the newest, by the stream that they all are
// in. Without a snapshot the follower may be behind the pass's end, and the rest
// is scanned.
func (s *scrub) closesFrom(from uint64) (refs []closeRef, err error) {
	next, scanned := uint64(0), uint64(0)
	if newest := s.l.closes.newest.Load(); newest != nil {
		next, scanned = newest.Index+1, newest.Index+1
	}
	for next != 0 {
		e, err := s.l.parsed(next - 1)
		if err != nil {
			return nil, err
		}
		m, err := verify.CheckCloseEntry(&e)
		if err != nil {
			return nil, &FaultError{next - 1, err.Error()}
		}
		if next-1 < from {
			break
		}
		if m.Cut >= from && next <= s.row.target {
			refs = append(refs, closeRef{m.Cut, m.PeriodEndNs})
		}
		next = min(e.Place.PreviousInStream, next-1)
	}
	slices.Reverse(refs)
	if s.row.snapshots != (verify.Hash{}) || scanned >= s.row.target {
		return refs, nil
	}
	tail, err := scanCloses(s.l.frames, scanned, s.row.target)
	for _, r := range tail {
		if r.cut >= from {
			refs = append(refs, r)
		}
	}
	return refs, err
}

// resumeCloses goes on computing closes where the saved row left off. An error is
// that the saved state does not hold together.
func (s *scrub) resumeCloses() error {
	if !s.row.computes || s.row.broken() {
		return nil
	}
	c := newClosing()
	if err := c.load(passTally{s.l.engine}); err != nil {
		return err
	}
	c.resume(s.audit.replay.state)
	for _, row := range s.row.drafts {
		m := new(daybookv1.Close)
		if err := proto.Unmarshal(row, m); err != nil {
			return fmt.Errorf("computed close: %w", err)
		}
		c.drafts = append(c.drafts, &draft{close: m})
	}
	s.computeCloses(c)
	return nil
}

// saveCloses adds where the closes stand to the batch that saves the pass.
func (s *scrub) saveCloses(batch store.Batch) error {
	s.row.drafts = nil
	c := s.audit.replay.closing
	if c == nil {
		return nil
	}
	for _, d := range c.drafts {
		row, err := marshal(d.close)
		if err != nil {
			return err
		}
		s.row.drafts = append(s.row.drafts, row)
	}
	return c.save(passBatch{batch})
}

// savedCloses notes that the pass was saved.
func (s *scrub) savedCloses() error {
	if c := s.audit.replay.closing; c != nil {
		return c.saved(passTally{s.l.engine})
	}
	return nil
}

// deletePass deletes what a pass keeps of the state of the entries.
func deletePass(engine store.Engine) error {
	if err := engine.DeleteRange(passRunRows, after(passStreamRows)); err != nil {
		return err
	}
	return engine.DeleteRange(passTallyRows, after(passTallyRows))
}

// passKeyOf is the key under which a pass keeps what others keep under key.
func passKeyOf(key []byte) []byte { return append([]byte{byte(store.Verification)}, key...) }

// passTally is the store with the tally of the pass in the place of the
// follower's.
type passTally struct{ store.Engine }

// Get implements store.Engine.
func (p passTally) Get(key []byte) ([]byte, error) { return p.Engine.Get(passKeyOf(key)) }

// Scan implements store.Engine.
func (p passTally) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	return p.Engine.Scan(passKeyOf(lo), passKeyOf(hi), func(key, value []byte) error { return fn(key[1:], value) })
}

// DeleteRange implements store.Engine.
func (p passTally) DeleteRange(lo, hi []byte) error {
	return p.Engine.DeleteRange(passKeyOf(lo), passKeyOf(hi))
}

// passBatch is a batch likewise.
type passBatch struct{ store.Batch }

// Set implements store.Batch.
func (b passBatch) Set(key, value []byte) error { return b.Batch.Set(passKeyOf(key), value) }
