package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// verdictGood is the best verdict.
const verdictGood = string(bundle.Verified)

// checked checks a part that came, under the profile's key, and returns the
// verdict; an error where it is neither VERIFIED nor that with declared gaps.
func (c *exportCommand) checked(cmd *cobra.Command, from io.ReaderAt, size int64) (string, error) {
	if c.noCheck {
		return "", nil
	}
	policy, err := verify.ParsePolicy([]byte(verify.FormatPolicy(c.vkey)))
	if err != nil {
		return "", fmt.Errorf("the profile's vkey: %w", err)
	}
	result, err := bundle.Check(cmd.Context(), []bundle.File{{R: from, Size: size}}, bundle.Trust{Policy: policy})
	if err != nil {
		return "", fmt.Errorf("checking what came: %w", err)
	}
	switch result.Verdict {
	case bundle.Verified, bundle.DeclaredGaps:
		return string(result.Verdict), nil
	case bundle.Newer:
		return "", errors.New("what came needs a newer version of this program to be checked: nothing was kept; --no-check keeps it unchecked")
	}
	return "", fmt.Errorf("what came does not hold: %s: %s; nothing was kept. Tell the log's operator, and keep what you have of this log", result.Verdict, result.Reason)
}
