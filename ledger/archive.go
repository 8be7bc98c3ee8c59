package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// archiveEvery is how often the newest witnessed checkpoint is made durable where
// nothing rests on it.
const archiveEvery = 10 * time.Second

// closesAtOnce is for how many closes checkpoints are archived in one commit.
const closesAtOnce = 64

// Archived is a checkpoint as the archive keeps it.
type Archived struct {
	Size uint64
	Note []byte // signed by the log, with the cosignatures that verified so far; not to be modified
}

// An archive keeps checkpoints with the cosignatures that outsiders made of them,
// which nothing can derive again. One goroutine writes it, through the sequencer:
// its rows ride in the next commit, or in one of their own where nobody appends.
//
// What is kept, and no more, so that it grows with closes and exports alone:
//
//   - what [Ledger.Archive] was asked for;
//   - of each overlap of two keys one that both signed, see keepBridge;
//   - for each close the first checkpoint that covers its entry, and the first
//     witnessed one that does and was known once the close was read again from disk;
//   - the newest witnessed one.
//
// A line that is kept is never replaced by a later one of the same key: it proves
// that the log was seen at that time. Lines that come late are added.
type archive struct {
	l        *Ledger
	policy   *verify.Policy // nil: no witnesses
	requests chan *archiveRequest
	wake     notifier // of a close, a cosignature

	witnessed atomic.Pointer[Archived] // newest witnessed checkpoint; nil: none
	quorum    notifier                 // of each of those

	mu        sync.Mutex
	cosigning []cosigning // at most keptCosigning, ascending; guarded by mu

	closed  uint64 // closes below this size have their first checkpoint; owned by run
	covered uint64 // and these their first witnessed one; owned by run
	newest  uint64 // size of the row that is the newest witnessed one, 0: none; owned by run
	bridged uint64 // size of a bridge of the newest overlap, 0: none was looked for; owned by run
}

type archiveRequest struct {
	done     chan struct{}
	archived Archived
	err      error
}

func newArchive(l *Ledger, policy *verify.Policy) *archive {
	return &archive{l: l, policy: policy, requests: make(chan *archiveRequest)}
}

// load finds where the archive stands.
func (a *archive) load() error {
	lo, hi := store.Archive.Range()
	return a.l.engine.ScanReverse(lo, hi, func(key, value []byte) error {
		size, err := store.Archive.ParseKey(key)
		if err != nil {
			return err
		}
		row, err := parseRow(size, value)
		if err != nil {
			a.l.log.Error("an archived checkpoint is damaged", "size", size, "error", err)
			return nil // fsck says it; the log does not need it
		}
		if row.why&keptClose != 0 {
			a.closed = max(a.closed, size)
		}
		if row.why&keptWitnessed != 0 {
			a.covered = max(a.covered, size)
		}
		if row.why&keptNewest != 0 {
			a.newest = size
			a.recall(row)
		}
		if a.closed != 0 && a.covered != 0 && a.newest != 0 {
			return store.ErrStop
		}
		return nil
	})
}

// recall takes the newest witnessed checkpoint from before, if the policy is
// still satisfied by it.
func (a *archive) recall(row keptRow) {
	if a.policy == nil {
		return
	}
	if a.satisfied(row.note) {
		a.witnessed.Store(&Archived{row.size, bytes.Clone(row.note)})
	}
}

// Archive keeps the checkpoint of the newest published head, durably, with all
// cosignatures of it so far, and returns it. It may be called again: a size is kept
// once. *ShutError while the log is shut, unless that size is archived.
func (l *Ledger) Archive(ctx context.Context) (Archived, error) {
	r := &archiveRequest{done: make(chan struct{})}
	select {
	case l.archive.requests <- r:
	case <-l.stopping:
		return Archived{}, errClosing
	case <-ctx.Done():
		return Archived{}, context.Cause(ctx)
	}
	select {
	case <-r.done:
		return r.archived, r.err
	case <-ctx.Done():
		return Archived{}, context.Cause(ctx)
	}
}

// ArchivedAt returns the archived checkpoint of exactly that size; ErrNotFound
// where none is.
func (l *Ledger) ArchivedAt(size uint64) ([]byte, error) {
	row, err := readRow(l.engine, size)
	return row.note, err
}

// Checkpoints calls fn for the archived checkpoints of sizes in [lo, hi),
// ascending, until it fails. The note is valid during the call only.
func (l *Ledger) Checkpoints(lo, hi uint64, fn func(Archived) error) error {
	if lo >= hi {
		return nil
	}
	return l.engine.Scan(store.Archive.Key(lo), store.Archive.Key(hi), func(key, value []byte) error {
		size, err := store.Archive.ParseKey(key)
		if err != nil {
			return err
		}
		row, err := parseRow(size, value)
		if err != nil {
			return err
		}
		return fn(Archived{size, row.note})
	})
}

