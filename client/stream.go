package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// StreamOptions says how a stream works.
type StreamOptions struct {
	// Batch is the most items in one batch; 0: 4,096. What is submitted while
	// all batches are in flight waits and goes together: there is no timer.
	Batch int
	// InFlight is the most batches sent and not yet answered; 0: 8.
	InFlight int
	// Decline sends the server's ready Declined in the place of a refused event;
	// the receipt then shows it as DECLINED. Else the stream ends with a
	// *RefusedError.
	Decline bool
	// OnDeclined is told of each event that was replaced; may be nil. Called as
	// OnReceipt is.
	OnDeclined func(*RefusedError)
	// OnReceipt is told of each answered batch, in order; may be nil. Called from
	// the stream's own goroutine, which reads no further answer until it returns;
	// it must not submit.
	OnReceipt func(*Receipt)
}

// ErrStreamEnded says that the stream takes no more items.
var ErrStreamEnded = errors.New("the stream has ended")

// Stream appends to a run with several batches in flight, in order. Submit is
// safe for concurrent use.
type Stream struct {
	r *Run
	o StreamOptions

	mu     sync.Mutex
	change *sync.Cond // mu: batches, paused, closed or err changed

	batches []*batch  // not yet answered, oldest first; guarded by mu
	taken   int       // batches[:taken] were handed to the present connection; guarded by mu
	next    uint64    // number of the next item; guarded by mu
	paused  bool      // a heartbeat waits for the answers; guarded by mu
	closed  bool      // no more is submitted; guarded by mu
	err     error     // why the stream ended; guarded by mu
	cut     func()    // cuts the present connection; nil: there is none; guarded by mu
	busy    time.Time // last answer, or when waiting began; guarded by mu

	st       *runState // owned by the goroutine that receives
	patience *patience // owned by the goroutine of run
}

// batch is one append of a stream. Its items grow, guarded by the stream's mu,
// until it is frozen; then only the receiving goroutine touches it, between
// connections.
type batch struct {
	first  uint64
	items  []Item
	bytes  int
	frozen bool
	done   chan struct{} // closed when receipt or err is set
	result *Receipt
	err    error
}

// Pending is what was submitted and waits for its receipt.
type Pending struct {
	b     *batch
	at, n int
}

// Done is closed once the answer is there.
func (p *Pending) Done() <-chan struct{} { return p.b.done }

// Wait waits for the answer: the receipt of what was submitted together. After
// an error the items may be in the log or not, unless it is a *RefusedError.
func (p *Pending) Wait(ctx context.Context) (*Receipt, error) {
	select {
	case <-p.b.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.b.err != nil {
		return nil, p.b.err
	}
	return &Receipt{p: p.b.result.p, at: p.at, n: p.n}, nil
}

// Stream opens a stream, calls fill with it, and returns when everything that
// fill submitted is answered, or nothing more can be. The run is the stream's
// meanwhile. The error is fill's, or else why the stream ended early.
func (r *Run) Stream(ctx context.Context, o StreamOptions, fill func(ctx context.Context, s *Stream) error) error {
	o.Batch = min(max(o.Batch, 0), verify.MaxBatchItems)
	if o.Batch == 0 {
		o.Batch = verify.MaxBatchItems
	}
	if o.InFlight <= 0 {
		o.InFlight = 8
	}
	st, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer r.give(st)
	if err := r.settle(ctx, st); err != nil {
		return err
	}
	s := &Stream{r: r, o: o, next: st.Next, st: st, patience: r.c.patience()}
	s.change = sync.NewCond(&s.mu)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		err := s.run(ctx)
		s.end(err)
		cancel(err) // a fill that waits for something else hears of it
		ended <- err
	}()
	withdraw := r.heart.offer(s)
	filled := fill(ctx, s)
	s.close()
	err = <-ended
	withdraw()
	s.unpaused()
	if err != nil {
		return err
	}
	return filled
}

