package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// producerID is the producer of the tests.
const producerID = "spiffe://example.com/producer"

// liar serves a memLog over TLS, and lies where it is told to: it is the
// adversary a client must not be fooled by. Its hooks are called with mu held.
type liar struct {
	apiv1.UnimplementedIngestServiceServer
	apiv1.UnimplementedQueryServiceServer
	dir string // certificates, addresses, state

	mu sync.Mutex
	// log is what it serves; guarded by mu.
	log *memLog
	// before may refuse a call before the log sees it; guarded by mu.
	before func(call int, r *apiv1.AppendRequest) error
	// after may lose the answer of a call that the log took; guarded by mu.
	after func(call int) error
	// bend may change an append's receipt; guarded by mu.
	bend func(r *apiv1.Receipt)
	// bendRun may change the answer to open and resume; guarded by mu.
	bendRun func(state *apiv1.RunState, r *apiv1.Receipt, body, consistency *[]byte)
	// bendEntry, bendFile, bendBatch may change answers of queries; guarded by mu.
	bendEntry func(*apiv1.GetEntryResponse)
	bendFile  func(*apiv1.ReceiptFile)
	bendBatch func(*apiv1.GetReceiptBatchResponse)
	closed    *memClose                // the close it serves; guarded by mu
	counts    *apiv1.CountPairResponse // guarded by mu
	keys      *apiv1.ListKeysResponse  // guarded by mu
	people    *liarPeople
	exports   *liarExports
	// refuseRun may refuse open, resume, end; guarded by mu.
	refuseRun func(method string, call int) error
	calls     int // appends so far; guarded by mu
	runCalls  int // open, resume, heartbeat and end so far; guarded by mu

	listener net.Listener
	server   *grpc.Server
	served   sync.WaitGroup
	tls      *tls.Config
}

// newLiar makes certificates and serves the log until the test ends.
func newLiar(t testing.TB) *liar {
	t.Helper()
	l := &liar{dir: t.TempDir(), log: newMemLog(t, "example.com/log")}
	l.people, l.exports = &liarPeople{liar: l}, &liarExports{}
	authority, err := identity.NewAuthority("example.com", time.Now())
	must(t, err)
	own, err := authority.IssueServer("ingest", []string{"127.0.0.1"}, time.Now())
	must(t, err)
	producer, err := authority.IssueClient(producerID, nil, time.Now())
	must(t, err)
	for name, text := range map[string][]byte{"ca.pem": authority.Bundle(), "producer.pem": producer.Certificate, "producer.key": producer.Key} {
		must(t, os.WriteFile(filepath.Join(l.dir, name), text, 0o600))
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.Bundle())
	pair, err := tls.X509KeyPair(own.Certificate, own.Key)
	must(t, err)
	l.tls = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	l.start(t)
	t.Cleanup(l.stop)
	return l
}

// start serves on a free port and writes it to the addresses file.
func (l *liar) start(t testing.TB) {
	t.Helper()
	var err error
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(l.tls)), grpc.MaxRecvMsgSize(8<<20))
	apiv1.RegisterIngestServiceServer(l.server, l)
	apiv1.RegisterQueryServiceServer(l.server, l)
	apiv1.RegisterGovernanceServiceServer(l.server, l.people)
	apiv1.RegisterExportServiceServer(l.server, l.exports)
	address := l.listener.Addr().String()
	must(t, os.WriteFile(filepath.Join(l.dir, "addresses.json"), fmt.Appendf(nil, `{"ingest":%q,"query":%q}`, address, address), 0o600))
	server, listener := l.server, l.listener
	l.served.Go(func() { server.Serve(listener) })
}

// stop breaks every connection at once.
func (l *liar) stop() {
	l.server.Stop()
	l.served.Wait()
}

// config is a client's configuration for this server; paths in its directory.
func (l *liar) config() client.Config {
	return client.Config{
		Addresses: filepath.Join(l.dir, "addresses.json"), CA: filepath.Join(l.dir, "ca.pem"),
		Certificate: filepath.Join(l.dir, "producer.pem"), Key: filepath.Join(l.dir, "producer.key"),
		VKey: l.log.vkey, State: filepath.Join(l.dir, "state"), ProveEvery: -1,
	}
}

// dial makes a client; change may be nil.
func (l *liar) dial(t testing.TB, change func(*client.Config)) *client.Client {
	t.Helper()
	config := l.config()
	if change != nil {
		change(&config)
	}
	c, err := client.Dial(config)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// set changes the liar's behaviour between calls.
func (l *liar) set(change func(*liar)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// size is the size of the log.
func (l *liar) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.log.entries)
}

// peerOf is the producer and the certificate of a call.
func peerOf(ctx context.Context) (string, []byte) {
	p, _ := peer.FromContext(ctx)
	leaf := p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0]
	return leaf.URIs[0].String(), leaf.Raw
}

