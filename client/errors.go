package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ErrNoRun says that the producer has no such run: open it first.
var ErrNoRun = errors.New("the ledger has no such run of this producer")

// ErrRunEnded says that the run has ended: new events need a new run.
var ErrRunEnded = errors.New("the run has ended")

// ErrEpochOver says that another process has resumed the run: this one must
// stop, for a lower epoch is refused for good. It comes as a *TakenOverError.
var ErrEpochOver = errors.New("another process has resumed this run")

// ErrDiskLow says that the log takes no appends until its disk has room: reads go
// on, nothing that was acknowledged is lost, and the same may be sent again.
var ErrDiskLow = errors.New("the log's disk is low")

// ErrCertificate says that the log does not accept the client's certificate as it
// stands: it has ended, say. The text says what to do; nothing that was
// acknowledged is lost, and the same may be sent again once another certificate
// lies in its place, which the client takes over by itself.
var ErrCertificate = errors.New("the log does not accept the certificate")

// ErrUnchecked says that a receipt was not checked (Config.CheckEvery), so that
// nothing can be taken from it.
var ErrUnchecked = errors.New("receipt was not checked")

// RefusedError says which item of an append was refused, and by which limit.
// The whole append was refused: none of its items is in the log.
type RefusedError struct {
	// Number of the item at fault.
	Number uint64
	// Field at fault, such as `actor.id`; may be empty.
	Field string
	// Limit of that field in bytes or items; 0: it is missing or wrong.
	Limit uint64
	// Reason in words.
	Reason string
	// Declined may be sent in the item's place; nil where the server made none.
	Declined *daybookv1.Declined
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("event %d was refused: %s", e.Number, strings.TrimPrefix(e.Reason, fmt.Sprintf("event %d refused: ", e.Number)))
	if e.Limit > 0 {
		s += fmt.Sprintf(" (limit %d)", e.Limit)
	}
	return s
}

// ConflictError says that other bytes stand under a number of this run: the
// producer must open a new run and never renumber.
type ConflictError struct {
	// Number at which the bytes differ.
	Number uint64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("number %d of this run holds other bytes", e.Number)
}

// TakenOverError says that another process has resumed the run under this
// identity: a restart of this producer, or a clone of its machine. It matches
// ErrEpochOver. The run takes nothing from this process any more, and this
// process does not take it back.
type TakenOverError struct {
	// Run is the run's id.
	Run verify.Hash
	// Epoch is the one that was held here.
	Epoch uint64
	// Current is the run's epoch now; 0: not said.
	Current uint64
	// Last is the last number acknowledged here; what was sent after it may be in
	// the log or not.
	Last uint64
}

func (e *TakenOverError) Error() string {
	return fmt.Sprintf("run %x was taken over by another process under this identity (epoch %d, here %d), and refuses this one for good; "+
		"numbers up to %d were acknowledged here and are safe; stop this process if the other is its restart; "+
		"if this machine was cloned, give one of the two another identity; to go on here, open a new run that cites this one and its last number",
		e.Run, e.Current, e.Epoch, e.Last)
}

// Is says that it is an ErrEpochOver.
func (e *TakenOverError) Is(target error) bool { return target == ErrEpochOver }

// LostError says that the log expects a number that it had acknowledged: it
// lost entries. The receipts of the lost numbers prove it.
type LostError struct {
	// Expected by the log.
	Expected uint64
	// Acknowledged is a number below which all were acknowledged.
	Acknowledged uint64
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the log expects number %d, but gave receipts up to %d: it lost entries", e.Expected, e.Acknowledged-1)
}

// ReceiptError says that an answer of the ledger does not prove what it claims.
// The events may or may not be in the log; no receipt was returned.
type ReceiptError struct {
	// First number of the append.
	First uint64
	// Checkpoint of the answer, as a signed note; may be empty or unsigned.
	Checkpoint []byte
	// Err is what is wrong.
	Err error
}

func (e *ReceiptError) Error() string {
	return fmt.Sprintf("the receipt for number %d does not hold: %v", e.First, e.Err)
}

func (e *ReceiptError) Unwrap() error { return e.Err }

