package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/daybook-ledger/daybook/client/synthetic"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// An echo answers appends with nothing: what is left is bare gRPC over TLS with
// the same requests, client and server in this process.
type echo struct {
	apiv1.UnimplementedIngestServiceServer
}

func (echo) Append(context.Context, *apiv1.AppendRequest) (*apiv1.AppendResponse, error) {
	return &apiv1.AppendResponse{}, nil
}

func (echo) AppendStream(s grpc.BidiStreamingServer[apiv1.AppendStreamRequest, apiv1.AppendStreamResponse]) error {
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&apiv1.AppendStreamResponse{FirstNumber: r.GetAppend().GetFirstNumber()}); err != nil {
			return err
		}
	}
}

// echoTLS is a certificate for this process and the trust in it.
func echoTLS() (server, client *tls.Config, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, nil
}

// baseline puts the plan's load, in a closed loop, on an echo for a while: on as
// many connections as the log's.
func (p *benchPlan) baseline(ctx context.Context) (r *benchResult, err error) {
	serverTLS, clientTLS, err := echoTLS()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS)), grpc.MaxConcurrentStreams(4096))
	apiv1.RegisterIngestServiceServer(server, echo{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		err = errors.Join(err, <-served)
	}()
	conns := make([]*grpc.ClientConn, p.connections())
	for i := range conns {
		conns[i], err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS)))
		if err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	producers, errs := make([]*benchProducer, p.producers), make([]error, p.producers)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range producers {
		b := &benchProducer{plan: p, events: synthetic.NewMaker(i), end: began.Add(p.duration)}
		producers[i] = b
		wg.Go(func() { errs[i] = b.echo(ctx, apiv1.NewIngestServiceClient(conns[i%len(conns)])) })
	}
	wg.Wait()
	return summarize(producers, time.Since(began).Seconds()), errors.Join(errs...)
}

// request is one batch of the load.
func (b *benchProducer) request() *apiv1.AppendRequest {
	r := &apiv1.AppendRequest{Run: make([]byte, 32), Epoch: 1, FirstNumber: 1, Items: make([]*apiv1.Item, b.plan.batch)}
	for i := range r.Items {
		r.Items[i] = &apiv1.Item{Body: b.events.Next()}
	}
	return r
}

// echoed counts one answer.
func (b *benchProducer) echoed(sent time.Time) {
	b.latencies = append(b.latencies, time.Since(sent))
	b.count += b.plan.batch
}

// echo is load on an echo.
func (b *benchProducer) echo(ctx context.Context, c apiv1.IngestServiceClient) error {
	if b.plan.unary {
		for time.Now().Before(b.end) && ctx.Err() == nil {
			sent := time.Now()
			if _, err := c.Append(ctx, b.request()); err != nil {
				return err
			}
			b.echoed(sent)
		}
		return nil
	}
	stream, err := c.AppendStream(ctx)
	if err != nil {
		return err
	}
	var sent []time.Time // of what is in flight
	for {
		for len(sent) < b.plan.inFlight && time.Now().Before(b.end) {
			sent = append(sent, time.Now())
			if err := stream.Send(&apiv1.AppendStreamRequest{Append: b.request()}); err != nil {
				return err
			}
		}
		if len(sent) == 0 {
			return stream.CloseSend()
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
		b.echoed(sent[0])
		sent = sent[1:]
	}
}
