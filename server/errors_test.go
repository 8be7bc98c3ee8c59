package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/identity"
)

var silent = slog.New(slog.DiscardHandler)

func TestEveryErrorHasItsCodeAndReason(t *testing.T) {
	tests := []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{&ledger.RefusedError{Number: 3, Field: "actor.id", Reason: "missing"}, codes.InvalidArgument, server.ReasonEventRefused},
		{&ledger.OutOfOrderError{Expected: 7}, codes.Aborted, server.ReasonOutOfOrder},
		{&ledger.ConflictError{Number: 2}, codes.AlreadyExists, server.ReasonNumberConflict},
		{&ledger.EpochError{Current: 2}, codes.FailedPrecondition, server.ReasonEpochOver},
		{ledger.ErrNoRun, codes.NotFound, server.ReasonNoRun},
		{ledger.ErrRunEnded, codes.FailedPrecondition, server.ReasonRunEnded},
		{&ledger.ShutError{Reason: "anchor"}, codes.Unavailable, server.ReasonShut},
		{ledger.ErrClock, codes.Unavailable, server.ReasonClock},
		{&ledger.BusyError{What: "queue", RetryAfter: time.Second}, codes.ResourceExhausted, server.ReasonBusy},
		{&ledger.DiskLowError{Free: 1, Mark: 2, RetryAfter: time.Second}, codes.ResourceExhausted, server.ReasonDiskLow},
		{&ledger.ReadError{Err: errors.New("input/output error")}, codes.Unavailable, server.ReasonDiskRead},
		{&ledger.ReadError{Damaged: true, Err: errors.New("checksum")}, codes.DataLoss, server.ReasonFault},
		{ledger.ErrBatchTooLarge, codes.InvalidArgument, server.ReasonBatchTooLarge},
		{ledger.ErrOutcomeUnknown, codes.Unavailable, server.ReasonOutcomeUnknown},
		{&ledger.ForkError{Reason: "larger"}, codes.FailedPrecondition, server.ReasonFork},
		{&ledger.QueryError{Reason: "not listed"}, codes.InvalidArgument, server.ReasonBadRequest},
		{&ledger.TooBroadError{Prefix: "a"}, codes.InvalidArgument, server.ReasonTooBroad},
		{ledger.ErrNotFound, codes.NotFound, server.ReasonNotFound},
		{&ledger.FaultError{Index: 5, Reason: "leaf"}, codes.DataLoss, server.ReasonFault},
		{&identity.RefusedError{Reason: identity.ReasonExpired}, codes.Unauthenticated, server.ReasonExpired},
		{context.DeadlineExceeded, codes.DeadlineExceeded, server.ReasonOutcomeUnknown},
		{errors.New("disk on fire"), codes.Internal, server.ReasonInternal},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			st := server.StatusOf(t.Context(), silent, "/Append", fmt.Errorf("wrapped: %w", test.err))
			if st.Code() != test.code {
				t.Errorf("code %v, want %v", st.Code(), test.code)
			}
			wantReason(t, st.Err(), test.reason)
		})
	}
}

func TestRefusalCarriesTheReadyDeclined(t *testing.T) {
	declined := &daybookv1.Declined{Number: 3, Sha256: make([]byte, 32), Reason: "missing", Field: "actor.id"}
	body, err := proto.Marshal(declined)
	if err != nil {
		t.Fatal(err)
	}
	st := server.StatusOf(t.Context(), silent, "/Append", &ledger.RefusedError{Number: 3, Field: "actor.id", Limit: 512, Reason: "too long", Declined: body})
	for _, d := range st.Details() {
		if detail, ok := d.(*apiv1.RefusalDetail); ok {
			if detail.GetNumber() != 3 || detail.GetField() != "actor.id" || detail.GetLimit() != 512 || !proto.Equal(detail.GetDeclined(), declined) {
				t.Errorf("detail is %v", detail)
			}
			return
		}
	}
	t.Error("no RefusalDetail")
}

func TestBusyAndOrderSayWhatToDo(t *testing.T) {
	st := server.StatusOf(t.Context(), silent, "/Append", &ledger.BusyError{RetryAfter: 250 * time.Millisecond})
	found := false
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			found = retry.GetRetryDelay().AsDuration() == 250*time.Millisecond
		}
	}
	if !found {
		t.Error("busy does not say when to try again")
	}
	found = false
	for _, d := range server.StatusOf(t.Context(), silent, "/Append", &ledger.OutOfOrderError{Expected: 9}).Details() {
		if detail, ok := d.(*apiv1.RefusalDetail); ok {
			found = detail.GetExpectedNumber() == 9
		}
	}
	if !found {
		t.Error("out of order does not say which number is expected")
	}
}

func TestInternalCausesStayInside(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	st := server.StatusOf(t.Context(), log, "/Append", errors.New("secret path /srv/x"))
	if contains(st.Message(), "secret") {
		t.Errorf("the client hears %q", st.Message())
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			id := info.GetMetadata()["incident"]
			if id == "" || !contains(st.Message(), id) || !contains(out.String(), id) || !contains(out.String(), "secret path") {
				t.Errorf("incident %q, message %q, log %q", id, st.Message(), out.String())
			}
			return
		}
	}
	t.Error("no ErrorInfo")
}
