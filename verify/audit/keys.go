package audit

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// An olderNote is a checkpoint that was kept elsewhere.
type olderNote struct {
	name string // for messages
	note []byte // signed
	verify.Checkpoint
}

// older opens the older checkpoints, none of which may be of a longer log. Those
// that no log of the policy signed wait until the log has said which keys it had.
func (c *check) older() ([]verify.Checkpoint, error) {
	var list []verify.Checkpoint
	for i, note := range c.o.Older {
		name := fmt.Sprintf("older checkpoint %d of %d", i+1, len(c.o.Older))
		_, unsigned := c.opened(note)
		old, err := verify.OpenUnverified(note)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case unsigned != nil && !errors.Is(unsigned, verify.ErrUnsigned):
			return nil, fmt.Errorf("%s: %w", name, unsigned)
		case old.Origin != c.head.Origin:
			return nil, fmt.Errorf("%s is of log %q, the directory of %q", name, old.Origin, c.head.Origin)
		case unsigned != nil:
			c.later = append(c.later, olderNote{name, note, old})
			continue
		}
		if err := c.reaches(old); err != nil {
			return nil, err
		}
		list = append(list, old)
	}
	return list, nil
}

// reaches refuses a log that is shorter than an older checkpoint of it.
func (c *check) reaches(old verify.Checkpoint) error {
	if old.Size <= c.size {
		return nil
	}
	return &Fault{Index: c.size, Known: true, Err: fmt.Errorf("ROLLED BACK: the log ends before it, an older checkpoint says that it had %d entries", old.Size)}
}

// begins checks that the log begins with the trees of older checkpoints.
func (c *check) begins(older []verify.Checkpoint) error {
	for _, old := range older {
		root, err := verify.RootAt(old.Size, c.nodes())
		if err != nil {
			return err
		}
		if root != old.Root {
			return fmt.Errorf("FORK: the log does not begin with the %d entries of an older checkpoint, which has root %x, not %x: it showed two histories", old.Size, old.Root, root)
		}
		c.r.Older = append(c.r.Older, old)
	}
	return nil
}

// reign judges by the keys that the log's own entries name, which are proved to be
// under the root of the checkpoint by now: what the log's keys signed in it must be
// of its own tree, by which a checkpoint under a later key than the policy's is
// opened, and older checkpoints under earlier or later ones.
func (c *check) reign() error {
	var notes [][]byte
	if c.keys != nil {
		for _, b := range c.keys.Bridges() {
			root, err := verify.RootAt(b.Size, c.nodes())
			if err != nil {
				return err
			}
			if root != b.Root {
				return &Fault{Index: b.Index, Known: true, Err: fmt.Errorf(
					"FORK: two keys of the log signed root %x at size %d, where the log has root %x: it showed two histories", b.Root, b.Size, root)}
			}
			notes = append(notes, b.Note)
		}
	}
	if c.unsigned != nil {
		if err := c.follow(notes); err != nil {
			return &Fault{File: checkpointFile, Err: err}
		}
	}
	for _, old := range c.later {
		if c.keys == nil {
			return fmt.Errorf("%s: %w", old.name, verify.ErrUnsigned)
		}
		// What a compromised key alone has signed is believed of a prefix, which is
		// what begins shows, and not of more.
		_, err := c.keys.OpenCheckpoint(old.note)
		if err != nil && (!errors.Is(err, verify.ErrKeyCompromised) || old.Size > c.size) {
			return fmt.Errorf("%s: neither the policy nor the log's own entries name a key that may have signed it: %w", old.name, err)
		}
		if err := c.reaches(old.Checkpoint); err != nil {
			return err
		}
		if err := c.begins([]verify.Checkpoint{old.Checkpoint}); err != nil {
			return err
		}
	}
	return nil
}

// follow opens the checkpoint of the directory under a key that follows from the
// policy's.
func (c *check) follow(notes [][]byte) error {
	if c.keys == nil {
		return c.unsigned
	}
	policy, bridge, err := c.o.Policy.Follow(c.keys, c.size, notes)
	if err != nil {
		return err
	}
	if c.r.Checkpoint, err = policy.Open(c.note); err != nil {
		return err
	}
	c.r.Bridge = bridge
	return nil
}
