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

	"github.com/daybook-ledger/daybook/server/identity"
)

// interceptor stands before every method of one listener: identity, panics,
// errors, metrics. Successes are counted, not logged.
type interceptor struct {
	listener string
	gate     gate
	log      *slog.Logger
	metrics  *Metrics
}

// errPanic is the cause of a panic in a handler.
var errPanic = errors.New("panic in a handler")

// recovered turns a panic into an error; the stack goes to the log.
func (i *interceptor) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
	}
}

// open lets a call through without an allow list: health is for everybody who
// could make the handshake.
func open(service any) bool {
	_, ok := service.(grpc_health_v1.HealthServer)
	return ok
}

// unary is a grpc.UnaryServerInterceptor.
func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if open(info.Server) {
		return handler(ctx, req)
	}
	start := time.Now()
	resp, err := i.call(ctx, req, handler)
	i.metrics.observe(i.listener, info.FullMethod, time.Since(start), err)
	if err != nil {
		return nil, i.fail(ctx, info.FullMethod, err)
	}
	return resp, nil
}

func (i *interceptor) call(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	defer i.recovered(&err)
	id, err := i.gate.admit(ctx)
	if err != nil {
		return nil, err
	}
	return handler(context.WithValue(ctx, peerKey{}, id), req)
}

// stream is a grpc.StreamServerInterceptor. The stream's context ends when the
// peer's certificate does.
func (i *interceptor) stream(service any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if open(service) {
		return handler(service, ss)
	}
	start := time.Now()
	err := i.callStream(service, ss, handler)
	i.metrics.observe(i.listener, info.FullMethod, time.Since(start), err)
	if err != nil {
		return i.fail(ss.Context(), info.FullMethod, err)
	}
	return nil
}

func (i *interceptor) callStream(service any, ss grpc.ServerStream, handler grpc.StreamHandler) (err error) {
	defer i.recovered(&err)
	id, err := i.gate.admit(ss.Context())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadlineCause(ss.Context(), id.NotAfter,
		fmt.Errorf("%w: %s until %s", identity.ErrExpired, id.ID, id.NotAfter.UTC().Format(time.RFC3339)))
	defer cancel()
	err = handler(service, streamContext{ss, context.WithValue(ctx, peerKey{}, id)})
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
