package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestObeyRate: a call is made again when the listener says, and only then.
func TestObeyRate(t *testing.T) {
	refusal := func(reason string, wait time.Duration) error {
		st, err := status.New(codes.ResourceExhausted, "too many").WithDetails(&errdetails.ErrorInfo{Reason: reason},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	other := errors.New("other")
	for name, c := range map[string]struct {
		answers  []error
		patience time.Duration
		calls    int
		fails    bool
	}{
		"let through":     {[]error{nil}, time.Minute, 1, false},
		"twice too often": {[]error{refusal("RATE_LIMITED", time.Millisecond), refusal("RATE_LIMITED", time.Millisecond), nil}, time.Minute, 3, false},
		"beyond patience": {[]error{refusal("RATE_LIMITED", time.Hour)}, time.Minute, 1, true},
		"another reason":  {[]error{refusal("BUSY", time.Millisecond)}, time.Minute, 1, true},
		"another error":   {[]error{other}, time.Minute, 1, true},
	} {
		calls := 0
		err := obeyRate(c.patience, nil)(t.Context(), "/m", nil, nil, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				calls++
				return c.answers[calls-1]
			})
		if calls != c.calls || (err != nil) != c.fails {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}
