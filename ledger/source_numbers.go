package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// maxRunWalks bounds the runs of which a source remembers where it stands.
const maxRunWalks = 4096

// A runWalk stands before a number of a run: no entry below index from has it, or
// a later one.
type runWalk struct {
	number, from uint64
}

// Numbers calls yield with the SHA-256 of the body of each numbered entry of a run
// whose first number is in [first, end), ascending.
func (s *Source) Numbers(ctx context.Context, producer string, run verify.Hash, first, end uint64, yield func(verify.Hash) error) error {
	if first >= end {
		return nil
	}
	key := verify.RunStart(producer, run)
	w := s.runs[key]
	if w == nil || w.number > first {
		if len(s.runs) >= maxRunWalks {
			clear(s.runs) // they are found again
		}
		w = &runWalk{number: 1}
		s.runs[key] = w
	}
	if first-w.number > leastWalk {
		if err := s.seekNumber(ctx, w, producer, run, first); err != nil {
			return err
		}
	}
	var inner error
	err := s.scanRun(ctx, producer, run, w.from, func(i uint64, e *verify.Entry) bool {
		switch n := e.Place.Number; {
		case n >= end:
			return false
		case n >= first:
			if inner = yield(sha256.Sum256(e.Body)); inner != nil {
				return false
			}
		}
		w.number, w.from = e.Place.Number+1, i+1
		return true
	})
	if inner != nil {
		return inner
	}
	return err
}

// seekNumber moves a walk before the first entry with a number at or after number:
// numbers ascend with indexes.
func (s *Source) seekNumber(ctx context.Context, w *runWalk, producer string, run verify.Hash, number uint64) error {
	lo, hi := w.from, s.size
	for lo < hi {
		mid := lo + (hi-lo)/2
		at, found := s.size, uint64(0)
		err := s.scanRun(ctx, producer, run, mid, func(i uint64, e *verify.Entry) bool {
			at, found = i, e.Place.Number
			return false
		})
		switch {
		case err != nil:
			return err
		case found >= number || at >= hi:
			hi = mid
		default:
			lo = at + 1
			w.number, w.from = found+1, lo
		}
	}
	return nil
}

// scanRun calls fn for the numbered entries of a run from an index on, until it
// returns false.
func (s *Source) scanRun(ctx context.Context, producer string, run verify.Hash, from uint64, fn func(index uint64, e *verify.Entry) bool) error {
	read := func(i uint64) ([]byte, error) { return s.entries.read(ctx, i) }
	if err := s.l.scanRun(read, producer, run, from, s.size, fn); err != nil {
		return fmt.Errorf("reading run %x: %w", run[:8], err)
	}
	return nil
}
