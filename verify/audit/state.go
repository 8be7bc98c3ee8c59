package audit

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	formatVersion = 1
	// maxTargets is how many distinct targets of one source have streams of their own
	// before a domain map is in force; what comes after goes to overflowTarget.
	maxTargets     = 1024
	overflowTarget = "?overflow"
)

// A State is what the entries of a log tell, up to one of them. It refuses each
// entry that the ledger could not have written there. One goroutine owns it.
type State struct {
	origin   string
	size     uint64
	time     int64
	tree     verify.Frontier // of all entries
	streams  map[verify.StreamKey]*stream
	runs     map[runName]*run
	last     *run                       // of the newest entry that has one
	targets  map[string]map[string]bool // of each source, before the first map
	judge    domains.Judge
	detector *detect.Detector
	seen     detect.Entry
	closing  closing
	key      []byte // scratch

	// pending are leaves of the newest entries that are not in tree yet.
	pending []verify.Hash
	counts  Counts
}

// Counts is what a log holds.
type Counts struct {
	Entries  uint64 // all
	Accesses uint64
	Streams  uint64
	Runs     uint64 // the ledger's own among them
	OneOffs  uint64 // events sent without a run
	Declined uint64 // numbers that producers declined
	Gaps     uint64 // gap entries
	Lost     uint64 // numbers that gap entries say are lost
	Silences uint64 // runs or expected producers that were silent past their limit, each time counted
	Maps     uint64 // domain maps that came into force
	Alerts   uint64
	Closes   uint64
	Signed   uint64 // heartbeats and ends under a producer's signature
	OpenedNS int64  // log time of entry 0
	NewestNS int64  // log time of the newest entry
	ClosedNS int64  // end of the newest close's period; 0: none
	Cut      uint64 // of the newest close
}

// A stream is the tail of one stream.
type stream struct {
	count    uint64
	previous uint64 // index of the newest entry, plus 1
	tree     verify.Frontier
}

// NewState returns the state before entry 0 of the log of an origin. cuts are the
// closes that the log has, in order: a close is computed where its cut is passed.
// One that is not among them is an *UnannouncedError where it is met.
func NewState(origin string, cuts []Cut) *State {
	return &State{origin: origin, streams: map[verify.StreamKey]*stream{}, runs: map[runName]*run{}, targets: map[string]map[string]bool{},
		detector: detect.New(), closing: newClosing(cuts)}
}

// Counts returns what the log holds up to the newest entry.
func (s *State) Counts() Counts {
	c := s.counts
	c.Entries, c.NewestNS, c.Streams, c.Runs = s.size, s.time, uint64(len(s.streams)), uint64(len(s.runs))
	return c
}

// Root returns the root of the log at the newest entry.
func (s *State) Root() verify.Hash {
	s.settle()
	return s.tree.Root()
}

// settle puts the pending leaves into the tree.
func (s *State) settle() {
	for _, leaf := range s.pending {
		s.tree.Append(leaf)
	}
	s.pending = s.pending[:0]
}

// takeTree is told the root of the newest 256 entries where these are a whole
// bundle: it saves hashing them again.
func (s *State) takeTree(root verify.Hash) {
	if len(s.pending) != verify.TileWidth || s.tree.Size%verify.TileWidth != 0 {
		s.settle()
		return
	}
	s.tree.AppendTree(8, root)
	s.pending = s.pending[:0]
}

// Take takes the next entry, which nothing is kept of. The error says that it
// contradicts the entries before it; it wraps verify.ErrNewer where it is of a
// later format. After an error the state is of no more use.
func (s *State) Take(e *Entry) error {
	st, err := s.place(e)
	if err != nil {
		return err
	}
	grounds, err := s.judge.Check(&e.Entry, &e.Event)
	if err != nil {
		return err
	}
	if err := s.closing.reach(s, e.Head.LogTimeNS); err != nil {
		return err
	}
	s.grow(st, e)
	r, err := s.takeRun(e)
	if err != nil {
		return err
	}
	if err := s.judge.Apply(s.size, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
		return err
	}
	if err := s.closing.take(s, e, r); err != nil {
		return err
	}
	s.seen = detect.Entry{Head: &e.Head, Place: &e.Place, Body: e.Body, Map: s.judge.InForce()}
	if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		s.seen.Event, s.seen.Grounds = &e.Event, grounds
	}
	if err := s.detector.Take(&s.seen); err != nil {
		return err
	}
	s.time = e.Head.LogTimeNS
	s.size++
	return nil
}

// End says what the log lacks at its end.
func (s *State) End() error {
	o := s.detector.Overdue()
	switch {
	case s.size == 0:
		return errors.New("there is no entry 0, which opens a log")
	case o == nil:
		return nil
	case o.Alert != nil:
		return fmt.Errorf("the log lacks the alert %v of %q, which entry %d calls for", o.Alert.Type, o.Alert.Subject, o.Index)
	}
	return fmt.Errorf("the log lacks the clock log of %q, which the close at %d calls for", o.Activity.Actor, o.Index)
}

// place compares where the entry says that it stands with where it does, and
// returns its stream.
func (s *State) place(e *Entry) (*stream, error) {
	head, place := &e.Head, &e.Place
	switch {
	case place.Index != s.size:
		return nil, fmt.Errorf("entry says index %d", place.Index)
	case head.FormatVersion != formatVersion:
		return nil, fmt.Errorf("format version %d: %w", head.FormatVersion, verify.ErrNewer)
	case head.LogTimeNS < s.time:
		return nil, errors.New("log time goes back")
	case (place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED) != (s.size == 0):
		return nil, errors.New("origin opened is entry 0, and only that")
	}
	if err := s.checkKeys(e); err != nil {
		return nil, err
	}
	st := s.streamOf(place)
	if place.Position != st.count || place.PreviousInStream != st.previous {
		return nil, fmt.Errorf("position %d and previous %d in its stream, not %d and %d", place.Position, place.PreviousInStream, st.count, st.previous)
	}
	if place.Kind == daybookv1.Kind_KIND_ACCESS {
		return st, s.checkNames(st, e)
	}
	if place.Side != 0 || place.Late || place.Verdict != 0 {
		return nil, fmt.Errorf("side, late or verdict of kind %v", place.Kind)
	}
	return st, s.checkStream(e)
}

