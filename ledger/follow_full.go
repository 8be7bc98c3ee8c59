package ledger

import (
	"errors"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// indexRetry is how long the follower waits before it tries again to write a
// part of the index for which there was no room.
const indexRetry = time.Second

// addIndex adds an entry to the index. Where the disk has no room for a part of
// it, the index stays behind while the verification of entries goes on: it is
// derived, and nothing of the log waits for it but searches.
func (f *follower) addIndex(index uint64, e *verify.Entry, ev *verify.EventFields) error {
	if f.l.index.Size() != index {
		return nil // it is behind: catchUpIndex comes to this entry
	}
	err := f.l.index.Add(index, e, ev)
	if err == nil && f.l.watched.unindexed.Load() && f.l.index.Size() >= f.replay.frontier.Size {
		f.l.watched.unindexed.Store(false)
		f.l.log.Info("the index has caught up", "entries", index+1)
	}
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	f.indexTried = f.l.clock.Mono()
	if !f.l.watched.unindexed.Swap(true) {
		f.l.log.Error("the disk has no room for the index: searches wait, nothing else does", "at", index, "error", err)
		f.l.followed.notify()
	}
	return nil
}

// catchUpIndex gives the index the entries it lacks, at most once in indexRetry
// while there is no room for it.
func (f *follower) catchUpIndex() error {
	if !f.l.watched.unindexed.Load() || f.l.clock.Mono()-f.indexTried < indexRetry {
		return nil
	}
	f.indexTried = f.l.clock.Mono()
	err := f.reindex(f.l.index.Size(), f.replay.frontier.Size)
	f.l.position.Store(f.followedTo())
	f.l.followed.notify()
	return err
}

// followedTo is how far both verification and index have come.
func (f *follower) followedTo() uint64 { return min(f.replay.frontier.Size, f.l.index.Size()) }
