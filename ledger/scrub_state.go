package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// The keys of the verification table: the row of the pass, and the state that
// the entries before its position give, in rows like those of the follower's
// snapshots.
//
//	'v' 'p'                   passRow
//	'v' 'r' || run key        snapshot of a run
//	'v' 's' || stream key     snapshot of a stream
//	'v' || key of the tally   tally of the period
var (
	passKey        = []byte{byte(store.Verification), byte(store.Position)}
	passRunRows    = []byte{byte(store.Verification), byte(store.Runs)}
	passStreamRows = []byte{byte(store.Verification), byte(store.Streams)}
	passTallyRows  = []byte{byte(store.Verification), byte(store.Tally)}
)

// A badPlace is where something is wrong.
type badPlace struct {
	table  store.Table
	index  uint64
	reason string
}

// subject names the place in an alert, whose id it becomes a part of.
func (b *badPlace) subject() string {
	return fmt.Sprintf("%s at index %d", tableName(b.table), b.index)
}

func tableName(t store.Table) string {
	switch t {
	case store.Identity:
		return "identity"
	case store.Tiles:
		return "tiles"
	case store.Commits:
		return "commits"
	case store.Position, store.Runs, store.Streams:
		return "snapshots"
	case store.Index:
		return "index"
	case store.Closes:
		return "closes"
	case store.Archive:
		return "archive"
	}
	return "frames"
}

// A passRow is what is kept of the background verification: the pass under way,
// the last one, and what stands as wrong.
type passRow struct {
	begin     int64       // UTC nanoseconds; of the pass under way
	target    uint64      // entries that it checks; 0: no pass is under way
	snapshots verify.Hash // digest of the snapshots at target; zero: there were none
	position  uint64      // entries done: at a bundle's start, or target
	size      uint64      // of the log when the row was written
	phase     passPhase
	indexed   uint64   // first entry of the index's next table
	listed    uint64   // values that its tables before brought to the dictionary, or unlisted
	faults    uint64   // found in the pass
	bad       badPlace // the first of them, or the first that was not in a derived table; only with faults
	front     []byte   // frontier at position; empty where the pass is broken
	time      int64    // log time of the last entry before position
	covered   uint64   // size of the newest commit up to position
	term      uint64   // of that commit
	levels    [8][]verify.Hash
	computes  bool     // closes are computed
	drafts    [][]byte // closes computed and not met up to position, in order

	last     passResult
	standing badPlace // of the newest pass that found something; table 0: none, or a later pass found nothing
	alerts   []alertMark
}

// A passResult is how a pass ended. The zero value is no pass.
type passResult struct {
	begin, end int64 // UTC nanoseconds
	entries    uint64
	faults     uint64
}

// An alertMark is an alert that was written, and when.
type alertMark struct {
	id verify.Hash
	at int64 // UTC nanoseconds
}

// A passPhase is what a pass is at.
type passPhase uint64

const (
	passEntries passPhase = iota // entries, and all that is compared on the way and at their end
	passIndex                    // tables of the index
	passDone
)

const passRowVersion = 3

func (r *passRow) bytes() []byte {
	b := []byte{passRowVersion}
	for _, v := range []uint64{uint64(r.begin), r.target, r.position, r.size, uint64(r.phase), r.indexed, r.listed, r.faults, uint64(r.time), r.covered, r.term,
		uint64(r.last.begin), uint64(r.last.end), r.last.entries, r.last.faults} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, r.snapshots[:]...)
	for _, bad := range []*badPlace{&r.bad, &r.standing} {
		b = binary.BigEndian.AppendUint64(append(b, byte(bad.table)), bad.index)
		b = appendPart(b, []byte(bad.reason))
	}
	b = appendPart(b, r.front)
	for _, hashes := range r.levels {
		b = binary.BigEndian.AppendUint16(b, uint16(len(hashes)))
		for i := range hashes {
			b = append(b, hashes[i][:]...)
		}
	}
	b = binary.BigEndian.AppendUint16(append(b, flag(r.computes)), uint16(len(r.drafts)))
	for _, d := range r.drafts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(d))), d...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.alerts)))
	for _, a := range r.alerts {
		b = binary.BigEndian.AppendUint64(append(b, a.id[:]...), uint64(a.at))
	}
	return b
}

func appendPart(b, part []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(part))), part...)
}

var errPassRow = errors.New("row of the background verification is damaged")

// A rowReader reads a row from its front; bad tells that it was too short.
type rowReader struct {
	b   []byte
	bad bool
}

func (r *rowReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *rowReader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *rowReader) count() int { return int(binary.BigEndian.Uint16(r.take(2))) }

