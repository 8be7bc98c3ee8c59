package client

import (
	"context"
	"errors"
	"fmt"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// appendMethod is the full name of the unary append.
const appendMethod = apiv1.IngestService_Append_FullMethodName

// Append appends items as one batch, all of it or nothing, and returns its
// checked receipt. At most 4,096 items and 3 MiB. It retries until
// Config.Patience is over. After a *RefusedError none of the items is in the
// log, and the next append takes their numbers; after any other error they may
// be in it: Repeat them under the same numbers.
func (r *Run) Append(ctx context.Context, items ...Item) (*Receipt, error) {
	if len(items) == 0 || len(items) > verify.MaxBatchItems {
		return nil, fmt.Errorf("append of %d items: 1 to %d are allowed", len(items), verify.MaxBatchItems)
	}
	st, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.give(st)
	if err := r.settle(ctx, st); err != nil {
		return nil, err
	}
	return r.appendAt(ctx, st, st.Next, items)
}

// Repeat sends items again under the numbers from first on, which the log may
// or may not hold: what it holds is answered with its first place. The bytes
// must be those that were sent before under these numbers.
func (r *Run) Repeat(ctx context.Context, first uint64, items ...Item) (*Receipt, error) {
	st, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.give(st)
	if st.over != nil {
		return nil, st.over
	}
	if first == 0 || first > st.Next {
		return nil, fmt.Errorf("repeat from number %d: the run's next is %d", first, st.Next)
	}
	return r.appendAt(ctx, st, first, items)
}

func (r *Run) appendAt(ctx context.Context, st *runState, first uint64, items []Item) (*Receipt, error) {
	if _, err := number(items, first); err != nil {
		return nil, err
	}
	request := &wireAppend{run: r.id[:], epoch: st.Epoch, first: first, items: items}
	var a *wireReceipt
	st.unsettled = true // until it is answered
	err := r.c.retry(ctx, func(ctx context.Context) error {
		a = &wireReceipt{}
		err := r.conn.Invoke(ctx, appendMethod, request, a)
		if expected := interpret(err).expected; expected != 0 && expected < first {
			return &LostError{Expected: expected, Acknowledged: first}
		}
		return err
	})
	if err != nil {
		if refused := new(RefusedError); errors.As(err, &refused) {
			st.unsettled = false
		}
		return nil, fmt.Errorf("appending from number %d: %w", first, r.lost(st, err))
	}
	receipt, err := st.checker.check(&sent{
		producer: r.c.Producer(), run: r.id, provenance: r.provenance,
		epoch: st.Epoch, first: first, items: items,
	}, a)
	if err != nil {
		return nil, err
	}
	st.unsettled = false
	st.took(items, first)
	if err := r.c.proveDue(ctx); err != nil {
		return nil, err
	}
	return receipt, nil
}

// AppendOneOff appends one event outside of any run, once per event id: a
// repeat returns the event's first place.
func (c *Client) AppendOneOff(ctx context.Context, item Item) (*Receipt, error) {
	event, err := verify.ParseEvent(item.Body)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	request := &apiv1.AppendOneOffRequest{Event: item.Body}
	for _, o := range item.Openings {
		request.Openings = append(request.Openings, &apiv1.Opening{Field: o.Field, Salt: o.Salt, Value: o.Value})
	}
	var a *apiv1.AppendOneOffResponse
	service := apiv1.NewIngestServiceClient(c.ingest[0])
	err = c.retry(ctx, func(ctx context.Context) (err error) {
		a, err = service.AppendOneOff(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	check := checker{memory: c.memory, every: 1}
	receipt, err := check.check(&sent{
		producer: c.Producer(), run: verify.OneOffRunID(c.Producer(), event.EventID), first: 1, items: []Item{item},
	}, fromMessage(a.Receipt))
	if err != nil {
		return nil, err
	}
	return receipt, c.proveDue(ctx)
}

// checkOwn checks the receipt of an entry about the run that we wrote.
func (r *Run) checkOwn(kind daybookv1.Kind, body []byte, epoch uint64, a *apiv1.Receipt) (*Receipt, error) {
	check := checker{memory: r.c.memory, every: 1}
	return check.check(&sent{
		producer: r.c.Producer(), run: r.id, provenance: r.provenance, epoch: epoch,
		items: []Item{{Kind: kind, Body: body}},
	}, fromMessage(a))
}
