package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/config"
)

const (
	// foldFor is how long the same person's same read is counted and not recorded
	// again.
	foldFor = 60 * time.Second
	// maxFolds bounds what is counted at once, of at most maxDetail bytes each. A
	// read that does not fit is recorded by itself.
	maxFolds  = 2048
	maxDetail = 2048
	// journalEvery is how often counts are looked at.
	journalEvery = time.Second
	// journalGrace is how long one record may take.
	journalGrace = 30 * time.Second
	// recordRate and recordBurst bound the entries that one person's reads make, by
	// second: one who reads the log entry by entry must not fill it. Repeats that are
	// counted are free.
	recordRate  = 50
	recordBurst = 1000
)

// record appends an activity entry, and returns when it is durable.
type record func(context.Context, *daybookv1.Activity) (uint64, error)

// journal makes activity entries of what people do. The first read of a person,
// method and filter is durable before its answer; repeats within 60 s are
// counted, and the count is one entry at their end, or when the server stops. A
// crash loses such counts, never a first read.
//
// What one person reads makes so many entries in a second and no more: a read
// beyond is refused, to be tried again, and so is one that the log is too busy to
// record.
//
// A log that cannot append, being shut or short of disk, reads on: then a read is
// a line of the program's log and counted in daybook_reads_total{outcome="owed"},
// and its entry follows once the log appends again. What is owed when the program
// ends stands in the program's log alone.
type journal struct {
	record  record // nil: nothing is recorded
	now     func() time.Time
	log     *slog.Logger
	metrics *peopleMetrics
	records *callLimit // by person

	mu    sync.Mutex
	folds map[[32]byte]*fold // guarded by mu
	lost  uint64             // reads that were neither recorded nor kept; guarded by mu
}

// A fold counts what one person does again.
type fold struct {
	activity *daybookv1.Activity // without count and times
	durable  chan struct{}       // closed once the first was recorded, or was not
	failed   bool                // the first was not recorded; guarded by mu, as all below
	owed     uint64              // counted and not in an entry
	first    int64
	last     int64
	due      time.Time // when owed is written
	end      time.Time // when counting ends
}

func newJournal(r record, now func() time.Time, log *slog.Logger, m *peopleMetrics) *journal {
	return &journal{record: r, now: now, log: log, metrics: m, folds: make(map[[32]byte]*fold),
		records: newCallLimit(config.Listener{RequestsPerSecond: recordRate, Burst: recordBurst})}
}

// answered records a call before its answer leaves. An error of it is the
// answer's.
func (j *journal) answered(ctx context.Context, listener string, c *caller, method string, req, resp any, err error) error {
	switch {
	case j.record == nil:
		return nil
	case c.rule.Copies != 0 && c.held.Roles&c.rule.Roles == c.rule.Copies:
		return nil
	case c.rule.Read && (err == nil || isNotFound(err)):
		if c.scope.Own != "" && ownAlone(resp, c.scope) {
			return nil
		}
		return j.read(ctx, j.activity(daybookv1.ActivityType_ACTIVITY_TYPE_READ, listener, c, method, filterText(c, req)))
	case c.rule.Act && err == nil:
		a := j.activity(daybookv1.ActivityType_ACTIVITY_TYPE_ADMIN, listener, c, method, filterText(c, req))
		now := j.now().UnixNano()
		return j.write(ctx, a, 1, now, now)
	}
	return nil
}

func (j *journal) activity(typ daybookv1.ActivityType, listener string, c *caller, method, detail string) *daybookv1.Activity {
	return &daybookv1.Activity{
		Type: typ, Actor: clipText(c.person.ID, 2048), Authentication: c.person.Authentication,
		Method: clipText(shortMethod(method), 256), Detail: clipText(detail, maxDetail), Listener: listener, Approval: c.held.Approval,
	}
}

// read records a read, or counts it where it was recorded within the last minute.
func (j *journal) read(ctx context.Context, a *daybookv1.Activity) error {
	key, err := keyOf(a)
	if err != nil {
		return err
	}
	for {
		f, mine, err := j.enter(key, a)
		if err != nil {
			return err
		}
		now := j.now().UnixNano()
		if f == nil { // no room to count
			return j.orOwe(j.write(ctx, a, 1, now, now), nil, a, now)
		}
		if mine {
			err := j.orOwe(j.write(ctx, a, 1, now, now), f, a, now)
			j.mu.Lock()
			if f.failed = err != nil; f.failed {
				delete(j.folds, key)
			}
			j.mu.Unlock()
			close(f.durable)
			return err
		}
		select {
		case <-f.durable:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if j.again(f) {
			return nil
		}
	}
}

// enter returns the fold of a key, and whether it is new and the caller's to
// record; nil where there is no room for another. A *limitError where its person
// has made too many entries.
func (j *journal) enter(key [32]byte, a *daybookv1.Activity) (f *fold, mine bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	old := j.folds[key]
	if old != nil && now.Before(old.end) {
		return old, false, nil
	}
	if err := j.records.take(a.GetActor(), now); err != nil {
		return nil, false, fmt.Errorf("each of your reads is an entry of the log, and these are too many: "+
			"read more at once, by lists or batches of receipts: %w", err)
	}
	if old == nil && len(j.folds) >= maxFolds {
		return nil, false, nil
	}
	f = &fold{activity: a, durable: make(chan struct{}), due: now.Add(foldFor), end: now.Add(foldFor)}
	if old != nil && old.owed > 0 { // not written yet: with the next tick
		f.owed, f.first, f.last, f.due = old.owed, old.first, old.last, now
	}
	j.folds[key] = f
	return f, true, nil
}

// again counts a repeat; false where the first was not recorded after all.
func (j *journal) again(f *fold) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f.failed {
		return false
	}
	f.count(j.now().UnixNano())
	j.metrics.reads.WithLabelValues("counted").Inc()
	return true
}

