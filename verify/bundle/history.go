package bundle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// maxHistory bounds the earlier checkpoints of a bundle.
const maxHistory = 400

// Limits of small members, in bytes.
const (
	maxNote   = 1 << 20
	maxPolicy = 1 << 20
	maxProof  = 64 * 45
)

// openNote opens a signed note under the file's own policy.
func openNote(z *archive, name string, policy *verify.Policy) (verify.Opened, error) {
	note, err := z.read(name, maxNote)
	if err != nil {
		return verify.Opened{}, err
	}
	o, err := policy.Open(note)
	if err != nil {
		return o, faulty(name, "under the file's own policy: %w", err)
	}
	return o, nil
}

// openEarlier opens an earlier checkpoint: under the file's own policy, or as one
// that a key of the log signed, another one than the policy's or without its
// witnesses: the checkpoint after it shows that it is of the same log, and it vouches
// for no more than which key followed. keys may be nil.
func openEarlier(note []byte, policy *verify.Policy, keys *verify.KeyChain) (verify.Opened, error) {
	o, err := policy.Open(note)
	if err == nil || keys == nil || !errors.Is(err, verify.ErrUnsigned) && !errors.Is(err, verify.ErrQuorum) {
		return o, err
	}
	c, err := keys.OpenCheckpoint(note)
	if errors.Is(err, verify.ErrKeyCompromised) {
		err = nil
	}
	return verify.Opened{Checkpoint: c}, err
}

// readHistory opens the earlier checkpoints and checks that each begins the next,
// the last of them the file's own.
func readHistory(z *archive, policy *verify.Policy, keys *verify.KeyChain, last verify.Opened) ([]report.Checkpoint, error) {
	var out []report.Checkpoint
	for _, f := range z.manifest.Files {
		l, size := lineOf(f.Name)
		if l != lineHistory || f.Name != historyName(size, "note") {
			if l == lineHistory && !z.has(historyName(size, "note")) {
				return nil, faulty(f.Name, "there is no checkpoint beside it")
			}
			continue
		}
		note, err := z.read(f.Name, maxNote)
		if err != nil {
			return nil, err
		}
		o, err := openEarlier(note, policy, keys)
		if err != nil {
			return nil, faulty(f.Name, "under the file's own policy: %w", err)
		}
		if o.Size != size || o.Origin != last.Origin || size >= last.Size || size == 0 {
			return nil, faulty(f.Name, "it is one of size %d of log %q", o.Size, o.Origin)
		}
		out = append(out, report.Checkpoint{Opened: o})
	}
	if len(out) > maxHistory {
		return nil, faulty("", "%d earlier checkpoints, limit %d", len(out), maxHistory)
	}
	next := last.Checkpoint
	for _, c := range slices.Backward(out) {
		name := historyName(c.Size, "proof")
		text, err := z.read(name, maxProof)
		if err != nil {
			return nil, err
		}
		proof, err := verify.ParseHashes(text)
		if err == nil {
			err = verify.CheckConsistency(c.Size, next.Size, c.Root, next.Root, proof)
		}
		if err != nil {
			return nil, faulty(name, "that the log at size %d begins with the one at size %d: %w", next.Size, c.Size, err)
		}
		next = c.Checkpoint
	}
	return out, nil
}

// A Held is a checkpoint that an examiner holds from elsewhere.
type Held struct {
	Note  []byte        // signed note
	Proof []verify.Hash // consistency proof between it and the bundle's; nil: none
}

// compareHeld compares a checkpoint that the examiner holds with those of the
// bundle. policy is the examiner's; nil: none.
func compareHeld(h *Held, policy *verify.Policy, p *pass) error {
	s := p.summary
	own := s.Head.Checkpoint.Checkpoint
	c, err := openHeld(h.Note, policy, p.keys, own.Size)
	if err != nil {
		return fmt.Errorf("the checkpoint that you hold: %w", err)
	}
	if c.Origin != own.Origin {
		return fmt.Errorf("the checkpoint that you hold is of log %q, this file of log %q", c.Origin, own.Origin)
	}
	for _, k := range knownCheckpoints(s) {
		if k.Size != c.Size {
			continue
		}
		if k.Root != c.Root {
			return fmt.Errorf("FORK: two roots at size %d: the checkpoint that you hold and this file are of two histories of the log", c.Size)
		}
		return nil
	}
	switch {
	case h.Proof != nil && c.Size < own.Size:
		err = verify.CheckConsistency(c.Size, own.Size, c.Root, own.Root, h.Proof)
	case h.Proof != nil:
		err = verify.CheckConsistency(own.Size, c.Size, own.Root, c.Root, h.Proof)
	case c.Size > own.Size:
		return fmt.Errorf("the checkpoint that you hold is of size %d, this file of size %d: an old copy was presented; ask for a file at size %d or more, or for the consistency proof between the two sizes", c.Size, own.Size, c.Size)
	default:
		return fmt.Errorf("the checkpoint that you hold, of size %d, cannot be compared with this file: ask for the consistency proof from size %d to size %d", c.Size, c.Size, own.Size)
	}
	if err != nil {
		return fmt.Errorf("the checkpoint that you hold, of size %d, and this file: %w", c.Size, err)
	}
	return nil
}

// knownCheckpoints are the sizes of the log whose roots a bundle shows.
func knownCheckpoints(s *report.Summary) []verify.Checkpoint {
	own := s.Head.Checkpoint.Checkpoint
	known := []verify.Checkpoint{own}
	for _, earlier := range s.Checkpoints {
		known = append(known, earlier.Checkpoint)
	}
	if s.Head.Close != nil {
		known = append(known, verify.Checkpoint{Origin: own.Origin, Size: s.Head.Cut, Root: verify.Hash(s.Head.Close.Root)})
	}
	return known
}
