package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ErrNotWitnessed says that the quorum of the log's witnesses has not cosigned an
// entry yet. The entry is in the log all the same; ask again.
var ErrNotWitnessed = errors.New("not witnessed yet")

// ErrNoWitnesses says that the log has no witnesses.
var ErrNoWitnesses = errors.New("the log has no witnesses")

// Policy returns the policy (c2sp tlog-policy) that the server names for its log,
// with the log's witnesses and their quorum. It trusts no key of the log but those
// that this client does; which witnesses to believe is the server's word, until
// somebody from outside says the same.
func (c *Client) Policy(ctx context.Context) (text string, policy *verify.Policy, err error) {
	a, err := c.queries().GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{})
	if err != nil {
		return "", nil, queryError("getting the policy", err)
	}
	if _, err := c.memory.check(a.Checkpoint); err != nil {
		return "", nil, err
	}
	c.memory.learnDue() // of a log whose key was replaced
	policy, err = verify.ParsePolicy([]byte(a.Policy))
	if err == nil {
		err = c.checkLogKeys(policy)
	}
	if err != nil {
		return "", nil, fmt.Errorf("the server's policy does not hold: %w", err)
	}
	return a.Policy, policy, nil
}

// checkLogKeys refuses a policy that trusts any log's key but those that follow from
// the known one.
func (c *Client) checkLogKeys(policy *verify.Policy) error {
	for _, vkey := range policy.LogKeys() {
		if !slices.ContainsFunc(c.Keys().Signing(), func(k verify.LogKey) bool { return k.VKey == vkey }) {
			return fmt.Errorf("it trusts %s, which does not follow from the log's key that is known here", vkey)
		}
	}
	return nil
}

// WaitWitnessed waits until the quorum of the policy has cosigned a checkpoint that
// covers an entry, and returns it with the cosignatures, which were checked; a nil
// policy is the one that the server names. The log checks its own policy: where
// another one is given and asks for more, this may wait in vain. Where ctx ends
// first the error is ErrNotWitnessed; ErrNoWitnesses where the log has none.
func (c *Client) WaitWitnessed(ctx context.Context, index uint64, policy *verify.Policy) (*Checkpoint, error) {
	if policy == nil {
		var err error
		if _, policy, err = c.Policy(ctx); err != nil {
			return nil, err
		}
	}
	for {
		a, err := c.queries().WaitWitnessed(ctx, &apiv1.WaitWitnessedRequest{Index: index})
		if err == nil {
			cp, err := c.checkWitnessed(a, index, policy)
			if !errors.Is(err, verify.ErrQuorum) {
				return cp, err
			}
			if err := pauseWitness(ctx, time.Second, err); err != nil {
				return nil, fmt.Errorf("entry %d: %w", index, err)
			}
			continue
		}
		said := interpret(err)
		if st, ok := status.FromError(err); ok {
			if d := details(st); d.reason == "NO_WITNESSES" {
				return nil, fmt.Errorf("entry %d: %w: %s", index, ErrNoWitnesses, st.Message())
			}
		}
		if !said.again {
			return nil, fmt.Errorf("waiting for the witnesses of entry %d: %w", index, said.err)
		}
		if err := pauseWitness(ctx, max(said.wait, lastWait), said.err); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
	}
}

// pauseWitness waits, or says why it is not witnessed where ctx ends.
func pauseWitness(ctx context.Context, d time.Duration, why error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotWitnessed, why)
	}
}

// checkWitnessed checks a witnessed checkpoint.
func (c *Client) checkWitnessed(a *apiv1.WaitWitnessedResponse, index uint64, policy *verify.Policy) (*Checkpoint, error) {
	s, err := c.memory.check(a.Checkpoint)
	if err != nil {
		return nil, err
	}
	if s.Size <= index {
		return nil, fmt.Errorf("the checkpoint of size %d does not cover entry %d", s.Size, index)
	}
	if _, err := policy.Open(a.Checkpoint); err != nil {
		return nil, fmt.Errorf("the checkpoint of size %d: %w", s.Size, err)
	}
	return &Checkpoint{Checkpoint: s.Checkpoint, Note: bytes.Clone(s.note)}, nil
}
