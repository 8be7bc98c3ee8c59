package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
)

// bearer sends a person's token with each call. Safe for concurrent use.
type bearer func() (string, error)

// bearing is the option that sends tokens; none where token is nil.
func bearing(token func() (string, error)) []grpc.DialOption {
	if token == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(bearer(token))}
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := b()
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: a token goes
// to nobody but the log.
func (bearer) RequireTransportSecurity() bool { return true }
