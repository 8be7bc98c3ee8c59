package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/spool"
	"github.com/daybook-ledger/daybook/server/token"
)

// ErrorDomain is the domain of every google.rpc.ErrorInfo of this server.
const ErrorDomain = "daybook"

// The stable reasons of errors, in google.rpc.ErrorInfo. Scripts and clients
// branch on these, never on the text.
const (
	ReasonEventRefused    = "EVENT_REFUSED"      // RefusalDetail names number, field and limit
	ReasonOutOfOrder      = "OUT_OF_ORDER"       // RefusalDetail.expected_number
	ReasonNumberConflict  = "NUMBER_CONFLICT"    // open a new run
	ReasonEpochOver       = "EPOCH_OVER"         // another life of the producer has the run: RefusalDetail.current_epoch
	ReasonNoRun           = "NO_RUN"             // open the run
	ReasonRunEnded        = "RUN_ENDED"          // open a new run
	ReasonShut            = "SHUT"               // the log reads but does not append
	ReasonSucceeded       = "SUCCEEDED"          // the log has ended: its successor takes what comes
	ReasonClock           = "CLOCK"              // as SHUT, until the clock is right
	ReasonBusy            = "BUSY"               // RetryInfo says when to try again
	ReasonDiskLow         = "DISK_LOW"           // as BUSY, until the log's disk has room: reads go on
	ReasonDiskRead        = "DISK_READ"          // the log's disk failed a read; another may succeed
	ReasonBatchTooLarge   = "BATCH_TOO_LARGE"    // split it
	ReasonOutcomeUnknown  = "OUTCOME_UNKNOWN"    // resend the same run and numbers
	ReasonFork            = "FORK"               // two histories under one key: keep the evidence
	ReasonNotFound        = "NOT_FOUND"          // no such entry or size
	ReasonBadRequest      = "BAD_REQUEST"        // a field of the request is wrong
	ReasonPageToken       = "BAD_PAGE_TOKEN"     // start the list again
	ReasonTooBroad        = "TOO_BROAD"          // give more of the prefix
	ReasonAnswerTooLarge  = "ANSWER_TOO_LARGE"   // ask for less at once
	ReasonNotAllowed      = "NOT_ALLOWED"        // the identity may not use this listener
	ReasonUnauthenticated = "UNAUTHENTICATED"    // no identity
	ReasonWrongListener   = "WRONG_LISTENER"     // another listener offers the method
	ReasonCrossSite       = "CROSS_SITE"         // a browser sent it for a page of another site
	ReasonIssuer          = "ISSUER_UNREACHABLE" // RetryInfo says when to try again
	ReasonRate            = "RATE_LIMITED"       // RetryInfo says when to try again
	ReasonStopping        = "STOPPING"           // the server stops: resend what is unanswered
	ReasonFault           = "INTEGRITY_FAULT"    // stored bytes do not give what was committed
	ReasonNoWitnesses     = "NO_WITNESSES"       // the log's configuration names no witnesses
	ReasonNotWitnessed    = "NOT_WITNESSED"      // not yet: RetryInfo says when to ask again
	ReasonInternal        = "INTERNAL"           // metadata.incident is the id in the server's log
)

// The reasons why a certificate is not accepted.
const (
	ReasonExpired     = identity.ReasonExpired     // renew the certificate
	ReasonNotYetValid = identity.ReasonNotYetValid // set the clocks
	ReasonRevoked     = identity.ReasonRevoked     // have another issued, with another key
	ReasonUsage       = identity.ReasonUsage       // it is no client's
	ReasonWrongCA     = identity.ReasonWrongCA     // have the domain's own CA issue one
	ReasonNoSPIFFEID  = identity.ReasonNoSPIFFEID  // it names nobody
)

// requestError is a fault of the request that the server finds by itself.
type requestError struct {
	code   codes.Code
	reason string
	text   string
}

func (e *requestError) Error() string { return e.text }

// badRequest is a fault of one field of a request.
func badRequest(format string, args ...any) error {
	return &requestError{codes.InvalidArgument, ReasonBadRequest, fmt.Sprintf(format, args...)}
}

// errStopping ends streams when the server stops.
var errStopping = &requestError{codes.Unavailable, ReasonStopping,
	"the server is stopping: what was answered is durable, resend what was not"}

