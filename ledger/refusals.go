package ledger

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

const (
	// refusalEvery is how often one entry about refusals may be appended.
	refusalEvery = time.Second
	// refusalProducers bounds the refusals, told apart, that wait to be written.
	refusalProducers = 1024
)

// A Refusal says what somebody was refused before it came to the log.
type Refusal struct {
	Actor          string // as authenticated; empty: nobody was
	Authentication string // how
	Listener       string // by which it came in
	Method         string
	Code           string // stable
	Detail         string // in words
}

// NoteRefusal has a refusal written as an activity entry, at most one entry a
// second of all refusals: those of one actor, listener and code that wait are
// counted as one. It does not wait.
func (l *Ledger) NoteRefusal(r Refusal) { l.refusals.add(r, l.clock.Wall()) }

// A refusals gathers what authenticated producers were refused, so that no
// refusal vanishes and none floods the log: one entry a second, with a count.
type refusals struct {
	mu      sync.Mutex
	waiting map[refusalKey]*daybookv1.Activity // guarded by mu
	order   []refusalKey                       // guarded by mu
}

// A refusalKey is what is counted as one.
type refusalKey struct{ actor, listener, code string }

// note counts a refusal of an append. Out-of-order numbers, a full queue and a shut log are
// no refusals: the producer sends the same again.
func (r *refusals) note(producer string, now int64, err error) {
	var refused *RefusedError
	var conflict *ConflictError
	var epoch *EpochError
	code := ""
	switch {
	case errors.As(err, &refused):
		code = cmp.Or(refused.Code, "EVENT_REFUSED")
	case errors.As(err, &conflict):
		code = "NUMBER_CONFLICT"
	case errors.As(err, &epoch):
		code = "EPOCH_OVER"
	case errors.Is(err, ErrBatchTooLarge):
		code = "BATCH_TOO_LARGE"
	default:
		return
	}
	r.add(Refusal{Actor: producer, Authentication: "mtls", Listener: "ingest", Code: code, Detail: err.Error()}, now)
}

// add counts a refusal. Where too many wait, it is counted with all others that
// are not told apart.
func (r *refusals) add(f Refusal, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refusalKey{cmp.Or(f.Actor, "unknown"), f.Listener, f.Code}
	if r.waiting[key] == nil && len(r.order) >= refusalProducers {
		f = Refusal{Code: "REFUSALS", Detail: "refusals of more actors than are told apart"}
		key = refusalKey{"unknown", "", f.Code}
	}
	a := r.waiting[key]
	if a == nil {
		a = &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED, Actor: clip(key.actor, 2048),
			Authentication: f.Authentication, Listener: f.Listener, Method: clip(f.Method, 256), Code: f.Code, FirstNs: now}
		if r.waiting == nil {
			r.waiting = map[refusalKey]*daybookv1.Activity{}
		}
		r.waiting[key] = a
		r.order = append(r.order, key)
	}
	a.Count++
	a.Detail, a.LastNs = clip(f.Detail, 4096), now
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
