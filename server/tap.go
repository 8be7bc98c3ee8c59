package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// messageTimeout is how long the message of a unary call may take to arrive, on a
// listener whose calls have a deadline. The interceptors see a call only then: without this bound a connection could hold
// calls open for ever, before anybody asked whose they are.
const messageTimeout = time.Minute

// tap is a tap.ServerInHandle: it sees the headers of a call before anything is
// kept for it. Who brings neither certificate nor token is turned away here; that
// proves nothing of those who are let in, see gate.
func (i *interceptor) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if p, ok := peer.FromContext(ctx); ok {
		if known, ok := p.AuthInfo.(authInfo); ok && known.connection == nil && len(info.Header.Get("authorization")) == 0 {
			i.metrics.refusals.WithLabelValues(i.listener, reasonOf(errNobody)).Inc()
			return nil, statusOf(ctx, i.log, info.FullMethodName, errNobody).Err()
		}
	}
	if i.deadline <= 0 || i.streams[info.FullMethodName] {
		return ctx, nil
	}
	ctx, cancel := context.WithTimeout(ctx, messageTimeout+i.deadline)
	context.AfterFunc(ctx, cancel) // at the latest when the call ends
	return ctx, nil
}

// streamsOf are the methods, by full name, that are no unary calls.
func streamsOf(services ...*grpc.ServiceDesc) map[string]bool {
	names := make(map[string]bool)
	for _, s := range services {
		for _, m := range s.Streams {
			names["/"+s.ServiceName+"/"+m.StreamName] = true
		}
	}
	return names
}
