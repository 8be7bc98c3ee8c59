package bundle

import (
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
)

// follow opens a bundle's checkpoint under a later key of the log than the
// examiner's policy names, whose text is given: from each earlier checkpoint in the
// bundle that opens under the keys trusted so far, the keys follow that rotations
// below its size brought in. A key that has ended, or is in other hands, vouches for
// none. unsigned is why the checkpoint does not open under the policy itself.
func (r *Result) follow(p *pass, text, note []byte, unsigned error) error {
	trusted := string(text)
	var bridge uint64
	for _, c := range p.summary.Checkpoints {
		earlier, err := p.z.read(historyName(c.Size, "note"), maxNote)
		if err != nil {
			return err
		}
		policy, err := verify.ParsePolicy([]byte(standing(trusted, p.keys, c.Size)))
		if err != nil {
			continue // none of its keys may sign that size
		}
		if _, err := policy.Open(earlier); err != nil {
			continue
		}
		for _, k := range p.keys.Keys() {
			if k.Since > 0 && k.Since < c.Size && !strings.Contains(trusted, k.VKey) {
				trusted, bridge = "log "+k.VKey+"\n"+trusted, c.Size
			}
		}
	}
	if bridge == 0 {
		return unsigned
	}
	policy, err := verify.ParsePolicy([]byte(standing(trusted, p.keys, p.answer.Size)))
	if err != nil {
		return err
	}
	if r.Opened, err = policy.Open(note); err != nil {
		return err
	}
	r.Claims[0].Detail += fmt.Sprintf("; its key is a later one of the log: a checkpoint that follows from your policy, of size %d, covers the rotation", bridge)
	return nil
}

// standing is a policy's text without the log's keys that may not sign a size.
func standing(text string, keys *verify.KeyChain, size uint64) string {
	var kept []string
	for line := range strings.Lines(text) {
		ended := false
		for _, k := range keys.Keys() {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "log" && fields[1] == k.VKey {
				ended = k.Compromised || size > k.Until()
			}
		}
		if !ended {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
