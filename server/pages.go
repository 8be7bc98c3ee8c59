package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/daybook-ledger/daybook/server/access"
)

// checkRules refuses to serve a method that no rule lets anybody call here.
func checkRules(listener string, g *grpc.Server) error {
	var methods []string
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			methods = append(methods, "/"+service+"/"+m.Name)
		}
	}
	if missing := access.Missing(listener, methods); len(missing) > 0 {
		return fmt.Errorf("listener %s: no rule says who may call %s", listener, strings.Join(missing, ", "))
	}
	return nil
}

// optionalCertificate makes a listener let in who presents no certificate: a token
// must come with each call then. A certificate that is presented is checked as
// before.
func optionalCertificate(c *tls.Config) {
	check := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		return check(state)
	}
}

// pages serves the pages of a listener that are no methods, each under its rule;
// an error where one has none for this listener.
func (s *Server) pages(listener string, handlers map[string]http.HandlerFunc) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	for pattern, handle := range handlers {
		rule, ok := s.routeOf(pattern)
		if !ok || !rule.On(listener) {
			return nil, fmt.Errorf("listener %s: no rule says who may %s", listener, pattern)
		}
		mux.HandleFunc(pattern, s.page(listener, pattern, rule, handle))
	}
	return mux, nil
}

func (s *Server) page(listener, pattern string, rule access.Rule, handle http.HandlerFunc) http.HandlerFunc {
	g, what := s.gates[listener], strings.TrimSuffix(pattern, "/{path...}")
	return func(w http.ResponseWriter, r *http.Request) {
		var err error
		if rule.Open {
			err = g.calls.take("address "+hostOf(r.RemoteAddr), s.o.Now())
		} else {
			r, err = s.letPage(r, g, what, rule)
		}
		if err != nil {
			s.o.Metrics.refusals.WithLabelValues(listener, reasonOf(err)).Inc()
			writeStatus(w, statusOf(r.Context(), s.o.Logger, pattern, err))
			return
		}
		if limit := s.o.Config.Listeners.Of(listener).Deadline; limit > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			r = r.WithContext(ctx)
		}
		handle(w, r)
	}
}

// letPage lets through who may see a page: the request it returns is theirs.
func (s *Server) letPage(r *http.Request, g *gate, pattern string, rule access.Rule) (*http.Request, error) {
	if rule.Tiles && r.TLS == nil {
		return r, errPlainTiles
	}
	from := credential{tokens: r.Header.Values("Authorization"), address: hostOf(r.RemoteAddr)}
	var bad error
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		from.peer, bad = g.trust.Identify(r.TLS.PeerCertificates, s.o.Now())
	}
	c, err := g.let(r.Context(), from, bad, rule, pattern)
	if err == nil {
		return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), nil
	}
	if refusal, ok := refusalBy(g.listener, c, pattern, err); ok {
		s.o.Log.NoteRefusal(refusal)
	}
	return r, err
}

// identified turns away who has neither a certificate nor a token before a byte
// of the body is read.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.TLS == nil || len(r.TLS.PeerCertificates) == 0) && r.Header.Get("Authorization") == "" {
			writeStatus(w, statusOf(r.Context(), slog.Default(), r.URL.Path, errNobody))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// writeStatus answers as REST does.
func writeStatus(w http.ResponseWriter, st *status.Status) {
	writeStatusAs(w, st, runtime.HTTPStatusFromCode(st.Code()))
}

// restError is a runtime.ErrorHandlerFunc: what the services refuse, and what does
// not get as far as them, is said in one way, with a reason and when to try again.
func restError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	code := 0
	if custom := (*runtime.HTTPStatusError)(nil); errors.As(err, &custom) {
		code, err = custom.HTTPStatus, custom.Err
	}
	st := status.Convert(err)
	if len(st.Details()) == 0 {
		reason := ReasonBadRequest
		switch st.Code() {
		case codes.NotFound:
			reason = ReasonNotFound
		case codes.Unavailable:
			reason = ReasonStopping
		case codes.DeadlineExceeded, codes.Canceled:
			reason = ReasonOutcomeUnknown
		case codes.Internal, codes.Unknown:
			reason = ReasonInternal
		}
		if with, err := st.WithDetails(&errdetails.ErrorInfo{Domain: ErrorDomain, Reason: reason}); err == nil {
			st = with
		}
	}
	if code == 0 {
		code = runtime.HTTPStatusFromCode(st.Code())
	}
	writeStatusAs(w, st, code)
}

// writeStatusAs is writeStatus with a code of HTTP's.
func writeStatusAs(w http.ResponseWriter, st *status.Status, code int) {
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.GetRetryDelay().AsDuration().Seconds()))))
		}
	}
	if st.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	body, err := protojson.Marshal(st.Proto())
	if err != nil { // cannot happen: the details are registered
		http.Error(w, st.Message(), code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(body)
}