// orOwe lets a read go on that a log which does not append could not record: it
// is owed. f is nil where it cannot be kept either.
func (j *journal) orOwe(err error, f *fold, a *daybookv1.Activity, now int64) error {
	switch {
	case err == nil:
		j.metrics.reads.WithLabelValues("recorded").Inc()
		return nil
	case !cannotAppend(err):
		return err
	}
	j.metrics.reads.WithLabelValues("owed").Inc()
	j.log.Warn("a read is not in the log yet, which does not append", "actor", a.GetActor(), "method", a.GetMethod(),
		"filter", a.GetDetail(), "listener", a.GetListener(), "reason", err)
	j.mu.Lock()
	defer j.mu.Unlock()
	if f == nil {
		j.lost++
		return nil
	}
	f.count(now)
	return nil
}

// count counts one more that is owed.
func (f *fold) count(now int64) {
	if f.owed == 0 {
		f.first = now
	}
	f.owed++
	f.last = now
}

// cannotAppend tells whether the log reads but does not append.
func cannotAppend(err error) bool {
	var shut *ledger.ShutError
	var low *ledger.DiskLowError
	return errors.As(err, &shut) || errors.As(err, &low) || errors.Is(err, ledger.ErrClock)
}

// write appends one entry. The write does not end with the call that waits for
// it: others count on it.
func (j *journal) write(ctx context.Context, a *daybookv1.Activity, count uint64, first, last int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalGrace)
	defer cancel()
	a = proto.CloneOf(a)
	a.Count, a.FirstNs, a.LastNs = count, first, last
	_, err := j.record(ctx, a)
	return err
}

// exported records that a file was made for a person, before it is sent, and
// returns the entry's index. A log that does not append owes the entry, as it does
// those of reads: index 0.
func (j *journal) exported(ctx context.Context, a *daybookv1.Activity) (uint64, error) {
	if j.record == nil {
		return 0, nil
	}
	now := j.now()
	a.Count, a.FirstNs, a.LastNs = 1, now.UnixNano(), now.UnixNano()
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalGrace)
	defer cancel()
	index, err := j.record(writing, proto.CloneOf(a))
	if err == nil || !cannotAppend(err) {
		return index, err
	}
	a.Count, a.FirstNs, a.LastNs = 0, 0, 0
	key, keyErr := keyOf(a)
	if keyErr != nil {
		return 0, keyErr
	}
	j.mu.Lock()
	f := j.folds[key]
	if f == nil && len(j.folds) < maxFolds {
		f = &fold{activity: a, durable: make(chan struct{}), due: now.Add(journalEvery), end: now.Add(foldFor)}
		close(f.durable)
		j.folds[key] = f
	}
	j.mu.Unlock()
	return 0, j.orOwe(err, f, a, now.UnixNano())
}

// run writes counts when they are due until ctx ends, and then all of them.
func (j *journal) run(ctx context.Context) {
	if j.record == nil {
		return
	}
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.settle(ctx, j.now(), false)
		case <-ctx.Done():
			j.settle(context.WithoutCancel(ctx), j.now(), true)
			return
		}
	}
}

// due is a count that is to be written.
type due struct {
	f *fold
	a *daybookv1.Activity
}

// settle writes what is due at a time, or everything at the end. What cannot be
// written stays owed.
func (j *journal) settle(ctx context.Context, now time.Time, all bool) {
	for _, d := range j.takeDue(now, all) {
		err := j.write(ctx, d.a, d.a.Count, d.a.FirstNs, d.a.LastNs)
		if err == nil {
			continue
		}
		if all {
			j.log.Warn("what people did is not in the log, which does not append", "actor", d.a.GetActor(), "method", d.a.GetMethod(),
				"filter", d.a.GetDetail(), "listener", d.a.GetListener(), "code", d.a.GetCode(), "count", d.a.GetCount(), "reason", err)
			continue
		}
		j.giveBack(d, err)
	}
}

// takeDue takes the counts that are due, and forgets the folds that have ended.
func (j *journal) takeDue(now time.Time, all bool) []due {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []due
	for key, f := range j.folds {
		if f.owed > 0 && (all || !now.Before(f.due)) {
			a := proto.CloneOf(f.activity)
			a.Count, a.FirstNs, a.LastNs = f.owed, f.first, f.last
			list = append(list, due{f, a})
			f.owed, f.due = 0, f.end
		} else if f.owed == 0 && !now.Before(f.end) {
			delete(j.folds, key)
		}
	}
	if j.lost > 0 {
		a := &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_READ, Actor: "unknown", Count: j.lost, FirstNs: now.UnixNano(), LastNs: now.UnixNano(),
			Detail: "reads while the log did not append, too many to tell apart: the program's log has each"}
		list = append(list, due{nil, a})
		j.lost = 0
	}
	return list
}

// giveBack keeps a count that could not be written, to be tried again.
func (j *journal) giveBack(d due, err error) {
	if busy := (*ledger.BusyError)(nil); !cannotAppend(err) && !errors.As(err, &busy) {
		j.log.Error("an activity entry was not written", "actor", d.a.GetActor(), "method", d.a.GetMethod(), "count", d.a.GetCount(), "error", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if d.f == nil {
		j.lost += d.a.GetCount()
		return
	}
	d.f.owed += d.a.GetCount()
	d.f.first, d.f.last = d.a.GetFirstNs(), max(d.f.last, d.a.GetLastNs())
	d.f.due = j.now().Add(journalEvery)
}