// refusal makes a status as the server does.
func refusal(code codes.Code, reason string, details ...protoadapt.MessageV1) error {
	st, err := status.New(code, "refused as "+reason).WithDetails(append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Domain: "daybook", Reason: reason}}, details...)...)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func joined(hashes []verify.Hash) []byte {
	var out []byte
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

func (r *memReceipt) message() *apiv1.Receipt {
	m := &apiv1.Receipt{Checkpoint: bytes.Clone(r.checkpoint)}
	for _, g := range r.groups {
		m.Groups = append(m.Groups, &apiv1.ReceiptGroup{FirstIndex: g.first, BatchHead: bytes.Clone(g.head), EntryHeads: g.places, Proof: joined(g.proof), Repeat: g.repeat})
	}
	return m
}

// OpenRun implements IngestService.
func (l *liar) OpenRun(ctx context.Context, r *apiv1.OpenRunRequest) (*apiv1.OpenRunResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runCalls++
	if l.refuseRun != nil {
		if err := l.refuseRun("open", l.runCalls); err != nil {
			return nil, err
		}
	}
	consistency, err := l.presented(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	id, certificate := peerOf(ctx)
	m := proto.CloneOf(r.Opened)
	m.Certificate = certificate
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	run, receipt := l.log.open(id, certificate, m, body)
	if e, err := verify.ParseEntry(l.log.entries[run.opened]); err == nil {
		body = e.Body // of a repeat: as it stands
	}
	a := &apiv1.OpenRunResponse{State: run.state(), Receipt: receipt.message(), Body: body, Consistency: consistency(), Origin: l.log.origin, Vkey: l.log.vkey}
	if l.bendRun != nil {
		l.bendRun(a.State, a.Receipt, &a.Body, &a.Consistency)
	}
	return a, nil
}

func (r *memRun) state() *apiv1.RunState {
	return &apiv1.RunState{Epoch: r.epoch, NextNumber: r.next, Hash: bytes.Clone(r.hash[:]), Ended: r.ended}
}

// presented is the honest treatment of a presented checkpoint: the proof from
// it, or, where the log is smaller, a fork.
func (l *liar) presented(held []byte) (func() []byte, error) {
	if held == nil {
		return func() []byte { return nil }, nil
	}
	policy, err := verify.KeyPolicy(l.log.vkey)
	if err != nil {
		return nil, err
	}
	c, err := policy.OpenCheckpoint(held)
	if err != nil {
		return nil, refusal(codes.InvalidArgument, "BAD_REQUEST")
	}
	if c.Size > uint64(len(l.log.entries)) {
		return nil, refusal(codes.FailedPrecondition, "FORK")
	}
	return func() []byte { return joined(l.log.consistency(c.Size, uint64(len(l.log.entries)))) }, nil
}

// ResumeRun implements IngestService.
func (l *liar) ResumeRun(ctx context.Context, r *apiv1.ResumeRunRequest) (*apiv1.ResumeRunResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runCalls++
	if l.refuseRun != nil {
		if err := l.refuseRun("resume", l.runCalls); err != nil {
			return nil, err
		}
	}
	consistency, err := l.presented(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	run := l.log.runs[verify.Hash(r.Run)]
	if run == nil {
		return nil, refusal(codes.NotFound, "NO_RUN")
	}
	if run.ended {
		return nil, refusal(codes.FailedPrecondition, "RUN_ENDED")
	}
	run.epoch++
	body, err := proto.Marshal(&daybookv1.RunResumed{Run: r.Run, Last: run.next - 1, Hash: run.hash[:], Epoch: run.epoch})
	if err != nil {
		return nil, err
	}
	receipt := l.log.control(run, verify.Hash(r.Run), daybookv1.Kind_KIND_RUN_RESUMED, body)
	a := &apiv1.ResumeRunResponse{State: run.state(), Receipt: receipt.message(), Body: body, Consistency: consistency()}
	if l.bendRun != nil {
		l.bendRun(a.State, a.Receipt, &a.Body, &a.Consistency)
	}
	return a, nil
}

// Append implements IngestService.
func (l *liar) Append(_ context.Context, r *apiv1.AppendRequest) (*apiv1.AppendResponse, error) {
	receipt, err := l.append(r)
	if err != nil {
		return nil, err
	}
	return &apiv1.AppendResponse{Receipt: receipt}, nil
}

// AppendStream implements IngestService.
func (l *liar) AppendStream(s grpc.BidiStreamingServer[apiv1.AppendStreamRequest, apiv1.AppendStreamResponse]) error {
	for {
		r, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		receipt, err := l.append(r.Append)
		if err != nil {
			return err
		}
		if err := s.Send(&apiv1.AppendStreamResponse{FirstNumber: r.Append.FirstNumber, Receipt: receipt}); err != nil {
			return err
		}
	}
}

// append is what the real server does with one batch, in its order: identity
// and epoch, admission, numbers.
func (l *liar) append(r *apiv1.AppendRequest) (*apiv1.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.before != nil {
		if err := l.before(l.calls, r); err != nil {
			return nil, err
		}
	}
	run := l.log.runs[verify.Hash(r.Run)]
	if run == nil {
		return nil, refusal(codes.NotFound, "NO_RUN")
	}
	if run.epoch != r.Epoch {
		return nil, refusal(codes.FailedPrecondition, "EPOCH_OVER")
	}
	if run.ended && r.FirstNumber >= run.next {
		return nil, refusal(codes.FailedPrecondition, "RUN_ENDED")
	}
	items, err := admit(r)
	if err != nil {
		return nil, err
	}
	receipt, expected, conflict := l.log.take(run, verify.Hash(r.Run), r.FirstNumber, items)
	if expected != 0 {
		return nil, refusal(codes.Aborted, "OUT_OF_ORDER", &apiv1.RefusalDetail{ExpectedNumber: expected})
	}
	if conflict != 0 {
		return nil, refusal(codes.AlreadyExists, "NUMBER_CONFLICT", &apiv1.RefusalDetail{Number: conflict})
	}
	if l.after != nil {
		if err := l.after(l.calls); err != nil {
			return nil, err
		}
	}
	m := receipt.message()
	if l.bend != nil {
		l.bend(m)
	}
	return m, nil
}
