package server

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/test/bufconn"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/gateway"
	gatewayv1 "github.com/daybook-ledger/daybook/server/gateway/daybook/api/v1"
)

// Limits of an HTTP request.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 60 * time.Second
	idleTimeout    = 2 * time.Minute
	maxRequestBody = 64 << 10
	maxMapBody     = maxMapMessage / 3 * 4 // of a domain map: base64 in JSON
	pipeBuffer     = 256 << 10
)

// inProcessQuery is the query service on a connection inside the process. It is
// made of gRPC's in-memory listener, which no other process can reach.
type inProcessQuery struct {
	server   *grpc.Server
	listener *bufconn.Listener
	conn     *grpc.ClientConn
}

func (p *inProcessQuery) serve() error { return p.server.Serve(p.listener) }

func (p *inProcessQuery) close() {
	p.conn.Close()
	p.server.Stop()
	p.listener.Close()
}

// newInProcess connects REST to the query service through the interceptors.
func (s *Server) newInProcess() (*inProcessQuery, error) {
	p := &inProcessQuery{listener: bufconn.Listen(pipeBuffer)}
	p.server = s.newGRPC("query_http", inProcessCredentials{})
	apiv1.RegisterQueryServiceServer(p.server, s.query())
	apiv1.RegisterGovernanceServiceServer(p.server, &governance{log: s.o.Log})
	apiv1.RegisterExportServiceServer(p.server, s.exporter("query_http"))
	err := checkRules("query_http", p.server)
	if err != nil {
		p.server.Stop()
		return nil, err
	}
	p.conn, err = grpc.NewClient("passthrough:///in-process",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(inProcessCredentials{}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*maxMapMessage), grpc.MaxCallSendMsgSize(maxMapMessage)),
	)
	if err != nil {
		p.server.Stop()
		p.listener.Close()
		return nil, fmt.Errorf("connecting REST to the query service: %w", err)
	}
	return p, nil
}

// newREST returns the handler of the REST listener.
func (s *Server) newREST() (http.Handler, error) {
	var err error
	if s.gateway, err = s.newInProcess(); err != nil {
		return nil, err
	}
	paths, err := restPaths(gateway.OpenAPI)
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(
		// No header of a request becomes metadata: the identity is ours to state.
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(forwardIdentity),
		runtime.WithErrorHandler(restError),
		runtime.WithRoutingErrorHandler(wrongMethods(paths)),
		runtime.SetQueryParameterParser(strictParameters{}),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, strictJSON()),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
	)
	if err := errors.Join(gatewayv1.RegisterQueryServiceHandler(context.Background(), mux, s.gateway.conn),
		gatewayv1.RegisterGovernanceServiceHandler(context.Background(), mux, s.gateway.conn)); err != nil {
		return nil, fmt.Errorf("registering REST: %w", err)
	}
	if err := mux.HandlePath(http.MethodPost, "/v1/export", s.download(mux)); err != nil {
		return nil, fmt.Errorf("registering REST: %w", err)
	}
	root, err := s.pages("query_http", map[string]http.HandlerFunc{
		"GET /openapi.json": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(gateway.OpenAPI)
		},
	})
	if err != nil {
		return nil, err
	}
	root.Handle("/", mux)
	return boundedBody(plainHeaders(sameSite(identified(wholeEventIDs(root))))), nil
}

// sameSite refuses what a page of another site has a browser send that is more than
// a read: the browser adds its person's certificate without asking anybody. Who is
// no browser sends neither Origin nor Sec-Fetch-Site, and goes through.
func sameSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeStatus(w, statusOf(r.Context(), slog.Default(), r.URL.Path, &requestError{codes.PermissionDenied, ReasonCrossSite,
			"a page of another site asked for this: open Daybook itself, or send the request from a program"}))
	}))
	return protection.Handler(next)
}

// boundedBody bounds the bodies of requests: a domain map is larger than others.
func boundedBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxRequestBody)
		if r.Method == http.MethodPost && r.URL.Path == "/v1/domain-maps" {
			limit = maxMapBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

// wholeEventIDs lets an event id hold a slash, sent as %2F, which the routing of
// paths would split: such an id goes on as `hex:` and digits.
func wholeEventIDs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const prefix = "/v1/events/"
		escaped, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
		if ok && !strings.Contains(escaped, "/") {
			if id, err := url.PathUnescape(escaped); err == nil && strings.Contains(id, "/") {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = prefix+"hex:"+hex.EncodeToString([]byte(id)), ""
			}
		}
		next.ServeHTTP(w, r)
	})
}

// plainHeaders keeps answers out of caches and content sniffing.
func plainHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// addHTTP opens a listener for HTTP; config nil: plain.
func (s *Server) addHTTP(name, address string, got *string, handler http.Handler, config *tls.Config) error {
	l, err := s.open(name, address, got)
	if err != nil {
		return err
	}
	limits := s.o.Config.Listeners.Of(name)
	answer := requestTimeout
	if limits.Deadline > 0 {
		answer = limits.Deadline + headerTimeout
	}
	s.http = append(s.http, httpListener{name, &http.Server{
		Handler:           http.MaxBytesHandler(handler, int64(limits.MaxMessageBytes)),
		TLSConfig:         config,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answer,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          quietLog(s.o.Logger, name),
	}, l})
	return nil
}

func serveHTTP(l httpListener) error {
	if l.server.TLSConfig == nil {
		return l.server.Serve(l.listener)
	}
	return l.server.ServeTLS(l.listener, "", "")
}
