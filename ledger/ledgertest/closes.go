package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An entriesFunc calls fn for each entry in [lo, hi), in order.
type entriesFunc = func(ctx context.Context, lo, hi uint64, fn func(uint64, []byte) error) error

// A FoundClose is a close in a log.
type FoundClose struct {
	Index uint64
	Time  int64 // its log time
	Close *daybookv1.Close
}

// Closes returns the closes of the published log, oldest first.
func (g *Log) Closes() []FoundClose {
	g.T.Helper()
	found, err := findCloses(g.L.Head().Size, g.L.Entries)
	if err != nil {
		g.T.Fatal(err)
	}
	return found
}

// WaitCloses waits until the log has n closes, and returns them.
func (g *Log) WaitCloses(n int) []FoundClose {
	g.T.Helper()
	for range 2000 {
		if found := g.Closes(); len(found) >= n {
			return found
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.T.Fatalf("the log has %d closes, want %d", len(g.Closes()), n)
	return nil
}

func findCloses(size uint64, entries entriesFunc) (found []FoundClose, err error) {
	err = entries(context.Background(), 0, size, func(i uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil {
			return err
		}
		if e.Place.Kind != daybookv1.Kind_KIND_CLOSE {
			return nil
		}
		c := new(daybookv1.Close)
		found = append(found, FoundClose{i, e.Head.LogTimeNs, c})
		return proto.Unmarshal(e.Body, c)
	})
	return found, err
}

// A twin derives closes in the plainest way: every row of every table is built
// anew from maps of all that was seen.
type twin struct {
	log     *compact.Range
	streams map[string]*compact.Range
	runs    map[string]*twinRun
	kinds   map[uint32]uint64
	verdict map[uint32]uint64
	alerts  map[uint32]uint64
	time    int64
}

type twinRun struct {
	last   uint64
	hash   [32]byte
	newest uint64 // index of its newest entry
}

func newRange() *compact.Range {
	return (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
}

// CheckCloses derives every close in the log from the entries and compares.
func CheckCloses(size uint64, entries entriesFunc) error {
	found, err := findCloses(size, entries)
	if err != nil || len(found) == 0 {
		return err
	}
	w := &twin{log: newRange(), streams: map[string]*compact.Range{}, runs: map[string]*twinRun{}}
	w.reset()
	next, start := 0, int64(0)
	return entries(context.Background(), 0, size, func(i uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil {
			return err
		}
		if i == 0 {
			day := time.Unix(0, e.Head.LogTimeNs).UTC().Truncate(24 * time.Hour)
			start = day.UnixNano()
		}
		for ; next < len(found) && found[next].Close.Cut == i; next++ {
			previous := FoundClose{Close: &daybookv1.Close{PeriodEndNs: start}}
			if next > 0 {
				previous = found[next-1]
			}
			if err := w.check(found[next], previous, next > 0, i, e.Head.LogTimeNs); err != nil {
				return fmt.Errorf("close at %d: %w", found[next].Index, err)
			}
			w.reset()
		}
		return w.add(i, raw, &e)
	})
}

func (w *twin) reset() {
	w.kinds, w.verdict, w.alerts = map[uint32]uint64{}, map[uint32]uint64{}, map[uint32]uint64{}
}

func (w *twin) add(i uint64, raw []byte, e *daybookv1.Entry) error {
	leaf := rfc6962.DefaultHasher.HashLeaf(raw)
	p := e.Place
	late := byte(0)
	if p.Late {
		late = 1
	}
	key := string([]byte{byte(p.Kind), byte(len(p.Source))}) + p.Source + string([]byte{byte(len(p.Target))}) + p.Target + string([]byte{byte(p.Side), late})
	if w.streams[key] == nil {
		w.streams[key] = newRange()
	}
	w.kinds[uint32(p.Kind)]++
	switch p.Kind {
	case daybookv1.Kind_KIND_ACCESS:
		w.verdict[uint32(p.Verdict)]++
	case daybookv1.Kind_KIND_ALERT:
		var m daybookv1.Alert
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		w.alerts[uint32(m.Type)]++
	}
	w.time = e.Head.LogTimeNs
	if err := w.log.Append(leaf, nil); err != nil {
		return err
	}
	if err := w.streams[key].Append(leaf, nil); err != nil {
		return err
	}
	return w.addRun(i, e)
}

func (w *twin) addRun(i uint64, e *daybookv1.Entry) error {
	kind := e.Place.Kind
	if kind == daybookv1.Kind_KIND_ORIGIN_OPENED {
		return nil
	}
	key, id := e.Head.Producer+"\x00"+string(e.Head.Run), verify.Hash(e.Head.Run)
	if w.runs[key] == nil && kind != daybookv1.Kind_KIND_RUN_OPENED {
		key, id = e.Head.Producer+"\x00", verify.Hash{}
	}
	r := w.runs[key]
	if r == nil {
		r = &twinRun{hash: verify.CompositeHash("run", []byte(e.Head.Producer), id[:])}
		w.runs[key] = r
	}
	r.newest = i
	number := e.Place.Number
	if number == 0 {
		return nil
	}
	if len(key) == len(e.Head.Producer)+1 {
		number = r.last + 1
	}
	sum := sha256.Sum256(e.Body)
	r.hash = sha256.Sum256(append(binary.BigEndian.AppendUint64(append([]byte(nil), r.hash[:]...), number), sum[:]...))
	r.last = number
	if kind == daybookv1.Kind_KIND_GAP {
		var gap daybookv1.Gap
		if err := proto.Unmarshal(e.Body, &gap); err != nil {
			return err
		}
		r.last = gap.Last
	}
	return nil
}

// check compares a close with what was seen; now is the log time of the entry at
// its cut.
func (w *twin) check(found, previous FoundClose, chained bool, cut uint64, now int64) error {
	c := found.Close
	want := &daybookv1.Close{PeriodStartNs: previous.Close.PeriodEndNs, PeriodEndNs: c.PeriodEndNs, Cut: cut, PreviousCut: previous.Close.Cut,
		Kinds: twinCounts(w.kinds), Verdicts: twinCounts(w.verdict), Alerts: twinCounts(w.alerts)}
	if chained {
		want.PreviousClose = previous.Index + 1
	}
	root, err := w.log.GetRootHash(nil)
	if err != nil {
		return err
	}
	want.Root = root
	rows := map[string][]byte{}
	for key, tree := range w.streams {
		root, err := tree.GetRootHash(nil)
		if err != nil {
			return err
		}
		rows[key] = append(binary.BigEndian.AppendUint64(nil, tree.End()), root...)
	}
	if want.Streams, err = twinTable(rows); err != nil {
		return err
	}
	clear(rows)
	for key, r := range w.runs {
		if r.newest >= previous.Close.Cut {
			rows[key] = append(binary.BigEndian.AppendUint64(nil, r.last), r.hash[:]...)
		}
	}
	if want.Runs, err = twinTable(rows); err != nil {
		return err
	}
	if !proto.Equal(want, c) {
		return fmt.Errorf("is\n%v\nand must be\n%v", c, want)
	}
	if w.time >= c.PeriodEndNs || now < c.PeriodEndNs || found.Time < c.PeriodEndNs || found.Index < cut {
		return fmt.Errorf("period ends at %d: entry before the cut at %d, from it on %d, close at %d", c.PeriodEndNs, w.time, now, found.Time)
	}
	_, err = verify.ParseClose(mustMarshal(c))
	return err
}

func mustMarshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("marshalling a close: " + err.Error())
	}
	return b
}

// twinTable makes a table of rows: count and root behind the key.
func twinTable(rows map[string][]byte) (*daybookv1.CloseTable, error) {
	tree, sum := newRange(), uint64(0)
	keys := slices.SortedFunc(maps.Keys(rows), strings.Compare)
	for _, key := range keys {
		row := bytes.Join([][]byte{binary.BigEndian.AppendUint16(nil, uint16(len(key))), []byte(key), rows[key]}, nil)
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(row), nil); err != nil {
			return nil, err
		}
		sum += binary.BigEndian.Uint64(rows[key])
	}
	root, err := tree.GetRootHash(nil)
	if len(keys) == 0 {
		root = rfc6962.DefaultHasher.EmptyRoot()
	}
	return &daybookv1.CloseTable{Rows: uint64(len(keys)), Root: root, Sum: sum}, err
}

func twinCounts(of map[uint32]uint64) (out []*daybookv1.CloseCount) {
	for _, value := range slices.Sorted(maps.Keys(of)) {
		out = append(out, &daybookv1.CloseCount{Value: value, Count: of[value]})
	}
	return out
}
