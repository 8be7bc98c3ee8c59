package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/daybook-ledger/daybook/verify"
)

// ErrNoWitnesses: the log has no policy that asks for cosignatures.
var ErrNoWitnesses = errors.New("the log has no witnesses: its configuration names none")

// keptCosigning is of how many checkpoints cosignatures are taken: those that come
// later than that many checkpoints after it are dropped.
const keptCosigning = 16

// A cosigning is a checkpoint that witnesses are asked to cosign.
type cosigning struct {
	size  uint64
	note  []byte // with the lines so far, the newest of each key
	fresh bool   // it has lines that run has not seen
}

// Cosign attaches the lines that a witness answered for a head which the log
// published: those that verify under the policy. It returns whose they are, which
// may be nobody's, and whether the quorum has cosigned that size by now. An answer
// with a line of a key of the policy that does not verify is refused whole. Lines
// of a head that is too old are checked and dropped.
func (l *Ledger) Cosign(h Head, lines []byte) (by []verify.Cosigned, witnessed bool, err error) {
	a := l.archive
	if a.policy == nil || h.Checkpoint == nil {
		return nil, false, ErrNoWitnesses
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	i, found := slices.BinarySearchFunc(a.cosigning, h.Size, func(c cosigning, size uint64) int { return int(c.size) - int(size) })
	now := cosigning{size: h.Size, note: h.Checkpoint}
	if found {
		now = a.cosigning[i]
	}
	if now.note, by, err = a.policy.Cosign(now.note, lines, true); err != nil || len(by) == 0 {
		return nil, false, err
	}
	now.fresh = true
	if found {
		a.cosigning[i] = now
	} else {
		a.cosigning = slices.Insert(a.cosigning, i, now)
	}
	if len(a.cosigning) > keptCosigning {
		a.cosigning = slices.Delete(a.cosigning, 0, 1)
	}
	witnessed = a.satisfied(now.note)
	if witnessed {
		a.enough(now)
		l.confirmed(now.size, by)
	}
	a.wake.notify()
	return by, witnessed, nil
}

// satisfied tells whether the quorum has cosigned a checkpoint of ours. Which of the
// log's keys signed it is not asked: they change, and the policy does not.
func (a *archive) satisfied(note []byte) bool {
	by, err := a.policy.Cosigned(note)
	names := map[string]bool{}
	for _, w := range by {
		names[w.Witness] = true
	}
	return err == nil && a.policy.SatisfiedBy(names)
}

// enough notes that the quorum has cosigned a checkpoint. mu is held.
func (a *archive) enough(now cosigning) {
	if old := a.witnessed.Load(); old != nil && old.Size > now.size {
		return
	}
	a.witnessed.Store(&Archived{now.size, now.note})
	a.quorum.notify()
}

// Published returns a channel that is closed when the head changes. Take it before
// looking at the head.
func (l *Ledger) Published() <-chan struct{} { return l.published.wait() }

// Note is the checkpoint of a head with its cosignatures so far; nil while the log
// is shut. Not to be modified.
func (l *Ledger) Note(h Head) []byte { return l.archive.noteOf(h) }

// kept returns the checkpoint of a size with cosignatures, where there is one; nil:
// none.
func (a *archive) kept(size uint64) ([]byte, error) {
	if w := a.witnessed.Load(); w != nil && w.Size == size {
		return w.Note, nil
	}
	if note := a.noteOf(Head{Size: size}); note != nil {
		return note, nil
	}
	row, err := readRow(a.l.engine, size)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return row.note, err
}

// noteOf is the checkpoint of a head with its cosignatures so far; nil while the
// log is shut.
func (a *archive) noteOf(h Head) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.cosigning {
		if c.size == h.Size {
			return c.note
		}
	}
	return h.Checkpoint
}

// Witnessed returns the newest checkpoint that the quorum of witnesses cosigned;
// ErrNotFound where there is none yet, ErrNoWitnesses where there never is one.
func (l *Ledger) Witnessed() (Archived, error) {
	if l.archive.policy == nil {
		return Archived{}, ErrNoWitnesses
	}
	if w := l.archive.witnessed.Load(); w != nil {
		return *w, nil
	}
	return Archived{}, ErrNotFound
}

// WaitWitnessed waits until the quorum of witnesses has cosigned a checkpoint that
// covers a published entry, and returns the newest such one. ErrNotFound where the
// log has no such entry, ErrNoWitnesses where nobody cosigns.
func (l *Ledger) WaitWitnessed(ctx context.Context, index uint64) (Archived, error) {
	if l.archive.policy == nil {
		return Archived{}, ErrNoWitnesses
	}
	if index >= l.Head().Size {
		return Archived{}, ErrNotFound
	}
	for {
		wake := l.archive.quorum.wait()
		if w := l.archive.witnessed.Load(); w != nil && w.Size > index {
			return *w, nil
		}
		select {
		case <-wake:
		case <-l.stopping:
			return Archived{}, errClosing
		case <-ctx.Done():
			return Archived{}, context.Cause(ctx)
		}
	}
}

// fresh returns the checkpoints with lines that were not seen yet.
func (a *archive) fresh() []cosigning {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []cosigning
	for i := range a.cosigning {
		if a.cosigning[i].fresh {
			a.cosigning[i].fresh = false
			out = append(out, a.cosigning[i])
		}
	}
	return out
}

// keepLines adds cosignatures to checkpoints that are in the archive.
func (a *archive) keepLines(ctx context.Context) error {
	fresh := a.fresh()
	var rows []keptRow
	for _, c := range fresh {
		old, err := readRow(a.l.engine, c.size)
		if errors.Is(err, ErrNotFound) || err == nil && old.why == keptNewest {
			continue // the newest is written when that is due
		}
		row, changed, err := a.merged(c.size, 0, c.note)
		if err != nil {
			return err
		}
		if changed {
			rows = append(rows, row)
		}
	}
	err := a.write(ctx, rows)
	if err != nil {
		a.again(fresh)
	}
	return err
}

// again has the lines of checkpoints looked at once more.
func (a *archive) again(list []cosigning) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range list {
		for i := range a.cosigning {
			if a.cosigning[i].size == c.size {
				a.cosigning[i].fresh = true
			}
		}
	}
}

// keepWitnessed archives the newest witnessed checkpoint: at once where it is the
// first that covers a close, else when that is due.
func (a *archive) keepWitnessed(ctx context.Context, due bool) error {
	w, closed := a.witnessed.Load(), a.l.closes.newest.Load()
	if w == nil {
		return nil
	}
	covers := closed != nil && closed.Index >= a.covered && closed.Index < w.Size
	if !covers && !due {
		return nil
	}
	why := byte(keptNewest)
	if covers {
		why |= keptWitnessed
	}
	row, changed, err := a.merged(w.Size, why, w.Note)
	if err != nil || !changed {
		return err
	}
	rows := []keptRow{row}
	if a.newest != 0 && a.newest != w.Size {
		old, err := readRow(a.l.engine, a.newest)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil {
			old.why &^= keptNewest
			rows = append(rows, old)
		}
	}
	if err := a.write(ctx, rows); err != nil {
		return err
	}
	a.newest = w.Size
	if covers {
		a.covered = w.Size
	}
	return nil
}
