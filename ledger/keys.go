package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ErrNoKey says that a signing key is not at hand.
var ErrNoKey = errors.New("the key is not here")

// signing is what the log signs with. Immutable.
type signing struct {
	keys    *verify.KeyChain
	signers []note.Signer // of keys.Signing() those at hand, the present one first
}

// signingOf finds the signers of a chain. That of the present key must be at hand;
// without that of the key before, the log goes on under the present one alone, and
// whoever knows the old key alone must be handed the new one.
func (l *Ledger) signingOf(keys *verify.KeyChain) (*signing, error) {
	s := &signing{keys: keys}
	for i, k := range keys.Signing() {
		signer, err := l.keyring(k.VKey)
		if err == nil && signer.Name() != l.origin {
			err = fmt.Errorf("it is of %s", signer.Name())
		}
		switch {
		case err == nil:
			s.signers = append(s.signers, signer)
		case i > 0:
			l.log.Error("the key before is to sign too until it is retired, and cannot: who knows it alone must be handed the new one", "key", k.VKey, "error", err)
		default:
			return nil, fmt.Errorf("%w: the log signs with %s since entry %d: %w", ErrForeignStore, k.VKey, k.Since, err)
		}
	}
	return s, nil
}

// recoverSigning finds the signers of the keys that the entries name. A crash at
// any step of a rotation leaves an entry that is there or not, and by it the log
// opens with the one key or both; no file says another thing.
func (l *Ledger) recoverSigning(id Identity) error {
	keys := l.judge.Keys()
	if keys == nil || keys.Origin() != id.Origin || keys.Keys()[0].VKey != id.VKey {
		return &FaultError{0, "entry 0 names another log than the store's identity"}
	}
	s, err := l.signingOf(keys)
	if err != nil {
		return err
	}
	l.signing.Store(s)
	l.seq.end = l.judge.Succeeded()
	l.ended.Store(l.seq.end)
	return nil
}

// keyringOf is the configured one, or that of the one signer.
func keyringOf(cfg *Config) func(vkey string) (note.Signer, error) {
	one, vkey, more := cfg.Signer, cfg.VKey, cfg.Keys
	return func(wanted string) (note.Signer, error) {
		switch {
		case wanted == vkey:
			return one, nil
		case more == nil:
			return nil, fmt.Errorf("%w; here is %s", ErrNoKey, vkey)
		}
		return more(wanted)
	}
}

// Keys returns the signing keys that the log has had, as of the newest head.
func (l *Ledger) Keys() *verify.KeyChain { return l.signing.Load().keys }

// A Rotation says which key takes over, and on whose word.
type Rotation struct {
	VKey        string   // of the new key, which the keyring has
	Reason      string   // in words
	Compromised bool     // the present key is in other hands: there is no overlap
	Approvals   []uint64 // indexes of the approvals, plus 1, ascending
}

// RotateKey appends a rotation. With the head that covers it the new key signs,
// and the old one beside it until it is retired; that head is archived. It returns
// the entry's index.
//
// Errors: ErrNoKey, *RefusedError, *domains.UnapprovedError, *SucceededError,
// *ShutError, *BusyError.
func (l *Ledger) RotateKey(ctx context.Context, by Person, r Rotation) (uint64, error) {
	signer, err := l.keyring(r.VKey)
	if err != nil {
		return 0, fmt.Errorf("rotating to %s: %w", r.VKey, err)
	}
	index, err := l.turnKey(ctx, func(q *sequencer) (*daybookv1.KeyRotation, error) {
		m := &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_ROTATED, OldVkey: l.judge.Keys().Current().VKey, NewVkey: r.VKey,
			Approvals: r.Approvals, Reason: r.Reason, Compromised: r.Compromised, Requester: by.ID, Authentication: by.Authentication}
		m.Note, err = note.Sign(&note.Note{Text: verify.RotationText(m.OldVkey, m.NewVkey)}, signer)
		return m, err
	})
	if err != nil {
		return 0, err
	}
	if _, err := l.Archive(ctx); err != nil { // the rotation stands, and the archive sees to it: see keepBridge
		l.log.Warn("no checkpoint of the rotation is archived yet, and will be", "entry", index, "error", err)
	}
	return index, nil
}