// notFound says that there is no such thing.
func notFound(text string) error { return &requestError{codes.NotFound, ReasonNotFound, text} }

// A refusal is what a client is told about an error.
type refusal struct {
	code    codes.Code
	reason  string
	details []protoadapt.MessageV1
}

// refusalOf is the one table from errors to codes and reasons. The last
// result is false for a cause that is internal and not to be told.
func refusalOf(err error) (refusal, bool) {
	var (
		request  *requestError
		unknown  *identity.RefusedError
		refused  *ledger.RefusedError
		order    *ledger.OutOfOrderError
		conflict *ledger.ConflictError
		epoch    *ledger.EpochError
		shut     *ledger.ShutError
		busy     *ledger.BusyError
		low      *ledger.DiskLowError
		fork     *ledger.ForkError
		carried  interface{ GRPCStatus() *status.Status } // by the transport: a message too large or malformed
	)
	if r, ok := refusalOfReign(err); ok {
		return r, true
	}
	switch {
	case errors.As(err, &request):
		return refusal{code: request.code, reason: request.reason}, true
	case errors.As(err, &refused):
		return refuse(codes.InvalidArgument, cmp.Or(refused.Code, ReasonEventRefused), refusedDetail(refused)), true
	case errors.As(err, &unknown):
		return refuse(codes.Unauthenticated, unknown.Reason), true
	case errors.As(err, &order):
		return refuse(codes.Aborted, ReasonOutOfOrder, &apiv1.RefusalDetail{ExpectedNumber: order.Expected}), true
	case errors.As(err, &conflict):
		return refuse(codes.AlreadyExists, ReasonNumberConflict, &apiv1.RefusalDetail{Number: conflict.Number}), true
	case errors.As(err, &epoch):
		return refuse(codes.FailedPrecondition, ReasonEpochOver, &apiv1.RefusalDetail{CurrentEpoch: epoch.Current}), true
	case errors.Is(err, ledger.ErrNoRun):
		return refuse(codes.NotFound, ReasonNoRun), true
	case errors.Is(err, ledger.ErrRunEnded):
		return refuse(codes.FailedPrecondition, ReasonRunEnded), true
	case errors.As(err, &shut):
		return refuse(codes.Unavailable, ReasonShut), true
	case errors.Is(err, ledger.ErrClock):
		return refuse(codes.Unavailable, ReasonClock), true
	case errors.As(err, &busy):
		return refuse(codes.ResourceExhausted, ReasonBusy, retryInfo(busy.RetryAfter)), true
	case errors.As(err, &low):
		return refuse(codes.ResourceExhausted, ReasonDiskLow, retryInfo(low.RetryAfter)), true
	case errors.Is(err, ledger.ErrBatchTooLarge):
		return refuse(codes.InvalidArgument, ReasonBatchTooLarge), true
	case errors.Is(err, ledger.ErrOutcomeUnknown):
		return refuse(codes.Unavailable, ReasonOutcomeUnknown), true
	case errors.As(err, &fork):
		return refuse(codes.FailedPrecondition, ReasonFork), true
	case errors.As(err, &carried):
		return refuse(carried.GRPCStatus().Code(), ReasonBadRequest), true
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(codes.DeadlineExceeded, ReasonOutcomeUnknown), true
	case errors.Is(err, context.Canceled):
		return refuse(codes.Canceled, ReasonOutcomeUnknown), true
	}
	if r, ok := refusalOfPerson(err); ok {
		return r, true
	}
	return refusalOfRead(err)
}

// refusalOfPerson is the part of the table about who calls, and how often. The
// reasons of a refused token are package token's.
func refusalOfPerson(err error) (refusal, bool) {
	var refused *token.RefusedError
	var away *token.UnavailableError
	var often *limitError
	switch {
	case errors.As(err, &refused):
		return refuse(codes.Unauthenticated, refused.Reason), true
	case errors.As(err, &away):
		return refuse(codes.Unavailable, ReasonIssuer, retryInfo(away.RetryAfter)), true
	case errors.As(err, &often):
		return refuse(codes.ResourceExhausted, ReasonRate, retryInfo(often.RetryAfter)), true
	}
	return refusal{}, false
}

