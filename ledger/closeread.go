package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// CloseTable names one of the two tables of a close.
type CloseTable uint8

// The tables of a close.
const (
	TableStreams CloseTable = 1
	TableRuns    CloseTable = 2
)

// FoundRow is the row of a key, or that there is none: the rows beside where it
// would be, as verify.CheckAbsent wants them.
type FoundRow struct {
	Row           *verify.ProvenRow // nil: the table has no such key
	Before, After *verify.ProvenRow
}

// CloseAt returns the close at an index; ErrNotFound where no close is there.
func (l *Ledger) CloseAt(_ context.Context, at uint64) (*CloseInfo, error) {
	if at >= l.Head().Size {
		return nil, ErrNotFound
	}
	raw, err := l.frames.entry(at)
	if err != nil {
		return nil, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, &FaultError{at, err.Error()}
	}
	if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
		return nil, fmt.Errorf("%w: entry %d is no close", ErrNotFound, at)
	}
	return l.closeAt(at)
}

func (l *Ledger) closeAt(at uint64) (*CloseInfo, error) {
	raw, err := l.frames.entry(at)
	if err != nil {
		return nil, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, &FaultError{at, err.Error()}
	}
	c, err := verify.CheckCloseEntry(&e)
	if err != nil {
		return nil, &FaultError{at, err.Error()}
	}
	return &CloseInfo{at, c}, nil
}

