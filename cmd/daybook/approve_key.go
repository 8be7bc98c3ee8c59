package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// approveVKey makes what approves a key: its sum, under a name.
func approveVKey(a *daybookv1.Approval, vkey string) error {
	sum, err := verify.VKeyFingerprint(vkey)
	if err != nil {
		return usagef("want a verifier key or a file with one: %v", err)
	}
	a.Sha256 = sum[:]
	return nil
}

// readVKey reads a verifier key: the text itself, or a file that holds it.
func readVKey(keyOrFile string) (string, error) {
	if strings.Contains(keyOrFile, "+") {
		return keyOrFile, nil
	}
	b, err := os.ReadFile(keyOrFile)
	if err != nil {
		return "", fmt.Errorf("reading a verifier key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// approveKeys fills in the approval of --key or --successor; false: neither is
// given.
func (c *approveCommand) approveKeys(a *daybookv1.Approval) (bool, error) {
	named := c.key + c.successor
	if named == "" {
		return false, nil
	}
	if c.key != "" && c.successor != "" || c.actor+c.flow+c.examiner+c.from+c.to != "" {
		return false, usagef("--key and --successor stand alone: give one of them, without --actor, --flow, --examiner, --from and --to")
	}
	vkey, err := readVKey(named)
	if err != nil {
		return false, err
	}
	if err := approveVKey(a, vkey); err != nil {
		return false, err
	}
	c.words = strings.Join(verify.FingerprintWords(verify.Hash(a.Sha256)), " ")
	a.Subject, a.Name = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION, verify.KeyName(vkey)
	if c.successor != "" {
		a.Subject = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION
		a.Name, err = verify.VKeyOrigin(vkey)
	}
	return true, err
}

// checkWords refuses to approve another key than the one whose words were told.
func (c *approveCommand) checkWords() error {
	if told := strings.Join(strings.Fields(c.told), " "); told != "" && !strings.EqualFold(told, c.words) {
		return usagef("the key's words are %q, not %q: it is another key; nothing was approved", c.words, told)
	}
	return nil
}

// printWords says which key was approved.
func (c *approveCommand) printWords(w io.Writer) error {
	if c.words == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "words       %s\n", c.words)
	return err
}
