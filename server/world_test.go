package server_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	producer = "spiffe://example.com/producer"
	operator = "spiffe://example.com/operator"
)

// world is a log on disk behind real listeners.
type world struct {
	dir       string
	ca        *identity.Authority
	vkey      string
	signer    note.Signer
	disk      func() (free, total uint64, err error) // nil: never low
	fs        vfs.FS                                 // nil: the system's
	queue     int64                                  // bytes; 0: the default
	addresses server.Addresses
	stop      context.CancelFunc // begins the orderly end
	ended     chan error         // gets what Run said

	config  func(*config.Config)  // changes the configuration before it is completed; nil: none
	options func(*server.Options) // changes the options; nil: none

	services map[string][]string // by gRPC listener

	publicTiles bool // how the log is made

	witnesses func(vkey string) *witness.Policy // nil: none

	verify time.Duration                   // period of the background verification
	drift  config.Drift                    // what scans are expected; may be shorter than a file may say
	wrap   func(store.Engine) store.Engine // what the ledger sees of the store; nil: itself

	trusted    *identity.Trust         // what the server trusts; set by serve
	log        *ledger.Ledger          // set by serve
	server     *server.Server          // set by serve
	mapInForce func() server.DomainMap // nil: none
}

// newWorld makes a log and serves it; it is stopped at the end of the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, world{})
}

// newWorldOn is newWorld with the disk, file system and queue of on.
func newWorldOn(t *testing.T, on world) *world {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "example.com/audit/00000000")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := identity.NewAuthority("example.com", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: t.TempDir(), ca: ca, vkey: vkey, disk: on.disk, fs: on.fs, queue: on.queue, mapInForce: on.mapInForce, config: on.config, options: on.options, publicTiles: on.publicTiles, witnesses: on.witnesses}
	if w.signer, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	return w
}

// serve opens the log, making it where it is new, and serves it.
func (w *world) serve(t *testing.T) {
	t.Helper()
	engine, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(w.dir, "store"), Logger: slog.New(slog.DiscardHandler), MemTableBytes: 4 << 20, FS: w.fs})
	if err != nil {
		t.Fatal(err)
	}
	anchor := ledger.FileAnchor(filepath.Join(w.dir, "anchor"))
	if _, err := engine.Head(); err != nil {
		if err := ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: w.signer, VKey: w.vkey, Anchor: anchor, PublicTiles: w.publicTiles}); err != nil {
			t.Fatal(err)
		}
	}
	metrics := server.NewMetrics("test")
	var seen store.Engine = engine
	if w.wrap != nil {
		seen = w.wrap(engine)
	}
	var policy *witness.Policy
	var cosigners *verify.Policy
	if w.witnesses != nil {
		policy = w.witnesses(w.vkey)
		cosigners = policy.Policy
	}
	log, err := ledger.Open(t.Context(), ledger.Config{Store: seen, Policy: cosigners, VerifyPeriod: w.verify, Signer: w.signer, VKey: w.vkey, Anchor: anchor, Metrics: metrics, Disk: w.disk, QueueBytes: w.queue,
		Evidence: ledger.FileEvidence(filepath.Join(w.dir, "evidence"))})
	if err != nil {
		t.Fatal(err)
	}
	w.trusted, w.log = w.trust(t), log
	c := anyPorts(t, w.config)
	c.Drift = w.drift
	o := server.Options{
		Log: log, Config: c, Trust: w.trusted, Certificates: w.listeners(t), Metrics: metrics, Version: "test", MapInForce: w.mapInForce,
	}
	if policy != nil {
		if o.Witnesses, err = witness.New(witness.Options{Log: log, Policy: policy, Every: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	o.Spool = filepath.Join(w.dir, "exports")
	if w.options != nil {
		w.options(&o)
	}
	s, err := server.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	w.server = s
	w.addresses, w.services = s.Addresses(), server.ServicesOf(s)
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan error, 1)
	ended := w.ended
	go func() {
		sequencing, stopSequencing := context.WithCancel(context.Background())
		sequenced := make(chan error, 1)
		go func() { sequenced <- log.Run(sequencing) }()
		err := s.Run(ctx)
		stopSequencing()
		if e := <-sequenced; err == nil {
			err = e
		}
		if e := engine.Close(); err == nil {
			err = e
		}
		ended <- err
	}()
	t.Cleanup(func() { w.end(t) })
}

// end stops the server and waits for it; it may be called again.
func (w *world) end(t *testing.T) {
	t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		t.Errorf("the server ended with: %v", err)
	}
	w.ended <- nil
}