// Submit hands over items, and the slice they stand in; they are numbered
// next and appended in order. Those of one call stay in one batch, and the
// receipt covers them. It waits while InFlight batches are on their way and one
// more is full.
func (s *Stream) Submit(ctx context.Context, items ...Item) (*Pending, error) {
	size := 0
	for i := range items {
		size += items[i].wireSize() + 8
	}
	if len(items) == 0 || len(items) > s.o.Batch || size > maxBatchBytes {
		return nil, fmt.Errorf("submitting %d items of %d bytes: 1 to %d items and %d bytes are allowed",
			len(items), size, s.o.Batch, maxBatchBytes)
	}
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.err != nil {
			return nil, s.err
		}
		if s.closed {
			return nil, ErrStreamEnded
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if !s.paused {
			if b := s.room(len(items), size); b != nil {
				return s.put(b, items, size)
			}
		}
		s.change.Wait()
	}
}

// maxBatchBytes leaves room below verify.MaxBatchBytes for the request around
// the items.
const maxBatchBytes = verify.MaxBatchBytes - 4096

// room finds or makes the batch that takes n items; nil: none yet.
func (s *Stream) room(n, size int) *batch {
	if k := len(s.batches); k > 0 {
		b := s.batches[k-1]
		if !b.frozen && len(b.items)+n <= s.o.Batch && b.bytes+size <= maxBatchBytes {
			return b
		}
	}
	if len(s.batches) > s.o.InFlight {
		return nil
	}
	if len(s.batches) == 0 {
		s.busy = time.Now()
	}
	b := &batch{first: s.next, done: make(chan struct{})}
	s.batches = append(s.batches, b)
	return b
}

// put adds items to a batch and numbers them.
func (s *Stream) put(b *batch, items []Item, size int) (*Pending, error) {
	next, err := number(items, s.next)
	if err != nil {
		if len(b.items) == 0 {
			s.batches = s.batches[:len(s.batches)-1]
		}
		return nil, err
	}
	p := &Pending{b: b, at: len(b.items), n: len(items)}
	if len(b.items) == 0 {
		b.items = slices.Clip(items)
	} else {
		b.items = append(b.items, items...)
	}
	b.bytes += size
	s.next = next
	s.change.Broadcast()
	return p, nil
}

// Heartbeat waits for the answers of what was submitted so far and then sends a
// heartbeat; what is submitted meanwhile waits. The ledger takes a heartbeat only
// of the state that the run has there, so there is no other moment for it.
func (s *Stream) Heartbeat(ctx context.Context) (*Receipt, error) {
	return s.heartbeat(ctx, func(*runState) bool { return true })
}

// heartbeat is Heartbeat where it is due by then; else the receipt is nil.
func (s *Stream) heartbeat(ctx context.Context, due func(*runState) bool) (*Receipt, error) {
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	s.mu.Lock()
	for s.paused && s.err == nil && ctx.Err() == nil {
		s.change.Wait()
	}
	if s.paused { // by another heartbeat
		defer s.mu.Unlock()
		return nil, cmp.Or(s.err, context.Cause(ctx))
	}
	s.paused = true
	for len(s.batches) > 0 && s.err == nil && ctx.Err() == nil {
		s.change.Wait()
	}
	err := s.err
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.unpause(nil)
		s.mu.Unlock()
		return nil, err
	}
	st := *s.st // nothing is in flight: nobody changes it
	s.mu.Unlock()
	var receipt *Receipt
	if due(&st) {
		receipt, err = s.r.heartbeat(ctx, &st)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpause(&st)
	return receipt, err
}

// unpause ends the pause of a heartbeat and takes over what came of it; mu is
// held. The stream has the state until then, even where it has ended.
func (s *Stream) unpause(st *runState) {
	s.paused = false
	if st != nil {
		s.st.beaten, s.st.over, s.st.Epoch, s.st.key = st.beaten, st.over, st.Epoch, st.key
		s.st.unsettled = s.st.unsettled || st.unsettled
	}
	if st != nil && st.unsettled && s.cut != nil {
		s.cut() // nothing is in flight: the run is resumed before anything is
	}
	s.change.Broadcast()
}

// unpaused waits until no heartbeat has the state.
func (s *Stream) unpaused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.paused {
		s.change.Wait()
	}
}

// wake lets everybody who waits look again.
func (s *Stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change.Broadcast()
}

// close says that nothing more is submitted.
func (s *Stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
}

// end fails what is not answered. Where something was sent, the run's state is
// open: see Run.settle.
func (s *Stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = ErrStreamEnded
	}
	s.err = err
	for _, b := range s.batches {
		if b.frozen {
			s.st.unsettled = true
			s.r.lost(s.st, err)
		}
		b.err = err
		close(b.done)
	}
	s.batches = nil
	s.change.Broadcast()
}
