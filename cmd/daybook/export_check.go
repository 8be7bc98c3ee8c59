package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// verdictGood is the best verdict.
const verdictGood = string(bundle.Verified)

// checked checks a part that came, under the log's keys that are known here, and
// returns the verdict; an error where it is neither VERIFIED nor that with declared
// gaps.
func (c *exportCommand) checked(cmd *cobra.Command, from io.ReaderAt, part *apiv1.ExportPart) (string, error) {
	if c.noCheck {
		return "", nil
	}
	text := keysAt(c.keys, part.GetTreeSize())
	policy, err := verify.ParsePolicy(text)
	if err != nil {
		return "", fmt.Errorf("the log's keys at size %d: %w", part.GetTreeSize(), err)
	}
	result, err := bundle.Check(cmd.Context(), []bundle.File{{R: from, Size: int64(part.GetSize())}}, bundle.Trust{Policy: policy, Text: text})
	if err != nil {
		return "", fmt.Errorf("checking what came: %w", err)
	}
	switch result.Verdict {
	case bundle.Verified, bundle.DeclaredGaps:
		if at := result.Opened.Size; at != part.GetTreeSize() {
			return "", fmt.Errorf("what came leads to the checkpoint of size %d, and the log said %d; nothing was kept. Tell the log's operator", at, part.GetTreeSize())
		}
		return string(result.Verdict), nil
	case bundle.Newer:
		return "", errors.New("what came needs a newer version of this program to be checked: nothing was kept; --no-check keeps it unchecked")
	}
	return "", fmt.Errorf("what came does not hold: %s: %s; nothing was kept. Tell the log's operator, and keep what you have of this log", result.Verdict, result.Reason)
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
