package main

import (
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

var consistencyVerb = verb{
	name: "consistency",
	args: "--policy FILE [--json] OLD.checkpoint NEW.checkpoint PROOF-FILE",
	does: "check that a newer checkpoint continues an older one",
	help: `Checks that the log of NEW.checkpoint begins with all entries of OLD.checkpoint,
unchanged and in their order. Both are signed notes, signed as the policy asks.
PROOF-FILE has the RFC 6962 consistency proof: one base64 hash on each line, as in
the body of a tlog-witness request; it is empty where the sizes are equal or the old
size is 0.

Examples:
  daybook-verify consistency --policy policy.txt old.checkpoint new.checkpoint proof.txt
  daybook-verify consistency old.checkpoint new.checkpoint /dev/null --policy policy.txt
`,
	run: runConsistency,
}

func runConsistency(c *call) (*result, error) {
	if err := c.want("old checkpoint", "new checkpoint", "proof file"); err != nil {
		return nil, err
	}
	policy, err := c.readPolicy()
	if err != nil {
		return nil, err
	}
	var files [3][]byte
	for i := range files {
		if files[i], err = readArgument(c.args[i]); err != nil {
			return nil, err
		}
	}
	r := &result{}
	var opened [2]verify.Opened
	for i, which := range []string{"old ", "new "} {
		if opened[i], err = open(policy, files[i]); err != nil {
			r.fail(fmt.Errorf("%s: %w", c.args[i], err))
			return r, nil
		}
		r.checkpointClaim(opened[i], policy, which)
	}
	proof, err := verify.ParseHashes(files[2])
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", c.args[2], err))
		return r, nil
	}
	if err := consistent(opened[0].Checkpoint, opened[1].Checkpoint, proof); err != nil {
		r.fail(err)
		return r, nil
	}
	r.claim("consistency", map[string]any{"origin": opened[0].Origin, "old_size": opened[0].Size, "new_size": opened[1].Size},
		"the log at size %d begins with all %d entries of the old checkpoint, unchanged", opened[1].Size, opened[0].Size)
	r.pass(policy)
	return r, nil
}

// open opens a note under the policy, or reads it where there is none.
func open(policy *verify.Policy, note []byte) (verify.Opened, error) {
	if policy != nil {
		return policy.Open(note)
	}
	c, err := verify.OpenUnverified(note)
	return verify.Opened{Checkpoint: c}, err
}

// consistent checks that b continues a.
func consistent(a, b verify.Checkpoint, proof []verify.Hash) error {
	switch {
	case a.Origin != b.Origin:
		return fmt.Errorf("two logs: %q and %q", a.Origin, b.Origin)
	case a.Size > b.Size:
		return fmt.Errorf("the old checkpoint has size %d, the new one %d: exchange them", a.Size, b.Size)
	case a.Size == b.Size && a.Root != b.Root:
		return fmt.Errorf("FORK: two roots of log %q at size %d; the two signed checkpoints prove that it showed two histories", a.Origin, a.Size)
	}
	if err := verify.CheckConsistency(a.Size, b.Size, a.Root, b.Root, proof); err != nil {
		if errors.Is(err, verify.ErrProof) {
			return fmt.Errorf("the proof does not show it: %w; either the proof is wrong, or the log was rewritten", err)
		}
		return err
	}
	return nil
}
