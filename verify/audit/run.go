package audit

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A runName names a run in the log.
type runName struct {
	producer string
	id       verify.Hash
}

// A run is how far the entries of one run go.
type run struct {
	name       runName
	provenance daybookv1.Provenance
	epoch      uint64
	last       uint64 // newest number
	hash       verify.Hash
	previous   uint64 // index of the newest entry, plus 1
	ended      bool
	spki       []byte // of the newest certificate
	period     uint64 // newest one with an entry of the run; see closing
}

// takeRun moves the run of an entry over it; nil: it has none, being entry 0 or an
// event sent without one.
func (s *State) takeRun(e *Entry) (*run, error) {
	head, place := &e.Head, &e.Place
	if place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED {
		return nil, nil
	}
	r := s.runOf(head)
	if r == nil {
		switch place.Kind {
		case daybookv1.Kind_KIND_RUN_OPENED:
			r = s.openRun(head)
		case daybookv1.Kind_KIND_ACCESS:
			if place.Number == 1 && place.PreviousInRun == 0 && verify.OneOffRunID(head.Producer, e.Event.EventID) == head.Run {
				s.counts.OneOffs++
				return nil, nil
			}
			fallthrough
		default:
			return nil, fmt.Errorf("run %x of %s was never opened", head.Run, head.Producer)
		}
	}
	if place.PreviousInRun != r.previous || head.Provenance != r.provenance {
		return nil, fmt.Errorf("previous in run %d, not %d, or another provenance", place.PreviousInRun, r.previous)
	}
	err := s.step(r, e)
	r.previous = place.Index + 1
	return r, err
}

func (s *State) runOf(head *verify.BatchHead) *run {
	if r := s.last; r != nil && r.name.id == head.Run && r.name.producer == head.Producer {
		return r
	}
	r := s.runs[runName{head.Producer, head.Run}]
	if r != nil {
		s.last = r
	}
	return r
}

func (s *State) openRun(head *verify.BatchHead) *run {
	name := runName{strings.Clone(head.Producer), head.Run}
	r := &run{name: name, provenance: head.Provenance, hash: verify.RunStart(name.producer, name.id)}
	s.runs[name] = r
	return r
}

// step moves a run over an entry of it.
func (s *State) step(r *run, e *Entry) error {
	kind, number, epoch := e.Place.Kind, e.Place.Number, e.Head.Epoch
	if !verify.TakesNumber(kind) {
		if number != 0 {
			return fmt.Errorf("kind %v takes no number", kind)
		}
		return s.control(r, e)
	}
	if r.ended || epoch != r.epoch || number != r.last+1 {
		return fmt.Errorf("number %d in epoch %d of a run at %d in epoch %d", number, epoch, r.last, r.epoch)
	}
	r.hash, r.last = verify.RunNext(r.hash, number, e.body), number
	switch kind {
	case daybookv1.Kind_KIND_DECLINED:
		s.counts.Declined++
	case daybookv1.Kind_KIND_GAP:
		m := new(daybookv1.Gap)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		if m.First != number || m.Last < number {
			return fmt.Errorf("gap %d..%d under number %d", m.First, m.Last, number)
		}
		r.last = m.Last
		s.counts.Gaps++
		s.counts.Lost += m.Last - m.First + 1
	case daybookv1.Kind_KIND_ALERT:
		m := new(daybookv1.Alert)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		if m.Type == daybookv1.AlertType_ALERT_TYPE_SILENCE {
			s.counts.Silences++
		}
	}
	return nil
}

// control moves a run over what is said about it.
func (s *State) control(r *run, e *Entry) error {
	epoch := e.Head.Epoch
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_RUN_OPENED:
		m := new(daybookv1.RunOpened)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		if r.epoch != 0 || epoch != 1 || verify.Hash(m.Run) != r.name.id || m.Provenance != r.provenance {
			return errors.New("run opened twice, or differs from its heads")
		}
		r.epoch = 1
		return r.certify(m.Certificate, e.Head.KeyFingerprint)
	case daybookv1.Kind_KIND_RUN_RESUMED:
		m := new(daybookv1.RunResumed)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		if r.ended || epoch != r.epoch+1 || m.Epoch != epoch || m.Last != r.last || verify.Hash(m.Hash) != r.hash {
			return errors.New("run resumed differs from the run")
		}
		r.epoch = epoch
		return r.certify(m.Certificate, e.Head.KeyFingerprint)
	case daybookv1.Kind_KIND_RUN_HEARTBEAT:
		m := new(daybookv1.RunHeartbeat)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		return s.statement(r, epoch, m.Last, m.Epoch, m.Hash, m.Signature, verify.HeartbeatMessage)
	case daybookv1.Kind_KIND_RUN_ENDED:
		m := new(daybookv1.RunEnded)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		err := s.statement(r, epoch, m.Last, m.Epoch, m.Hash, m.Signature, verify.EndMessage)
		r.ended = true
		return err
	}
	return fmt.Errorf("kind %v in a run", e.Place.Kind)
}

// certify notes the key that signs for the run from now on: that of the entry's batch
// head.
func (r *run) certify(der []byte, fingerprint verify.Hash) error {
	if len(der) == 0 {
		return nil
	}
	spki, err := verify.ProducerSPKI(der, fingerprint)
	if err != nil {
		return err
	}
	r.spki = append(r.spki[:0], spki...)
	return nil
}

// statement checks what a heartbeat or end says of its run.
func (s *State) statement(r *run, epoch, last, said uint64, hash, signature []byte, message func(verify.Hash, uint64, uint64) []byte) error {
	if r.ended || epoch != r.epoch || said != epoch || last != r.last || verify.Hash(hash) != r.hash {
		return fmt.Errorf("states number %d in epoch %d, the run is at %d in epoch %d, or its running hash is another", last, said, r.last, r.epoch)
	}
	if len(signature) == 0 {
		return nil
	}
	s.counts.Signed++
	if err := verify.CheckRunSignature(r.spki, message(r.hash, last, epoch), signature); err != nil {
		return fmt.Errorf("producer's signature: %w", err)
	}
	return nil
}
