package soak

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// read reads for a life, each kind of read in turn.
func (l *load) read(ctx context.Context) error {
	return l.use(func(c *client.Client) error {
		r := &reader{l: l, c: c}
		kinds := []func(context.Context) error{r.newest, r.entry, r.pair, r.event, r.receipts, r.past}
		n := 0
		for until := time.Now().Add(l.c.life()); time.Now().Before(until) && ctx.Err() == nil; sleep(ctx, pause) {
			began := time.Now()
			if err := kinds[n%len(kinds)](ctx); err != nil {
				return err
			}
			l.done(classRead, began)
			n++
		}
		return nil
	})
}

// A reader reads by one client; owned by its goroutine.
type reader struct {
	l    *load
	c    *client.Client
	size uint64           // of the newest checkpoint
	last *apiv1.EntryView // the entry read last; nil: none
}

func (r *reader) newest(ctx context.Context) error {
	c, err := r.c.Checkpoint(ctx, 0)
	if err == nil {
		r.size = c.Size
	}
	return err
}

func (r *reader) past(ctx context.Context) error {
	_, err := r.c.Checkpoint(ctx, 1+rand.Uint64N(r.size))
	return err
}

func (r *reader) entry(ctx context.Context) error {
	e, err := r.c.Entry(ctx, rand.Uint64N(r.size))
	if err == nil {
		r.last = e.View
		r.l.verified.Add(1)
	}
	return err
}

func (r *reader) pair(ctx context.Context) error {
	place := r.last.GetPlace()
	if place.GetSource() == "" {
		return nil
	}
	_, err := r.c.List(ctx, &apiv1.ListEntriesRequest{Source: place.GetSource(), Target: place.GetTarget()}, 50, func(*apiv1.EntryView) bool { return true })
	return err
}

func (r *reader) event(ctx context.Context) error {
	id := r.last.GetEvent().GetEventId()
	if len(id) == 0 {
		return nil
	}
	found, err := r.c.Event(ctx, "hex:"+hex.EncodeToString(id))
	r.l.verified.Add(int64(len(found)))
	return err
}

func (r *reader) receipts(ctx context.Context) error {
	lo := rand.Uint64N(r.size)
	return r.c.ReceiptRanges(ctx, []client.Range{{Lo: lo, Hi: min(lo+32, r.size)}}, func(p *client.RangeReceipt) error {
		r.l.verified.Add(int64(len(p.Entries)))
		return nil
	})
}
