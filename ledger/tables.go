package ledger

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// The stored parts of a close's tables; their keys are k || i64 end of the
// period || u8 part || u32 number.
const (
	partStreams      = 1 // rows of the table of streams, pageRows in each value
	partRuns         = 2 // rows of the table of runs
	partStreamHashes = 3 // subtree hashes of the complete pages, pageHashes in each value
	partRunHashes    = 4
	partDraft        = 5 // the close, without previous_close
)

const (
	pageLevel  = 8
	pageRows   = 1 << pageLevel
	pageHashes = 1 << 12
)

func closeKey(end int64, part byte, n uint32) []byte {
	b := store.Closes.Key(uint64(end))
	return binary.BigEndian.AppendUint32(append(b, part), n)
}

// closeRange is the range of all keys of the close whose period ends at end.
func closeRange(end int64) (lo, hi []byte) {
	return store.Closes.Key(uint64(end)), store.Closes.Key(uint64(end) + 1)
}

// A streamLine is a stream as a line of the tables to come.
type streamLine struct {
	key    []byte
	stream *stream
	root   verify.Hash // of the stream at count rooted
	rooted uint64
}

// tables makes the tables of one close.
type tables struct {
	close   *daybookv1.Close // Streams and Runs are set once the pages are drawn
	streams []streamLine
	runs    []verify.Row
	err     error
}

// pages yields the stored form of the tables, keys ascending. The slices are
// valid during the call only.
func (t *tables) pages() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		streams := pager{end: t.close.PeriodEndNs, part: partStreams, yield: yield}
		for i := range t.streams {
			l := &t.streams[i]
			if l.rooted != l.stream.count {
				l.root, l.rooted = l.stream.frontier.Root(), l.stream.count
			}
			streams.add(verify.Row{Key: l.key, Count: l.rooted, Root: l.root})
		}
		runs := pager{end: t.close.PeriodEndNs, part: partRuns, yield: yield, err: streams.finish()}
		for _, r := range t.runs {
			runs.add(r)
		}
		if t.err = runs.finish(); t.err != nil {
			return
		}
		t.close.Streams, t.close.Runs = streams.table.Table(), runs.table.Table()
		row, err := marshal(t.close)
		if err != nil {
			t.err = err
			return
		}
		if streams.yieldHashes(partStreamHashes) && runs.yieldHashes(partRunHashes) {
			yield(closeKey(t.close.PeriodEndNs, partDraft, 0), row)
		}
	}
}

// A pager packs rows into pages and hashes them. After err, or once nobody takes
// more pages, it does nothing.
type pager struct {
	end    int64
	part   byte
	yield  func(key, value []byte) bool
	table  verify.TableBuilder
	page   []byte          // rows of the page under way
	tree   verify.Frontier // of that page
	n      uint32          // pages before it
	hashes []byte          // of the complete pages
	err    error
}

func (w *pager) add(r verify.Row) {
	if w.err != nil {
		return
	}
	leaf, err := w.table.Add(r)
	if err != nil {
		w.err = err
		return
	}
	w.tree.Append(leaf)
	w.page = r.AppendTo(w.page)
	if w.tree.Size < pageRows {
		return
	}
	root := w.tree.Root()
	w.hashes = append(w.hashes, root[:]...)
	w.flush()
}

var errUndrawn = fmt.Errorf("pages were not drawn: %w", store.ErrStop)

func (w *pager) flush() {
	if !w.yield(closeKey(w.end, w.part, w.n), w.page) {
		w.err = errUndrawn
	}
	w.page, w.tree.Nodes, w.tree.Size = w.page[:0], w.tree.Nodes[:0], 0
	w.n++
}

// finish writes the incomplete last page.
func (w *pager) finish() error {
	if w.err == nil && len(w.page) > 0 {
		w.flush()
	}
	return w.err
}

func (w *pager) yieldHashes(part byte) bool {
	for n, rest := uint32(0), w.hashes; len(rest) > 0; n++ {
		size := min(len(rest), 32*pageHashes)
		if !w.yield(closeKey(w.end, part, n), rest[:size]) {
			return false
		}
		rest = rest[size:]
	}
	return true
}