func anyPorts(t *testing.T, change func(*config.Config)) *config.Config {
	t.Helper()
	c := &config.Config{Listen: config.Listen{
		Ingest: "127.0.0.1:0", Query: "127.0.0.1:0", QueryHTTP: "127.0.0.1:0", Admin: "127.0.0.1:0", Public: "127.0.0.1:0", Operations: "127.0.0.1:0",
	}}
	c.Access.Ingest = identity.Allow{"spiffe://example.com/producer", "spiffe://example.com/app/*"}
	if change != nil {
		change(c)
	}
	if err := c.Complete("example.com"); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) trust(t *testing.T) *identity.Trust {
	t.Helper()
	trust, err := identity.NewTrust(w.ca.Bundle(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func (w *world) listeners(t *testing.T) map[string]identity.Pair {
	t.Helper()
	pairs := make(map[string]identity.Pair)
	for _, name := range server.CertificateNames {
		pair, err := w.ca.IssueServer(name, []string{"127.0.0.1", "localhost"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pairs[name] = pair
	}
	return pairs
}

// tlsOf is a client's TLS: a certificate for id by ca, none where id is empty.
func (w *world) tlsOf(t *testing.T, ca *identity.Authority, id string, now time.Time) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca.Bundle())
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if id == "" {
		return c
	}
	pair, err := ca.IssueClient(id, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	c.Certificates = []tls.Certificate{certificate}
	return c
}

// dial connects to a gRPC listener.
func dial(t *testing.T, address string, c *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(c)), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (w *world) ingest(t *testing.T) apiv1.IngestServiceClient {
	t.Helper()
	return apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, producer, time.Now())))
}

func (w *world) query(t *testing.T) apiv1.QueryServiceClient {
	t.Helper()
	return apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, producer, time.Now())))
}

// web is an HTTP client with a client's TLS.
func web(t *testing.T, c *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// openRun opens a run and returns its id.
func openRun(t *testing.T, c apiv1.IngestServiceClient) []byte {
	t.Helper()
	run := make([]byte, 32)
	rand.Read(run)
	answer, err := c.OpenRun(t.Context(), &apiv1.OpenRunRequest{Opened: &daybookv1.RunOpened{Run: run, Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetState().GetEpoch() != 1 || answer.GetState().GetNextNumber() != 1 {
		t.Fatalf("a new run stands at %v", answer.GetState())
	}
	return run
}

// event is a whole event from web to target.
func event(t *testing.T, id, target string) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId:      []byte(id),
		OccurredAtNs: time.Now().UnixNano(),
		Source:       &daybookv1.Source{Domain: "web"},
		Target:       &daybookv1.Target{Domain: target},
		Actor:        &daybookv1.Actor{Id: "svc-orders"},
		Action:       &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "SELECT"},
		Decision:     daybookv1.Decision_DECISION_ALLOWED,
		Outcome:      &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// batch is n events of a run from number first.
func batch(t *testing.T, run []byte, first uint64, n int) *apiv1.AppendRequest {
	t.Helper()
	r := &apiv1.AppendRequest{Run: run, Epoch: 1, FirstNumber: first}
	for i := range n {
		r.Items = append(r.Items, &apiv1.Item{Body: event(t, eventName(run, first+uint64(i)), "db")})
	}
	return r
}

func eventName(run []byte, number uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte("e"), number)) + string(run[:4])
}

// checkReceipt re-derives every leaf of an append and checks it against the
// signed checkpoint.
func (w *world) checkReceipt(t *testing.T, request *apiv1.AppendRequest, r *apiv1.Receipt) {
	t.Helper()
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.OpenCheckpoint(r.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	item := 0
	for _, g := range r.GetGroups() {
		var leaves []verify.Hash
		for _, head := range g.GetEntryHeads() {
			leaves = append(leaves, verify.HashLeaf(verify.AppendEntry(nil, g.GetBatchHead(), head, request.Items[item].GetBody())))
			item++
		}
		if err := verify.CheckRange(g.GetFirstIndex(), c.Size, leaves, split(g.GetProof()), c.Root); err != nil {
			t.Fatalf("receipt of number %d: %v", request.GetFirstNumber(), err)
		}
	}
	if item != len(request.Items) {
		t.Fatalf("the receipt covers %d of %d items", item, len(request.Items))
	}
}

func split(proof []byte) []verify.Hash {
	var hashes []verify.Hash
	for ; len(proof) >= 32; proof = proof[32:] {
		hashes = append(hashes, verify.Hash(proof[:32]))
	}
	return hashes
}

// reason returns the stable reason of an error; "" where it has none.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == server.ErrorDomain {
			return info.GetReason()
		}
	}
	return ""
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("error is %v, reason %q, want %q", err, got, want)
	}
}

func contains(s, part string) bool { return strings.Contains(s, part) }
