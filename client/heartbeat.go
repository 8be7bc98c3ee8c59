package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// unlimitedHeartbeat is how often a run without a silence limit signs what it
	// has sent since.
	unlimitedHeartbeat = 5 * time.Minute
	// leastHeartbeat bounds how often heartbeats are tried.
	leastHeartbeat = 50 * time.Millisecond
	// heartbeatTime bounds one attempt, for which appends wait.
	heartbeatTime = 10 * time.Second
)

// silenceLimit is what a run declares, in nanoseconds.
func (c *Client) silenceLimit(o *RunOptions) uint64 {
	limit := o.SilenceLimit
	if limit == 0 {
		limit = c.config.SilenceLimit
	}
	if limit < 0 || o.Import != nil || o.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL {
		return 0
	}
	return uint64(limit)
}

// Heartbeat tells the ledger that the producer is alive: the last number
// acknowledged and the running hash, signed with the producer's key. Runs send
// heartbeats by themselves as RunOptions.HeartbeatEvery says.
func (r *Run) Heartbeat(ctx context.Context) (*Receipt, error) {
	st, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer r.give(st)
	if err := r.settle(ctx, st); err != nil {
		return nil, err
	}
	return r.heartbeat(ctx, st)
}

// heartbeat sends one; the caller owns st, and nothing is in flight.
func (r *Run) heartbeat(ctx context.Context, st *runState) (*Receipt, error) {
	if err := r.rekey(ctx, st); err != nil {
		return nil, fmt.Errorf("heartbeat: %w", r.lost(st, err))
	}
	last := st.Next - 1
	signature, err := st.key.sign(verify.HeartbeatMessage(st.Hash, last, st.Epoch))
	if err != nil {
		return nil, err
	}
	m := &daybookv1.RunHeartbeat{Last: last, Hash: st.Hash[:], Epoch: st.Epoch, Signature: signature}
	if r.c.config.Clock != nil {
		m.Clock = r.c.config.Clock()
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshalling heartbeat: %w", err)
	}
	var a *apiv1.HeartbeatRunResponse
	err = r.c.retry(ctx, func(ctx context.Context) (err error) {
		a, err = r.service().HeartbeatRun(ctx, &apiv1.HeartbeatRunRequest{Run: r.id[:], Heartbeat: body})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("heartbeat: %w", r.lost(st, err))
	}
	receipt, err := r.checkOwn(daybookv1.Kind_KIND_RUN_HEARTBEAT, body, st.Epoch, a.Receipt)
	if err != nil {
		return nil, err
	}
	st.beaten = st.Next
	return receipt, nil
}

// lost notes a take-over of the run, completes what the error says of it, and
// passes it on.
func (r *Run) lost(st *runState, err error) error {
	if over := new(TakenOverError); errors.As(err, &over) && st.over == nil {
		over.Run, over.Epoch, over.Last = r.id, st.Epoch, st.Next-1
		st.over = over
	}
	return err
}

// hearts are the goroutines that send heartbeats; the client waits for them.
type hearts struct {
	mu     sync.Mutex
	ended  bool            // guarded by mu
	stop   map[*heart]bool // those at work; guarded by mu
	atWork sync.WaitGroup
}

// end stops all and waits for them.
func (h *hearts) end() {
	h.mu.Lock()
	h.ended = true
	for one := range h.stop {
		one.stop()
	}
	h.mu.Unlock()
	h.atWork.Wait()
}

// begin lets one work, unless all were stopped.
func (h *hearts) begin(one *heart, work func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	if h.stop == nil {
		h.stop = map[*heart]bool{}
	}
	h.stop[one] = true
	h.atWork.Go(func() {
		work()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.stop, one)
	})
}

// A heart sends the heartbeats of one run. Immutable.
type heart struct {
	every time.Duration // 0: by the run's limit; negative: never
	told  func(*Receipt, error)
	// streams hands over the stream that has the run, to beat in it.
	streams chan *Stream
	ctx     context.Context // ends with the run, or the client
	stop    context.CancelFunc
}

