package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A tally counts the entries of the period under way and notes which runs have
// one. It is snapshotted with the follower's position.
type tally struct {
	kinds, verdicts, alerts []uint64 // counts by the enum's number
	touched                 map[verify.Hash]runName
	unsaved                 []verify.Hash       // of touched, since the last snapshot
	oneOffs                 map[string]*oneOffs // of each producer since entry 0
	swept                   int64               // start of the period before which notes were deleted
}

// oneOffs is where the one-offs of a producer stand, as if they were a run.
type oneOffs struct {
	producer string
	count    uint64
	hash     verify.Hash // running hash at count
	previous uint64      // index of the newest, plus 1
	dirty    bool        // touched since the last snapshot
}

func newTally() tally {
	return tally{touched: map[verify.Hash]runName{}, oneOffs: map[string]*oneOffs{}}
}

// reset begins a period.
func (t *tally) reset() {
	t.kinds, t.verdicts, t.alerts = t.kinds[:0], t.verdicts[:0], t.alerts[:0]
	t.touched, t.unsaved = map[verify.Hash]runName{}, nil
}

// add counts an entry.
func (t *tally) add(e *verify.Entry) error {
	t.kinds = count(t.kinds, uint32(e.Place.Kind))
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ACCESS:
		t.verdicts = count(t.verdicts, uint32(e.Place.Verdict))
	case daybookv1.Kind_KIND_ALERT:
		var m daybookv1.Alert
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return &FaultError{e.Place.Index, err.Error()}
		}
		t.alerts = count(t.alerts, uint32(m.Type))
	}
	return nil
}

// touch notes that a run has an entry in the period. round tells the periods
// apart.
func (t *tally) touch(r *run, round uint64) {
	if r.round == round {
		return
	}
	r.round = round
	if _, again := t.touched[r.key()]; !again {
		t.touched[r.key()] = runName{r.producer, r.id}
		t.unsaved = append(t.unsaved, r.key())
	}
}

func (t *tally) addOneOff(producer string, body []byte, index uint64) {
	o := t.oneOffs[producer]
	if o == nil {
		producer = string([]byte(producer)) // the entry's is shared
		o = &oneOffs{producer: producer, hash: verify.RunStart(producer, verify.Hash{})}
		t.oneOffs[producer] = o
	}
	o.count++
	o.hash = verify.RunNext(o.hash, o.count, sha256.Sum256(body))
	o.previous = index + 1
	o.dirty = true
}

// count adds one to the count of a value.
func count(counts []uint64, value uint32) []uint64 {
	for uint32(len(counts)) <= value {
		counts = append(counts, 0)
	}
	counts[value]++
	return counts
}

func counts(of []uint64) (out []*daybookv1.CloseCount) {
	for value, n := range of {
		if n > 0 {
			out = append(out, &daybookv1.CloseCount{Value: uint32(value), Count: n})
		}
	}
	return out
}

