package verify

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A Bridge is the checkpoint in a key's retirement, which that key and the next
// one signed: it covers the rotation, so that by it who trusts the old key alone
// goes on to the new one.
type Bridge struct {
	Checkpoint
	Note  []byte // signed; not to be modified
	Index uint64 // of the retirement
}

// Bridges returns the checkpoints in the retirements of the chain, oldest first.
// That their roots are those of the log is the caller's to check. A retirement
// whose old key was lost has none.
func (c *KeyChain) Bridges() []Bridge {
	var list []Bridge
	for i := range c.keys {
		k := &c.keys[i]
		if len(k.bridge) == 0 {
			continue
		}
		if o, err := OpenUnverified(k.bridge); err == nil { // retire checked it
			list = append(list, Bridge{o, k.bridge, k.Ended - 1})
		}
	}
	return list
}

// Follow returns the policy of somebody who trusts p and goes from the log's keys
// in it to later ones: what a checkpoint of the log at a size must open under. Its
// witnesses and quorum are those of p. size is also how far the entries that the
// chain follows from reach, and each of notes a signed checkpoint of which the
// caller has proved that the log of that size begins with it; others prove
// nothing and are ignored. bridge is the size of the one that led to the newest key.
//
// The rule: key n+1 of the chain is trusted if key n is, and key n signed a note
// that covers the rotation to key n+1, at a size that it may sign, and is not said
// to be in other hands. The rotation itself only the new key signs, so that it
// proves nothing to who knows the old one; that the old key signed the tree in
// which it stands does, as it does for every other entry. No quorum is asked of
// notes: who cosigns says that the log has one history, not whose it is, and what
// the policy asks for is asked of the checkpoint that is opened at last.
//
// What a thief could do with it:
//
//   - With the new key alone, also before its rotation: nothing about entries
//     that the old key signed. No note under the old key covers a rotation to
//     another key, or a history that he made. Once the new key signs, he can make
//     another history behind a note that the old key signed, which is what a log's
//     key is for: checkpoints and receipts of a larger size, and witnesses, hold him
//     to the true one.
//   - With a retired key alone: against who knows that key and no newer one, he
//     can make a history of his own, and name a key of his own in it, as he could
//     before there was any rule; that is why a card is replaced, backups of a
//     retired key are destroyed, and witnesses are asked. Against who knows a newer
//     key he can do nothing: trust goes to later keys, never back, so that a log
//     which lacks the retirement is not opened by the old key's signature.
//   - Where the log itself says that a key is in other hands, that key vouches for
//     nothing: the thief could have been first.
//
// The error wraps [ErrUnsigned] and says which line the policy lacks, and where to
// take it from.
func (p *Policy) Follow(c *KeyChain, size uint64, notes [][]byte) (followed *Policy, bridge uint64, err error) {
	trusted := make([]bool, len(c.keys))
	for i := range c.keys {
		trusted[i] = p.names(&c.keys[i].key)
		for _, note := range notes {
			if trusted[i] || i == 0 || !trusted[i-1] {
				break
			}
			if at := c.Vouched(i, note); at > 0 && at <= size {
				trusted[i], bridge = true, at
			}
		}
	}
	followed = &Policy{members: p.members, quorum: p.quorum, haveLine: p.haveLine}
	for i := range c.keys {
		if trusted[i] && c.keys[i].standing(size) == nil {
			followed.keys = append(followed.keys, c.keys[i].key)
		}
	}
	if len(followed.keys) == 0 || bridge == 0 {
		return nil, 0, c.unfollowed(trusted)
	}
	followed.logs = len(followed.keys)
	followed.keys = append(followed.keys, p.keys[p.logs:]...)
	return followed, bridge, nil
}

// names tells whether a key is one of the policy's logs.
func (p *Policy) names(k *key) bool {
	return slices.ContainsFunc(p.keys[:p.logs], func(own key) bool {
		return own.typ == k.typ && own.name == k.name && bytes.Equal(own.public, k.public)
	})
}

// Vouched returns the size of a note by which key i-1 of [KeyChain.Keys], i at least
// 1, says that key i follows it: one that it signed, may sign, and that covers the
// rotation; 0: the note does not say so.
func (c *KeyChain) Vouched(i int, note []byte) uint64 {
	old := &c.keys[i-1]
	p := Policy{keys: []key{old.key}, logs: 1, quorum: -1}
	o, err := p.Open(note)
	if err != nil || o.Size <= c.keys[i].Since || old.standing(o.Size) != nil {
		return 0
	}
	return o.Size
}

// unfollowed says why no key that stands now is trusted, and what to do.
func (c *KeyChain) unfollowed(trusted []bool) error {
	now := c.Current()
	last := -1
	for i := range trusted {
		if trusted[i] {
			last = i
		}
	}
	why := "none of the policy's keys is one that the log has had"
	switch {
	case last == len(trusted)-1:
		return fmt.Errorf("the newest key of the log that its entries here name, %s, is the policy's and did not sign this checkpoint: %w; where the key was replaced "+
			"after these entries, ask for a file that rests on a later close, or take the newer key card", KeyName(now.VKey), ErrUnsigned)
	case last >= 0 && c.keys[last].Compromised:
		why = fmt.Sprintf("by entry %d the log's key %s was in other hands, so that it vouches for no other", c.keys[last].Ended-1, KeyName(c.keys[last].VKey))
	case last >= 0:
		why = fmt.Sprintf("no checkpoint here that the key %s signed covers entry %d, by which the next one took over", KeyName(c.keys[last].VKey), c.keys[last+1].Since)
	}
	return fmt.Errorf("%s: %w; take the newer key card, which the firm lodged with you or whom you trust, not one that came with these files, "+
		"compare its twelve words with these (%s), and where they are the same add to the policy the line: log %s",
		why, ErrUnsigned, strings.Join(FingerprintWords(now.Fingerprint), " "), now.VKey)
}
