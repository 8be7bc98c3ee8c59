package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Waits between attempts, without the server's own hint.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = maxReconnect
)

// patience decides how long a call goes on: attempts without progress, apart
// by growing waits. Used by one goroutine.
type patience struct {
	limit  time.Duration
	told   func(error, time.Duration)
	look   func()    // at the files of the identity: it may be at fault
	since  time.Time // last progress, or the beginning
	backed time.Duration
}

func (c *Client) patience() *patience {
	return &patience{limit: c.config.Patience, told: c.config.OnRetry, look: c.ids.look, since: time.Now()}
}

// left is how long there may still be no progress.
func (p *patience) left() time.Duration { return max(p.limit-time.Since(p.since), 0) }

// pause waits before the next attempt, or says why there is none.
func (p *patience) pause(ctx context.Context, a answer) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if !a.again {
		return a.err
	}
	left := p.left()
	if left == 0 {
		return &GaveUpError{After: time.Since(p.since), Err: a.err}
	}
	p.backed = min(max(2*p.backed, firstWait), lastWait)
	wait := max(a.wait, p.backed/2+rand.N(p.backed/2+1))
	wait = min(wait, left)
	if p.told != nil {
		p.told(a.err, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		p.look()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ingestAddress says whether there is a listener to append to. Without this a
// client of the query listener alone would retry what can never succeed.
func (c *Client) ingestAddress() error {
	if c.config.Ingest == "" && c.config.Addresses == "" {
		return errors.New("no ingest address: give it in the profile or by --ingest-addr")
	}
	return nil
}

// retry makes a call of the ingest listener until it answers. Each attempt may take what is left of
// the patience.
func (c *Client) retry(ctx context.Context, call func(context.Context) error) error {
	if err := c.ingestAddress(); err != nil {
		return err
	}
	p := c.patience()
	for {
		attempt, cancel := context.WithTimeout(ctx, max(p.left(), time.Second))
		err := call(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if err := p.pause(ctx, interpret(err)); err != nil {
			return err
		}
	}
}

// obeyRate is a grpc.UnaryClientInterceptor of the query listener: a call that it
// refuses because there were too many is made again when the listener says, as
// long as the patience lasts. Nothing of such a call was done.
func obeyRate(patience time.Duration, told func(error, time.Duration)) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		began := time.Now()
		for {
			err := invoke(ctx, method, req, reply, conn, opts...)
			st, ok := status.FromError(err)
			if err == nil || !ok || st.Code() != codes.ResourceExhausted {
				return err
			}
			d := details(st)
			if d.reason != "RATE_LIMITED" || d.wait == 0 || time.Since(began)+d.wait > patience {
				return err
			}
			if told != nil && d.wait > time.Second {
				told(said(st), d.wait)
			}
			timer := time.NewTimer(d.wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return err
			}
		}
	}
}
