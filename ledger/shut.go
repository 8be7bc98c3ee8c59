package ledger

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// checkAnchor decides whether the store is the newest copy of the log, as far
// as the anchor and kept evidence tell.
func (l *Ledger) checkAnchor(head store.Head) error {
	if l.evidence != nil {
		found, err := l.evidence.Exists()
		if err != nil {
			return err
		}
		if found {
			l.shut = "evidence of a fork is kept in fork-evidence/: compare it, then restore the newest copy or succeed to a new origin"
			return nil
		}
	}
	if l.anchor == nil {
		return nil
	}
	signed, err := l.anchor.Load()
	if err != nil {
		return err
	}
	if signed == nil {
		l.log.Warn("the anchor is missing: a store restored from an older copy would only be noticed by a returning producer")
		l.opened = append(l.opened, activity(daybookv1.ActivityType_ACTIVITY_TYPE_ANCHOR_MISSING, "no anchor at open"))
		return nil
	}
	c, err := l.ownCheckpoint(signed)
	if err != nil && !errors.Is(err, verify.ErrKeyCompromised) { // our own file, of before
		l.shut = fmt.Sprintf("the anchor is not a checkpoint of this log (%v): restore the right anchor", err)
		return nil
	}
	if c.Size > head.Size {
		l.shut = fmt.Sprintf("the anchor knows %d entries, the store holds %d: it was restored from an older copy; restore the newest one", c.Size, head.Size)
		return nil
	}
	root, err := verify.RootAt(c.Size, l.tiles.node)
	if err != nil {
		return fmt.Errorf("comparing the anchor: %w", err)
	}
	if root != c.Root {
		l.shut = fmt.Sprintf("the anchor has another root at size %d than the store: this is a fork of the log", c.Size)
	}
	return nil
}

// ownCheckpoint opens a checkpoint that this log signed, with a key that may sign
// that size. verify.ErrKeyCompromised, with the checkpoint, where it is signed with
// nothing but a key that is in other hands.
func (l *Ledger) ownCheckpoint(signed []byte) (verify.Checkpoint, error) {
	return l.Keys().OpenCheckpoint(signed)
}

// witness compares the newest checkpoint that a producer holds with the local
// tree: every producer is a witness. One under our own key that is larger than
// the tree, or inconsistent with it, shuts the log and is kept as evidence; one
// without our signature is reported, not obeyed; so is one that only a key in other
// hands signed, or else whoever has that key could shut the log. It returns the
// checkpoint's size, 0 where there is none.
func (l *Ledger) witness(producer Producer, signed []byte) (uint64, error) {
	if len(signed) == 0 {
		return 0, nil
	}
	return l.PresentCheckpoint(producer.ID, signed)
}

// PresentCheckpoint compares a checkpoint that somebody holds with the local tree,
// and returns its size. *RefusedError where the log did not sign it; *ForkError
// where it did and it contradicts the tree: the log is shut then.
func (l *Ledger) PresentCheckpoint(who string, signed []byte) (uint64, error) {
	c, err := l.ownCheckpoint(signed)
	doubt := errors.Is(err, verify.ErrKeyCompromised)
	if err != nil && !doubt {
		l.log.Warn("a checkpoint without our signature was presented", "by", who, "error", err)
		return 0, &RefusedError{Field: "checkpoint", Reason: "not a checkpoint of this log under its key: " + err.Error()}
	}
	h := l.Head()
	reason := ""
	if c.Size > h.Size {
		reason = fmt.Sprintf("%s holds a checkpoint of %d entries under our key, the log has %d: it lost entries", who, c.Size, h.Size)
	} else if root, err := verify.RootAt(c.Size, l.tiles.node); err != nil {
		return 0, err
	} else if root != c.Root {
		reason = fmt.Sprintf("%s holds a checkpoint of %d entries under our key with another root", who, c.Size)
	}
	if reason == "" {
		return c.Size, nil
	}
	if doubt {
		l.log.Warn("a checkpoint that only a compromised key signed was presented", "by", who, "checkpoint", reason)
		return 0, &RefusedError{Field: "checkpoint", Reason: reason + "; it is signed with a key in other hands alone: move it away, and keep it as evidence", Cause: err}
	}
	l.shutBecause(reason, signed)
	return 0, &ForkError{Presented: signed, Reason: reason}
}

// shutBecause shuts the log. A presented checkpoint is kept as evidence, which
// keeps the log shut when it is opened again.
func (l *Ledger) shutBecause(reason string, presented []byte) {
	l.mu.Lock()
	first := l.shut == "" || l.awaits
	if first {
		l.shut, l.awaits = reason, false
	}
	l.mu.Unlock()
	if !first {
		return
	}
	l.log.Error("the log is shut: it reads, but neither appends nor signs", "reason", reason)
	if l.evidence == nil || presented == nil {
		return
	}
	if err := l.evidence.Save("presented", presented); err != nil {
		l.log.Error("evidence of a fork was not kept", "error", err)
	}
	if local := l.Head().Checkpoint; local != nil {
		if err := l.evidence.Save("local", local); err != nil {
			l.log.Error("evidence of a fork was not kept", "error", err)
		}
	}
}
