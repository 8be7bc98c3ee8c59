package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A told is what a run's entries tell beyond what is needed to place the next
// one: it is for reports. Immutable, so that copies of a run share it.
type told struct {
	declined  uint64    // numbers declined
	gaps      uint64    // gap entries
	lost      uint64    // numbers in them
	heartbeat statement // newest heartbeat
	signed    statement // newest heartbeat or end that the producer signed
}

// A statement is a heartbeat or an end.
type statement struct {
	at   uint64      // index of the entry, plus 1; 0: none
	last uint64      // number up to which it covers the run
	key  verify.Hash // SHA-256 of the SPKI that signed; zero: not signed
}

// tells returns what the run's entries tell.
func (r *run) tells() told {
	if r.told == nil {
		return told{}
	}
	return *r.told
}

// count notes an entry of the run that takes the numbers first to last and is no
// access.
func (r *run) count(kind daybookv1.Kind, first, last uint64) {
	t := r.tells()
	switch kind {
	case daybookv1.Kind_KIND_DECLINED:
		t.declined++
	case daybookv1.Kind_KIND_GAP:
		t.gaps++
		t.lost += last - first + 1
	default:
		return
	}
	r.told = &t
}

// stated notes the run's newest entry where it is a heartbeat or an end; its
// signature was checked if it has one.
func (r *run) stated(kind daybookv1.Kind) {
	beat := kind == daybookv1.Kind_KIND_RUN_HEARTBEAT
	if !beat && kind != daybookv1.Kind_KIND_RUN_ENDED {
		return
	}
	t := r.tells()
	s := statement{at: r.previous, last: r.last}
	if r.signs {
		s.key = sha256.Sum256(r.spki)
		t.signed = s
	}
	if beat {
		t.heartbeat = s
	}
	r.told = &t
}

// tell notes what an item that is no access, and comes next, tells of its run.
func (q *sequencer) tell(r *run, a *admitted) {
	r.count(a.kind, a.number, a.last)
	if a.kind == daybookv1.Kind_KIND_GAP {
		q.raiseGap(r, a)
	}
}

// applyTold notes what an entry that is no access tells of its run, or, an alert,
// of another one.
func (p *replay) applyTold(r *run) error {
	if p.entry.Place.Kind == daybookv1.Kind_KIND_ALERT {
		return p.applyAlert()
	}
	r.stated(p.entry.Place.Kind)
	return nil
}

// toldLen is the length of what appendTold adds: time, silence, alerted and the
// counts, then the two statements.
const toldLen = 6*8 + 2*(8+8+32)

func (r *run) appendTold(b []byte) []byte {
	t := r.tells()
	for _, v := range []uint64{uint64(r.time), uint64(r.silence), r.alerted, t.declined, t.gaps, t.lost} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	for _, s := range []*statement{&t.heartbeat, &t.signed} {
		b = binary.BigEndian.AppendUint64(b, s.at)
		b = binary.BigEndian.AppendUint64(b, s.last)
		b = append(b, s.key[:]...)
	}
	return b
}

// parseTold reads what appendTold wrote; b has at least toldLen bytes.
func (r *run) parseTold(b []byte) {
	next := func() uint64 {
		v := binary.BigEndian.Uint64(b)
		b = b[8:]
		return v
	}
	r.time, r.silence, r.alerted = int64(next()), int64(next()), next()
	var t told
	t.declined, t.gaps, t.lost = next(), next(), next()
	for _, s := range []*statement{&t.heartbeat, &t.signed} {
		s.at, s.last = next(), next()
		b = b[copy(s.key[:], b):]
	}
	if t != (told{}) {
		r.told = &t
	}
}
