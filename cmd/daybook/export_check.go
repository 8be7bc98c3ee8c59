package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// verdictGood is the best verdict.
const verdictGood = string(bundle.Verified)

// checked is what the check of a part says.
type checked struct {
	verdict string          // empty: it was not checked
	open    string          // why it may not be all that was asked for; empty: it is
	unknown []exportUnknown // what was asked for and nothing in the log has
}

// exportUnknown is a word of the question that nothing in the log has.
type exportUnknown struct {
	Text    string `json:"text"`
	Nearest string `json:"nearest,omitempty"` // name in a domain map, as a misspelling is near it
}

// checkPart checks a part that came, under the log's keys that are known here; an error
// where the verdict is neither VERIFIED nor that with declared gaps.
func (c *exportCommand) checkPart(cmd *cobra.Command, from io.ReaderAt, part *apiv1.ExportPart) (checked, error) {
	if c.noCheck {
		return checked{}, nil
	}
	policy, err := verify.ParsePolicy(keysAt(c.keys, part.GetTreeSize()))
	if err != nil {
		return checked{}, fmt.Errorf("the log's keys at size %d: %w", part.GetTreeSize(), err)
	}
	result, err := bundle.Check(cmd.Context(), []bundle.File{{R: from, Size: int64(part.GetSize())}}, bundle.Trust{Policy: policy})
	if err != nil {
		return checked{}, fmt.Errorf("checking what came: %w", err)
	}
	switch result.Verdict {
	case bundle.Verified, bundle.DeclaredGaps:
		if at := result.Opened.Size; at != part.GetTreeSize() {
			return checked{}, fmt.Errorf("what came leads to the checkpoint of size %d, and the log said %d; nothing was kept. Tell the log's operator", at, part.GetTreeSize())
		}
		return saidOf(result), nil
	case bundle.Newer:
		return checked{}, errors.New("what came needs a newer version of this program to be checked: nothing was kept; --no-check keeps it unchecked")
	}
	return checked{}, fmt.Errorf("what came does not hold: %s: %s; nothing was kept. Tell the log's operator, and keep what you have of this log", result.Verdict, result.Reason)
}

// saidOf is what the check of a part that holds says. The part alone is judged: that the
// others are elsewhere is no fault of it.
func saidOf(r *bundle.Result) checked {
	said := checked{verdict: string(r.Verdict)}
	s := r.Parts[0]
	for _, claim := range s.Claims {
		if claim.Name == report.ClaimAccepted && claim.State != report.Proved {
			said.open = claim.Detail
		}
	}
	for _, u := range s.Head.Unknown {
		said.unknown = append(said.unknown, exportUnknown{u.Text, bundle.Nearest(s, u)})
	}
	return said
}

// keysAt is the policy that trusts the keys of a log which may sign a size.
func keysAt(keys *verify.KeyChain, size uint64) []byte {
	text := ""
	for _, k := range keys.Keys() {
		if !k.Compromised && size <= k.Until() {
			text += "log " + k.VKey + "\n"
		}
	}
	return []byte(text + "quorum none\n")
}
