package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/server/access"
)

// interceptor stands before every method of one listener: identity, roles, rates,
// panics, errors, metrics, and the record of what people did. Successes are
// counted, not logged.
type interceptor struct {
	listener string
	gate     *gate
	deadline time.Duration   // of a unary call; negative: none
	streams  map[string]bool // methods that are no unary calls; not modified
	journal  *journal
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

// probe tells health from the methods that are measured.
func probe(service any) bool {
	_, ok := service.(grpc_health_v1.HealthServer)
	return ok
}

// ruleOf returns the rule of a method on this listener. What the listener does not
// offer, whoever was authenticated may hear.
func (i *interceptor) ruleOf(service any, method string) access.Rule {
	if rule, ok := access.RuleOf(method); ok && service != nil {
		return rule
	}
	return access.Rule{Roles: access.Anyone, Listeners: []string{i.listener}}
}

// unary is a grpc.UnaryServerInterceptor.
func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	resp, err := i.call(ctx, req, i.ruleOf(info.Server, info.FullMethod), info.FullMethod, handler)
	if !probe(info.Server) || err != nil {
		i.metrics.observe(i.listener, info.FullMethod, time.Since(start), err)
	}
	if err != nil {
		return nil, i.fail(ctx, info.FullMethod, err)
	}
	return resp, nil
}

func (i *interceptor) call(ctx context.Context, req any, rule access.Rule, method string, handler grpc.UnaryHandler) (resp any, err error) {
	defer i.recovered(&err)
	ctx, c, err := i.admit(ctx, rule, method)
	if err != nil {
		return nil, err
	}
	if i.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, i.deadline)
		defer cancel()
	}
	if err = limitCall(c.scope, req); err == nil {
		resp, err = handler(ctx, req)
	}
	if isForbidden(err) {
		i.record(c, method, err)
	}
	if err := i.journal.answered(ctx, i.listener, c, method, req, resp, err); err != nil {
		return nil, err
	}
	return resp, err
}

// stream is a grpc.StreamServerInterceptor. The stream's context ends when the
// caller's credential or grant does.
func (i *interceptor) stream(service any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	err := i.callStream(service, ss, info.FullMethod, handler)
	method := info.FullMethod
	if service == nil {
		method = "unknown" // anybody may make up names
	}
	if !probe(service) {
		i.metrics.observe(i.listener, method, time.Since(start), err)
	}
	if err != nil {
		return i.fail(ss.Context(), info.FullMethod, err)
	}
	return nil
}

func (i *interceptor) callStream(service any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) (err error) {
	defer i.recovered(&err)
	admitted, c, err := i.admit(ss.Context(), i.ruleOf(service, method), method)
	if err != nil {
		return err
	}
	if c.rule.Read { // its answer begins before its request is known to end
		if err := i.journal.answered(admitted, i.listener, c, method, nil, nil, nil); err != nil {
			return err
		}
	}
	end := c.ends()
	ctx, cancel := context.WithDeadlineCause(admitted, c.until, end)
	defer cancel()
	err = handler(service, streamContext{ss, ctx})
	if err != nil && context.Cause(ctx) == end {
		return end
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

// isNotFound tells whether an answer was that there is nothing, which is an answer.
func isNotFound(err error) bool {
	r, ok := refusalOf(err)
	return ok && r.code == codes.NotFound
}

// isForbidden tells whether a call was refused for who made it.
func isForbidden(err error) bool {
	if err == nil {
		return false
	}
	r, ok := refusalOf(err)
	return ok && r.code == codes.PermissionDenied
}
