package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A Person is who speaks, as a listener has authenticated it.
type Person struct {
	ID             string // SPIFFE id, or `<OIDC issuer>#<subject>`
	Authentication string // how, such as `mtls` or `oidc`
}

// MaxApproval is how long an approval of an actor, a flow or an examiner may be
// valid, in nanoseconds: 366 days.
const MaxApproval = 366 * dayNS

// govern runs step in the sequencer, and waits until what it appended is durable.
// A caller that leaves early gets an error while step may run yet: what step fills
// in is then not to be looked at.
func (l *Ledger) govern(ctx context.Context, step func(q *sequencer, w *work) error) (*work, error) {
	w := &work{op: opGovern, step: step}
	if err := l.queue.push(w); err != nil {
		return nil, err
	}
	return w, w.wait(ctx)
}

// ProposeMap puts a version of the domain map into the log as parts. It comes
// into force once everybody who must has approved it; see [domains.Proposal].
//
// Errors: domains.Faults, *domains.AuthorError, domains.ErrUnchanged,
// domains.ErrProposed, domains.ErrTooManyProposals, *ShutError, *BusyError.
func (l *Ledger) ProposeMap(ctx context.Context, author Person, yaml []byte) (*domains.Proposal, error) {
	m, err := domains.Parse(yaml)
	if err != nil {
		return nil, err
	}
	m.Author = author.ID
	document, err := domains.MarshalDocument(m)
	if err != nil {
		return nil, err
	}
	var proposal *domains.Proposal
	_, err = l.govern(ctx, func(q *sequencer, w *work) error {
		p, err := l.judge.Propose(document)
		if err != nil {
			return err
		}
		var own []ownBody
		for _, part := range domains.SplitDocument(document) {
			body, err := marshal(part)
			if err != nil {
				return err
			}
			own = append(own, ownBody{kind: daybookv1.Kind_KIND_PART, body: body})
		}
		p.FirstPart, p.Parts, p.LogTimeNS = q.next()+q.ownRuns(), uint32(len(own)), q.cohort.time
		proposal = p
		return q.appendAll(w, own)
	})
	if err != nil {
		return nil, err
	}
	return proposal, nil
}

// Proposals returns the proposals since the map in force that are durable, oldest
// first, with the approvals that are.
func (l *Ledger) Proposals() []*domains.Proposal {
	size := l.Head().Size
	all := l.judge.Proposals()
	for _, p := range all {
		maps.DeleteFunc(p.Approved, func(_ string, at uint64) bool { return at > size })
	}
	return slices.DeleteFunc(all, func(p *domains.Proposal) bool { return p.FirstPart+uint64(p.Parts) > size })
}

// Approve appends an approval by a person. Approver and authentication are filled
// in, and an id and a beginning where there is none. With the last approval that
// a proposal needs, the version comes into force, and is returned.
//
// Errors: *RefusedError naming the field, with a cause such as ErrSelfApproval;
// domains.ErrNoProposal, *domains.AuthorError, *domains.ApproverError, *ShutError,
// *BusyError.
func (l *Ledger) Approve(ctx context.Context, approver Person, approval *daybookv1.Approval) (domains.Approved, *domains.Version, error) {
	m := proto.CloneOf(approval)
	if m == nil {
		return domains.Approved{}, nil, &RefusedError{Field: "approval", Reason: "missing"}
	}
	m.Approver, m.Authentication = approver.ID, approver.Authentication
	if m.Id == "" {
		m.Id = "approval-" + randomHex(12)
	}
	var approved domains.Approved
	var version *domains.Version
	_, err := l.govern(ctx, func(q *sequencer, w *work) error {
		if m.NotBeforeNs == 0 && timed(m.Subject) {
			m.NotBeforeNs = q.cohort.time
		}
		if err := checkApproval(l.judge, m, q.cohort.time); err != nil {
			return err
		}
		body, err := marshal(m)
		if err != nil {
			return err
		}
		index := q.next() + q.ownRuns()
		if err := q.appendAll(w, []ownBody{{daybookv1.Kind_KIND_APPROVAL, body, m.From, m.To}}); err != nil {
			return err
		}
		approved = domains.Approved{Index: index, LogTimeNS: q.cohort.time, Body: m}
		version, err = q.enforce()
		return err
	})
	if err != nil {
		return domains.Approved{}, nil, err
	}
	return approved, version, nil
}