// checkKeys compares an entry with the log's keys, and with its end, before it.
func (s *State) checkKeys(e *Entry) error {
	if end := s.judge.Succeeded(); end != nil {
		return fmt.Errorf("an entry after entry %d, by which another log succeeds this one", end.Index)
	}
	if e.Head.Producer != s.origin {
		return nil
	}
	if keys := s.judge.Keys(); keys != nil && e.Head.KeyFingerprint != keys.Current().Fingerprint {
		return fmt.Errorf("an entry of the log's own under key %x, its key is %s", e.Head.KeyFingerprint, keys.Current().VKey)
	}
	return nil
}

// Keys returns the log's keys as its entries name them; nil before entry 0.
func (s *State) Keys() *verify.KeyChain { return s.judge.Keys() }

// streamOf returns the stream of an entry, new where it is its first.
func (s *State) streamOf(p *verify.EntryHead) *stream {
	late := byte(0)
	if p.Late {
		late = 1
	}
	k := append(s.key[:0], byte(p.Kind), byte(len(p.Source)))
	k = append(append(k, p.Source...), byte(len(p.Target)))
	k = append(append(k, p.Target...), byte(p.Side), late)
	s.key = k
	st := s.streams[verify.StreamKey(k)]
	if st == nil {
		st = new(stream)
		key := verify.StreamKey(k)
		s.streams[key] = st
		s.closing.begin(key, st)
	}
	return st
}

// checkNames compares the stream of an access with its names, as long as no map
// says what they mean.
func (s *State) checkNames(st *stream, e *Entry) error {
	if s.judge.InForce() != nil || st.count > 0 && e.Place.Source == e.source && e.Place.Target == e.target {
		return nil
	}
	target := e.target
	seen := s.targets[e.source]
	switch {
	case seen[target]:
	case len(seen) >= maxTargets:
		target = overflowTarget
	case seen == nil:
		seen = map[string]bool{}
		s.targets[strings.Clone(e.source)] = seen
		fallthrough
	default:
		seen[strings.Clone(target)] = true
	}
	if e.Place.Source != e.source || e.Place.Target != target {
		return fmt.Errorf("stream %s -> %s, not %s -> %s", e.Place.Source, e.Place.Target, e.source, target)
	}
	return nil
}

// checkStream compares the stream of an entry that is no access with its kind, and
// who may write that.
func (s *State) checkStream(e *Entry) error {
	source, target, own := "", "", true
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_DECLINED, daybookv1.Kind_KIND_GAP, daybookv1.Kind_KIND_RUN_OPENED,
		daybookv1.Kind_KIND_RUN_RESUMED, daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_RUN_ENDED:
		source, own = producerDomain(e.Head.Producer), false
	case daybookv1.Kind_KIND_APPROVAL:
		m := new(daybookv1.Approval)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		source, target = m.From, m.To
	case daybookv1.Kind_KIND_REVOCATION:
		m := new(daybookv1.Revocation)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		source, target = m.From, m.To
	case daybookv1.Kind_KIND_ALERT:
		m := new(daybookv1.Alert)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		source, target = m.Source, m.Target
	case daybookv1.Kind_KIND_ORIGIN_OPENED:
		return s.checkOrigin(e)
	}
	if e.Place.Source != source || e.Place.Target != target {
		return fmt.Errorf("kind %v in stream %q -> %q, not %q -> %q", e.Place.Kind, e.Place.Source, e.Place.Target, source, target)
	}
	if own && e.Head.Producer != s.origin {
		return fmt.Errorf("kind %v from producer %q: the log alone writes it", e.Place.Kind, e.Head.Producer)
	}
	return nil
}

// checkOrigin checks that entry 0 opens this log.
func (s *State) checkOrigin(e *Entry) error {
	m := new(daybookv1.OriginOpened)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return err
	}
	name, err := verify.VKeyOrigin(m.Vkey)
	if err != nil {
		return fmt.Errorf("key of the log: %w", err)
	}
	if m.Origin != s.origin || name != s.origin || e.Head.Producer != s.origin {
		return fmt.Errorf("entry 0 opens the log %q under a key of %q, the checkpoint is of %q", m.Origin, name, s.origin)
	}
	s.counts.OpenedNS = e.Head.LogTimeNS
	return nil
}

// producerDomain is the stream's source of what a producer says of its runs.
func producerDomain(id string) string {
	domain, err := verify.ProducerDomain(id)
	if err != nil {
		domain, _, _ = strings.Cut(id, "/")
	}
	return verify.CanonicalDomain([]byte(domain))
}

// grow adds an entry to its stream and to the log.
func (s *State) grow(st *stream, e *Entry) {
	st.count++
	st.previous = e.Place.Index + 1
	st.tree.Append(e.Leaf)
	s.pending = append(s.pending, e.Leaf)
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ACCESS:
		s.counts.Accesses++
	case daybookv1.Kind_KIND_DOMAIN_MAP:
		s.counts.Maps++
	case daybookv1.Kind_KIND_ALERT:
		s.counts.Alerts++
	}
}
