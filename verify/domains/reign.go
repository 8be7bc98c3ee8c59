package domains

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// reign is under which keys a log stands, and what ended it.
type reign struct {
	keys atomic.Pointer[verify.KeyChain] // nil: entry 0 was not applied
	end  atomic.Pointer[Succeeded]       // nil: the log goes on
}

// Succeeded is the end of a log in favour of another.
type Succeeded struct {
	Index uint64                // of the succession, the last entry
	Body  *daybookv1.Succession // not to be modified
}

// Keys returns the log's keys as of the entries applied; nil: the entry that opened
// the origin was not. It is safe beside Apply.
func (j *Judge) Keys() *verify.KeyChain { return j.reign.keys.Load() }

// Succeeded returns what ended the log; nil: it goes on. It is safe beside Apply.
func (j *Judge) Succeeded() *Succeeded { return j.reign.end.Load() }

// An UnapprovedError says that an act that two different people must agree on
// lacks an approval by the other one.
type UnapprovedError struct {
	Act  string // in words
	Have string // what there is
}

func (e *UnapprovedError) Error() string {
	return fmt.Sprintf("%s needs an approval by somebody else than who asks for it: there is %s", e.Act, e.Have)
}

func (j *Judge) applyReign(index uint64, logTimeNS int64, kind daybookv1.Kind, body []byte) error {
	switch kind {
	case daybookv1.Kind_KIND_ORIGIN_OPENED:
		m := new(daybookv1.OriginOpened)
		if err := proto.Unmarshal(body, m); err != nil {
			return err
		}
		keys, err := verify.NewKeyChain(m.Vkey)
		if err == nil && keys.Origin() != m.Origin {
			err = fmt.Errorf("vkey of %s under origin %s", keys.Origin(), m.Origin)
		}
		if err == nil && m.Succeeds != nil {
			err = verify.CheckPredecessor(m.Origin, m.Succeeds)
		}
		j.reign.keys.Store(keys)
		return err
	case daybookv1.Kind_KIND_KEY_ROTATION:
		keys, err := j.CheckKeyRotation(index, logTimeNS, body)
		if err == nil {
			j.reign.keys.Store(keys)
		}
		return err
	default:
		end, err := j.CheckSuccession(index, logTimeNS, body)
		if err == nil {
			j.reign.end.Store(end)
		}
		return err
	}
}

// CheckKeyRotation returns the log's keys after a key rotation that is the next
// entry, and refuses one that may not stand there: see [verify.KeyChain]; and two
// different people must have agreed on a rotation, an *UnapprovedError.
func (j *Judge) CheckKeyRotation(index uint64, logTimeNS int64, body []byte) (*verify.KeyChain, error) {
	keys := j.Keys()
	if keys == nil {
		return nil, errors.New("key rotation before the origin was opened")
	}
	next, err := keys.Next(index, body)
	if err != nil {
		return nil, err
	}
	m := new(daybookv1.KeyRotation)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	if m.Step == daybookv1.KeyStep_KEY_STEP_RETIRED {
		return next, nil
	}
	sum := next.Current().Fingerprint
	return next, j.agreed(pact{"the key rotation to " + verify.KeyName(m.NewVkey), daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION,
		sum, m.Requester, m.Approvals, logTimeNS})
}

// CheckSuccession returns the end of the log by a succession that is the next
// entry, and refuses one that may not stand there.
func (j *Judge) CheckSuccession(index uint64, logTimeNS int64, body []byte) (*Succeeded, error) {
	keys := j.Keys()
	if keys == nil {
		return nil, errors.New("succession before the origin was opened")
	}
	m := new(daybookv1.Succession)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	sum, err := verify.VKeyFingerprint(m.Vkey)
	if err != nil {
		return nil, fmt.Errorf("succession: %w", err)
	}
	switch origin, err := verify.VKeyOrigin(m.Vkey); {
	case err != nil:
		return nil, fmt.Errorf("succession: %w", err)
	case origin != m.Origin:
		return nil, fmt.Errorf("succession: the key is of %s, not of %s", origin, m.Origin)
	case m.Origin == keys.Origin():
		return nil, errors.New("succession: a log does not succeed itself: the new one needs an origin of its own")
	}
	return &Succeeded{index, m}, j.agreed(pact{"the succession by " + m.Origin, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION,
		sum, m.Requester, m.Approvals, logTimeNS})
}

// A pact is an act on which two different people must agree.
type pact struct {
	act       string
	subject   daybookv1.ApprovalSubject
	sum       verify.Hash // of what is approved
	requester string
	approvals []uint64 // indexes, plus 1
	at        int64    // log time of the act
}

// agreed refuses an act unless every approval that it names is one of it, and one
// of them is by another person than who asks.
func (j *Judge) agreed(p pact) error {
	have := "none"
	for _, at := range p.approvals {
		a, ok := j.Approval(at - 1)
		switch m := a.Body; {
		case at == 0 || !ok:
			return fmt.Errorf("%s: entry %d is no approval before it", p.act, at-1)
		case m.Subject != p.subject || !bytes.Equal(m.Sha256, p.sum[:]):
			return fmt.Errorf("%s: the approval of entry %d is about something else", p.act, at-1)
		case a.Revocation != 0:
			have = "one that was revoked"
		case m.NotBeforeNs > p.at || m.NotAfterNs != 0 && p.at >= m.NotAfterNs:
			have = "one for another time"
		case j.same(m.Approver, p.requester) || j.same(m.Approver, m.Requester):
			have = "one by who asked for it"
		default:
			return nil
		}
	}
	return &UnapprovedError{p.act, have}
}

// same tells whether two identities are of one person, as far as the map in force
// knows.
func (j *Judge) same(a, b string) bool {
	if j.version == nil {
		return a == b
	}
	return j.version.Person(a) == j.version.Person(b)
}