func (c *Client) newHeart(o *RunOptions) *heart {
	h := &heart{every: o.HeartbeatEvery, told: o.OnHeartbeat, streams: make(chan *Stream)}
	if h.every == 0 {
		h.every = c.config.HeartbeatEvery
	}
	if h.every == 0 && o.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL {
		h.every = -1
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// ready hands out the state of a run that was opened or resumed, and begins its
// heartbeats.
func (r *Run) ready(st *runState) {
	every, ended := r.heart.interval(st.limit), st.Ended
	r.turn <- st
	if every > 0 && !ended {
		r.c.hearts.begin(r.heart, func() { r.beat(every) })
	}
}

// interval is how often to beat in a run with a silence limit; negative: never.
func (h *heart) interval(limit time.Duration) time.Duration {
	switch {
	case h.every < 0:
		return -1
	case h.every > 0:
		return max(h.every, leastHeartbeat)
	case limit > 0:
		return limit / 3
	}
	return unlimitedHeartbeat
}

// Leave ends the heartbeats of the run, which stays open: this process or
// another may resume it.
func (r *Run) Leave() { r.heart.stop() }

// beat sends heartbeats until the run or the client ends. What fails is tried
// again soon.
func (r *Run) beat(every time.Duration) {
	h := r.heart
	defer h.stop()
	timer := time.NewTimer(every/2 + rand.N(every/2)) // runs that begin together do not beat together
	defer timer.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-timer.C:
		}
		receipt, err := r.beatOnce(max(min(every, heartbeatTime), time.Second))
		if h.ctx.Err() != nil {
			return
		}
		if h.told != nil && (receipt != nil || err != nil) {
			h.told(receipt, err)
		}
		if errors.Is(err, ErrEpochOver) || errors.Is(err, ErrRunEnded) || errors.Is(err, ErrNoRun) {
			return
		}
		wait := every
		if err != nil {
			wait = max(every/4, leastHeartbeat)
		}
		timer.Reset(wait)
	}
}

// beatOnce sends one heartbeat where it is due: between two appends, or, where a
// stream has the run, in a pause of the stream.
func (r *Run) beatOnce(limit time.Duration) (*Receipt, error) {
	for {
		select {
		case st := <-r.turn:
			defer r.give(st)
			if st.over != nil {
				return nil, st.over
			}
			if !due(st) {
				return nil, nil
			}
			ctx, cancel := context.WithTimeout(r.heart.ctx, limit)
			defer cancel()
			return r.heartbeat(ctx, st)
		case s := <-r.heart.streams:
			ctx, cancel := context.WithTimeout(r.heart.ctx, limit)
			receipt, err := s.heartbeat(ctx, due)
			cancel()
			if err != nil && s.ended() {
				continue
			}
			return receipt, err
		case <-r.heart.ctx.Done():
			return nil, context.Cause(r.heart.ctx)
		}
	}
}

// due says whether a heartbeat would say something: always where the run may not
// be silent, else where numbers were acknowledged since. What is not settled is
// not signed.
func due(st *runState) bool {
	if st.unsettled || st.Ended || st.over != nil {
		return false
	}
	return st.limit > 0 || st.Next > 1 && st.beaten != st.Next
}

// offer lets the heart beat in a stream until withdraw is called.
func (h *heart) offer(s *Stream) (withdraw func()) {
	ended, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case h.streams <- s:
			case <-stop:
				return
			case <-h.ctx.Done():
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// ended says whether the stream takes no more.
func (s *Stream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// DeclareGap declares the numbers from the run's next one to last as lost, where
// what they stood for cannot be sent any more. The ledger raises an alert.
func (r *Run) DeclareGap(ctx context.Context, last uint64, reason string) (*Receipt, error) {
	st, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	if last < st.Next {
		return nil, fmt.Errorf("declaring a gap up to number %d: the run's next is %d", last, st.Next)
	}
	return r.Append(ctx, Gap(last-st.Next+1, reason))
}
