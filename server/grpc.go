package server

import (
	"context"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// Limits of a connection.
const (
	maxMessage       = 4 << 20  // an answer has at most 4 MiB less a bit
	maxMapMessage    = 16 << 20 // a domain map, proposed or shown
	streamFlow       = 4 << 20  // HTTP/2 window of one stream
	connectionFlow   = 16 << 20
	socketBuffer     = 64 << 10
	callsPerConn     = 1024
	maxHeaders       = 16 << 10
	handshakeTimeout = 10 * time.Second
	// idleConnection is how long a connection without a call stays. Clients connect
	// again by themselves; who only takes up room does not keep it.
	idleConnection = 10 * time.Minute
)

// newGRPC makes a gRPC server with the interceptors of a listener.
func (s *Server) newGRPC(name string, creds credentials.TransportCredentials) *grpc.Server {
	limits := s.o.Config.Listeners.Of(name)
	i := &interceptor{listener: name, gate: s.gates[name], deadline: limits.Deadline, journal: s.journal, log: s.o.Logger, metrics: s.o.Metrics, note: s.o.Log.NoteRefusal,
		streams: streamsOf(&apiv1.IngestService_ServiceDesc, &apiv1.QueryService_ServiceDesc, &apiv1.GovernanceService_ServiceDesc,
			&apiv1.ExportService_ServiceDesc, &apiv1.AdminService_ServiceDesc, &grpc_health_v1.Health_ServiceDesc)}
	return grpc.NewServer(
		grpc.Creds(creds),
		grpc.UnaryInterceptor(i.unary),
		grpc.StreamInterceptor(i.stream),
		grpc.UnknownServiceHandler(i.unknownMethod),
		grpc.ForceServerCodecV2(newCodec()),
		experimental.BufferPool(buffers),
		grpc.MaxRecvMsgSize(limits.MaxMessageBytes),
		grpc.InitialWindowSize(streamFlow),
		grpc.InitialConnWindowSize(connectionFlow),
		grpc.ReadBufferSize(socketBuffer),
		grpc.WriteBufferSize(socketBuffer),
		grpc.MaxConcurrentStreams(callsPerConn),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.InTapHandle(i.tap),
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleConnection, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
}

// healthEvery is how often the health of the services is looked at.
const healthEvery = 500 * time.Millisecond

// watchHealth keeps the health services up to date until ctx ends.
func (s *Server) watchHealth(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.reportHealth()
		}
	}
}

// reportHealth: a process that answers is healthy (""), and so is reading; ingest
// is only while the log appends.
func (s *Server) reportHealth() {
	ingest := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if ready, _ := s.o.Log.Ready(); ready {
		ingest = grpc_health_v1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(apiv1.IngestService_ServiceDesc.ServiceName, ingest)
	for _, name := range []string{"", apiv1.QueryService_ServiceDesc.ServiceName, apiv1.GovernanceService_ServiceDesc.ServiceName, apiv1.ExportService_ServiceDesc.ServiceName, apiv1.AdminService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	}
}

// flagName is the flag of a listener, such as query-http.
func flagName(listener string) string { return strings.ReplaceAll(listener, "_", "-") }
