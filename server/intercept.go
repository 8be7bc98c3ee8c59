package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/server/identity"
)

// interceptor stands before every method of one listener: identity, panics,
// errors, metrics. Successes are counted, not logged.
type interceptor struct {
	listener string
	gate     gate
	log      *slog.Logger
	metrics  *Metrics
	note     func(ledger.Refusal) // has a refusal written down
}

// errPanic is the cause of a panic in a handler.
var errPanic = errors.New("panic in a handler")

// recovered turns a panic into an error; the stack goes to the log.
func (i *interceptor) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
	}
}

// open lets a call through without an allow list: health is for everybody whose
// certificate is accepted.
func (i *interceptor) open(ctx context.Context, service any) bool {
	if _, ok := service.(grpc_health_v1.HealthServer); !ok {
		return false
	}
	id, err := i.gate.authenticate(ctx)
	return err == nil && id.Valid(i.gate.now()) == nil
}

// unary is a grpc.UnaryServerInterceptor.
func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if i.open(ctx, info.Server) {
		return handler(ctx, req)
	}
	start := time.Now()
	resp, err := i.call(ctx, req, info.FullMethod, handler)
	i.metrics.observe(i.listener, info.FullMethod, time.Since(start), err)
	if err != nil {
		return nil, i.fail(ctx, info.FullMethod, err)
	}
	return resp, nil
}

func (i *interceptor) call(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (resp any, err error) {
	defer i.recovered(&err)
	ctx, _, err = i.admit(ctx, method)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// stream is a grpc.StreamServerInterceptor. The stream's context ends when the
// peer's certificate does.
func (i *interceptor) stream(service any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if i.open(ss.Context(), service) {
		return handler(service, ss)
	}
	start := time.Now()
	err := i.callStream(service, ss, info.FullMethod, handler)
	method := info.FullMethod
	if service == nil {
		method = "unknown" // anybody may make up names
	}
	i.metrics.observe(i.listener, method, time.Since(start), err)
	if err != nil {
		return i.fail(ss.Context(), info.FullMethod, err)
	}
	return nil
}

func (i *interceptor) callStream(service any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) (err error) {
	defer i.recovered(&err)
	admitted, id, err := i.admit(ss.Context(), method)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadlineCause(admitted, id.NotAfter, id.Valid(id.NotAfter.Add(1)))
	defer cancel()
	err = handler(service, streamContext{ss, ctx})
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, identity.ErrExpired) {
		return cause
	}
	return err
}

// fail returns the status of an error. Refusals are logged at debug: a
// producer hears of its own.
func (i *interceptor) fail(ctx context.Context, method string, err error) error {
	st := statusOf(ctx, i.log, method, err)
	i.log.DebugContext(ctx, "refused", "listener", i.listener, "method", method, "code", st.Code().String(), "error", err)
	return st.Err()
}
