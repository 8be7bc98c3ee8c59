package ledger

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// FormatVersion is the version of the entry format.
const FormatVersion = 1

// A replay derives state from entries, in order, and refuses any entry that
// the ledger could not have written there: the one code path by which open, fsck
// and the background verification read the log, and the follower what was not
// handed over to it. Owned by one goroutine.
type replay struct {
	state    *state
	frontier verify.Frontier
	time     int64

	// what was touched since the last snapshot; unsaved: there are none to take, and
	// nothing is noted
	unsaved      bool
	dirtyRuns    []*run
	dirtyStreams []dirtyStream

	grounds domains.Grounds // of the newest access

	closing   *closing   // computes the closes on the way; nil: nobody does
	detecting *detecting // looks for what the log owes; nil: nobody does

	last   *run    // run of the newest entry that has one
	run    *run    // run of the newest entry; nil: it has none
	stream *stream // stream of the newest entry
	oneOff bool    // the newest entry is a one-off

	judge *domains.Judge // what accesses are judged by; a function of the entries too

	*derived // of the newest entry
	own      derived

	// Where entries are applied piece by piece, the frontier moves once for each.
	piece   *piece
	applied int // entries of piece that are not in the frontier
}

type dirtyStream struct {
	key    verify.StreamKey
	stream *stream
}

func newReplay(s *state) *replay {
	p := &replay{state: s, judge: new(domains.Judge)}
	p.derived = &p.own
	return p
}

// clean forgets what was touched: it was snapshotted.
func (p *replay) clean() {
	for _, r := range p.dirtyRuns {
		r.dirty = false
	}
	for _, d := range p.dirtyStreams {
		d.stream.dirty = false
	}
	p.dirtyRuns, p.dirtyStreams = p.dirtyRuns[:0], p.dirtyStreams[:0]
}

// apply takes the next entry. Its index is the frontier's size.
func (p *replay) apply(raw []byte) error {
	index := p.frontier.Size
	p.derived = &p.own
	if err := p.own.derive(nil, raw, verify.HashLeaf(raw)); err != nil {
		return &FaultError{index, err.Error()}
	}
	if err := p.step(index); err != nil {
		return err
	}
	p.frontier.Append(p.leaf)
	return nil
}

// size is the number of entries applied.
func (p *replay) size() uint64 { return p.frontier.Size + uint64(p.applied) }

// root is the root of the tree over the entries applied.
func (p *replay) root() verify.Hash {
	if p.applied == 0 {
		return p.frontier.Root()
	}
	return p.piece.rootAt(&p.frontier, p.size())
}

// step takes the entry that p.derived holds, whose index is that of the next
// entry. The frontier is the caller's to move.
func (p *replay) step(index uint64) error {
	if err := p.check(index); err != nil {
		return &FaultError{index, err.Error()}
	}
	if p.closing != nil {
		if err := p.closing.before(p, p.entry.Head.LogTimeNS); err != nil {
			return err
		}
	}
	p.grow(p.stream, index, p.leaf, &p.entry.Place)
	if err := p.applyRun(index); err != nil {
		return &FaultError{index, err.Error()}
	}
	p.time = p.entry.Head.LogTimeNS
	if err := p.judge.Apply(index, p.time, p.entry.Place.Kind, p.entry.Body); err != nil {
		return &FaultError{index, err.Error()}
	}
	if p.closing != nil {
		if err := p.closing.after(p, index); err != nil {
			return err
		}
	}
	if p.detecting != nil {
		return p.detecting.take(p, &p.entry, &p.event)
	}
	return nil
}

