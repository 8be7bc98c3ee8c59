package access

import (
	"bytes"
	"context"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Approval is an approval entry and whether it was revoked.
type Approval struct {
	Index    uint64
	Revoked  bool
	Approval *daybookv1.Approval
}

// Approvals is where approvals are found. The zero value has none.
type Approvals struct {
	// Find returns the approvals of a subject and a name, revoked ones with them, in
	// any order. It is safe for concurrent use.
	Find func(ctx context.Context, subject daybookv1.ApprovalSubject, name string) ([]Approval, error)
	// Person maps an identity to the person who has it; nil: identities are people.
	Person func(identity string) string
}

// approve finds and checks the approval of an act.
func (a Approvals) approve(ctx context.Context, act Act) (*Approval, error) {
	if a.Find == nil {
		return nil, &NotApprovedError{act, "none: this log keeps no approvals"}
	}
	list, err := a.Find(ctx, act.Subject, act.Name)
	if err != nil {
		return nil, err
	}
	return act.Check(list, a.Person)
}

// Act is what two different people must agree on: a map change, an examiner's
// grant, a key rotation, a succession, a disposal, the release of a hold. One
// asks, another approves.
type Act struct {
	Subject   daybookv1.ApprovalSubject
	Name      string // of the examiner, key, origin, class or hold
	SHA256    []byte // of the document that is approved; nil: there is none
	Requester string // identity of who asks
	AtNS      int64  // when, UTC nanoseconds
}

// NotApprovedError says that an act lacks its approval, and why those that are
// there do not do.
type NotApprovedError struct {
	Act  Act
	Have string
}

func (e *NotApprovedError) Error() string {
	return fmt.Sprintf("%s needs an approval by somebody else than %s: there is %s",
		e.Act.what(), e.Act.Requester, e.Have)
}

// what names the act for people.
func (a Act) what() string {
	switch a.Subject {
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE:
		return "the change of the domain map"
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER:
		return "the examiner's grant of " + a.Name
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION:
		return "the key rotation to " + a.Name
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION:
		return "the succession by " + a.Name
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_DISPOSAL:
		return "the disposal of " + a.Name
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_HOLD_RELEASE:
		return "the release of hold " + a.Name
	}
	return "the act"
}

// Check returns the first of the approvals by which the act may be done: of its
// subject, name and document, in force at its time, not revoked, and made by
// somebody who is neither the act's requester, nor the approval's, nor who it is
// about. Person maps an identity to the person who has it, so that two identities
// of one person are one; nil: identities are people. A *NotApprovedError where
// there is none.
func (a Act) Check(approvals []Approval, person func(identity string) string) (*Approval, error) {
	if person == nil {
		person = func(id string) string { return id }
	}
	have := "none"
	for i := range approvals {
		m := approvals[i].Approval
		approver := person(m.GetApprover())
		switch {
		case m.GetSubject() != a.Subject || m.GetName() != a.Name || !bytes.Equal(m.GetSha256(), a.SHA256):
			continue
		case approvals[i].Revoked:
			have = "one that was revoked"
		case m.GetNotBeforeNs() > a.AtNS:
			have = "one for a later time"
		case m.GetNotAfterNs() != 0 && m.GetNotAfterNs() <= a.AtNS:
			have = "one that has ended"
		case m.GetApprover() == "":
			have = "one of nobody"
		case approver == person(a.Requester) || m.GetRequester() != "" && approver == person(m.GetRequester()):
			have = "one by who asked for it"
		case approver == person(a.Name):
			have = "one by who it is about"
		default:
			return &approvals[i], nil
		}
	}
	return nil, &NotApprovedError{a, have}
}
