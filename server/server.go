package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/spool"
	"github.com/daybook-ledger/daybook/server/token"
	"github.com/daybook-ledger/daybook/server/witness"
)

// CertificateNames are the listeners that need a certificate: the keys of
// Options.Certificates.
var CertificateNames = []string{"ingest", "query", "query_http", "admin", "operations"}

// shutdownGrace is how long a stopping server waits for the answers in flight.
const shutdownGrace = 10 * time.Second

// Options is what a server is made of. All but Logger and Now must be set.
type Options struct {
	Log          *ledger.Ledger
	Config       *config.Config // after Complete
	Trust        *identity.Trust
	Trusts       map[string]*identity.Trust // by listener, where it is not Trust; nil: nowhere
	Certificates map[string]identity.Pair   // by listener, see CertificateNames; public may have one, too
	Metrics      *Metrics
	Version      string
	Ballast      func() int64     // size of the ballast in bytes, 0 while it is dropped; nil: there is none
	Logger       *slog.Logger     // nil: discarded
	Now          func() time.Time // zero: the system's

	// MapInForce returns the version of the domain map that is in force; an answer of
	// nil: none is. nil: the log's.
	MapInForce func() DomainMap
	// Witnesses cosign the log's checkpoints; Run asks them. nil: there are none.
	Witnesses *witness.Witnesses
	// Tokens checks people's tokens; nil: certificates alone are accepted.
	Tokens *token.Verifier
	// Spool is a folder for examination files while they are made and sent: the
	// server's alone, emptied when it starts. Empty: it makes none.
	Spool string
	// ExportStall is how long a client may leave a message of an export untaken;
	// zero: 2 minutes.
	ExportStall time.Duration
	// ExportWitnessWait is how long an export waits for witnesses; zero: 15 seconds.
	ExportWitnessWait time.Duration
	// Record appends what people did and returns once it is durable; nil: nothing is
	// recorded.
	Record func(context.Context, *daybookv1.Activity) (uint64, error)
}

