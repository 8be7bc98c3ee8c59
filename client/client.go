package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// Client speaks to one log. Safe for concurrent use. It owns no goroutines
// beyond those of its connections and one for the heartbeats of each open run,
// all of which Close ends.
type Client struct {
	config Config
	ids    *identities
	memory *memory
	ingest []*grpc.ClientConn
	query  *grpc.ClientConn
	next   atomic.Uint64 // next ingest connection to hand to a run
	hearts hearts
}

// Dial makes a client. It reads the certificate, the key, the CA and the state
// directory, and connects when the first call is made. Certificate, key and CA are
// read again when their files change: see Config.OnIdentity.
func Dial(config Config) (*Client, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	ids, err := openIdentities(&config)
	if err != nil {
		return nil, err
	}
	m, err := openMemory(config.VKey, config.State, config.ProveEvery)
	if err != nil {
		return nil, err
	}
	c := &Client{config: config, ids: ids, memory: m}
	if config.Query != "" || config.Addresses != "" {
		m.ask = c.listKeys
	}
	for range config.Connections {
		conn, err := dial(endpoint{"ingest", config.Ingest, config.Addresses}, ids)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.ingest = append(c.ingest, conn)
	}
	c.query, err = dial(endpoint{"query", config.Query, config.Addresses}, ids, append(bearing(config.Token), grpc.WithChainUnaryInterceptor(obeyRate(config.Patience, config.OnRetry)))...)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends heartbeats and connections and saves the newest checkpoint. Runs
// stay as they are.
func (c *Client) Close() error {
	c.hearts.end()
	var errs []error
	for _, conn := range c.ingest {
		errs = append(errs, conn.Close())
	}
	if c.query != nil {
		errs = append(errs, c.query.Close())
	}
	return errors.Join(append(errs, c.memory.save())...)
}

// Producer is the name the ledger knows the client by: its certificate's URI.
func (c *Client) Producer() string { return c.ids.current().producer }

// Origin is the name of the log.
func (c *Client) Origin() string { return c.memory.origin }

// Newest returns the newest checkpoint seen, as a signed note; nil: none yet.
func (c *Client) Newest() []byte { return c.memory.presented().note }

// Prove asks the log to prove that the newest checkpoint seen extends the ones
// seen before, and saves it. The error is a *ForkError where the log cannot;
// any other error says that it could not be asked, or not saved.
func (c *Client) Prove(ctx context.Context) error {
	c.memory.learnDue()
	if from, to, ok := c.memory.due(time.Now(), true); ok {
		if err := c.proveExtends(ctx, from, to); err != nil {
			return err
		}
	}
	return c.memory.save()
}

// proveNow is Prove, except that a log that cannot be asked now is asked later.
func (c *Client) proveNow(ctx context.Context) error {
	err := c.Prove(ctx)
	if fork := new(ForkError); errors.As(err, &fork) {
		return err
	}
	return c.memory.save()
}

// proveDue is proveNow once in Config.ProveEvery; only a fork is an error. What
// could not be saved is saved, or reported, when the run ends or the client is
// closed.
func (c *Client) proveDue(ctx context.Context) error {
	from, to, ok := c.memory.due(time.Now(), false)
	if !ok {
		return nil
	}
	c.memory.learnDue()
	err := c.proveExtends(ctx, from, to)
	if fork := new(ForkError); errors.As(err, &fork) {
		return err
	}
	c.memory.trySave()
	return nil
}

// proveExtends fetches and checks the proof from one checkpoint to another.
func (c *Client) proveExtends(ctx context.Context, from, to signed) error {
	if c.config.Query == "" && c.config.Addresses == "" {
		return nil // documented: without a query listener only runs are proven
	}
	q := apiv1.NewQueryServiceClient(c.query)
	a, err := q.GetConsistencyProof(ctx, &apiv1.GetConsistencyProofRequest{First: from.Size, Second: to.Size})
	switch status.Code(err) {
	case codes.OK:
	case codes.NotFound, codes.OutOfRange, codes.InvalidArgument, codes.FailedPrecondition:
		return c.shorter(ctx, q, to, err)
	default:
		return fmt.Errorf("asking for consistency: %w", interpret(err).err)
	}
	got, err := c.memory.check(a.Checkpoint)
	if err != nil {
		return err
	}
	if got.Size != to.Size {
		return fmt.Errorf("asked for consistency up to size %d, was answered for %d", to.Size, got.Size)
	}
	return c.memory.extend(from, to, a.Proof)
}

// shorter finds out whether the log is smaller than a checkpoint it signed.
func (c *Client) shorter(ctx context.Context, q apiv1.QueryServiceClient, held signed, cause error) error {
	a, err := q.GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{})
	if err != nil {
		return fmt.Errorf("asking for consistency: %w", interpret(cause).err)
	}
	now, err := c.memory.check(a.Checkpoint)
	if err != nil {
		return err
	}
	if now.Size >= held.Size {
		return fmt.Errorf("asking for consistency: %w", interpret(cause).err)
	}
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	return c.memory.forked(&ForkError{
		Reason: fmt.Sprintf("it is at size %d, but signed size %d", now.Size, held.Size),
		Older:  now.note, Newer: held.note,
	})
}

// forkEvidence completes a fork that the log itself reported at open: our
// checkpoint, and the one the log shows now.
func (c *Client) forkEvidence(ctx context.Context, f *ForkError) *ForkError {
	held := c.memory.presented()
	f.Newer = held.note
	a, err := apiv1.NewQueryServiceClient(c.query).GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{})
	if err != nil {
		return f
	}
	now, err := c.memory.open(a.Checkpoint)
	if err != nil {
		return f
	}
	if f.Older = a.Checkpoint; now.Size > held.Size {
		f.Older, f.Newer = held.note, a.Checkpoint
	}
	return f
}