// RetireKey ends the overlap of a rotation: with the head that covers the entry
// the old key signs no more, and may be destroyed. One that both keys signed is
// archived before, and the entry carries one, for those who know the old key alone.
// It returns the entry's index and the key that ended.
func (l *Ledger) RetireKey(ctx context.Context, by Person, reason string, compromised bool) (index uint64, vkey string, err error) {
	covered, kept, err := l.bridgeFor(ctx)
	if err != nil {
		return 0, "", err
	}
	index, err = l.turnKey(ctx, func(q *sequencer) (*daybookv1.KeyRotation, error) {
		keys := l.judge.Keys()
		rotation, ok := keys.Overlap()
		switch {
		case !ok:
			return nil, &RefusedError{Field: "key", Reason: "one key signs: there is none to retire"}
		case covered != rotation+1:
			return nil, errOverlapMoved
		}
		signing := keys.Signing()
		vkey = signing[1].VKey
		m := &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_RETIRED, OldVkey: vkey, NewVkey: signing[0].VKey, Reason: reason,
			Compromised: compromised, Requester: by.ID, Authentication: by.Authentication, Rotation: rotation + 1}
		h, s := l.Head(), l.signing.Load()
		switch {
		case len(s.signers) == 2:
			m.Note, err = l.sign(h.Size, h.Root)
		case kept.Size > 0:
			m.Note = ownLines(kept.Note, l.origin)
		default:
			l.log.Error("the old key is lost, and no checkpoint that it signed covers the rotation: who knows it alone must be handed the new card", "key", vkey)
		}
		return m, err
	})
	return index, vkey, err
}

// turnKey appends what step makes. Crash: the entry is in the log or not, and
// nothing else says under which keys it stands.
func (l *Ledger) turnKey(ctx context.Context, step func(q *sequencer) (*daybookv1.KeyRotation, error)) (uint64, error) {
	w, err := l.govern(ctx, func(q *sequencer, w *work) error {
		m, err := step(q)
		if err != nil {
			return err
		}
		body, err := checkedBody(daybookv1.Kind_KIND_KEY_ROTATION, m)
		if err != nil {
			return err
		}
		at := q.next() + q.ownRuns()
		keys, err := l.judge.CheckKeyRotation(at, q.cohort.time, body)
		if err != nil {
			return unagreed("key", err)
		}
		signing, err := l.signingOf(keys)
		if err != nil {
			return err
		}
		q.cohort.signing = signing
		return q.appendAll(w, []ownBody{{kind: daybookv1.Kind_KIND_KEY_ROTATION, body: body}})
	})
	if err != nil {
		return 0, err
	}
	return w.result.first, nil
}

// Succeed ends the log in favour of another: it closes the period under way and
// appends the last entry. Nothing is appended after it; the log reads and signs
// its last size on. It returns the entry's index.
//
// A log that has ended in favour of the same key gives its last entry again.
//
// Errors: as RotateKey.
func (l *Ledger) Succeed(ctx context.Context, by Person, m *daybookv1.Succession) (uint64, error) {
	if end := l.ended.Load(); end != nil && end.Body.Vkey == m.Vkey {
		return end.Index, nil
	}
	m = proto.CloneOf(m)
	m.Requester, m.Authentication = by.ID, by.Authentication
	body, err := checkedBody(daybookv1.Kind_KIND_SUCCESSION, m)
	if err != nil {
		return 0, err
	}
	if _, err := l.judge.CheckSuccession(l.Head().Size, l.Head().TimeNS, body); err != nil {
		return 0, unagreed("origin", err)
	}
	if _, err := l.CloseNow(ctx); err != nil {
		return 0, err
	}
	w, err := l.govern(ctx, func(q *sequencer, w *work) error {
		end, err := l.judge.CheckSuccession(q.next()+q.ownRuns(), q.cohort.time, body)
		if err != nil {
			return unagreed("origin", err)
		}
		q.placeRaised() // what this cohort owes stands before the end
		if err := q.appendAll(w, []ownBody{{kind: daybookv1.Kind_KIND_SUCCESSION, body: body}}); err != nil {
			return err
		}
		end.Index = q.next() - 1
		q.end, q.cohort.last = end, end
		return nil
	})
	if err != nil {
		return 0, err
	}
	return w.result.first, nil
}

// unagreed names the field of a refusal.
func unagreed(field string, err error) error {
	return &RefusedError{Field: field, Reason: err.Error(), Cause: err}
}

// A SucceededError says that the log has ended for good, and which log goes on.
type SucceededError struct {
	Origin, VKey string
	Index        uint64 // of the succession
}

