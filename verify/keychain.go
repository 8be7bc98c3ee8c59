package verify

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Errors of a checkpoint under a [KeyChain].
var (
	// ErrKeyEnded says that the keys that signed it had ended at that size.
	ErrKeyEnded = errors.New("the key that signed it had ended before that size")
	// ErrKeyCompromised says that a key alone signed it that is in other hands. It
	// may be believed where it is proven to be a prefix of one that is signed with
	// a good key.
	ErrKeyCompromised = errors.New("only a compromised key signed it")
)

// rotationLine begins the text that a new key signs. No origin has a space, so
// that it is no checkpoint.
const rotationLine = "daybook key rotation/v1"

// RotationText is the text of the note by which a key says that it takes the
// place of another; the new key signs it, so that nobody names a key that is not
// his own:
//
//	daybook key rotation/v1
//	demo.invalid/log-0badcafe+47206f73+AdOzxWqvzHrx01cguhfxk+vk6ULoVNsjnByVMT7PYlEw
//	demo.invalid/log-0badcafe+<key id>+<the new key>
func RotationText(oldVKey, newVKey string) string {
	return rotationLine + "\n" + oldVKey + "\n" + newVKey + "\n"
}

// LogKey is a signing key in the chain of a log.
type LogKey struct {
	VKey        string
	Fingerprint Hash   // VKeyFingerprint
	Since       uint64 // index of the entry that names it: 0, or that of a rotation
	Ended       uint64 // index of the entry by which it ended, plus 1; 0: it signs
	Compromised bool   // said to be in other hands

	key    key
	bridge []byte // checkpoint in its retirement; nil: none
}

// Until is the largest size that the key may sign: no checkpoint that covers the
// entry by which it ended.
func (k *LogKey) Until() uint64 {
	if k.Ended == 0 {
		return MaxSize
	}
	return k.Ended - 1
}

// KeyChain is what follows from a log's first key and its entries of the kind KEY_ROTATION:
// which keys it has had, and which sizes each may sign. The rules:
//
//   - The first key is that of entry 0, or the one that the checker trusts.
//   - A rotation names the present key as old and a new one under the same origin,
//     which the log has not had before and which signed [RotationText] of both. From
//     its entry on both sign; another rotation waits until the old key is retired.
//   - A retirement ends the old key: it signs no checkpoint that covers the entry.
//     Its note, where it has one, is a checkpoint of a size over the rotation's
//     index that both keys signed.
//   - A rotation, or a retirement, that says compromised ends the old key (a
//     rotation: every key before) with its own entry, and what only such a key has
//     signed is not believed by itself, of whatever size.
//   - A newer key may sign smaller sizes too: who keeps the log answers for all of it.
//
// It does not know the tree: that the entries are the log's, and all of their
// stream, is the caller's to prove; [KeyChain.Follow] does it with receipts. A
// KeyChain is immutable and safe for concurrent use.
type KeyChain struct {
	origin   string
	keys     []LogKey // oldest first; the last is the present one
	rotation uint64   // index of the rotation whose overlap is under way, plus 1; 0: none
}

// NewKeyChain returns the chain of a log of which one key is known, of Ed25519.
func NewKeyChain(vkey string) (*KeyChain, error) {
	k, err := logKey(vkey, 0)
	if err != nil {
		return nil, err
	}
	return &KeyChain{origin: k.key.name, keys: []LogKey{k}}, nil
}

func logKey(vkey string, since uint64) (LogKey, error) {
	k, err := parseVKey(vkey)
	if err != nil {
		return LogKey{}, err
	}
	if k.typ != keyEd25519 {
		return LogKey{}, fmt.Errorf("vkey %.60q: a log signs with Ed25519", vkey)
	}
	return LogKey{VKey: vkey, Fingerprint: sha256.Sum256([]byte(vkey)), Since: since, key: k}, nil
}

// Origin is the log's name, the same for all of its keys.
func (c *KeyChain) Origin() string { return c.origin }

// Keys returns every key, oldest first.
func (c *KeyChain) Keys() []LogKey { return slices.Clone(c.keys) }

// Current is the present key.
func (c *KeyChain) Current() LogKey { return c.keys[len(c.keys)-1] }

// Signing returns the keys that sign the next checkpoint: the present one first,
// and while they overlap the one before.
func (c *KeyChain) Signing() []LogKey {
	signing := []LogKey{c.Current()}
	if c.rotation != 0 {
		signing = append(signing, c.keys[len(c.keys)-2])
	}
	return signing
}

// Overlap returns the index of the rotation since which two keys sign; ok is
// false where only one does.
func (c *KeyChain) Overlap() (rotation uint64, ok bool) { return c.rotation - 1, c.rotation != 0 }

