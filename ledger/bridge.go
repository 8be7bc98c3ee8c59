package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// A bridge is a checkpoint that covers a key's rotation and that the key before
// signed, too: by it who knows that key alone goes on to the new one, for ever. The
// archive has one of each overlap before the old key signs for the last time:
//
//   - RotateKey archives the head that covers the rotation before it answers. Crash
//     between the two: the overlap is under way, and whoever opens the log next
//     archives a head of it, as keepBridge does on every wake.
//   - RetireKey archives one before it appends the retirement, and is refused where
//     that fails. Crash between the two: the overlap goes on, and one checkpoint
//     more is kept. The retirement carries a bridge as well, for a log that is
//     copied without its archive.
//
// Where the old key is lost in the overlap, the retirement carries the newest
// bridge that was archived before.

// keepBridge archives a bridge of the overlap that is under way, where there is none.
// Crash: as write.
func (a *archive) keepBridge(ctx context.Context) error {
	s := a.l.signing.Load()
	rotation, ok := s.keys.Overlap()
	if !ok || a.bridged > rotation {
		return nil
	}
	if h := a.l.Head(); h.Size <= rotation || len(s.signers) < 2 {
		return nil // it is not published yet, or the old key is lost
	}
	kept, err := a.l.newestBridge(s.keys)
	if err == nil {
		a.bridged = kept.Size
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = a.keepHead(ctx)
	return err
}

// newestBridge returns the newest archived bridge to the present key, which is not
// the log's first; ErrNotFound where there is none.
func (l *Ledger) newestBridge(keys *verify.KeyChain) (Archived, error) {
	all := keys.Keys()
	last := len(all) - 1
	return NewestArchived(l.engine, all[last].Since+1, func(note []byte) bool { return keys.Vouched(last, note) > 0 })
}

// bridgeFor makes the archive have a bridge of the overlap that is published, and
// returns its rotation, plus 1, and the newest bridge; 0: no overlap is, and empty:
// the old key is lost, and has signed none that was archived.
func (l *Ledger) bridgeFor(ctx context.Context) (rotation uint64, newest Archived, err error) {
	keys := l.Keys()
	at, ok := keys.Overlap()
	if !ok {
		return 0, newest, nil
	}
	if l.Head().Size <= at {
		return 0, newest, errOverlapMoved
	}
	if _, err = l.Archive(ctx); err != nil {
		return 0, newest, fmt.Errorf("archiving a checkpoint that both keys signed, before one of them ends (nothing was changed): %w", err)
	}
	newest, err = l.newestBridge(keys)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return at + 1, newest, err
}

// errOverlapMoved says that a rotation was under way to its first checkpoint.
var errOverlapMoved error = &BusyError{What: "the rotation is being published: what retires the key before must cover it", RetryAfter: time.Second}

// ownLines returns a note with the log's own signatures alone.
func ownLines(note []byte, origin string) []byte {
	text, lines, _ := strings.Cut(string(note), "\n\n")
	out := text + "\n\n"
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, "\u2014 "+origin+" ") {
			out += line
		}
	}
	return []byte(out)
}
