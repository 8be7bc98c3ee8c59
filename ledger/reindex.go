package ledger

import (
	"context"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// reindexProgress is how many entries are indexed between two reports.
const reindexProgress = 8192

// Reindex removes the index of a log that no ledger has open, and builds it anew
// from the entries. progress is called now and then.
//
// It returns how many entries are in tables; the newest, up to a chunk of them,
// are indexed by each open. Crash, or the end of ctx: the index ends at some
// chunk, and the next open goes on from there.
func Reindex(ctx context.Context, engine store.Engine, progress func(done, total uint64)) (uint64, error) {
	head, err := engine.Head()
	if err != nil {
		return 0, fmt.Errorf("reading the head: %w", err)
	}
	if _, err := ReadIdentity(engine); err != nil {
		return 0, err
	}
	if err := index.Remove(engine); err != nil {
		return 0, err
	}
	x, err := index.Open(engine)
	if err != nil {
		return 0, fmt.Errorf("opening the index: %w", err)
	}
	err = newFrameCache(engine).scan(0, head.Size, func(at uint64, raw []byte) error {
		if at%reindexProgress == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if progress != nil {
				progress(at, head.Size)
			}
		}
		e, ev, _, err := parseAt(at, raw)
		if err != nil {
			return err
		}
		if err := x.Add(at, &e, &ev); err != nil {
			return err
		}
		if (at+1)%index.ChunkLen == 0 {
			return x.Merge(ctx)
		}
		return nil
	})
	if err == nil && progress != nil {
		progress(head.Size, head.Size)
	}
	return x.Position(), err
}

// keepIndex merges chunks of the index until ctx ends. Where that fails the log
// goes on: searches read the chunks as they are.
func (l *Ledger) keepIndex(ctx context.Context) {
	if err := l.index.Maintain(ctx); err != nil && l.failure() == nil {
		l.log.Error("merging the index stopped: searches go on, more slowly; stop the server and run `daybookd reindex`", "error", err)
	}
}
