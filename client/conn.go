package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
)

// Sizes of a connection's windows and buffers, in bytes. The windows hold
// several batches of 3 MiB without an extra round trip.
const (
	streamWindow  = 4 << 20
	connWindow    = 8 << 20
	maxAnswer     = 80 << 20 // a page of 1,000 entries of 65,535 bytes
	socketBuffers = 128 << 10
)

// maxReconnect is the longest wait between two attempts to connect.
const maxReconnect = 500 * time.Millisecond

// endpoint is one listener of the server.
type endpoint struct {
	// name is the listener's key in the addresses file.
	name string
	// address is host:port; empty: read from the file at each connection.
	address string
	// file is the path of the addresses file; may be empty.
	file string
}

// resolve returns the address to connect to now.
func (e endpoint) resolve() (string, error) {
	if e.address != "" {
		return e.address, nil
	}
	if e.file == "" {
		return "", fmt.Errorf("no %s address: give it in the profile or by --%s-addr", e.name, e.name)
	}
	text, err := readBounded(e.file)
	if err != nil {
		return "", fmt.Errorf("reading addresses: %w", err)
	}
	var found map[string]string
	if err := json.Unmarshal(text, &found); err != nil {
		return "", fmt.Errorf("parsing %s: %w", e.file, err)
	}
	if found[e.name] == "" {
		return "", fmt.Errorf("%s names no %s address", e.file, e.name)
	}
	return found[e.name], nil
}

// host returns the name that the server's certificate must carry.
func (e endpoint) host() string {
	address, err := e.resolve()
	if err != nil {
		return "127.0.0.1"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "127.0.0.1"
	}
	return host
}

// dial makes a connection that connects when it is first used.
func dial(e endpoint, ids *identities, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	connect := func(ctx context.Context, _ string) (net.Conn, error) {
		address, err := e.resolve()
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
	conn, err := grpc.NewClient("passthrough:///"+e.name, append(more,
		grpc.WithTransportCredentials(liveTLS{ids, e.host()}),
		grpc.WithContextDialer(connect),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithWriteBufferSize(socketBuffers),
		grpc.WithReadBufferSize(socketBuffers),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(maxAnswer)),
		experimental.WithBufferPool(buffers),
		grpc.WithDisableServiceConfig(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", e.name, err)
	}
	return conn, nil
}
