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

// baseline puts the plan's load, in a closed loop, on an echo for a while and
// returns events per second.
func (p *benchPlan) baseline(ctx context.Context) (rate float64, err error) {
	serverTLS, clientTLS, err := echoTLS()
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS)), grpc.MaxConcurrentStreams(4096))
	apiv1.RegisterIngestServiceServer(server, echo{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		err = errors.Join(err, <-served)
	}()
	counts, errs := make([]int, p.producers), make([]error, p.producers)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range p.producers {
		wg.Go(func() {
			conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS)))
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close()
			counts[i], errs[i] = p.echoLoad(ctx, apiv1.NewIngestServiceClient(conn), i, began.Add(p.duration))
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds(), errors.Join(errs...)
}

func (p *benchPlan) echoLoad(ctx context.Context, c apiv1.IngestServiceClient, producer int, end time.Time) (int, error) {
	maker := synthetic.NewMaker(producer)
	request := func() *apiv1.AppendRequest {
		r := &apiv1.AppendRequest{Run: make([]byte, 32), Epoch: 1, FirstNumber: 1, Items: make([]*apiv1.Item, p.batch)}
		for i := range r.Items {
			r.Items[i] = &apiv1.Item{Body: maker.Next()}
		}
		return r
	}
	n := 0
	if p.unary {
		for ; time.Now().Before(end) && ctx.Err() == nil; n += p.batch {
			if _, err := c.Append(ctx, request()); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	stream, err := c.AppendStream(ctx)
	if err != nil {
		return 0, err
	}
	for open := 0; ; {
		for ; open < p.inFlight && time.Now().Before(end); open++ {
			if err := stream.Send(&apiv1.AppendStreamRequest{Append: request()}); err != nil {
				return n, err
			}
		}
		if open == 0 {
			return n, stream.CloseSend()
		}
		if _, err := stream.Recv(); err != nil {
			return n, err
		}
		open--
		n += p.batch
	}
}