// validate reports every fault.
func (o *Options) validate() error {
	var faults []error
	if o.Log == nil {
		faults = append(faults, errors.New("no log"))
	}
	if o.Config == nil {
		faults = append(faults, errors.New("no configuration"))
	}
	if o.Trust == nil {
		faults = append(faults, errors.New("no trust"))
	}
	if o.Metrics == nil {
		faults = append(faults, errors.New("no metrics"))
	}
	for _, name := range CertificateNames {
		if _, ok := o.Certificates[name]; !ok {
			faults = append(faults, fmt.Errorf("no certificate for listener %s", name))
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ExportStall == 0 {
		o.ExportStall = exportStall
	}
	if o.ExportWitnessWait == 0 {
		o.ExportWitnessWait = exportWitnessWait
	}
	if o.MapInForce == nil && o.Log != nil {
		o.MapInForce = func() DomainMap {
			if v := o.Log.MapInForce(); v != nil {
				return v
			}
			return nil
		}
	}
	return errors.Join(faults...)
}

// Addresses are the addresses that a server got, as addresses.json has them.
type Addresses struct {
	Ingest     string `json:"ingest"`
	Query      string `json:"query"`
	QueryHTTP  string `json:"query_http"`
	Admin      string `json:"admin"`
	Public     string `json:"public"`
	Operations string `json:"operations"`
}

// Server is a set of open listeners. Its methods are safe for concurrent use.
type Server struct {
	o         Options
	addresses Addresses
	stopping  chan struct{} // closed when Run begins to end
	streams   *streamLimit
	issuers   issuers
	expiry    *expiry
	own       map[string]*identity.Credential // by listener; not modified
	health    *health.Server
	grpc      []grpcListener
	http      []httpListener
	gateway   *inProcessQuery
	gates     map[string]*gate // by listener
	journal   *journal
	spool     *spool.Spool   // nil: no examination files are made
	exports   sync.WaitGroup // those that outlive their calls
}

type grpcListener struct {
	name     string
	server   *grpc.Server
	listener net.Listener
}

type httpListener struct {
	name     string
	server   *http.Server
	listener net.Listener
}

// Listen opens every listener; none is served before Run. Nothing stays open
// where it fails.
func Listen(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s := &Server{o: o, stopping: make(chan struct{}), streams: newStreamLimit(), health: health.NewServer(),
		issuers: issuers{inForce: o.MapInForce}, expiry: newExpiry(o.Now, o.Log.Raise),
		journal: newJournal(o.Record, o.Now, o.Logger, o.Metrics.people)}
	if err := s.makeGates(); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	if err := errors.Join(s.takeCertificates(), s.openSpool()); err != nil {
		return nil, err
	}
	if err := errors.Join(s.listenGRPC(), s.listenHTTP()); err != nil {
		s.Close()
		return nil, err
	}
	o.Metrics.watchLog(o.Log.Status, o.Log.Ready)
	o.Metrics.Register(s.expiry)
	o.Metrics.watchWitnesses(o.Log, o.Witnesses)
	s.reportHealth()
	return s, nil
}

// Addresses returns the addresses, with the ports that were picked.
func (s *Server) Addresses() Addresses { return s.addresses }

// Close closes the listeners of a server that is never Run.
func (s *Server) Close() {
	for _, l := range s.grpc {
		l.server.Stop()
		l.listener.Close()
	}
	for _, l := range s.http {
		l.server.Close()
		l.listener.Close()
	}
	if s.gateway != nil {
		s.gateway.close()
	}
}

// open listens on one address and notes which it got.
func (s *Server) open(name, address string, got *string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w; choose another with --%s-addr", name, err, flagName(name))
	}
	*got = l.Addr().String()
	m := s.o.Metrics.people
	return &boundedListener{Listener: l, max: s.o.Config.Listeners.Of(name).MaxConnections,
		opened: m.connections.WithLabelValues(name).Inc, closed: m.connections.WithLabelValues(name).Dec,
		refused: m.turnedAway.WithLabelValues(name).Inc}, nil
}

// makeGates makes the gate of each listener.
func (s *Server) makeGates() error {
	grants, err := s.o.Config.Grants()
	if err != nil {
		return err
	}
	s.gates = make(map[string]*gate)
	for _, name := range access.Listeners {
		s.gates[name] = &gate{listener: name, trust: s.trustOf(name), issuers: s.issuers.get, inForce: s.o.MapInForce, grants: grants, tokens: s.o.Tokens, approvals: approvalsOf(s.o.Log), now: s.o.Now,
			calls: newCallLimit(s.o.Config.Listeners.Of(name))}
	}
	return nil
}

// listenGRPC opens the listeners for gRPC.
func (s *Server) listenGRPC() error {
	listen := s.o.Config.Listen
	in := &ingest{log: s.o.Log, metrics: s.o.Metrics, streams: s.streams, stopping: s.stopping}
	q, gov := s.query(), &governance{log: s.o.Log}
	ad := &admin{log: s.o.Log, witnesses: s.o.Witnesses, version: s.o.Version, now: s.o.Now, stopping: s.stopping, ballast: s.o.Ballast}
	return errors.Join(
		s.addGRPC("ingest", listen.Ingest, &s.addresses.Ingest,
			func(g *grpc.Server) { apiv1.RegisterIngestServiceServer(g, in) }),
		s.addGRPC("query", listen.Query, &s.addresses.Query,
			func(g *grpc.Server) {
				apiv1.RegisterQueryServiceServer(g, q)
				apiv1.RegisterGovernanceServiceServer(g, gov)
				apiv1.RegisterExportServiceServer(g, s.exporter("query"))
			}),
		s.addGRPC("admin", listen.Admin, &s.addresses.Admin,
			func(g *grpc.Server) { apiv1.RegisterAdminServiceServer(g, ad) }),
	)
}

func (s *Server) addGRPC(name, address string, got *string, register func(*grpc.Server)) error {
	config, optional := s.mutual(name, "h2"), s.o.Tokens.Accepts(name)
	if optional {
		optionalCertificate(config)
	}
	l, err := s.open(name, address, got)
	if err != nil {
		return err
	}
	g := s.newGRPC(name, mutualTLS{credentials.NewTLS(config), s.trustOf(name), s.o.Now, s.expiry.peer, optional})
	register(g)
	grpc_health_v1.RegisterHealthServer(g, s.health)
	if err := checkRules(name, g); err != nil {
		l.Close()
		return err
	}
	s.grpc = append(s.grpc, grpcListener{name, g, l})
	return nil
}

// listenHTTP opens the listeners for HTTP.
func (s *Server) listenHTTP() error {
	rest, err := s.newREST()
	if err != nil {
		return err
	}
	mutual := s.mutual("query_http", "h2", "http/1.1")
	if s.o.Tokens.Accepts("query_http") {
		optionalCertificate(mutual)
	}
	operations := identity.OpenTLS(s.own["operations"], "h2", "http/1.1")
	public, err := s.publicHandler()
	if err != nil {
		return err
	}
	operating, err := s.operationsHandler()
	if err != nil {
		return err
	}
	listen := s.o.Config.Listen
	return errors.Join(
		s.addHTTP("query_http", listen.QueryHTTP, &s.addresses.QueryHTTP, rest, mutual),
		s.addHTTP("public", listen.Public, &s.addresses.Public, public, s.publicTLS()),
		s.addHTTP("operations", listen.Operations, &s.addresses.Operations, operating, operations),
	)
}

// Run serves until ctx ends or a listener fails. It then takes no new call,
// answers what was accepted, and returns when every handler has; the ledger
// must run until then. Call it once.
func (s *Server) Run(ctx context.Context) error {
	var serving errgroup.Group
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	start := func(name string, serve func() error) {
		serving.Go(func() error {
			err := serve()
			if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
				return nil
			}
			err = fmt.Errorf("listener %s: %w", name, err)
			fail(err)
			return err
		})
	}
	for _, l := range s.grpc {
		start(l.name, func() error { return l.server.Serve(l.listener) })
	}
	start("in-process", s.gateway.serve)
	for _, l := range s.http {
		start(l.name, func() error { return serveHTTP(l) })
	}
	serving.Go(func() error { s.watchExpiry(ctx); return nil })

	serving.Go(func() error { s.watchDrift(ctx); return nil })
	if s.o.Witnesses != nil {
		serving.Go(func() error { s.o.Witnesses.Run(ctx); return nil })
	}
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	var kept sync.WaitGroup
	kept.Go(func() { s.journal.run(keeping) })
	s.watchHealth(ctx)
	close(s.stopping)
	s.health.Shutdown()
	s.stop()
	stopKeeping() // nobody reads any more: what was counted is written
	kept.Wait()
	return serving.Wait()
}

// stop ends every listener, operations last: it shows how the others end.
func (s *Server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	var ending errgroup.Group
	for _, l := range s.http {
		if l.name != "operations" {
			ending.Go(func() error { s.stopHTTP(ctx, l); return nil })
		}
	}
	for _, l := range s.grpc {
		ending.Go(func() error { s.stopGRPC(ctx, l.name, l.server); return nil })
	}
	ending.Wait()
	s.streams.readers.Wait()
	s.exports.Wait()
	s.stopGRPC(ctx, "in-process", s.gateway.server)
	s.gateway.close()
	for _, l := range s.http {
		if l.name == "operations" {
			s.stopHTTP(ctx, l)
		}
	}
}

// stopGRPC lets the calls in flight end, and cuts what is left after the grace.
func (s *Server) stopGRPC(ctx context.Context, name string, g *grpc.Server) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.o.Logger.Warn("calls were cut off: their clients resend", "listener", name)
		g.Stop()
		<-done
	}
}

func (s *Server) stopHTTP(ctx context.Context, l httpListener) {
	if err := l.server.Shutdown(ctx); err != nil {
		s.o.Logger.Warn("requests were cut off", "listener", l.name)
		l.server.Close()
	}
}
