package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An archived checkpoint is written to a bundle.
type archived struct {
	size   uint64
	note   []byte
	bridge bool // the key before a rotation signed it: who trusts that key needs it
}

// history writes the earlier checkpoints: for each close in the window the first
// that covers it, and for each key rotation the first that the key before signed or,
// where none is archived, the one in its retirement; at most maxHistory, the newest
// ones and those of rotations.
func (b *builder) history() error {
	closes, err := b.closesWithin()
	if err != nil {
		return err
	}
	if b.keys == nil || len(closes) == 0 && len(b.rotations) == 0 {
		return nil
	}
	unled := map[int]bool{} // keys to which nothing leads yet, by their place in the chain
	for i := 1; i < len(b.keys.Keys()); i++ {
		unled[i] = true
	}
	var kept []archived
	first := slices.Min(slices.Concat(closes, b.rotations)) + 1
	err = b.src.Earlier(b.ctx, first, func(size uint64, note []byte) error {
		if size >= b.opened.Size {
			return nil
		}
		leads := b.leads(unled, note)
		covers := len(closes) > 0 && closes[0] < size && b.opensStrictly(note)
		if !leads && !covers {
			return nil
		}
		for covers && len(closes) > 0 && closes[0] < size {
			closes = closes[1:]
		}
		kept = thin(append(kept, archived{size, slices.Clone(note), leads}))
		return nil
	})
	if err != nil {
		return fmt.Errorf("earlier checkpoints: %w", err)
	}
	if kept, err = b.addBridges(kept, unled); err != nil {
		return err
	}
	return b.writeHistory(kept)
}

// leads tells whether a note leads to keys to which nothing has led before, and
// takes them out of unled.
func (b *builder) leads(unled map[int]bool, note []byte) bool {
	before := len(unled)
	for i := range unled {
		if b.keys.Vouched(i, note) > 0 {
			delete(unled, i)
		}
	}
	return len(unled) < before
}

// opensStrictly tells whether a note opens under the file's own policy or, being
// none of its keys', under another key of the log: one that its witnesses have not
// cosigned waits for one that they have.
func (b *builder) opensStrictly(note []byte) bool {
	if _, err := b.signers.Open(note); errors.Is(err, verify.ErrQuorum) {
		return false
	}
	_, err := openEarlier(note, b.signers, b.keys)
	return err == nil
}

// addBridges adds checkpoints of retirements that lead to keys to which no archived
// one does.
func (b *builder) addBridges(kept []archived, unled map[int]bool) ([]archived, error) {
	for _, bridge := range b.keys.Bridges() {
		if bridge.Size >= b.opened.Size || !b.leads(unled, bridge.Note) {
			continue
		}
		root, err := verify.RootAt(bridge.Size, b.node)
		if err != nil {
			return nil, err
		}
		if root != bridge.Root {
			continue // it would not open in the file; a check of the whole log says so
		}
		at, found := slices.BinarySearchFunc(kept, bridge.Size, func(c archived, size uint64) int { return cmp.Compare(c.size, size) })
		if found {
			kept[at].note, kept[at].bridge = bridge.Note, true
			continue
		}
		kept = thin(slices.Insert(kept, at, archived{bridge.Size, bridge.Note, true}))
	}
	return kept, nil
}

// thin leaves out the oldest checkpoint of those that may be, where there are too
// many.
func thin(kept []archived) []archived {
	if len(kept) <= maxHistory {
		return kept
	}
	oldest := max(slices.IndexFunc(kept, func(c archived) bool { return !c.bridge }), 0)
	return slices.Delete(kept, oldest, oldest+1)
}

// closesWithin returns the indexes of the closes in the window.
func (b *builder) closesWithin() ([]uint64, error) {
	key := verify.MakeStreamKey(daybookv1.Kind_KIND_CLOSE, "", "", 0, false)
	var closes []uint64
	for _, st := range b.chosen {
		if st.key != key {
			continue
		}
		for position := st.a; position < st.b; position++ {
			index, err := b.src.IndexAt(b.ctx, key, position)
			if err != nil {
				return nil, err
			}
			if index >= b.window.first && index < b.window.end {
				closes = append(closes, index)
			}
		}
	}
	return closes, nil
}

func (b *builder) writeHistory(kept []archived) error {
	for i, c := range kept {
		next := b.opened.Size
		if i+1 < len(kept) {
			next = kept[i+1].size
		}
		proof, err := verify.ProveConsistency(c.size, next, b.node)
		if err != nil {
			return err
		}
		if err := errors.Join(b.member(historyName(c.size, "note"), c.note), b.member(historyName(c.size, "proof"), verify.FormatHashes(proof))); err != nil {
			return err
		}
	}
	return nil
}
