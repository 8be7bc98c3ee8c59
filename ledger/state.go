package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// maxTargets bounds the distinct targets of one source since entry 0; what
// comes after goes to overflowTarget.
const (
	maxTargets     = 1024
	overflowTarget = "?overflow"
)

// A run is one life of one producer as the entries tell it.
type run struct {
	producer   string
	id         verify.Hash
	provenance daybookv1.Provenance
	epoch      uint64
	last       uint64      // last number taken
	hash       verify.Hash // running hash at last
	opened     uint64      // index of the run opened entry
	previous   uint64      // index of the newest entry, plus 1
	ended      bool
	spki       []byte // of the newest certificate; empty: signs nothing
	name       verify.Hash
	dirty      bool   // touched since the last snapshot; the follower's
	round      uint64 // newest period in which it was touched; the follower's

	time    int64  // log time of the newest entry
	silence int64  // how long there may be none, in nanoseconds; 0: for ever
	alerted uint64 // previous when silence was last reported; 0: never
	dropped uint64 // previous when a report of silence was dropped; the sequencer's
	armed   bool   // silence is watched; the sequencer's
	signs   bool   // the newest heartbeat or end is signed
	told    *told  // immutable; nil: nothing
}

// key names the run in memory and in the store. It is hashed once.
func (r *run) key() verify.Hash {
	if r.name == (verify.Hash{}) {
		r.name = verify.RunStart(r.producer, r.id)
	}
	return r.name
}

// A stream is the tail of one stream.
type stream struct {
	count    uint64
	previous uint64          // index of the newest entry, plus 1
	frontier verify.Frontier // the follower's; the sequencer's stays empty
	dirty    bool            // touched since the last snapshot; the follower's
	twin     *stream         // of the sequencer's: the follower's, owned by the follower
}

// state is what the ledger must know of the entries before an entry to place
// it: a function of the entries. The sequencer owns one, the follower another,
// derived anew from what is on disk.
type state struct {
	engine  store.Engine         // of the run snapshots; nil: there are none
	runs    map[verify.Hash]*run // by key; those touched since the last snapshot, at least
	streams map[verify.StreamKey]*stream
	targets map[string]map[string]bool // distinct targets of each source
	scratch []byte

	runRows, streamRows []byte // prefixes of the snapshots' keys
}

func newState(engine store.Engine) *state {
	return &state{engine: engine, runs: map[verify.Hash]*run{}, streams: map[verify.StreamKey]*stream{},
		targets: map[string]map[string]bool{}, runRows: []byte{byte(store.Runs)}, streamRows: []byte{byte(store.Streams)}}
}

// run returns the run, from memory or its snapshot; ErrNoRun where there is
// none.
func (s *state) run(producer string, id verify.Hash) (*run, error) {
	key := verify.RunStart(producer, id)
	if r := s.runs[key]; r != nil {
		return r, nil
	}
	if s.engine == nil {
		return nil, ErrNoRun
	}
	raw, err := s.engine.Get(append(s.runRows[:len(s.runRows):len(s.runRows)], key[:]...))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoRun
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRun(raw)
	if err != nil {
		return nil, err
	}
	s.runs[key] = r
	return r, nil
}

// peek is run by key, and keeps nothing in memory that was not there.
func (s *state) peek(key verify.Hash) (*run, error) {
	if r := s.runs[key]; r != nil {
		return r, nil
	}
	if s.engine == nil {
		return nil, ErrNoRun
	}
	raw, err := s.engine.Get(append(s.runRows[:len(s.runRows):len(s.runRows)], key[:]...))
	if err != nil {
		return nil, err
	}
	return parseRun(raw)
}

// maxRuns bounds the runs kept in memory for nothing but speed.
const maxRuns = 1 << 14

// forget drops runs whose snapshot is as new as they are; they are read again
// when they are needed.
func (s *state) forget(snapshot uint64) {
	if len(s.runs) <= maxRuns {
		return
	}
	for key, r := range s.runs {
		if r.previous <= snapshot && !r.armed {
			delete(s.runs, key)
		}
	}
}

// stream returns the stream of an entry, new where it is the first time.
func (s *state) stream(h *verify.EntryHead) *stream {
	s.scratch = appendStreamKey(s.scratch[:0], h)
	st := s.streams[verify.StreamKey(s.scratch)]
	if st == nil {
		st = new(stream)
		s.streams[verify.StreamKey(s.scratch)] = st
	}
	return st
}

