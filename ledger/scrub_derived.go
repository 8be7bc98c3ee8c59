package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// rowsPerEntry is how many rows of a close's tables cost as much as an entry.
const rowsPerEntry = 8

// endEntries compares what is compared at the end of the entries. A crash before
// the phase is saved repeats it.
func (s *scrub) endEntries() error {
	row := s.row
	if row.broken() {
		row.phase = passDone
		return nil
	}
	if err := s.save(); err != nil {
		return err
	}
	if err := s.compareSnapshots(); err != nil {
		s.found(err)
	}
	if err := checkArchive(s.l.engine, row.target, s.l.Keys()); err != nil {
		s.found(err)
	}
	row.phase = passIndex
	return nil
}

// nextTable compares the next table of the index, waiting as it reads.
func (s *scrub) nextTable(ctx context.Context) error {
	row := s.row
	c := indexCheck{index: s.l.index, engine: s.l.engine, next: row.indexed, listed: row.listed,
		pace: func(entries uint64) error { return s.pace(ctx, entries) }}
	more, err := c.step(ctx, row.target)
	if ctx.Err() != nil {
		return context.Cause(ctx) // the table is compared again
	}
	row.indexed, row.listed = c.next, c.listed
	if err != nil {
		s.found(err)
	}
	if !more || row.broken() {
		row.phase = passDone
	}
	return s.save()
}

// A metClose is a close that the pass met.
type metClose struct {
	index uint64
	close *daybookv1.Close
}

// closeHooks has the pass tell of the wrong closes that it meets, and compare the
// stored tables of all with the close, once their bundle agrees with the tiles.
func (s *scrub) closeHooks() auditHooks {
	return auditHooks{
		entry: func(p *replay, index uint64) error {
			if p.entry.Place.Kind == daybookv1.Kind_KIND_CLOSE {
				if m, err := verify.CheckCloseEntry(&p.entry); err == nil {
					s.met = append(s.met, metClose{index, m})
				}
			}
			return nil
		},
		passed: func(uint64) error {
			for _, w := range s.wrong {
				s.found(faultIn(store.Closes, w.index, "%s", w.reason))
			}
			for _, m := range s.met {
				rows, err := checkStoredClose(s.l.engine, m.close)
				s.extra += rows / rowsPerEntry
				if err != nil {
					s.found(faultIn(store.Closes, m.index, "stored tables of the close with cut %d: %v", m.close.Cut, err))
				}
			}
			return nil
		},
	}
}

// checkStoredClose compares the stored tables of a close with the close: rows,
// hashes and draft. It returns how many rows it read.
func checkStoredClose(engine store.Engine, c *daybookv1.Close) (rows uint64, err error) {
	k := newCloseCheck(c)
	lo, hi := closeRange(c.PeriodEndNs)
	if err := engine.Scan(lo, hi, k.take); err != nil {
		return k.rows, err
	}
	return k.rows, k.finish()
}

// A closeCheck takes the stored parts of a close, keys ascending.
type closeCheck struct {
	close  *daybookv1.Close
	end    int64
	part   byte
	n      uint32    // next page of the part
	pagers [2]pager  // of the streams and the runs
	hashed [2]uint64 // bytes of their hashes that were compared
	rows   uint64
	draft  bool
}

func newCloseCheck(c *daybookv1.Close) *closeCheck {
	k := &closeCheck{close: c, end: c.PeriodEndNs}
	for i := range k.pagers {
		k.pagers[i] = pager{yield: func(_, _ []byte) bool { return true }}
	}
	return k
}

// take compares one value.
func (k *closeCheck) take(key, value []byte) error {
	part := byte(0)
	if len(key) == len(closeKey(0, 0, 0)) {
		part = key[9]
	}
	if part != k.part {
		k.part, k.n = part, 0
	}
	if !bytes.Equal(key, closeKey(k.end, part, k.n)) {
		return fmt.Errorf("part %d, page %d is missing, or %x is too many", part, k.n, key)
	}
	k.n++
	switch part {
	case partStreams, partRuns:
		return k.takeRows(&k.pagers[part-partStreams], value)
	case partStreamHashes, partRunHashes:
		return k.takeHashes(int(part-partStreamHashes), value)
	case partDraft:
		want := proto.CloneOf(k.close)
		want.PreviousClose = 0
		row, err := marshal(want)
		if err == nil && !bytes.Equal(row, value) {
			err = errors.New("the draft differs from the close")
		}
		k.draft = true
		return err
	}
	return fmt.Errorf("there is no part %d", part)
}

// takeRows takes a page of rows: each but the last is full.
func (k *closeCheck) takeRows(w *pager, page []byte) error {
	if w.tree.Size != 0 {
		return fmt.Errorf("part %d, page %d is not full", k.part, k.n-2)
	}
	n, empty := w.n, len(page) == 0
	for len(page) > 0 {
		r, rest, err := verify.CutRow(page)
		if err != nil {
			return fmt.Errorf("part %d, page %d: %w", k.part, k.n-1, err)
		}
		w.add(r)
		k.rows++
		page = rest
	}
	if w.err == nil && (empty || w.n > n+1 || w.n > n && w.tree.Size != 0) {
		return fmt.Errorf("part %d, page %d has none or too many rows", k.part, k.n-1)
	}
	return w.err
}

// takeHashes compares hashes of complete pages.
func (k *closeCheck) takeHashes(table int, value []byte) error {
	want := k.pagers[table].hashes[k.hashed[table]:]
	if want = want[:min(len(want), 32*pageHashes)]; !bytes.Equal(want, value) {
		return fmt.Errorf("part %d, page %d differs from the rows", k.part, k.n-1)
	}
	k.hashed[table] += uint64(len(want))
	return nil
}

// finish compares the tables as a whole.
func (k *closeCheck) finish() error {
	streams, runs := &k.pagers[0], &k.pagers[1]
	switch {
	case !proto.Equal(streams.table.Table(), k.close.Streams):
		return errors.New("the table of streams differs from the close")
	case !proto.Equal(runs.table.Table(), k.close.Runs):
		return errors.New("the table of runs differs from the close")
	case k.hashed[0] != uint64(len(streams.hashes)) || k.hashed[1] != uint64(len(runs.hashes)):
		return errors.New("hashes of pages are missing")
	case !k.draft:
		return errors.New("the draft is missing")
	}
	return nil
}
