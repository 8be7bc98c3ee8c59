package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

const (
	// refusalEvery is how often one entry about refusals may be appended.
	refusalEvery = time.Second
	// refusalProducers bounds the producers whose refusals wait to be written.
	refusalProducers = 1024
)

// A refusals gathers what authenticated producers were refused, so that no
// refusal vanishes and none floods the log: one entry a second, with a count.
type refusals struct {
	mu      sync.Mutex
	waiting map[string]*daybookv1.Activity // by producer; guarded by mu
	order   []string                       // guarded by mu
}

// note counts a refusal. Out-of-order numbers, a full queue and a shut log are
// no refusals: the producer sends the same again.
func (r *refusals) note(producer string, now int64, err error) {
	var refused *RefusedError
	var conflict *ConflictError
	var epoch *EpochError
	code := ""
	switch {
	case errors.As(err, &refused):
		code = "EVENT_REFUSED"
	case errors.As(err, &conflict):
		code = "NUMBER_CONFLICT"
	case errors.As(err, &epoch):
		code = "EPOCH_OVER"
	case errors.Is(err, ErrBatchTooLarge):
		code = "BATCH_TOO_LARGE"
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.waiting[producer]
	if a == nil {
		if len(r.order) >= refusalProducers {
			return
		}
		a = &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED, Actor: clip(producer, 2048),
			Authentication: "mtls", Listener: "ingest", FirstNs: now}
		if r.waiting == nil {
			r.waiting = map[string]*daybookv1.Activity{}
		}
		r.waiting[producer] = a
		r.order = append(r.order, producer)
	}
	a.Count++
	a.Code, a.Detail, a.LastNs = code, clip(err.Error(), 4096), now
}

func (r *refusals) next() *daybookv1.Activity {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.order) == 0 {
		return nil
	}
	a := r.waiting[r.order[0]]
	delete(r.waiting, r.order[0])
	r.order = r.order[1:]
	return a
}

// writeRefusals appends what waits, one entry a second, until ctx ends; then the
// rest.
func (l *Ledger) writeRefusals(ctx context.Context) {
	tick := time.NewTicker(refusalEvery)
	defer tick.Stop()
	write := func() bool {
		a := l.refusals.next()
		if a == nil {
			return false
		}
		l.enqueueOwn(ownEntry{kind: daybookv1.Kind_KIND_ACTIVITY, body: a})
		return true
	}
	for {
		select {
		case <-tick.C:
			write()
		case <-ctx.Done():
			for write() {
			}
			return
		}
	}
}

// refused notes a refusal and passes it on.
func (l *Ledger) refused(producer Producer, err error) error {
	if err != nil {
		l.refusals.note(producer.ID, l.clock.Wall(), err)
	}
	return err
}
