package ledger

import (
	"context"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// AppendOwn appends an entry of the ledger's own as it is, and returns its index:
// what a damaged program might write.
func (l *Ledger) AppendOwn(ctx context.Context, kind daybookv1.Kind, body []byte) (uint64, error) {
	w := &work{op: opOwn, kind: kind, body: body}
	err := l.closes.push(ctx, w)
	return w.result.first, err
}

// FsckEntries is Fsck without the snapshots.
func FsckEntries(ctx context.Context, engine store.Engine) (FsckResult, error) {
	head, err := engine.Head()
	if err != nil {
		return FsckResult{}, err
	}
	return newFsck(engine, head, 1).run(ctx, nil)
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
