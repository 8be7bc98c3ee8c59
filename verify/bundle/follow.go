package bundle

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// follow opens a bundle's checkpoint under a later key of the log than the
// examiner's policy names, as [verify.Policy.Follow] has the rule: by the earlier
// checkpoints in the file, and in a whole log by those in the retirements.
// unsigned is why the checkpoint does not open under the policy itself.
func (r *Result) follow(p *pass, policy *verify.Policy, note []byte, unsigned error) error {
	switch {
	case !policy.HasLog(p.answer.Origin):
		return unsigned
	case p.keys == nil:
		return fmt.Errorf("%w; the answer to a range does not show the keys that the log has had: where its key was replaced since your card, "+
			"give a policy with the line of the newer card too (log VKEY), or ask for a file of streams or of the whole log", unsigned)
	}
	var notes [][]byte
	for _, c := range p.summary.Checkpoints {
		earlier, err := p.z.read(historyName(c.Size, "note"), maxNote)
		if err != nil {
			return err
		}
		notes = append(notes, earlier)
	}
	if p.question.Log {
		for _, b := range p.keys.Bridges() { // package audit compared their roots with the log's
			notes = append(notes, b.Note)
		}
	}
	followed, bridge, err := policy.Follow(p.keys, p.answer.Size, notes)
	if err != nil {
		return err
	}
	if r.Opened, err = followed.Open(note); err != nil {
		return err
	}
	r.Claims[0].Detail += fmt.Sprintf("; its key is a later one of the log: a checkpoint that follows from your policy, of size %d, covers the rotation", bridge)
	return nil
}

// openHeld opens a checkpoint that the examiner holds: under the policy, or under
// another key that the log has had, since the file's checkpoint under the policy
// covers the entries that name it. What a compromised key alone has signed is
// believed of a log that is not longer than the file's.
func openHeld(note []byte, policy *verify.Policy, keys *verify.KeyChain, size uint64) (verify.Checkpoint, error) {
	if policy == nil {
		return verify.OpenUnverified(note)
	}
	c, err := policy.OpenCheckpoint(note)
	if err == nil || keys == nil || !errors.Is(err, verify.ErrUnsigned) {
		return c, err
	}
	if c, err = keys.OpenCheckpoint(note); errors.Is(err, verify.ErrKeyCompromised) && c.Size <= size {
		err = nil
	}
	return c, err
}