// refusalOfRead is the part of the table that only reads need.
func refusalOfRead(err error) (refusal, bool) {
	var unasked *ledger.QueryError
	var broad *ledger.TooBroadError
	switch {
	case errors.Is(err, spool.ErrFull):
		return refuse(codes.ResourceExhausted, ReasonDiskLow, retryInfo(time.Minute)), true
	case errors.Is(err, ledger.ErrNoWitnesses):
		return refuse(codes.FailedPrecondition, ReasonNoWitnesses), true
	case errors.Is(err, errNotWitnessed):
		return refuse(codes.Unavailable, ReasonNotWitnessed, retryInfo(time.Second)), true
	case errors.Is(err, ledger.ErrNotFound):
		return refuse(codes.NotFound, ReasonNotFound), true
	case errors.As(err, &unasked):
		return refuse(codes.InvalidArgument, ReasonBadRequest), true
	case errors.As(err, &broad):
		return refuse(codes.InvalidArgument, ReasonTooBroad), true
	}
	return refusalOfGovernance(err)
}

func refuse(code codes.Code, reason string, details ...protoadapt.MessageV1) refusal {
	return refusal{code, reason, details}
}

func retryInfo(after time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}
}

// refusedDetail carries the ready Declined of a refused event.
func refusedDetail(e *ledger.RefusedError) protoadapt.MessageV1 {
	detail := &apiv1.RefusalDetail{Number: e.Number, Field: e.Field, Limit: e.Limit}
	declined := new(daybookv1.Declined)
	if len(e.Declined) > 0 && proto.Unmarshal(e.Declined, declined) == nil {
		detail.Declined = declined
	}
	return detail
}

// statusOf returns what a client is told about err. An internal cause goes to
// the log under a random id, and only the id to the client.
func statusOf(ctx context.Context, log *slog.Logger, method string, err error) *status.Status {
	r, known := refusalOf(err)
	var fault *ledger.FaultError
	var unread *ledger.ReadError
	info := &errdetails.ErrorInfo{Domain: ErrorDomain, Reason: r.reason}
	text := err.Error()
	switch {
	case known:
	case errors.As(err, &fault):
		id := incident()
		log.ErrorContext(ctx, "integrity fault", "incident", id, "method", method, "index", fault.Index, "error", err)
		r.code, info.Reason = codes.DataLoss, ReasonFault
		info.Metadata = map[string]string{"incident": id, "index": fmt.Sprint(fault.Index)}
	case errors.As(err, &unread):
		id := incident()
		log.ErrorContext(ctx, "failed read", "incident", id, "method", method, "damaged", unread.Damaged, "error", err)
		r.code, info.Reason, text = readRefusal(unread, id)
		info.Metadata = map[string]string{"incident": id}
	default:
		id := incident()
		log.ErrorContext(ctx, "internal error", "incident", id, "method", method, "error", err)
		r.code, info.Reason = codes.Internal, ReasonInternal
		info.Metadata = map[string]string{"incident": id}
		text = "internal error: the server's log says more under incident " + id
	}
	st, detailErr := status.New(r.code, text).WithDetails(append([]protoadapt.MessageV1{info}, r.details...)...)
	if detailErr != nil {
		log.ErrorContext(ctx, "details of an error do not marshal", "error", detailErr)
		return status.New(r.code, text)
	}
	return st
}

// readRefusal is what a client is told of a read that failed: the file's name is
// for the server's log.
func readRefusal(e *ledger.ReadError, incident string) (codes.Code, string, string) {
	if e.Damaged {
		return codes.DataLoss, ReasonFault, "stored bytes are damaged: the server's log says more under incident " + incident
	}
	return codes.Unavailable, ReasonDiskRead, "the log's disk failed a read: try again; the server's log says more under incident " + incident
}

// incident returns a random id under which an internal cause is logged.
func incident() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// reasonOf returns the reason for the metrics; it is a fixed small set.
func reasonOf(err error) string {
	if r, known := refusalOf(err); known {
		return r.reason
	}
	var unread *ledger.ReadError
	if errors.As(err, &unread) && !unread.Damaged {
		return ReasonDiskRead
	}
	return ReasonInternal
}

// tooLarge refuses an answer that a client could not take.
func tooLarge(format string, args ...any) error {
	return &requestError{codes.ResourceExhausted, ReasonAnswerTooLarge, fmt.Sprintf(format, args...)}
}