// Closes returns closes, newest first, at most limit: from the newest in the log
// on where from is 0, else from the close at index from-1 on. The previous_close
// of the last one is where to go on.
func (l *Ledger) Closes(ctx context.Context, from uint64, limit int) ([]*CloseInfo, error) {
	var c *CloseInfo
	var err error
	if from == 0 {
		if err := l.waitFollowed(ctx, l.Head().Size); err != nil {
			return nil, err
		}
		c = l.closes.newest.Load()
	} else if c, err = l.CloseAt(ctx, from-1); err != nil {
		return nil, err
	}
	var out []*CloseInfo
	for c != nil {
		out = append(out, c)
		if len(out) == limit || c.Close.PreviousClose == 0 {
			break
		}
		if c, err = l.closeAt(c.Close.PreviousClose - 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CloseOfDay returns the close that ends the UTC day which a time is in, or the
// close of several missed days that this is one of; ErrNotFound where there is
// none yet.
func (l *Ledger) CloseOfDay(ctx context.Context, timeNS int64) (*CloseInfo, error) {
	end := verify.DayStart(timeNS) + verify.Day
	h := l.Head()
	page, err := l.List(ctx, ListFilter{Kind: daybookv1.Kind_KIND_CLOSE, LoggedFrom: end, Ascending: true}, h.Size, 0, verify.MaxMissedDays*4)
	if err != nil {
		return nil, err
	}
	for _, at := range page.Indexes {
		c, err := l.closeAt(at)
		if err != nil {
			return nil, err
		}
		if c.Close.PeriodEndNs < end {
			continue
		}
		if c.Close.PeriodStartNs >= end {
			break
		}
		return c, nil
	}
	return nil, fmt.Errorf("%w: no close covers that day", ErrNotFound)
}

// CloseRows calls fn for the rows of a table from an index on, in order, until it
// returns false. The row is valid during the call only.
func (l *Ledger) CloseRows(ctx context.Context, c *CloseInfo, table CloseTable, from uint64, fn func(index uint64, r verify.Row) bool) error {
	t := newStoredTable(l.engine, c.Close, table)
	for i := from; i < t.rows; i++ {
		if i%pageRows == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r, err := t.row(i)
		if err != nil {
			return err
		}
		if !fn(i, r) {
			return nil
		}
	}
	return nil
}

// CloseRow looks up one key in a table and proves what it finds.
func (l *Ledger) CloseRow(_ context.Context, c *CloseInfo, table CloseTable, key []byte) (*FoundRow, error) {
	t := newStoredTable(l.engine, c.Close, table)
	at, err := t.find(key)
	if err != nil {
		return nil, err
	}
	found := new(FoundRow)
	if at < t.rows {
		if found.After, err = t.prove(at); err != nil {
			return nil, err
		}
		if string(found.After.Row.Key) == string(key) {
			return &FoundRow{Row: found.After}, nil
		}
	}
	if at > 0 {
		found.Before, err = t.prove(at - 1)
	}
	return found, err
}

// FindCloseRow returns the index of the first row whose key is not below key.
func (l *Ledger) FindCloseRow(_ context.Context, c *CloseInfo, table CloseTable, key []byte) (uint64, error) {
	return newStoredTable(l.engine, c.Close, table).find(key)
}

// A storedTable reads the pages of a table. It keeps the last page and the last
// block of hashes it read; one goroutine uses it.
type storedTable struct {
	engine       store.Engine
	end          int64
	part, hashes byte
	rows         uint64

	pageAt  int64 // -1: none
	page    []verify.Row
	leaves  []verify.Hash // of page, once they are needed
	blockAt int64
	block   []byte
}

func newStoredTable(engine store.Engine, c *daybookv1.Close, table CloseTable) *storedTable {
	t := &storedTable{engine: engine, end: c.PeriodEndNs, part: partStreams, hashes: partStreamHashes, rows: c.Streams.Rows, pageAt: -1, blockAt: -1}
	if table == TableRuns {
		t.part, t.hashes, t.rows = partRuns, partRunHashes, c.Runs.Rows
	}
	return t
}

var errTables = errors.New("tables of the close are damaged")

func (t *storedTable) get(part byte, n uint64) ([]byte, error) {
	b, err := t.engine.Get(closeKey(t.end, part, uint32(n)))
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: part %d, page %d is missing", errTables, part, n)
	}
	return b, err
}

func (t *storedTable) load(n uint64) error {
	if t.pageAt == int64(n) {
		return nil
	}
	b, err := t.get(t.part, n)
	if err != nil {
		return err
	}
	t.pageAt, t.page, t.leaves = -1, t.page[:0:0], nil
	for len(b) > 0 {
		r, rest, err := verify.CutRow(b)
		if err != nil {
			return fmt.Errorf("%w: page %d: %w", errTables, n, err)
		}
		t.page, b = append(t.page, r), rest
	}
	if want := min(pageRows, t.rows-n*pageRows); uint64(len(t.page)) != want {
		return fmt.Errorf("%w: page %d has %d rows, not %d", errTables, n, len(t.page), want)
	}
	t.pageAt = int64(n)
	return nil
}

func (t *storedTable) row(i uint64) (verify.Row, error) {
	if err := t.load(i / pageRows); err != nil {
		return verify.Row{}, err
	}
	return t.page[i%pageRows], nil
}

func (t *storedTable) find(key []byte) (uint64, error) {
	lo, hi := uint64(0), t.rows
	for lo < hi {
		mid := lo + (hi-lo)/2
		r, err := t.row(mid)
		if err != nil {
			return 0, err
		}
		if string(r.Key) < string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func (t *storedTable) prove(i uint64) (*verify.ProvenRow, error) {
	r, err := t.row(i)
	if err != nil {
		return nil, err
	}
	proof, err := verify.ProveRange(i, i+1, t.rows, t.node)
	if err != nil {
		return nil, fmt.Errorf("proving row %d: %w", i, err)
	}
	return &verify.ProvenRow{Index: i, Row: r, Proof: proof}, nil
}

// node is the hash of a complete subtree of the table: from a page's rows, from
// the stored hash of a complete page, or from several of those.
func (t *storedTable) node(level uint, n uint64) (verify.Hash, error) {
	switch {
	case level > pageLevel:
		left, err := t.node(level-1, 2*n)
		if err != nil {
			return verify.Hash{}, err
		}
		right, err := t.node(level-1, 2*n+1)
		return verify.HashNode(left, right), err
	case level == pageLevel:
		return t.pageHash(n)
	}
	if err := t.load(n << level / pageRows); err != nil {
		return verify.Hash{}, err
	}
	if t.leaves == nil {
		for _, r := range t.page {
			t.leaves = append(t.leaves, verify.HashLeaf(r.AppendTo(nil)))
		}
	}
	lo := n << level % pageRows
	if lo+1<<level > uint64(len(t.leaves)) {
		return verify.Hash{}, fmt.Errorf("%w: no node %d/%d", errTables, level, n)
	}
	var f verify.Frontier
	for _, leaf := range t.leaves[lo : lo+1<<level] {
		f.Append(leaf)
	}
	return f.Root(), nil
}

func (t *storedTable) pageHash(n uint64) (verify.Hash, error) {
	if at := n / pageHashes; t.blockAt != int64(at) {
		b, err := t.get(t.hashes, at)
		if err != nil {
			return verify.Hash{}, err
		}
		t.blockAt, t.block = int64(at), b
	}
	at := 32 * (n % pageHashes)
	if at+32 > uint64(len(t.block)) {
		return verify.Hash{}, fmt.Errorf("%w: no hash of page %d", errTables, n)
	}
	return verify.Hash(t.block[at:]), nil
}
