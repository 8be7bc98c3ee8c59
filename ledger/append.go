package ledger

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A Pending is an append on its way. Wait for it once.
type Pending struct {
	l *Ledger
	w *work
}

// Append appends one batch, all of it or nothing, and returns once it is
// durable. It is idempotent by (producer, run, number).
//
// Errors: *RefusedError, *OutOfOrderError, *ConflictError, *EpochError,
// *BusyError, *ShutError, ErrNoRun, ErrRunEnded, ErrClock, ErrBatchTooLarge,
// ErrOutcomeUnknown, and the context's, after which the outcome is unknown too.
func (l *Ledger) Append(ctx context.Context, producer Producer, b Batch) (*Receipt, error) {
	p, err := l.AppendAsync(ctx, producer, b)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// AppendAsync admits a batch and queues it; batches of one caller are sequenced
// in the order of these calls.
func (l *Ledger) AppendAsync(_ context.Context, producer Producer, b Batch) (*Pending, error) {
	version := l.inForce.Load()
	items, size, err := admit(producer, b.First, b.Items, version)
	if err == nil {
		err = l.vaultFor(items)
	}
	if err != nil {
		return nil, l.refused(producer, err)
	}
	w := &work{op: opAppend, producer: producer, run: b.Run, epoch: b.Epoch, first: b.First, items: items, bytes: size}
	w.mayReport(version)
	if err := l.queue.push(w); err != nil {
		return nil, err
	}
	return &Pending{l, w}, nil
}

// Wait returns the receipt of the append. The error is as Append's.
func (p *Pending) Wait(ctx context.Context) (*Receipt, error) {
	err := p.w.wait(ctx)
	var repeat *errRepeat
	if errors.As(err, &repeat) {
		r, err := p.l.repeat(ctx, p.w, repeat)
		return r, p.l.refused(p.w.producer, err)
	}
	if err != nil {
		return nil, p.l.refused(p.w.producer, err)
	}
	return p.l.receipt(p.w)
}

// AppendOneOff appends one event outside of any run, once for each (producer,
// event id): a repeat is answered with its original place.
func (l *Ledger) AppendOneOff(ctx context.Context, producer Producer, item Item) (*Receipt, error) {
	for {
		version := l.inForce.Load()
		items, size, err := admit(producer, 1, []Item{item}, version)
		if err != nil {
			return nil, l.refused(producer, err)
		}
		if items[0].kind != daybookv1.Kind_KIND_ACCESS {
			return nil, refuse(1, item.Body, &verify.FieldError{Field: "kind", Reason: "a one-off is an event"})
		}
		if err := l.vaultFor(items); err != nil {
			return nil, err
		}
		w := &work{op: opOneOff, producer: producer, run: verify.OneOffRunID(producer.ID, items[0].event.EventID), epoch: 1, first: 1, items: items, bytes: size}
		w.checked = l.position.Load()
		w.mayReport(version)
		index, found, err := l.findNumber(producer.ID, w.run, 1, w.checked)
		if err != nil {
			return nil, err
		}
		if found {
			return l.repeatAt(ctx, w, index)
		}
		if err := l.queue.push(w); err != nil {
			return nil, err
		}
		receipt, err := (&Pending{l, w}).waitOneOff(ctx)
		if !errors.Is(err, errRecheck{}) {
			return receipt, err
		}
	}
}

func (p *Pending) waitOneOff(ctx context.Context) (*Receipt, error) {
	err := p.w.wait(ctx)
	var repeat *errRepeat
	switch {
	case errors.As(err, &repeat):
		if err := p.l.waitFollowed(ctx, repeat.upto); err != nil {
			return nil, err
		}
		return p.l.repeatAt(ctx, p.w, repeat.upto-1)
	case err != nil:
		return nil, err
	}
	return p.l.receipt(p.w)
}

// OpenRun opens a run, or answers the place of a run that this producer opened
// before. checkpoint is the newest one that the producer holds; it is compared
// with the log (*ForkError).
func (l *Ledger) OpenRun(ctx context.Context, producer Producer, opened *daybookv1.RunOpened, checkpoint []byte) (*RunAnswer, error) {
	presented, err := l.witness(producer, checkpoint)
	if err != nil {
		return nil, err
	}
	m := proto.CloneOf(opened)
	if m == nil {
		return nil, &RefusedError{Field: "opened", Reason: "missing"}
	}
	if err := producer.checkKey(); err != nil {
		return nil, err
	}
	m.Certificate, m.PresentedSize = producer.Certificate, presented
	body, err := marshal(m)
	if err == nil {
		err = verify.CheckBody(daybookv1.Kind_KIND_RUN_OPENED, body)
	}
	if err != nil {
		return nil, withoutDeclined(refuse(0, body, err))
	}
	if m.Provenance < daybookv1.Provenance_PROVENANCE_FIRST_HAND || m.Provenance > daybookv1.Provenance_PROVENANCE_BACKFILL {
		return nil, &RefusedError{Field: "provenance", Reason: "first-hand, second-hand or backfill"}
	}
	if err := checkSilenceLimit(m); err != nil {
		return nil, &RefusedError{Field: "silence_limit_ns", Reason: err.Error()}
	}
	w := &work{op: opOpen, producer: producer, run: verify.Hash(m.Run), opened: m, bytes: int64(len(body))}
	if imp := m.Import; imp != nil && w.run != verify.ImportRunID(verify.Hash(imp.FileSha256), imp.Mapping, imp.MappingVersion) {
		return nil, &RefusedError{Field: "run", Reason: "not the id of this import: hash(import, file, mapping, version)"}
	}
	return l.control(ctx, w, presented)
}

// ResumeRun raises the run's epoch after a restart of its producer: whoever
// still appends under a lower one is refused for good.
func (l *Ledger) ResumeRun(ctx context.Context, producer Producer, run verify.Hash, checkpoint []byte) (*RunAnswer, error) {
	presented, err := l.witness(producer, checkpoint)
	if err != nil {
		return nil, err
	}
	if err := producer.checkKey(); err != nil {
		return nil, err
	}
	return l.control(ctx, &work{op: opResume, producer: producer, run: run, resumed: presented}, presented)
}

func (l *Ledger) control(ctx context.Context, w *work, presented uint64) (*RunAnswer, error) {
	if err := l.queue.push(w); err != nil {
		return nil, err
	}
	err := w.wait(ctx)
	var repeat *errRepeat
	var receipt *Receipt
	switch {
	case errors.As(err, &repeat):
		if err := l.waitFollowed(ctx, repeat.upto); err != nil {
			return nil, err
		}
		raw, e := l.Entry(ctx, w.result.state.opened)
		if e != nil {
			return nil, e
		}
		entry, e := verify.ParseEntry(raw)
		if e != nil {
			return nil, e
		}
		w.result.body = entry.Body
		receipt, err = l.rangeReceipt(w.result.state.opened, w.result.state.opened+1)
	case err == nil:
		receipt, err = l.receipt(w)
	}
	if err != nil {
		return nil, err
	}
	s := w.result.state
	answer := &RunAnswer{Epoch: s.epoch, Next: s.next, Hash: s.hash, Ended: s.ended, SilenceNS: s.silence, Receipt: receipt, Body: w.result.body}
	if presented > 0 {
		answer.Consistency, err = verify.ProveConsistency(presented, receipt.Size, l.tiles.node)
	}
	return answer, err
}

// Heartbeat appends a RunHeartbeat, marshalled and signed by the producer.
func (l *Ledger) Heartbeat(ctx context.Context, producer Producer, run verify.Hash, body []byte) (*Receipt, error) {
	var m daybookv1.RunHeartbeat
	return l.signed(ctx, producer, run, daybookv1.Kind_KIND_RUN_HEARTBEAT, body, &m, func() uint64 { return m.Epoch })
}

// EndRun appends a RunEnded, marshalled and signed by the producer; repeats are
// answered afterwards, nothing else.
func (l *Ledger) EndRun(ctx context.Context, producer Producer, run verify.Hash, body []byte) (*Receipt, error) {
	var m daybookv1.RunEnded
	return l.signed(ctx, producer, run, daybookv1.Kind_KIND_RUN_ENDED, body, &m, func() uint64 { return m.Epoch })
}

func (l *Ledger) signed(ctx context.Context, producer Producer, run verify.Hash, kind daybookv1.Kind, body []byte, m proto.Message, epoch func() uint64) (*Receipt, error) {
	if err := verify.CheckBody(kind, body); err != nil {
		return nil, withoutDeclined(refuse(0, body, err))
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, withoutDeclined(refuse(0, body, err))
	}
	w := &work{op: opControl, producer: producer, run: run, kind: kind, body: body, epoch: epoch(), bytes: int64(len(body))}
	if err := l.queue.push(w); err != nil {
		return nil, err
	}
	if err := w.wait(ctx); err != nil {
		return nil, l.refused(producer, err)
	}
	return l.receipt(w)
}

// withoutDeclined is for what takes no number.
func withoutDeclined(err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		refused.Declined = nil
	}
	return err
}

// vaultFor refuses openings that cannot be kept.
func (l *Ledger) vaultFor(items []admitted) error {
	if l.vault != nil {
		return nil
	}
	for i := range items {
		if len(items[i].openings) > 0 {
			return &RefusedError{Number: items[i].number, Field: "openings", Reason: fmt.Sprintf("%d openings, but this log keeps none: send the event without them", len(items[i].openings))}
		}
	}
	return nil
}
