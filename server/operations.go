package server

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operationsHandler serves what keeps a server running: metrics and health.
func (s *Server) operationsHandler() (http.Handler, error) {
	metrics := promhttp.HandlerFor(s.o.Metrics.registry, promhttp.HandlerOpts{
		ErrorLog: quietLog(s.o.Logger, "operations"), MaxRequestsInFlight: 4,
	})
	mux, err := s.pages("operations", map[string]http.HandlerFunc{
		"GET /metrics": metrics.ServeHTTP,
		"GET /healthz": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") },
		"GET /readyz":  s.readyz,
	})
	return plainHeaders(mux), err
}

// readyz answers 200 while the log appends, else 503 and why not. An old entry
// that is damaged on disk is said, but does not make it unready: new entries are
// taken and proven as before.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	ready, reason := s.o.Log.Ready()
	select {
	case <-s.stopping:
		ready, reason = false, "the server is stopping"
	default:
	}
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "not ready: %s\n", reason)
		return
	}
	io.WriteString(w, "ready\n")
	if v := s.o.Log.Status().Verification; v.Bad != "" {
		fmt.Fprintf(w, "INTEGRITY FAULT: what is on disk is not what was committed, first at index %d: %s\n", v.BadIndex, v.Bad)
	}
}

// quietLog passes what net/http has to say, such as failed handshakes, to the
// log at debug: anybody who connects can cause it.
func quietLog(logger *slog.Logger, listener string) *log.Logger {
	return slog.NewLogLogger(logger.With("listener", listener).Handler(), slog.LevelDebug)
}