// runRows returns the rows of the table of runs, in order: of runs and one-offs
// with an entry from the cut before on.
func (t *tally) runRows(s *state, previousCut uint64) ([]verify.Row, error) {
	rows := make([]verify.Row, 0, len(t.touched))
	for key, name := range t.touched {
		r, err := s.peek(key)
		if err != nil {
			return nil, fmt.Errorf("run %x of %s: %w", name.id, name.producer, err)
		}
		rows = append(rows, verify.Row{Key: verify.RunRowKey(name.producer, name.id), Count: r.last, Root: r.hash})
	}
	for _, o := range t.oneOffs {
		if o.previous > previousCut {
			rows = append(rows, verify.Row{Key: verify.OneOffRowKey(o.producer), Count: o.count, Root: o.hash})
		}
	}
	slices.SortFunc(rows, func(a, b verify.Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows, nil
}

// Rows of the table of tallies, by the second byte of the key.
const (
	tallyCounts  = 'c' // counts of the period
	tallyOneOffs = 'o' // || hash(run, producer, zeros): the producer's one-offs
	tallyRuns    = 'r' // || i64 start of the period || run key: the run has an entry in it
)

func tallyKey(row byte, rest ...[]byte) []byte {
	return append([]byte{byte(store.Tally), row}, bytes.Join(rest, nil)...)
}

func tallyRunsKey(start int64, run []byte) []byte {
	return tallyKey(tallyRuns, binary.BigEndian.AppendUint64(nil, uint64(start)), run)
}

// save adds the tally to the batch of a snapshot.
func (c *closing) save(batch store.Batch) error {
	row, err := marshal(&daybookv1.Close{PeriodStartNs: c.start, PreviousCut: c.cut,
		Kinds: counts(c.kinds), Verdicts: counts(c.verdicts), Alerts: counts(c.alerts)})
	if err != nil {
		return err
	}
	if err := batch.Set(tallyKey(tallyCounts), row); err != nil {
		return err
	}
	for _, key := range c.unsaved {
		name := c.touched[key]
		if err := batch.Set(tallyRunsKey(c.start, key[:]), append(name.id[:], name.producer...)); err != nil {
			return err
		}
	}
	for _, o := range c.oneOffs {
		if !o.dirty {
			continue
		}
		key := verify.RunStart(o.producer, verify.Hash{})
		if err := batch.Set(tallyKey(tallyOneOffs, key[:]), o.row()); err != nil {
			return err
		}
	}
	return nil
}

// saved notes that a snapshot was taken, and deletes what earlier periods noted
// of their runs. A crash leaves some of it, which nothing reads and the next
// period's snapshot deletes.
func (c *closing) saved(engine store.Engine) error {
	c.unsaved = nil
	for _, o := range c.oneOffs {
		o.dirty = false
	}
	if c.swept == c.start {
		return nil
	}
	if err := engine.DeleteRange(tallyKey(tallyRuns), tallyRunsKey(c.start, nil)); err != nil {
		return fmt.Errorf("deleting the tallies of past periods: %w", err)
	}
	c.swept = c.start
	return nil
}

// row: u64 count, u64 index of the newest plus 1, running hash, producer.
func (o *oneOffs) row() []byte {
	b := binary.BigEndian.AppendUint64(nil, o.count)
	b = binary.BigEndian.AppendUint64(b, o.previous)
	return append(append(b, o.hash[:]...), o.producer...)
}

var errTally = errors.New("tally of the period is damaged")

func parseOneOffs(b []byte) (*oneOffs, error) {
	if len(b) <= 8+8+32 {
		return nil, errTally
	}
	return &oneOffs{count: binary.BigEndian.Uint64(b), previous: binary.BigEndian.Uint64(b[8:]),
		hash: verify.Hash(b[16:48]), producer: string(b[48:])}, nil
}

// load reads the tally of the snapshot; store.ErrNotFound where there is none.
func (c *closing) load(engine store.Engine) error {
	row, err := engine.Get(tallyKey(tallyCounts))
	if err != nil {
		return err
	}
	var m daybookv1.Close
	if err := proto.Unmarshal(row, &m); err != nil {
		return fmt.Errorf("%w: %w", errTally, err)
	}
	c.begin(m.PeriodStartNs, m.PreviousCut)
	for _, list := range []struct {
		from []*daybookv1.CloseCount
		to   *[]uint64
	}{{m.Kinds, &c.kinds}, {m.Verdicts, &c.verdicts}, {m.Alerts, &c.alerts}} {
		for _, n := range list.from {
			if n.Value > 1<<16 {
				return errTally
			}
			*list.to = count(*list.to, n.Value)
			(*list.to)[n.Value] = n.Count
		}
	}
	lo := tallyRunsKey(c.start, nil)
	hi := tallyRunsKey(c.start+1, nil)
	if err := engine.Scan(lo, hi, func(key, value []byte) error {
		if len(key) != len(lo)+32 || len(value) <= 32 {
			return errTally
		}
		c.touched[verify.Hash(key[len(lo):])] = runName{string(value[32:]), verify.Hash(value[:32])}
		return nil
	}); err != nil {
		return err
	}
	return engine.Scan(tallyKey(tallyOneOffs), tallyKey(tallyOneOffs+1), func(_, value []byte) error {
		o, err := parseOneOffs(value)
		if err == nil {
			c.oneOffs[o.producer] = o
		}
		return err
	})
}
