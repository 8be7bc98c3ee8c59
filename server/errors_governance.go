package server

import (
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/protoadapt"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Reasons of refusals of what people say.
const (
	ReasonMapFaults    = "MAP_FAULTS"    // BadRequest has each fault of the file, its field `yaml:LINE:COLUMN`
	ReasonMapUnchanged = "MAP_UNCHANGED" // the map in force says the same
	ReasonMapAuthor    = "MAP_AUTHOR"    // who proposes it would have to approve it: another person must propose it
	ReasonMapProposed  = "MAP_PROPOSED"  // it is proposed already, or too many are: approve one
	ReasonNoMap        = "NO_MAP"        // no domain map is in force
	ReasonNoProposal   = "NO_PROPOSAL"   // no such proposal is open
	ReasonNotApprover  = "NOT_APPROVER"  // the proposal does not need this person's approval

	ReasonSelfApproval    = "SELF_APPROVAL"     // another person must approve
	ReasonWindow          = "APPROVAL_WINDOW"   // an approval ends, after it begins, within 366 days
	ReasonUnknownFlow     = "UNKNOWN_FLOW"      // the map in force has no such flow
	ReasonUnknownDomain   = "UNKNOWN_DOMAIN"    // the map in force has no such domain
	ReasonApprovalTaken   = "APPROVAL_ID_TAKEN" // another approval has the id
	ReasonApprovalRevoked = "ALREADY_REVOKED"   // nothing is left to revoke
	ReasonApproval        = "APPROVAL_REFUSED"  // BadRequest names the field

	ReasonNotApproved = "NOT_APPROVED" // another person must approve it first
	ReasonNoKey       = "NO_KEY"       // the server has no such key: make it there
)

// refusalOfReign is the part of the table about the log's keys and its end.
func refusalOfReign(err error) (refusal, bool) {
	var succeeded *ledger.SucceededError
	var missing *access.NotApprovedError
	var unapproved *domains.UnapprovedError
	switch {
	case errors.As(err, &succeeded):
		return refuse(codes.FailedPrecondition, ReasonSucceeded), true
	case errors.As(err, &missing), errors.As(err, &unapproved):
		return refuse(codes.FailedPrecondition, ReasonNotApproved), true
	case errors.Is(err, ledger.ErrNoKey):
		return refuse(codes.FailedPrecondition, ReasonNoKey), true
	}
	return refusal{}, false
}

// refusalOfGovernance is the part of the table that acts of people need.
func refusalOfGovernance(err error) (refusal, bool) {
	var faults domains.Faults
	var author *domains.AuthorError
	var approver *domains.ApproverError
	var act *actError
	switch {
	case errors.As(err, &act):
		return refusedAct(act.refused), true
	case errors.As(err, &faults):
		return refuse(codes.InvalidArgument, ReasonMapFaults, violationsOf(faults)), true
	case errors.Is(err, domains.ErrUnchanged):
		return refuse(codes.FailedPrecondition, ReasonMapUnchanged), true
	case errors.As(err, &author):
		return refuse(codes.PermissionDenied, ReasonMapAuthor), true
	case errors.As(err, &approver):
		return refuse(codes.PermissionDenied, ReasonNotApprover), true
	case errors.Is(err, domains.ErrNoProposal):
		return refuse(codes.NotFound, ReasonNoProposal), true
	case errors.Is(err, domains.ErrProposed), errors.Is(err, domains.ErrTooManyProposals):
		return refuse(codes.FailedPrecondition, ReasonMapProposed), true
	case errors.Is(err, ledger.ErrNoMap):
		return refuse(codes.NotFound, ReasonNoMap), true
	}
	return refusal{}, false
}

// causes are those of a *ledger.RefusedError about an act of a person.
var causes = []struct {
	is     error
	code   codes.Code
	reason string
}{
	{ledger.ErrSelfApproval, codes.PermissionDenied, ReasonSelfApproval},
	{ledger.ErrWindow, codes.InvalidArgument, ReasonWindow},
	{ledger.ErrUnknownFlow, codes.NotFound, ReasonUnknownFlow},
	{ledger.ErrUnknownDomain, codes.NotFound, ReasonUnknownDomain},
	{ledger.ErrNoMap, codes.NotFound, ReasonNoMap},
	{ledger.ErrApprovalTaken, codes.FailedPrecondition, ReasonApprovalTaken},
	{ledger.ErrRevoked, codes.FailedPrecondition, ReasonApprovalRevoked},
}

// refusedAct is the refusal of an act of a person, which no event is part of. Its
// details name the field.
func refusedAct(e *ledger.RefusedError) refusal {
	field := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: e.Field, Description: e.Reason}}}
	for _, c := range causes {
		if errors.Is(e, c.is) {
			return refuse(c.code, c.reason, field)
		}
	}
	return refuse(codes.InvalidArgument, ReasonApproval, field)
}

// actError marks the errors of the service for people: a *ledger.RefusedError is
// about a field of an act there, not about an event.
type actError struct{ refused *ledger.RefusedError }

func (e *actError) Error() string { return e.refused.Error() }

// ofAct marks an error of an act, and says what to do where its outcome is not
// known: there is no number under which to send it again.
func ofAct(err error) error {
	var refused *ledger.RefusedError
	switch {
	case errors.As(err, &refused):
		return &actError{refused}
	case errors.Is(err, ledger.ErrOutcomeUnknown):
		return &requestError{codes.Unavailable, ReasonOutcomeUnknown,
			"outcome unknown: look with `daybook approvals` and `daybook domains history` whether it is in the log before you do it again"}
	}
	return err
}

// maxViolations bounds the faults of one answer, in bytes of their words: they
// travel in a header.
const maxViolations = 24 << 10

// violationsOf carries each fault of a file with its line and column.
func violationsOf(faults domains.Faults) protoadapt.MessageV1 {
	out, size := new(errdetails.BadRequest), 0
	for i, f := range faults {
		v := &errdetails.BadRequest_FieldViolation{Field: fmt.Sprintf("yaml:%d:%d", f.Line, f.Column), Description: f.Message}
		if f.Path != "" {
			v.Description = f.Path + ": " + f.Message
		}
		if size += len(v.Field) + len(v.Description); size > maxViolations {
			v.Description = fmt.Sprintf("and %d more faults: `daybook domains check` shows all", len(faults)-i)
			out.FieldViolations = append(out.FieldViolations, v)
			break
		}
		out.FieldViolations = append(out.FieldViolations, v)
	}
	return out
}
