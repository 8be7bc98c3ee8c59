package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

const (
	// streamWindow is how many batches of one stream may be in flight. With it
	// full the server does not read on, and HTTP/2 flow control stops the client.
	streamWindow = 16
	// producerStreams bounds the open streams of one producer.
	producerStreams = 64
)

// AppendStream implements IngestService: batches are admitted as they arrive and
// answered in their order. The first error ends the stream after the batches
// before it were answered.
func (s *ingest) AppendStream(stream grpc.BidiStreamingServer[apiv1.AppendStreamRequest, apiv1.AppendStreamResponse]) error {
	release, err := s.streams.take(peerOf(stream.Context()).ID)
	if err != nil {
		return err
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	if err := stream.SendHeader(nil); err != nil { // the stream is open, before its first answer
		release()
		return err
	}

	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	a := &appendStream{ingest: s, stream: stream, inFlight: make(chan pendingAnswer, streamWindow)}
	// The reader ends when the stream does: Recv fails once this handler has
	// returned. The server waits for it in streamLimit.
	go func() {
		defer release()
		defer close(a.inFlight)
		a.read(ctx)
	}()
	return a.answer(ctx)
}

// appendStream is one open stream: a reader that submits and the handler that
// answers.
type appendStream struct {
	*ingest
	stream   grpc.BidiStreamingServer[apiv1.AppendStreamRequest, apiv1.AppendStreamResponse]
	inFlight chan pendingAnswer // from the reader to the handler, in order
	begun    atomic.Uint64      // batches that the reader has read
	answered uint64             // of them taken from inFlight; owned by the handler
}

// A pendingAnswer is one batch in flight, or why there are no more.
type pendingAnswer struct {
	first   uint64
	pending *ledger.Pending // nil: err
	err     error
}

// read admits batches until the client half-closes or a batch fails, whose
// error is the last thing it sends.
func (a *appendStream) read(ctx context.Context) {
	producer, admission := producerOf(ctx), admissionOf(ctx)
	for {
		request, err := a.stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = admission.again(ctx)
		}
		if !a.pass(ctx, producer, request, err) {
			return
		}
	}
}

// pass submits one batch and puts it in flight; false ends the reader. It is
// counted in begun before it is submitted, so that what the ledger took is
// answered even while the server stops.
func (a *appendStream) pass(ctx context.Context, producer ledger.Producer, request *apiv1.AppendStreamRequest, err error) bool {
	a.begun.Add(1)
	next := pendingAnswer{first: request.GetAppend().GetFirstNumber(), err: err}
	if err == nil {
		next.pending, next.err = a.submit(ctx, producer, request.GetAppend())
	}
	select {
	case a.inFlight <- next:
		return next.err == nil
	case <-ctx.Done():
		return false
	}
}

// submit hands a batch to the ledger. A full queue is no error on a stream: the
// server reads no further until there is room.
func (a *appendStream) submit(ctx context.Context, producer ledger.Producer, r *apiv1.AppendRequest) (*ledger.Pending, error) {
	batch, err := batchOf(r)
	if err != nil {
		return nil, err
	}
	for {
		select {
		case <-a.stopping:
			return nil, errStopping
		default:
		}
		pending, err := a.log.AppendAsync(ctx, producer, batch)
		var busy *ledger.BusyError
		if !errors.As(err, &busy) {
			return pending, err
		}
		wait := time.NewTimer(min(max(busy.RetryAfter, time.Millisecond), time.Second))
		select {
		case <-wait.C:
		case <-a.stopping:
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		}
	}
}

// answer waits for each batch in turn and sends its receipt. When the server
// stops it answers what is in flight and ends the stream.
func (a *appendStream) answer(ctx context.Context) error {
	for {
		select {
		case next, ok := <-a.inFlight:
			if !ok {
				return ctx.Err()
			}
			if err := a.answerOne(ctx, next); err != nil {
				return err
			}
		case <-a.stopping:
			return a.drain(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain answers what is in flight, then says that the server stops. A batch
// that the reader begins after this has loaded begun is not submitted.
func (a *appendStream) drain(ctx context.Context) error {
	for begun := a.begun.Load(); a.answered < begun; {
		select {
		case next, ok := <-a.inFlight:
			if !ok {
				return ctx.Err()
			}
			if err := a.answerOne(ctx, next); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errStopping
}

func (a *appendStream) answerOne(ctx context.Context, next pendingAnswer) error {
	a.answered++
	err := next.err
	var receipt *ledger.Receipt
	if err == nil {
		receipt, err = next.pending.Wait(ctx)
	}
	a.metrics.appended(receipt, err)
	if err != nil {
		return err
	}
	return a.stream.Send(&apiv1.AppendStreamResponse{FirstNumber: next.first, Receipt: receiptOf(receipt)})
}

// streamLimit counts the open streams of each producer, and lets the server
// wait for their readers.
type streamLimit struct {
	readers sync.WaitGroup
	mu      sync.Mutex
	open    map[string]int // guarded by mu
}

func newStreamLimit() *streamLimit { return &streamLimit{open: make(map[string]int)} }

// take counts a stream in; release counts it out, once its reader has ended.
func (l *streamLimit) take(producer string) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[producer] >= producerStreams {
		return nil, &requestError{codes.ResourceExhausted, ReasonBusy,
			"the producer has 64 open append streams: use them, or end some"}
	}
	l.open[producer]++
	l.readers.Add(1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open[producer]--; l.open[producer] == 0 {
			delete(l.open, producer)
		}
		l.readers.Done()
	}, nil
}
