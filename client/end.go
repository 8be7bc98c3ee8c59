package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// End ends the run with the producer's signature over the running hash, asks
// for the proof of consistency, and saves the newest checkpoint. Where the
// answer was lost and the run turns out to have ended where we ended it, the
// receipt is nil and the error too.
func (r *Run) End(ctx context.Context, reason string) (*Receipt, error) {
	st, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.give(st)
	if err := r.settle(ctx, st); err != nil {
		return nil, err
	}
	if err := r.rekey(ctx, st); err != nil {
		return nil, fmt.Errorf("ending run: %w", r.lost(st, err))
	}
	body, err := r.endBody(st, reason)
	if err != nil {
		return nil, err
	}
	var a *apiv1.EndRunResponse
	attempts := 0
	err = r.c.retry(ctx, func(ctx context.Context) (err error) {
		attempts++
		a, err = r.service().EndRun(ctx, &apiv1.EndRunRequest{Run: r.id[:], Ended: body})
		return err
	})
	if attempts > 1 && errors.Is(err, ErrRunEnded) {
		return nil, r.confirmEnd(ctx, st)
	}
	if err != nil {
		return nil, fmt.Errorf("ending run: %w", r.lost(st, err))
	}
	receipt, err := r.checkOwn(daybookv1.Kind_KIND_RUN_ENDED, body, st.Epoch, a.Receipt)
	if err != nil {
		return nil, err
	}
	st.Ended = true
	r.heart.stop()
	if err := r.c.proveNow(ctx); err != nil {
		return nil, err
	}
	return receipt, nil
}

func (r *Run) endBody(st *runState, reason string) ([]byte, error) {
	last := st.Next - 1
	signature, err := st.key.sign(verify.EndMessage(st.Hash, last, st.Epoch))
	if err != nil {
		return nil, err
	}
	body, err := proto.Marshal(&daybookv1.RunEnded{Last: last, Hash: st.Hash[:], Epoch: st.Epoch, Signature: signature, Reason: reason})
	if err != nil {
		return nil, fmt.Errorf("marshalling end: %w", err)
	}
	return body, nil
}

// confirmEnd asks where a run stands whose end may have been taken by an
// attempt that was not answered.
func (r *Run) confirmEnd(ctx context.Context, st *runState) error {
	var a *apiv1.OpenRunResponse
	err := r.c.retry(ctx, func(ctx context.Context) (err error) {
		a, err = r.service().OpenRun(ctx, &apiv1.OpenRunRequest{
			Opened: &daybookv1.RunOpened{Run: r.id[:], Provenance: r.provenance}, Checkpoint: r.c.memory.presented().note,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("ending run: %w", r.c.withEvidence(ctx, err))
	}
	at := a.State
	if !at.GetEnded() || at.NextNumber != st.Next || at.Epoch != st.Epoch || !bytes.Equal(at.Hash, st.Hash[:]) {
		return fmt.Errorf("ending run: %w, but not by us", ErrRunEnded)
	}
	st.Ended = true
	r.heart.stop()
	return r.c.proveNow(ctx)
}