func parsePassRow(b []byte) (*passRow, error) {
	in := rowReader{b: b}
	if in.take(1)[0] != passRowVersion {
		return nil, errPassRow
	}
	r := new(passRow)
	var begin, phase, time, lastBegin, lastEnd uint64
	for _, v := range []*uint64{&begin, &r.target, &r.position, &r.size, &phase, &r.indexed, &r.listed, &r.faults, &time, &r.covered, &r.term,
		&lastBegin, &lastEnd, &r.last.entries, &r.last.faults} {
		*v = in.u64()
	}
	r.phase = passPhase(phase)
	r.begin, r.time, r.last.begin, r.last.end = int64(begin), int64(time), int64(lastBegin), int64(lastEnd)
	copy(r.snapshots[:], in.take(32))
	for _, bad := range []*badPlace{&r.bad, &r.standing} {
		bad.table, bad.index = store.Table(in.take(1)[0]), in.u64()
		bad.reason = string(in.take(in.count()))
	}
	r.front = append([]byte(nil), in.take(in.count())...)
	for i := range r.levels {
		for range in.count() {
			if in.bad {
				return nil, errPassRow
			}
			r.levels[i] = append(r.levels[i], verify.Hash(in.take(32)))
		}
		if len(r.levels[i]) >= tileWidth {
			return nil, errPassRow
		}
	}
	r.computes = in.take(1)[0] == 1
	for range in.count() {
		n := binary.BigEndian.Uint32(in.take(4))
		if in.bad || uint64(n) > uint64(len(in.b)) {
			return nil, errPassRow
		}
		r.drafts = append(r.drafts, bytes.Clone(in.take(int(n))))
	}
	for range in.count() {
		if in.bad {
			return nil, errPassRow
		}
		r.alerts = append(r.alerts, alertMark{verify.Hash(in.take(32)), int64(in.u64())})
	}
	if in.bad || len(in.b) != 0 || r.position > r.target || r.phase > passDone || r.phase > passEntries && r.position < r.target {
		return nil, errPassRow
	}
	return r, nil
}

// newPassState is a state whose snapshots are in the verification table.
func newPassState(engine store.Engine) *state {
	s := newState(engine)
	s.runRows, s.streamRows = passRunRows, passStreamRows
	return s
}

// restore makes the audit that a saved row left off. An error is that the saved
// state does not hold together: the pass begins anew.
func (r *passRow) restore(engine store.Engine) (*audit, error) {
	a := newAudit(engine, r.target, newPassState(engine))
	if r.broken() {
		return a, nil
	}
	front, err := verify.ParseFrontier(r.front)
	if err != nil || front.Size != r.position {
		return nil, errPassRow
	}
	if err := a.replay.state.loadStreams(); err != nil {
		return nil, err
	}
	if a.replay.judge, err = (pastReader{newFrameCache(engine).entry}).judge(a.replay.state.streams); err != nil {
		return nil, err
	}
	sum := uint64(0)
	for _, st := range a.replay.state.streams {
		sum += st.count
	}
	if sum != r.position {
		return nil, errPassRow
	}
	a.replay.frontier, a.replay.time = front, r.time
	a.covered, a.term = r.covered, r.term
	for i := range r.levels {
		a.levels[i] = slices.Clone(r.levels[i])
	}
	return a, nil
}

// broken: the pass has met a fault in what is committed, and compares leaves
// alone from there on. What is derived and damaged puts nothing else in doubt.
func (r *passRow) broken() bool { return r.faults > 0 && !r.bad.table.Derived() }

// take notes where an audit stands.
func (r *passRow) take(a *audit) {
	r.front, r.levels = nil, [8][]verify.Hash{}
	if r.broken() {
		return
	}
	r.front, r.time = a.replay.frontier.AppendBinary(nil), a.replay.time
	r.covered, r.term, r.levels = a.covered, a.term, a.levels
}

// digestRows digests rows of snapshots: frontier, runs, streams, in that order.
type digestRows struct {
	front []byte
	sum   []byte // of all rows so far
	buf   []byte
}

func (d *digestRows) row(key, value []byte) {
	d.buf = append(d.buf[:0], d.sum...)
	d.buf = appendPart(d.buf, key)
	d.buf = append(d.buf, value...)
	sum := sha256.Sum256(d.buf)
	d.sum = append(d.sum[:0], sum[:]...)
}

func (d *digestRows) hash() verify.Hash {
	d.row(nil, d.front)
	return verify.Hash(d.sum)
}

// followedSnapshots digests the follower's snapshots as one scan sees them. Where
// there are none, size is 0.
func followedSnapshots(engine store.Engine) (size uint64, digest verify.Hash, err error) {
	var d digestRows
	_, hi := store.Streams.Range()
	err = engine.Scan([]byte{byte(store.Position)}, hi, func(key, value []byte) error {
		switch {
		case len(key) == 1:
			front, err := verify.ParseFrontier(value)
			if err != nil {
				return faultIn(store.Position, 0, "position of the snapshots: %v", err)
			}
			size, d.front = front.Size, append([]byte(nil), value...)
		case store.Table(key[0]) == store.Runs || store.Table(key[0]) == store.Streams:
			d.row(key, value)
		}
		return nil
	})
	if size == 0 {
		return 0, verify.Hash{}, err
	}
	return size, d.hash(), err
}

// ownSnapshots digests the saved state of a pass as followedSnapshots does the
// follower's.
func ownSnapshots(engine store.Engine, front verify.Frontier) (verify.Hash, error) {
	d := digestRows{front: front.AppendBinary(nil)}
	err := engine.Scan(passRunRows, after(passStreamRows), func(key, value []byte) error {
		d.row(key[1:], value)
		return nil
	})
	return d.hash(), err
}
