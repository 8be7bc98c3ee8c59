package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// streamDesc describes AppendStream to grpc.
var streamDesc = &grpc.StreamDesc{StreamName: "AppendStream", ServerStreams: true, ClientStreams: true}

// errNoProgress ends a connection on which nothing was answered in time.
var errNoProgress = errors.New("no answer")

// run keeps a connection at work until all is answered and nothing more comes.
// A broken connection is replaced, and what it left unanswered is sent again.
func (s *Stream) run(ctx context.Context) error {
	for {
		if more, err := s.awaitWork(ctx); err != nil || !more {
			return err
		}
		if err := s.r.settle(ctx, s.st); err != nil {
			return err
		}
		err := s.connect(ctx)
		if err == nil || !s.waiting() && context.Cause(ctx) == nil && interpret(err).again {
			continue
		}
		if err := s.recover(ctx, err); err != nil {
			return err
		}
	}
}

// awaitWork waits until something is to be sent; false: nothing more will be.
func (s *Stream) awaitWork(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case context.Cause(ctx) != nil:
			return false, context.Cause(ctx)
		case len(s.batches) > 0:
			return true, nil
		case s.closed:
			return false, nil
		}
		s.change.Wait()
	}
}

// waiting says whether something is not answered.
func (s *Stream) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches) > 0
}

// connect works on one connection until it breaks (an error) or all is answered
// and nothing more comes (nil).
func (s *Stream) connect(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	stopWatch := s.watch(cancel)
	defer stopWatch()
	stopWake := context.AfterFunc(ctx, s.wake)
	defer stopWake()
	s.mu.Lock()
	s.cut = func() { cancel(nil) }
	s.mu.Unlock()
	cs, err := s.r.conn.NewStream(ctx, streamDesc, apiv1.IngestService_AppendStream_FullMethodName)
	if err == nil {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			s.send(ctx, cs)
		}()
		err = s.receive(ctx, cs)
		cancel(nil)
		<-sent
	}
	s.mu.Lock()
	s.taken, s.cut = 0, nil
	s.mu.Unlock()
	if context.Cause(ctx) == errNoProgress {
		return errNoProgress
	}
	return err
}

// watch cancels the connection once something has waited for the whole patience
// without any answer.
func (s *Stream) watch(cancel context.CancelCauseFunc) (stop func()) {
	limit := s.patience.limit
	var timer *time.Timer
	look := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := limit
		if len(s.batches) > 0 {
			left = limit - time.Since(s.busy)
		}
		if left <= 0 {
			cancel(errNoProgress)
			return
		}
		timer.Reset(left)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	timer = time.AfterFunc(limit, look)
	return func() { timer.Stop() }
}

// send sends batches as they come, oldest first, at most InFlight ahead of the
// answers. It ends when the connection breaks, which the receiver reports, or
// when nothing more comes.
func (s *Stream) send(ctx context.Context, cs grpc.ClientStream) {
	for {
		b := s.takeNext(ctx)
		if b == nil {
			if ctx.Err() == nil {
				cs.CloseSend() // always nil
			}
			return
		}
		request := &wireAppend{run: s.r.id[:], epoch: s.st.Epoch, first: b.first, items: b.items, stream: true}
		if cs.SendMsg(request) != nil {
			return
		}
	}
}

// takeNext waits for the next batch to send and freezes it; nil: there is none
// more, or the connection is over.
func (s *Stream) takeNext(ctx context.Context) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		if s.taken < len(s.batches) && s.taken < s.o.InFlight {
			b := s.batches[s.taken]
			b.frozen = true
			s.taken++
			s.change.Broadcast() // a submitter may begin the next batch
			return b
		}
		if s.closed && s.taken == len(s.batches) {
			return nil
		}
		s.change.Wait()
	}
	return nil
}

// receive checks the answers in order.
func (s *Stream) receive(ctx context.Context, cs grpc.ClientStream) error {
	for {
		a := &wireReceipt{stream: true}
		err := cs.RecvMsg(a)
		if err == io.EOF {
			if s.waiting() {
				return status.Error(codes.Unavailable, "the server ended the stream early")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.answer(ctx, a); err != nil {
			return err
		}
	}
}

// answer checks one answer and hands out its receipt.
func (s *Stream) answer(ctx context.Context, a *wireReceipt) error {
	b := s.oldest()
	if b == nil || a.first != b.first {
		return &ReceiptError{First: a.first, Checkpoint: a.checkpoint, Err: errors.New("it answers no batch that waits")}
	}
	receipt, err := s.st.checker.check(&sent{
		producer: s.r.c.Producer(), run: s.r.id, provenance: s.r.provenance,
		epoch: s.st.Epoch, first: b.first, items: b.items,
	}, a)
	if err != nil {
		return err
	}
	s.r.c.ids.glance()
	if err := s.r.c.proveDue(ctx); err != nil {
		return err
	}
	s.st.took(b.items, b.first)
	b.result = receipt
	if s.o.OnReceipt != nil {
		s.o.OnReceipt(receipt)
	}
	s.mu.Lock()
	s.batches[0] = nil
	s.batches = s.batches[1:]
	s.taken--
	s.busy = time.Now()
	close(b.done)
	s.change.Broadcast()
	s.mu.Unlock()
	return nil
}

// oldest is the batch that the next answer is about.
func (s *Stream) oldest() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == 0 {
		return nil
	}
	return s.batches[0]
}

// recover decides what follows a broken connection: nil: another one.
func (s *Stream) recover(ctx context.Context, err error) error {
	s.mu.Lock()
	if s.busy.After(s.patience.since) {
		s.patience.since, s.patience.backed = s.busy, 0
	}
	first := s.next
	if len(s.batches) > 0 {
		first = s.batches[0].first
	}
	s.mu.Unlock()
	if err == errNoProgress {
		return fmt.Errorf("appending from number %d: %w", first, &GaveUpError{After: s.patience.limit, Err: err})
	}
	a := interpret(err)
	if a.expected != 0 && a.expected < first {
		return &LostError{Expected: a.expected, Acknowledged: first}
	}
	if refused := new(RefusedError); errors.As(a.err, &refused) && s.o.Decline && refused.Declined != nil {
		return s.decline(refused)
	}
	if err := s.patience.pause(ctx, a); err != nil {
		return fmt.Errorf("appending from number %d: %w", first, err)
	}
	return nil
}

// decline puts the server's Declined in the place of the event it refused, after
// looking that it speaks of that event: it becomes part of our running hash.
func (s *Stream) decline(refused *RefusedError) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.batches[0]
	number := b.first
	for i := range b.items {
		it := &b.items[i]
		if number != refused.Number {
			number += it.span()
			continue
		}
		sum := sha256.Sum256(it.Body)
		if refused.Declined.Number != number || !bytes.Equal(refused.Declined.Sha256, sum[:]) || it.Kind != daybookv1.Kind_KIND_ACCESS {
			return fmt.Errorf("%w (and the Declined that came with it is about something else)", refused)
		}
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(refused.Declined)
		if err != nil {
			return fmt.Errorf("marshalling declined: %w", err)
		}
		*it = Item{Kind: daybookv1.Kind_KIND_DECLINED, Body: body}
		s.busy = time.Now() // the log answered
		if s.o.OnDeclined != nil {
			s.o.OnDeclined(refused)
		}
		return nil
	}
	return refused
}