// run writes the archive until ctx ends, and last the newest witnessed
// checkpoint. The queue must still take works then.
func (a *archive) run(ctx context.Context) {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	due := false
	for {
		wake := a.wake.wait()
		if err := a.keepAll(ctx, due); err != nil && ctx.Err() == nil {
			a.l.log.Error("checkpoints were not archived, and will be later", "error", err)
		}
		due = false
		select {
		case <-wake:
		case r := <-a.requests:
			r.archived, r.err = a.keepHead(ctx)
			close(r.done)
		case <-tick.C:
			due = true
		case <-ctx.Done():
			if err := a.keepAll(context.WithoutCancel(ctx), true); err != nil {
				a.l.log.Warn("the newest checkpoints were not archived", "error", err)
			}
			return
		}
	}
}

// keepAll archives what is to be kept by itself. A log that is shut writes
// nothing.
func (a *archive) keepAll(ctx context.Context, due bool) error {
	if a.l.shutReason() != "" {
		return nil
	}
	return errors.Join(a.keepBridge(ctx), a.keepCloses(ctx), a.keepLines(ctx), a.keepWitnessed(ctx, due))
}

// write makes rows durable. Crash: all of them or none, see storeRows.
func (a *archive) write(ctx context.Context, rows []keptRow) error {
	if len(rows) == 0 {
		return nil
	}
	w := &work{op: opKeep, rows: rows}
	for _, r := range rows {
		w.bytes += int64(len(r.note))
	}
	if err := a.l.queue.push(w); err != nil {
		return err
	}
	if err := w.wait(ctx); err != nil {
		return fmt.Errorf("archiving checkpoints: %w", err)
	}
	return nil
}

// merged is the row of a checkpoint for one more reason: lines that are kept stay,
// those that note has beyond them are added. changed is false where the row is
// stored already.
func (a *archive) merged(size uint64, why byte, note []byte) (row keptRow, changed bool, err error) {
	row, err = readRow(a.l.engine, size)
	if errors.Is(err, ErrNotFound) {
		return keptRow{size, why, note}, true, nil
	}
	if err != nil {
		return row, false, err
	}
	more := row.note
	if lines, err := verify.CosignatureLines(note); err == nil && a.policy != nil {
		if more, _, err = a.policy.Cosign(row.note, lines, false); err != nil {
			return row, false, fmt.Errorf("archived checkpoint of size %d: %w", size, err)
		}
	}
	changed = row.why|why != row.why || !bytes.Equal(more, row.note)
	return keptRow{size, row.why | why, more}, changed, nil
}

// keepHead archives the newest head.
func (a *archive) keepHead(ctx context.Context) (Archived, error) {
	h := a.l.Head()
	note := a.noteOf(h)
	if note == nil {
		row, err := readRow(a.l.engine, h.Size)
		if errors.Is(err, ErrNotFound) {
			err = &ShutError{a.l.shutReason()}
		}
		return Archived{row.size, row.note}, err
	}
	row, changed, err := a.merged(h.Size, keptAsked, note)
	if err == nil && changed {
		err = a.write(ctx, []keptRow{row})
	}
	return Archived{row.size, row.note}, err
}

// keepCloses archives the first checkpoint that covers each close that has none
// yet.
func (a *archive) keepCloses(ctx context.Context) error {
	newest := a.l.closes.newest.Load()
	if newest == nil || newest.Index < a.closed || a.l.Head().Checkpoint == nil {
		return nil
	}
	indexes := []uint64{newest.Index}
	for c := newest; c.Close.PreviousClose > a.closed; {
		var err error
		if c, err = a.l.closeAt(c.Close.PreviousClose - 1); err != nil {
			return err
		}
		indexes = append(indexes, c.Index)
	}
	slices.Reverse(indexes)
	for part := range slices.Chunk(indexes, closesAtOnce) {
		var rows []keptRow
		for _, index := range part {
			size, err := a.l.covering(index)
			if err != nil {
				return err
			}
			note, _, err := a.l.CheckpointAt(ctx, size)
			if err != nil {
				return err
			}
			row, changed, err := a.merged(size, keptClose, note)
			if err != nil {
				return err
			}
			if a.closed = size; changed {
				rows = append(rows, row)
			}
		}
		if err := a.write(ctx, rows); err != nil {
			a.closed = part[0]
			return err
		}
	}
	return nil
}

// covering is the size of the first commit that holds an entry.
func (l *Ledger) covering(index uint64) (size uint64, err error) {
	_, hi := store.Commits.Range()
	err = l.engine.Scan(store.Commits.Key(index+1), hi, func(key, _ []byte) error {
		if size, err = store.Commits.ParseKey(key); err != nil {
			return err
		}
		return store.ErrStop
	})
	if err == nil && size == 0 {
		err = faultIn(store.Commits, index, "no record of the commit of entry %d", index)
	}
	return size, err
}
