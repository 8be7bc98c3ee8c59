package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/verify"
)

// witnessed is what a verb waits for.
type witnessed struct {
	on      bool
	policy  string // file; empty: the log's own
	timeout time.Duration
}

func (w *witnessed) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&w.on, "witnessed", false, "wait until the quorum of witnesses has cosigned")
	f.StringVar(&w.policy, "policy", "", "with --witnessed: `FILE` of the policy that must be satisfied (default the log's own)")
	f.DurationVar(&w.timeout, "timeout", time.Minute, "with --witnessed: how long to wait")
}

// wait waits for a witnessed checkpoint that covers the ranges; nil: nobody asked
// for it.
func (w *witnessed) wait(cmd *cobra.Command, c *client.Client, ranges []client.Range) (*client.Checkpoint, error) {
	if !w.on {
		if w.policy != "" || cmd.Flags().Changed("timeout") {
			return nil, usagef("--policy and --timeout go with --witnessed")
		}
		return nil, nil
	}
	var policy *verify.Policy
	if w.policy != "" {
		text, err := os.ReadFile(w.policy)
		if err != nil {
			return nil, err
		}
		if policy, err = verify.ParsePolicy(text); err != nil {
			return nil, fmt.Errorf("%s: %w", w.policy, err)
		}
	}
	last := uint64(0)
	for _, r := range ranges {
		last = max(last, r.Hi)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
	defer cancel()
	at, err := c.WaitWitnessed(ctx, last-1, policy)
	switch {
	case errors.Is(err, client.ErrNotWitnessed):
		return nil, fmt.Errorf("%w; the entry is in the log and signed by it: nothing is lost; wait longer by --timeout, or take the receipt without --witnessed", err)
	case errors.Is(err, client.ErrNoWitnesses):
		return nil, fmt.Errorf("%w: take the receipt without --witnessed", client.ErrNoWitnesses)
	}
	return at, err
}