// Policy returns the policy that trusts the keys that sign now and asks for no
// cosignature.
func (c *KeyChain) Policy() string {
	keys := c.Signing()
	if len(keys) == 1 {
		return FormatPolicy(keys[0].VKey)
	}
	return fmt.Sprintf("# The present key, since entry %d.\nlog %s\n# The key before: it signs too until it is retired.\n%s",
		keys[0].Since, keys[0].VKey, FormatPolicy(keys[1].VKey))
}

// Next returns the chain after the next entry of the kind KEY_ROTATION, whose body
// has passed [CheckBody].
func (c *KeyChain) Next(index uint64, body []byte) (*KeyChain, error) {
	m := new(daybookv1.KeyRotation)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	next := &KeyChain{c.origin, slices.Clone(c.keys), c.rotation}
	switch m.Step {
	case daybookv1.KeyStep_KEY_STEP_ROTATED:
		return next, next.rotate(index, m)
	case daybookv1.KeyStep_KEY_STEP_RETIRED:
		return next, next.retire(index, m)
	}
	return nil, fmt.Errorf("key rotation: step %d: %w", m.Step, ErrNewer)
}

func (c *KeyChain) rotate(index uint64, m *daybookv1.KeyRotation) error {
	added, err := logKey(m.NewVkey, index)
	switch {
	case m.OldVkey != c.Current().VKey:
		return fmt.Errorf("key rotation: from %.300q, but the present key is %s", m.OldVkey, c.Current().VKey)
	case err != nil:
		return fmt.Errorf("key rotation: %w", err)
	case added.key.name != c.origin:
		return fmt.Errorf("key rotation: the new key is of %s, not of %s", added.key.name, c.origin)
	case c.had(&added.key):
		return errors.New("key rotation: the log has had this key before")
	case c.rotation != 0 && !m.Compromised:
		return fmt.Errorf("key rotation: the overlap since entry %d is under way: the key before must be retired first", c.rotation-1)
	case m.Rotation != 0 || len(m.Approvals) == 0:
		return errors.New("key rotation: no approval, or it names a rotation")
	}
	if err := checkRotationNote(m, &added.key); err != nil {
		return fmt.Errorf("key rotation: %w", err)
	}
	c.rotation = index + 1
	if m.Compromised {
		c.rotation = 0
		for i := range c.keys {
			if c.keys[i].Ended == 0 {
				c.keys[i].Ended, c.keys[i].Compromised = index+1, true
			}
		}
	}
	c.keys = append(c.keys, added)
	return nil
}

// had tells whether the log has had a key, under whatever text.
func (c *KeyChain) had(k *key) bool {
	return slices.ContainsFunc(c.keys, func(old LogKey) bool { return bytes.Equal(old.key.public, k.public) })
}

// checkRotationNote checks that the new key, and nothing else, signed the text.
func checkRotationNote(m *daybookv1.KeyRotation, k *key) error {
	text, sigs, err := splitNote(m.Note)
	switch {
	case err != nil:
		return err
	case string(text) != RotationText(m.OldVkey, m.NewVkey):
		return errors.New("the note is not about these two keys")
	case len(sigs) != 1 || sigs[0].name != k.name || sigs[0].keyID != k.id:
		return errors.New("the note is not signed with the new key alone")
	}
	_, err = k.verify(text, Checkpoint{}, sigs[0].blob)
	return err
}

func (c *KeyChain) retire(index uint64, m *daybookv1.KeyRotation) error {
	switch {
	case c.rotation == 0:
		return errors.New("key retirement: no overlap is under way")
	case m.Rotation != c.rotation || len(m.Approvals) != 0:
		return fmt.Errorf("key retirement: it must name the rotation of entry %d, and no approval", c.rotation-1)
	}
	signing := c.Signing()
	if m.NewVkey != signing[0].VKey || m.OldVkey != signing[1].VKey {
		return errors.New("key retirement: it names other keys than the rotation")
	}
	if len(m.Note) > 0 {
		if err := c.checkBridge(m.Note, index, signing); err != nil {
			return fmt.Errorf("key retirement: %w", err)
		}
	}
	old := &c.keys[len(c.keys)-2]
	old.Ended, old.Compromised, old.bridge, c.rotation = index+1, m.Compromised, m.Note, 0
	return nil
}

// checkBridge checks the checkpoint by which a retired key vouches for its
// successor.
func (c *KeyChain) checkBridge(note []byte, index uint64, signing []LogKey) error {
	for i := range signing {
		p := Policy{keys: []key{signing[i].key}, logs: 1, quorum: -1}
		o, err := p.OpenCheckpoint(note)
		if err != nil {
			return err
		}
		if o.Size < c.rotation || o.Size > index {
			return fmt.Errorf("a checkpoint of size %d does not cover the rotation of entry %d, or covers the retirement", o.Size, c.rotation-1)
		}
	}
	return nil
}

