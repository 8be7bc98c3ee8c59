package bundle

import (
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
	bridge bool // it covers a key rotation: who trusts the key before needs it
}

// history writes the earlier checkpoints: for each close in the window and each key
// rotation the first that covers it, at most maxHistory, the newest ones and those
// of rotations.
func (b *builder) history() error {
	closes, err := b.closesWithin()
	if err != nil {
		return err
	}
	marks := slices.Concat(closes, b.rotations)
	slices.Sort(marks)
	marks = slices.Compact(marks)
	if len(marks) == 0 {
		return nil
	}
	var kept []archived
	at := 0
	err = b.src.Earlier(b.ctx, marks[0]+1, func(size uint64, note []byte) error {
		if at == len(marks) || size <= marks[at] || size >= b.opened.Size {
			return nil
		}
		if _, err := openEarlier(note, b.signers, b.keys); err != nil {
			return nil // of another key or quorum: it would not open in the file
		}
		c := archived{size: size, note: slices.Clone(note)}
		for ; at < len(marks) && marks[at] < size; at++ {
			_, rotation := slices.BinarySearch(b.rotations, marks[at])
			c.bridge = c.bridge || rotation
		}
		kept = thin(append(kept, c))
		return nil
	})
	if err != nil {
		return fmt.Errorf("earlier checkpoints: %w", err)
	}
	return b.writeHistory(kept)
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
