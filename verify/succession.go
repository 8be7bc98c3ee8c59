package verify

import (
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// CheckPredecessor checks what the first entry of a log under an origin says of the
// log before it: another origin, whose key signed each of the checkpoints, by size;
// what is lost ends no later than the largest of them, and where a succession
// ended the log, that is its last entry and nothing is lost. Whether the other log
// stood so, its own entries and receipts say.
func CheckPredecessor(origin string, m *daybookv1.Predecessor) error {
	keys, err := NewKeyChain(m.Vkey)
	switch {
	case err != nil:
		return fmt.Errorf("predecessor: %w", err)
	case keys.Origin() != m.Origin:
		return fmt.Errorf("predecessor: key of %s, not of %s", keys.Origin(), m.Origin)
	case m.Origin == origin:
		return errors.New("predecessor: a log does not succeed itself")
	case len(m.Checkpoints) == 0:
		return errors.New("predecessor: no checkpoint of it")
	}
	size := uint64(0)
	for _, note := range m.Checkpoints {
		c, err := keys.OpenCheckpoint(note)
		if err != nil {
			return fmt.Errorf("predecessor: %w", err)
		}
		if c.Size <= size {
			return fmt.Errorf("predecessor: checkpoint of size %d after one of size %d", c.Size, size)
		}
		size = c.Size
	}
	if m.LostFirst > m.LostEnd || m.LostEnd > size {
		return fmt.Errorf("predecessor: lost entries %d to %d, its last checkpoint has %d", m.LostFirst, m.LostEnd, size)
	}
	if m.Succession != 0 && (m.Succession != size || m.LostFirst != m.LostEnd) {
		return fmt.Errorf("predecessor: ended by entry %d, its last checkpoint has %d", m.Succession-1, size)
	}
	return nil
}