// OpenCheckpoint opens a signed note as a checkpoint of the log: one of its keys
// that may sign that size signed it. The signature of a key of the chain that
// does not verify refuses the whole note. Errors: [ErrUnsigned], [ErrKeyEnded],
// and [ErrKeyCompromised], with which the checkpoint is returned too.
func (c *KeyChain) OpenCheckpoint(note []byte) (Checkpoint, error) {
	text, sigs, err := splitNote(note)
	if err != nil {
		return Checkpoint{}, err
	}
	checkpoint, err := ParseCheckpoint(string(text))
	if err != nil {
		return Checkpoint{}, err
	}
	verdict := ErrUnsigned
	for _, s := range sigs {
		for i := range c.keys {
			k := &c.keys[i]
			if k.key.name != s.name || k.key.id != s.keyID {
				continue
			}
			if _, err := k.key.verify(text, checkpoint, s.blob); err != nil {
				return Checkpoint{}, err
			}
			verdict = better(verdict, k.standing(checkpoint.Size))
		}
	}
	if checkpoint.Origin != c.origin {
		verdict = ErrUnsigned
	}
	if verdict != nil {
		err = fmt.Errorf("checkpoint of %q at size %d: %w", checkpoint.Origin, checkpoint.Size, verdict)
	}
	if verdict != nil && verdict != ErrKeyCompromised {
		return Checkpoint{}, err
	}
	return checkpoint, err
}

// Unknown tells whether a note carries a signature under the log's name with a key
// that the chain does not have: the log's key may have been replaced.
func (c *KeyChain) Unknown(note []byte) bool {
	_, sigs, err := splitNote(note)
	return err == nil && slices.ContainsFunc(sigs, func(s noteSignature) bool {
		return s.name == c.origin && !slices.ContainsFunc(c.keys, func(k LogKey) bool { return k.key.id == s.keyID })
	})
}

// Differs tells whether a note is signed with other keys of the log than those that
// sign by the chain: the log's key was replaced, or an old one retired, since.
func (c *KeyChain) Differs(note []byte) bool {
	_, sigs, err := splitNote(note)
	if err != nil || c.Unknown(note) {
		return err == nil
	}
	for _, k := range c.Signing() {
		if !slices.ContainsFunc(sigs, func(s noteSignature) bool { return s.name == c.origin && s.keyID == k.key.id }) {
			return true
		}
	}
	return false
}

// standing says what the key's signature is worth at a size; nil: all.
func (k *LogKey) standing(size uint64) error {
	switch {
	case size > k.Until():
		return ErrKeyEnded
	case k.Compromised:
		return ErrKeyCompromised
	}
	return nil
}

// better is the better of two standings.
func better(a, b error) error {
	rank := []error{nil, ErrKeyCompromised, ErrKeyEnded, ErrUnsigned}
	return rank[min(slices.Index(rank, a), slices.Index(rank, b))]
}

// Follow returns the chain after the entry of a receipt: a rotation or retirement
// that a checkpoint under the keys known so far proves to be in the log. So who
// trusts one key follows the log to its present one, entry by entry. The old
// key's word is not enough for a successor where it is compromised:
// [ErrKeyCompromised]; the new key must then come from outside, as the first one
// did.
func (c *KeyChain) Follow(receipt, entry []byte) (*KeyChain, error) {
	r, err := ParseReceipt(receipt)
	if err != nil {
		return nil, err
	}
	checkpoint, err := c.OpenCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	if err := CheckInclusion(r.Index, checkpoint.Size, HashLeaf(entry), r.Proof, checkpoint.Root); err != nil {
		return nil, err
	}
	e, err := ParseEntry(entry)
	if err == nil {
		err = CheckBody(e.Place.Kind, e.Body)
	}
	switch {
	case err != nil:
		return nil, err
	case e.Place.Kind != daybookv1.Kind_KIND_KEY_ROTATION || e.Place.Index != r.Index || e.Head.Producer != c.origin:
		return nil, fmt.Errorf("entry %d is no key rotation of %s", r.Index, c.origin)
	}
	next, err := c.Next(r.Index, e.Body)
	if err != nil {
		return nil, err
	}
	if last := next.keys[len(next.keys)-1]; len(next.keys) > len(c.keys) && next.keys[len(next.keys)-2].Compromised {
		return nil, fmt.Errorf("the log says that its key was in other hands, and names %s in its place: %w", last.VKey, ErrKeyCompromised)
	}
	return next, nil
}

// KeyName returns the beginning of a vkey that names it: <origin>+<key id>.
func KeyName(vkey string) string {
	name, rest, _ := strings.Cut(vkey, "+")
	id, _, _ := strings.Cut(rest, "+")
	return name + "+" + id
}