// check compares the heads with what the entries before call for.
func (p *replay) check(index uint64) error {
	head, place := &p.entry.Head, &p.entry.Place
	switch {
	case place.Index != index:
		return fmt.Errorf("entry says index %d", place.Index)
	case head.FormatVersion != FormatVersion:
		return fmt.Errorf("format version %d", head.FormatVersion)
	case head.LogTimeNS < p.time:
		return errors.New("log time goes back")
	case (place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED) != (index == 0):
		return errors.New("origin opened is entry 0, and only that")
	}
	p.stream = p.state.stream(place)
	st := p.stream
	if place.Position != st.count || place.PreviousInStream != st.previous {
		return fmt.Errorf("position %d after %d in its stream, previous %d, not %d", place.Position, st.count, place.PreviousInStream, st.previous)
	}
	if err := p.checkReign(index); err != nil {
		return err
	}
	if err := p.checkJudgement(); err != nil || place.Kind == daybookv1.Kind_KIND_ACCESS {
		return err
	}
	if place.Side != 0 || place.Late || place.Verdict != 0 {
		return fmt.Errorf("side, late or verdict of kind %v", place.Kind)
	}
	if ofProducer(place.Kind) && (place.Source != producerDomain(head.Producer) || place.Target != "") {
		return fmt.Errorf("kind %v in stream %q -> %q", place.Kind, place.Source, place.Target)
	}
	return nil
}

// ofProducer tells the kinds whose stream is that of the producer's domain.
func ofProducer(k daybookv1.Kind) bool {
	switch k {
	case daybookv1.Kind_KIND_DECLINED, daybookv1.Kind_KIND_GAP, daybookv1.Kind_KIND_RUN_OPENED,
		daybookv1.Kind_KIND_RUN_RESUMED, daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_RUN_ENDED:
		return true
	}
	return false
}

// grow adds an entry to its stream.
func (p *replay) grow(st *stream, index uint64, leaf verify.Hash, place *verify.EntryHead) {
	st.count++
	st.previous = index + 1
	st.frontier.Append(leaf)
	if !st.dirty && !p.unsaved {
		st.dirty = true
		p.dirtyStreams = append(p.dirtyStreams, dirtyStream{verify.StreamKeyOf(place), st})
	}
}

func (p *replay) touch(r *run) {
	if !r.dirty && !p.unsaved {
		r.dirty = true
		p.dirtyRuns = append(p.dirtyRuns, r)
	}
}

// adoptStream takes over an entry's stream from the sequencer.
func (p *replay) adoptStream(e *pending) {
	st := e.stream.twin
	if st == nil {
		st = p.state.stream(&e.place)
		e.stream.twin = st
		if e.place.Kind == daybookv1.Kind_KIND_ACCESS {
			p.state.note(e.place.Source, e.place.Target)
		}
	}
	p.stream = st
	p.grow(st, e.place.Index, e.leaf, &e.place)
}

// adoptRun takes over a run as the sequencer left it; nil: a one-off's.
func (p *replay) adoptRun(left *run) {
	if p.run = nil; left == nil {
		return
	}
	r := p.state.runs[left.key()]
	if r == nil {
		r = new(run)
		p.state.runs[left.key()] = r
	}
	dirty, round := r.dirty, r.round
	*r = *left
	r.dirty, r.round, r.armed = dirty, round, false
	p.run = r
	p.touch(r)
}

// runOf returns the run of the newest entry.
func (p *replay) runOf(head *verify.BatchHead) (*run, error) {
	if r := p.last; r != nil && r.id == head.Run && r.producer == head.Producer {
		return r, nil
	}
	r, err := p.state.run(head.Producer, head.Run)
	if err == nil {
		p.last = r
	}
	return r, err
}

func (p *replay) applyRun(index uint64) error {
	head, place := &p.entry.Head, &p.entry.Place
	p.oneOff, p.run = false, nil
	if place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED {
		return nil
	}
	r, err := p.runOf(head)
	switch {
	case errors.Is(err, ErrNoRun) && place.Kind == daybookv1.Kind_KIND_RUN_OPENED:
		r = &run{producer: string([]byte(head.Producer)), id: head.Run, provenance: head.Provenance, opened: index,
			hash: verify.RunStart(head.Producer, head.Run)}
		p.state.runs[r.key()] = r
	case errors.Is(err, ErrNoRun) && place.Kind == daybookv1.Kind_KIND_ACCESS && place.Number == 1 &&
		place.PreviousInRun == 0 && verify.OneOffRunID(head.Producer, p.event.EventID) == head.Run:
		p.oneOff = true
		return nil
	case err != nil:
		return err
	}
	if place.PreviousInRun != r.previous || head.Provenance != r.provenance {
		return fmt.Errorf("previous in run %d, not %d, or another provenance", place.PreviousInRun, r.previous)
	}
	if err := r.take(place.Kind, head.Epoch, place.Number, p.entry.Body, p.sum); err != nil {
		return err
	}
	r.previous, r.time, p.run = index+1, head.LogTimeNS, r
	p.touch(r)
	if place.Kind == daybookv1.Kind_KIND_ACCESS {
		return nil
	}
	return p.applyTold(r)
}

