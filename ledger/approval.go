package ledger

import (
	"errors"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Causes of a *RefusedError about what a person said.
var (
	// ErrSelfApproval: somebody approved for himself.
	ErrSelfApproval = errors.New("self-approval")
	// ErrApprovalTaken: another approval has the id.
	ErrApprovalTaken = errors.New("approval id is taken")
	// ErrWindow: the time of an approval is empty, without an end, or too long.
	ErrWindow = errors.New("window of an approval")
	// ErrUnknownFlow: the map in force has no such flow.
	ErrUnknownFlow = errors.New("unknown flow")
	// ErrUnknownDomain: the map in force has no such domain.
	ErrUnknownDomain = errors.New("unknown domain")
	// ErrRevoked: the approval is revoked already.
	ErrRevoked = errors.New("already revoked")
)

// timed tells the subjects whose approval must end.
func timed(s daybookv1.ApprovalSubject) bool {
	switch s {
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW,
		daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER:
		return true
	}
	return false
}

// checkApproval refuses an approval that means nothing or that its approver may
// not give, and fills in the pair of a flow. It is the sequencer's.
func checkApproval(j *domains.Judge, m *daybookv1.Approval, now int64) error {
	if err := checkSubject(j, m); err != nil {
		return err
	}
	if err := checkWindow(m, now); err != nil {
		return err
	}
	if _, taken := j.ApprovalByID(m.Id); taken {
		return &RefusedError{Field: "id", Reason: "another approval has it", Cause: ErrApprovalTaken}
	}
	if v := j.InForce(); v != nil && samePerson(v.Map, m) || v == nil && samePerson(nil, m) {
		return &RefusedError{Field: "approver", Reason: "nobody approves for himself: another person must", Cause: ErrSelfApproval}
	}
	_, err := checkedBody(daybookv1.Kind_KIND_APPROVAL, m)
	return err
}

// samePerson tells whether the approver approves for himself.
func samePerson(m *domains.Map, a *daybookv1.Approval) bool {
	person := func(identity string) string {
		if m == nil {
			return identity
		}
		return m.Person(identity)
	}
	approver := person(a.Approver)
	named := a.Subject == daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR || a.Subject == daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER
	return named && approver == person(a.Name) || a.Requester != "" && approver == person(a.Requester)
}

func checkWindow(m *daybookv1.Approval, now int64) error {
	switch {
	case m.Subject == daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE:
		if now < m.NotBeforeNs || m.NotAfterNs != 0 && now >= m.NotAfterNs {
			return &RefusedError{Field: "not_before_ns", Reason: "a map comes into force with its last approval: leave the time out, or have it include now", Cause: ErrWindow}
		}
		return nil
	case !timed(m.Subject):
		return nil
	case m.NotAfterNs == 0:
		return &RefusedError{Field: "not_after_ns", Reason: "missing: an approval must end", Cause: ErrWindow}
	case m.NotAfterNs <= m.NotBeforeNs:
		return &RefusedError{Field: "not_after_ns", Reason: "not after the beginning", Cause: ErrWindow}
	case m.NotAfterNs-m.NotBeforeNs > MaxApproval:
		return &RefusedError{Field: "not_after_ns", Reason: "over 366 days after the beginning", Cause: ErrWindow}
	}
	return nil
}

func checkSubject(j *domains.Judge, m *daybookv1.Approval) error {
	switch m.Subject {
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_UNSPECIFIED:
		return &RefusedError{Field: "subject", Reason: "missing"}
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE:
		return checkMapChange(j, m)
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW:
		return checkFlow(j, m)
	}
	if m.Name == "" {
		return &RefusedError{Field: "name", Reason: "missing: who or what is approved"}
	}
	if m.Subject == daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR {
		return checkPair(j, m)
	}
	return nil
}

func checkMapChange(j *domains.Judge, m *daybookv1.Approval) error {
	if len(m.Sha256) != 32 {
		return &RefusedError{Field: "sha256", Reason: "missing: the SHA-256 of the proposal"}
	}
	return j.MayApprove(verify.Hash(m.Sha256), m.Approver)
}

// checkFlow fills in the pair of the flow that is approved.
func checkFlow(j *domains.Judge, m *daybookv1.Approval) error {
	v := j.InForce()
	if v == nil {
		return &RefusedError{Field: "name", Reason: "no domain map is in force, so that there is no flow to approve", Cause: ErrNoMap}
	}
	f := v.Flow(m.Name)
	if f == nil {
		return &RefusedError{Field: "name", Reason: "the domain map in force has no such flow", Cause: ErrUnknownFlow}
	}
	if m.From != "" && m.From != f.From || m.To != "" && m.To != f.To {
		return &RefusedError{Field: "from", Reason: "the flow is from " + f.From + " to " + f.To}
	}
	m.From, m.To = f.From, f.To
	return nil
}

// checkPair resolves the pair of an approval.
func checkPair(j *domains.Judge, m *daybookv1.Approval) error {
	for _, side := range []struct {
		field string
		id    *string
	}{{"from", &m.From}, {"to", &m.To}} {
		if *side.id == "" {
			return &RefusedError{Field: side.field, Reason: "missing: a domain"}
		}
		v := j.InForce()
		if v == nil {
			*side.id = verify.CanonicalDomain([]byte(*side.id))
			continue
		}
		id, ok := v.Resolve([]byte(*side.id))
		if !ok {
			return &RefusedError{Field: side.field, Reason: "the domain map in force has no such domain", Cause: ErrUnknownDomain}
		}
		*side.id = id
	}
	return nil
}