// appendStreamKey is verify.StreamKeyOf without an allocation.
func appendStreamKey(dst []byte, h *verify.EntryHead) []byte {
	dst = append(dst, byte(h.Kind), byte(len(h.Source)))
	dst = append(dst, h.Source...)
	dst = append(dst, byte(len(h.Target)))
	dst = append(dst, h.Target...)
	return append(dst, byte(h.Side), flag(h.Late))
}

// resolve returns the stream target id of an access: target, or overflowTarget
// where source has too many targets. It notes the target. first says that it is
// the first overflow of the source.
func (s *state) resolve(source, target string) (id string, first bool) {
	seen := s.targets[source]
	if seen[target] {
		return target, false
	}
	if len(seen) >= maxTargets {
		first = !seen[overflowTarget]
		target = overflowTarget
	}
	s.note(source, target)
	return target, first
}

func (s *state) note(source, target string) {
	seen := s.targets[source]
	if seen == nil {
		seen = map[string]bool{}
		s.targets[strings.Clone(source)] = seen
	}
	seen[strings.Clone(target)] = true
}

// loadStreams reads the snapshots of all streams.
func (s *state) loadStreams() error {
	return s.engine.Scan(s.streamRows, after(s.streamRows), func(key, value []byte) error {
		k := verify.StreamKey(key[len(s.streamRows):])
		kind, source, target, _, _, err := verify.ParseStreamKey([]byte(k))
		if err != nil {
			return fmt.Errorf("stream snapshot %x: %w", key, err)
		}
		if len(value) < 8 {
			return fmt.Errorf("stream snapshot %x: %d bytes", key, len(value))
		}
		f, err := verify.ParseFrontier(value[8:])
		if err != nil {
			return fmt.Errorf("stream snapshot %x: %w", key, err)
		}
		s.streams[k] = &stream{count: f.Size, previous: binary.BigEndian.Uint64(value), frontier: f}
		if kind == daybookv1.Kind_KIND_ACCESS {
			s.note(source, target)
		}
		return nil
	})
}

// after is the end of the keys that begin with prefix, whose last byte is not
// 0xff.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	end[len(end)-1]++
	return end
}

func runKey(key verify.Hash) []byte { return append([]byte{byte(store.Runs)}, key[:]...) }

func streamRowKey(key verify.StreamKey) []byte {
	return append([]byte{byte(store.Streams)}, key...)
}

func streamRow(st *stream) []byte {
	return st.frontier.AppendBinary(binary.BigEndian.AppendUint64(nil, st.previous))
}

// row is the snapshot of a run: fixed fields, then producer and SPKI behind
// their u16 lengths.
func (r *run) row() []byte {
	b := make([]byte, 0, 128+len(r.producer)+len(r.spki))
	b = append(b, r.id[:]...)
	b = append(b, r.hash[:]...)
	b = append(b, byte(r.provenance), flag(r.ended))
	for _, v := range []uint64{r.epoch, r.last, r.opened, r.previous} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = r.appendTold(b)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(r.producer))), r.producer...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(r.spki))), r.spki...)
}

const runRowFixed = 32 + 32 + 2 + 4*8 + toldLen

var errRunRow = errors.New("run snapshot is damaged")

func parseRun(b []byte) (*run, error) {
	if len(b) < runRowFixed+2 {
		return nil, errRunRow
	}
	r := &run{provenance: daybookv1.Provenance(b[64]), ended: b[65] == 1}
	copy(r.id[:], b)
	copy(r.hash[:], b[32:])
	for i, v := range []*uint64{&r.epoch, &r.last, &r.opened, &r.previous} {
		*v = binary.BigEndian.Uint64(b[66+8*i:])
	}
	r.parseTold(b[runRowFixed-toldLen:])
	producer, b, ok := cutPart(b[runRowFixed:])
	if !ok {
		return nil, errRunRow
	}
	spki, b, ok := cutPart(b)
	if !ok || len(b) != 0 {
		return nil, errRunRow
	}
	r.producer, r.spki = string(producer), append([]byte(nil), spki...)
	return r, nil
}

func cutPart(b []byte) (part, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