// take moves the run over one entry of the given kind, number and body.
func (r *run) take(kind daybookv1.Kind, epoch, number uint64, body []byte, sum verify.Hash) error {
	if verify.TakesNumber(kind) {
		if r.ended || epoch != r.epoch || number != r.last+1 {
			return fmt.Errorf("number %d in epoch %d of a run at %d in epoch %d", number, epoch, r.last, r.epoch)
		}
		r.hash = verify.RunNext(r.hash, number, sum)
		r.last = number
		if kind == daybookv1.Kind_KIND_ACCESS {
			return nil
		}
		if kind != daybookv1.Kind_KIND_GAP {
			r.count(kind, number, number)
			return nil
		}
		var gap daybookv1.Gap
		if err := proto.Unmarshal(body, &gap); err != nil {
			return err
		}
		if gap.First != number || gap.Last < number {
			return fmt.Errorf("gap %d..%d under number %d", gap.First, gap.Last, number)
		}
		r.last = gap.Last
		r.count(kind, gap.First, gap.Last)
		return nil
	}
	if number != 0 {
		return fmt.Errorf("kind %v takes no number", kind)
	}
	return r.takeControl(kind, epoch, body)
}

func (r *run) takeControl(kind daybookv1.Kind, epoch uint64, body []byte) error {
	switch kind {
	case daybookv1.Kind_KIND_RUN_OPENED:
		var m daybookv1.RunOpened
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		if r.epoch != 0 || epoch != 1 || verify.Hash(m.Run) != r.id || m.Provenance != r.provenance {
			return errors.New("run opened twice, or differs from its heads")
		}
		if err := checkSilenceLimit(&m); err != nil {
			return err
		}
		r.epoch, r.silence = 1, int64(m.SilenceLimitNs)
		return r.setCertificate(m.Certificate)
	case daybookv1.Kind_KIND_RUN_RESUMED:
		var m daybookv1.RunResumed
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		if r.ended || epoch != r.epoch+1 || m.Epoch != epoch || m.Last != r.last || verify.Hash(m.Hash) != r.hash {
			return errors.New("run resumed differs from the run")
		}
		r.epoch = epoch
		return r.setCertificate(m.Certificate)
	case daybookv1.Kind_KIND_RUN_HEARTBEAT:
		var m daybookv1.RunHeartbeat
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		return r.checkSigned(epoch, m.Last, m.Hash, m.Epoch, m.Signature, verify.HeartbeatMessage)
	case daybookv1.Kind_KIND_RUN_ENDED:
		var m daybookv1.RunEnded
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		if err := r.checkSigned(epoch, m.Last, m.Hash, m.Epoch, m.Signature, verify.EndMessage); err != nil {
			return err
		}
		r.ended = true
		return nil
	default:
		return fmt.Errorf("kind %v in a run", kind)
	}
}

// setCertificate notes the key that signs heartbeats and end.
func (r *run) setCertificate(der []byte) error {
	if len(der) == 0 {
		return nil
	}
	spki, err := verify.CertificateSPKI(der)
	if err != nil {
		return err
	}
	r.spki = append([]byte(nil), spki...)
	return nil
}

// errState: a heartbeat or end that does not say where the run stands.
var errState = errors.New("last number, running hash or epoch differ from the run")

func (r *run) checkSigned(epoch, last uint64, hash []byte, said uint64, sig []byte, message func(verify.Hash, uint64, uint64) []byte) error {
	if r.ended || epoch != r.epoch || said != epoch || last != r.last || verify.Hash(hash) != r.hash {
		return errState
	}
	if r.signs = len(sig) > 0; !r.signs {
		return nil
	}
	if err := verify.CheckRunSignature(r.spki, message(r.hash, last, epoch), sig); err != nil {
		return fmt.Errorf("producer's signature: %w", err)
	}
	return nil
}