// Revoke appends the revocation of an approval, which is named by the index of
// its entry or by its id.
//
// Errors: ErrNotFound, *RefusedError where it is revoked already, *ShutError,
// *BusyError.
func (l *Ledger) Revoke(ctx context.Context, revoker Person, approval, reason, ticket string) (domains.Approved, error) {
	var revoked domains.Approved
	_, err := l.govern(ctx, func(q *sequencer, w *work) error {
		a, err := findApproval(l.judge, approval)
		if err != nil {
			return err
		}
		if a.Revocation != 0 {
			return &RefusedError{Field: "approval", Reason: "it is revoked already, by entry " + strconv.FormatUint(a.Revocation-1, 10), Cause: ErrRevoked}
		}
		m := &daybookv1.Revocation{Approval: a.Index + 1, From: a.Body.From, To: a.Body.To, Reason: reason, Ticket: ticket,
			Revoker: revoker.ID, Authentication: revoker.Authentication}
		body, err := checkedBody(daybookv1.Kind_KIND_REVOCATION, m)
		if err != nil {
			return err
		}
		index := q.next() + q.ownRuns()
		if err := q.appendAll(w, []ownBody{{daybookv1.Kind_KIND_REVOCATION, body, m.From, m.To}}); err != nil {
			return err
		}
		a.Revocation, a.RevokedNS, a.Revoked = index+1, q.cohort.time, m
		revoked = a
		return nil
	})
	if err != nil {
		return domains.Approved{}, err
	}
	return revoked, nil
}

// findApproval finds an approval by the index of its entry, or by its id. A name
// that means two is refused: an id may be a number.
func findApproval(j *domains.Judge, name string) (domains.Approved, error) {
	byID, known := j.ApprovalByID(name)
	if index, err := strconv.ParseUint(name, 10, 64); err == nil {
		switch a, ok := j.Approval(index); {
		case ok && known && byID.Index != index:
			return a, &RefusedError{Field: "approval", Reason: fmt.Sprintf("it is the index of the approval %q and the id of another: name them by %q and %d",
				a.Body.Id, a.Body.Id, byID.Index)}
		case ok:
			return a, nil
		}
	}
	if !known {
		return byID, fmt.Errorf("%w: no approval has the index or id %q", ErrNotFound, name)
	}
	return byID, nil
}

// checkedBody marshals a body and checks its limits.
func checkedBody(kind daybookv1.Kind, m proto.Message) ([]byte, error) {
	body, err := marshal(m)
	if err == nil {
		err = verify.CheckBody(kind, body)
	}
	if err != nil {
		return nil, withoutDeclined(refuse(0, body, err))
	}
	return body, nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Record appends an activity entry and returns its index once it is durable.
func (l *Ledger) Record(ctx context.Context, m *daybookv1.Activity) (uint64, error) {
	body, err := checkedBody(daybookv1.Kind_KIND_ACTIVITY, m)
	if err != nil {
		return 0, err
	}
	index := uint64(0)
	_, err = l.govern(ctx, func(q *sequencer, w *work) error {
		index = q.next() + q.ownRuns()
		return q.appendAll(w, []ownBody{{kind: daybookv1.Kind_KIND_ACTIVITY, body: body}})
	})
	if err != nil {
		return 0, err
	}
	return index, nil
}

// Raise appends an alert, at most one for each id; it does not wait. Type,
// subject, and the entries it rests on are needed; id and detector version are
// filled in, and where there is no period, the UTC day. The ledger owns m from
// here on.
func (l *Ledger) Raise(m *daybookv1.Alert) { l.raise(m) }
