package client

import (
	"context"
	"fmt"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Consistency returns the RFC 6962 proof that the log of the newer size begins with
// all of the older one, at least 1, and the newer one's checkpoint; it is checked
// against the checkpoints of both. newer 0 is the newest size.
func (c *Client) Consistency(ctx context.Context, older, newer uint64) (proof []verify.Hash, to *Checkpoint, err error) {
	if to, err = c.Checkpoint(ctx, newer); err != nil {
		return nil, nil, err
	}
	if older == 0 || older > to.Size {
		return nil, nil, fmt.Errorf("older size %d: want 1 to %d", older, to.Size)
	}
	from, err := c.Checkpoint(ctx, older)
	if err != nil {
		return nil, nil, err
	}
	a, err := c.queries().GetConsistencyProof(ctx, &apiv1.GetConsistencyProofRequest{First: older, Second: to.Size})
	if err != nil {
		return nil, nil, queryError("getting the consistency proof", err)
	}
	if proof, err = splitHashes(a.Proof); err == nil {
		err = verify.CheckConsistency(from.Size, to.Size, from.Root, to.Root, proof)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("consistency of size %d with %d: %w", older, to.Size, err)
	}
	return proof, to, nil
}
