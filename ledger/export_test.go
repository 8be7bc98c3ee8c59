package ledger

import (
	"context"
	"errors"
	"iter"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// AppendOwn appends an entry of the ledger's own as it is, and returns its index:
// what a damaged program might write.
func (l *Ledger) AppendOwn(ctx context.Context, kind daybookv1.Kind, body []byte) (uint64, error) {
	w := &work{op: opOwn, kind: kind, body: body}
	err := l.closes.push(ctx, w)
	return w.result.first, err
}

// Misjudge has the ledger judge by no approvals: what a damaged program might do.
func (l *Ledger) Misjudge(ctx context.Context) error {
	_, err := l.govern(ctx, func(q *sequencer, w *work) error {
		opened, err := l.past().entry(0, daybookv1.Kind_KIND_ORIGIN_OPENED)
		if err != nil {
			return err
		}
		l.judge = new(domains.Judge)
		if err := l.judge.Apply(0, opened.Head.LogTimeNS, opened.Place.Kind, opened.Body); err != nil {
			return err
		}
		body, err := marshal(&daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_ADMIN, Actor: "test", Count: 1})
		if err != nil {
			return err
		}
		return q.appendAll(w, []ownBody{{kind: daybookv1.Kind_KIND_ACTIVITY, body: body}})
	})
	return err
}

// FsckEntries is Fsck without the snapshots.
func FsckEntries(ctx context.Context, engine store.Engine) (FsckResult, error) {
	head, err := engine.Head()
	if err != nil {
		return FsckResult{}, err
	}
	return newFsck(engine, head, 1).run(ctx, nil)
}

// FsckOwing is FsckEntries of a log that owes what a detector does whose state is
// given.
func FsckOwing(ctx context.Context, engine store.Engine, rows map[string][]byte) (FsckResult, error) {
	head, err := engine.Head()
	if err != nil {
		return FsckResult{}, err
	}
	c := newFsck(engine, head, 1)
	for key, value := range rows {
		if err := c.replay.detecting.detector.Load([]byte(key), value); err != nil {
			return FsckResult{}, err
		}
	}
	if err := c.replay.detecting.detector.Loaded(nil); err != nil {
		return FsckResult{}, err
	}
	return c.run(ctx, nil)
}

// MisleadFsck has the snapshots say that there is no close yet.
func MisleadFsck(engine store.Engine) error {
	row, err := engine.Get(streamRowKey(closeStream))
	if err != nil {
		return err
	}
	batch := engine.NewBatch()
	if err := batch.Set(streamRowKey(closeStream), append(make([]byte, 8), row[8:]...)); err != nil {
		return err
	}
	return engine.Derive(batch)
}

// CreateUnderRules is Create by a program of an older rules version.
func CreateUnderRules(cfg CreateConfig, rules uint32) error { return create(cfg, rules) }

// TrueClose is the close that the entries give at the end of the log, without
// the close before.
func TrueClose(ctx context.Context, engine store.Engine, end int64) (*daybookv1.Close, error) {
	c, err := believing(engine)
	if err == nil {
		err = c.check(ctx)
	}
	if err == nil {
		err = c.replay.closing.compute(c.replay, end, nil)
	}
	if err != nil {
		return nil, err
	}
	return c.replay.closing.drafts[0].close, nil
}

// Believe snapshots a log as if every close in it were right, and stores tables
// that agree with each.
func Believe(ctx context.Context, engine store.Engine) error {
	c, err := believing(engine)
	if err != nil {
		return err
	}
	batch := engine.NewBatch()
	cl := c.replay.closing
	cl.store = func(_ int64, pages iter.Seq2[[]byte, []byte]) (err error) {
		for key, value := range pages {
			err = errors.Join(err, batch.Set(key, value))
		}
		return err
	}
	cl.met = func(_ uint64, m *daybookv1.Close) {
		row, marshalErr := marshal(&daybookv1.Close{PeriodStartNs: m.PeriodStartNs, PeriodEndNs: m.PeriodEndNs, Cut: m.Cut, PreviousCut: m.PreviousCut,
			Root: m.Root, Streams: m.Streams, Runs: m.Runs, Kinds: m.Kinds, Verdicts: m.Verdicts, Alerts: m.Alerts})
		err = errors.Join(err, marshalErr, batch.Set(closeKey(m.PeriodEndNs, partDraft, 0), row))
	}
	err = errors.Join(err, c.check(ctx))
	for _, r := range c.replay.dirtyRuns {
		err = errors.Join(err, batch.Set(runKey(r.key()), r.row()))
	}
	for _, d := range c.replay.dirtyStreams {
		err = errors.Join(err, batch.Set(streamRowKey(d.key), streamRow(d.stream)))
	}
	if err := errors.Join(err, cl.save(batch), batch.Set([]byte{byte(store.Position)}, c.replay.frontier.AppendBinary(nil))); err != nil {
		return err
	}
	return engine.Derive(batch)
}

// believing is a check that believes every close.
func believing(engine store.Engine) (*fsck, error) {
	head, err := engine.Head()
	if err != nil {
		return nil, err
	}
	c := newFsck(engine, head, 1)
	c.replay.unsaved = false
	refs, err := scanCloses(newFrameCache(engine), 0, head.Size)
	c.announce(refs)
	c.replay.closing.wrong = func(uint64, error) {}
	return c, err
}