func (e *SucceededError) Error() string {
	return fmt.Sprintf("the log ended with entry %d and takes nothing more: append to its successor %s, with new runs that cite the old ones; its key is %s",
		e.Index, e.Origin, e.VKey)
}

// Unwrap says that the log reads and does not append.
func (e *SucceededError) Unwrap() error { return &ShutError{Reason: "succeeded by " + e.Origin} }

// succeeded says that the log has ended; nil: it goes on.
func (l *Ledger) succeeded() error {
	end := l.ended.Load()
	if end == nil {
		return nil
	}
	return &SucceededError{end.Body.Origin, end.Body.Vkey, end.Index}
}

// rests says why the log appends nothing now; empty: it does.
func (l *Ledger) rests() string {
	if err := l.succeeded(); err != nil {
		return err.Error()
	}
	return l.shutReason()
}

// A KeyProof is a key of the log, with what proves that it follows from the key
// before.
type KeyProof struct {
	verify.LogKey
	Rotation   *EntryReceipt // nil: the first key
	Retirement *EntryReceipt // nil: it was not retired
}

// An EntryReceipt is an entry with the receipt file that proves it.
type EntryReceipt struct {
	Index          uint64
	Entry, Receipt []byte
}

// KeyProofs returns the keys of the log, oldest first. A rotation is proven under
// a checkpoint that the key before signed, where there is one: the newest while
// both sign, afterwards the one in the retirement.
func (l *Ledger) KeyProofs(ctx context.Context) ([]KeyProof, error) {
	h := l.Head()
	if h.Checkpoint == nil {
		return nil, &ShutError{l.shutReason()}
	}
	keys := l.Keys().Keys()
	since := map[uint64]bool{}
	for _, k := range keys {
		since[k.Since] = true
	}
	proofs := make([]KeyProof, len(keys))
	for i, k := range keys {
		proofs[i].LogKey = k
		if k.Ended == 0 || since[k.Ended-1] || k.Ended > h.Size {
			continue
		}
		var err error
		if proofs[i].Retirement, err = l.entryReceipt(ctx, k.Ended-1, h.Size, h.Checkpoint); err != nil {
			return nil, err
		}
	}
	for i := 1; i < len(keys) && keys[i].Since < h.Size; i++ {
		size, checkpoint, err := bridge(proofs[i-1].Retirement)
		if err == nil && checkpoint == nil {
			size, checkpoint = h.Size, h.Checkpoint
		}
		if err == nil {
			proofs[i].Rotation, err = l.entryReceipt(ctx, keys[i].Since, size, checkpoint)
		}
		if err != nil {
			return nil, err
		}
	}
	return proofs, nil
}

// bridge returns the checkpoint in a retirement; nil: there is none.
func bridge(retirement *EntryReceipt) (uint64, []byte, error) {
	if retirement == nil {
		return 0, nil, nil
	}
	m := new(daybookv1.KeyRotation)
	e, err := verify.ParseEntry(retirement.Entry)
	if err == nil {
		err = proto.Unmarshal(e.Body, m)
	}
	if err != nil || len(m.Note) == 0 {
		return 0, nil, err
	}
	c, err := verify.OpenUnverified(m.Note)
	return c.Size, m.Note, err
}

func (l *Ledger) entryReceipt(ctx context.Context, index, size uint64, checkpoint []byte) (*EntryReceipt, error) {
	entry, err := l.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	proof, err := l.Proof(ctx, index, size)
	if err != nil {
		return nil, err
	}
	return &EntryReceipt{index, entry, verify.FormatReceipt(verify.Receipt{Index: index, Proof: proof, Checkpoint: checkpoint})}, nil
}

// checkReign compares an entry with the keys and the end of the log before it.
func (p *replay) checkReign(index uint64) error {
	if end := p.judge.Succeeded(); end != nil {
		return fmt.Errorf("an entry after the succession of entry %d", end.Index)
	}
	keys := p.judge.Keys()
	if keys == nil || p.entry.Head.Producer != keys.Origin() {
		return nil
	}
	if key := keys.Current(); p.entry.Head.KeyFingerprint != key.Fingerprint {
		return fmt.Errorf("the ledger's own entry under the key %x, the log's is %s", p.entry.Head.KeyFingerprint, key.VKey)
	}
	return nil
}

// foreign says that the store is of another log than the key in hand.
func (id Identity) foreign(origin string) error {
	if id.Origin == origin {
		return nil
	}
	return fmt.Errorf("%w: origin %s, not %s", ErrForeignStore, id.Origin, origin)
}