// GaveUpError says that there was no progress for too long. What was not
// acknowledged may be sent again under the same run and numbers.
type GaveUpError struct {
	// After is how long there was no progress.
	After time.Duration
	// Err is the last failure.
	Err error
}

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("no progress for %v: %v", e.After.Round(time.Second), e.Err)
}

func (e *GaveUpError) Unwrap() error { return e.Err }

// answer is what a status from the server means for the call.
type answer struct {
	// err is what the caller is told, typed where the caller can act on it.
	err error
	// again: the same bytes may be sent again.
	again bool
	// wait is the least wait before that; 0: the caller's own backoff.
	wait time.Duration
	// expected is the number the ledger expects; 0: not said.
	expected uint64
}

// interpret reads a call's error. Codes that do not say that the request was
// wrong leave the outcome open: the same numbers are sent again.
func interpret(err error) answer {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return answer{err: err}
	}
	d := details(st)
	switch st.Code() {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DeadlineExceeded, codes.Canceled:
		return answer{err: said(st), again: true, wait: d.wait}
	case codes.Unauthenticated:
		if renewable[d.reason] {
			return answer{err: said(st), again: true, wait: max(d.wait, certificateWait)}
		}
	case codes.ResourceExhausted:
		return answer{err: said(st), again: true, wait: max(d.wait, 10*time.Millisecond)}
	case codes.Aborted:
		return answer{err: said(st), again: true, wait: d.wait, expected: d.refusal.GetExpectedNumber()}
	}
	return answer{err: d.fatal(st)}
}

// certificateWait is the least wait for another certificate.
const certificateWait = 250 * time.Millisecond

// renewable are the reasons of refusals that another certificate ends.
var renewable = map[string]bool{
	"CERTIFICATE_EXPIRED": true, "CERTIFICATE_NOT_YET_VALID": true, "CERTIFICATE_REVOKED": true, "WRONG_CA": true,
}

// statusDetails are the details of a status.
type statusDetails struct {
	reason  string
	refusal *apiv1.RefusalDetail
	wait    time.Duration
}

func details(st *status.Status) statusDetails {
	var d statusDetails
	for _, any := range st.Details() {
		switch v := any.(type) {
		case *errdetails.ErrorInfo:
			d.reason = v.Reason
		case *errdetails.RetryInfo:
			d.wait = v.RetryDelay.AsDuration()
		case *apiv1.RefusalDetail:
			d.refusal = v
		}
	}
	return d
}

// fatal gives an error that is not retried its type.
func (d *statusDetails) fatal(st *status.Status) error {
	switch {
	case d.reason == "FORK":
		return &ForkError{Reason: st.Message()}
	case st.Code() == codes.AlreadyExists:
		return &ConflictError{Number: d.refusal.GetNumber()}
	case d.reason == "EPOCH_OVER":
		return &TakenOverError{Current: d.refusal.GetCurrentEpoch()}
	case d.reason == "RUN_ENDED":
		return fmt.Errorf("%w: %s", ErrRunEnded, st.Message())
	case d.reason == "NO_RUN":
		return fmt.Errorf("%w: %s", ErrNoRun, st.Message())
	case st.Code() == codes.InvalidArgument && d.refusal != nil:
		return &RefusedError{
			Number: d.refusal.Number, Field: d.refusal.Field, Limit: d.refusal.Limit,
			Reason: st.Message(), Declined: d.refusal.Declined,
		}
	}
	return said(st)
}

// said wraps a status so that its text reads well and its code stays known to
// status.FromError.
func said(st *status.Status) error { return &statusError{st} }

type statusError struct{ st *status.Status }

func (e *statusError) Error() string {
	if e.st.Code() == codes.Unavailable {
		return e.st.Message()
	}
	return fmt.Sprintf("%s (%v)", e.st.Message(), e.st.Code())
}

// Is tells whether the ledger gave that reason.
func (e *statusError) Is(target error) bool {
	d := details(e.st)
	return target == ErrDiskLow && d.reason == "DISK_LOW" || target == ErrCertificate && renewable[d.reason]
}

// GRPCStatus returns the status.
func (e *statusError) GRPCStatus() *status.Status { return e.st }
