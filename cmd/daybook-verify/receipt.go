package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
)

const proofSuffix, entrySuffix = ".tlog-proof", ".entry"

var receiptVerb = verb{
	name: "receipt",
	args: "--policy FILE [--json] X.tlog-proof",
	does: "check one receipt and its entry",
	help: `Checks that the entry in X.entry, beside X.tlog-proof, is in the log: the
checkpoint is signed as the policy asks, the entry's bytes hash into its tree at the
index, and they are an entry of that index. Nothing but these files is read.

Examples:
  daybook-verify receipt --policy policy.txt receipts/7.tlog-proof
  daybook-verify receipt receipts/7.tlog-proof --policy policy.txt --json
  daybook-verify receipt receipts/7.tlog-proof        # no key: SELF-CONSISTENT at best
`,
	run: runReceipt,
}

func runReceipt(c *call) (*result, error) {
	if err := c.want("receipt file"); err != nil {
		return nil, err
	}
	policy, err := c.readPolicy()
	if err != nil {
		return nil, err
	}
	name := c.args[0]
	base, ok := strings.CutSuffix(name, proofSuffix)
	if !ok {
		return nil, usagef("%s does not end in %s", name, proofSuffix)
	}
	receipt, err := readArgument(name)
	if err != nil {
		return nil, err
	}
	r := &result{}
	checker := verify.ReceiptChecker{Policy: policy}
	claims, err := verify.ReceiptClaims{}, error(nil)
	entry, err := os.ReadFile(base + entrySuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%s%s, the entry of this receipt, is not there: a receipt proves nothing without it", base, entrySuffix)
	case err == nil:
		claims, err = checker.Check(receipt, entry)
	}
	r.receiptClaims(claims, policy, len(entry), err == nil)
	if err == nil {
		err = r.reignClaims(entry)
	}
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
		r.FirstBadIndex = indexOf(receipt)
		return r, nil
	}
	r.pass(policy)
	return r, nil
}

// indexOf returns the index a receipt says, where it can be read.
func indexOf(receipt []byte) *uint64 {
	parsed, err := verify.ParseReceipt(receipt)
	if err != nil {
		return nil
	}
	return &parsed.Index
}

// receiptClaims says what a check proved, up to where it stopped.
func (r *result) receiptClaims(c verify.ReceiptClaims, policy *verify.Policy, length int, whole bool) {
	if c.Origin == "" {
		return
	}
	r.checkpointClaim(verify.Opened{Checkpoint: verify.Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root}, Witnesses: c.Witnesses}, policy, "")
	r.claim("inclusion", map[string]any{"index": c.Index, "size": c.Size, "leaf_hash": hex.EncodeToString(c.Leaf[:])},
		"entry %d is in the log at that size: its %d bytes hash into the tree", c.Index, length)
	if !whole {
		return
	}
	kind := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(c.Kind.String(), "KIND_")), "_", " ")
	pair := ""
	if c.Source != "" || c.Target != "" {
		pair = " from " + plain(c.Source)
		if c.Target != "" {
			pair += " to " + plain(c.Target)
		}
	}
	number := ""
	if c.Number > 0 {
		number = fmt.Sprintf(", number %d", c.Number)
	}
	r.claim("entry", map[string]any{"index": c.Index, "kind": c.Kind.String(), "log_time": utc(c.LogTimeNS), "producer": c.Producer,
		"run": hex.EncodeToString(c.Run[:]), "number": c.Number, "source": c.Source, "target": c.Target},
		"entry %d: %s%s, taken %s, submitted by %s%s of run %x", c.Index, kind, pair, utc(c.LogTimeNS), plain(c.Producer), number, c.Run[:4])
}

// checkpointClaim says whose checkpoint it is and who signed it.
func (r *result) checkpointClaim(o verify.Opened, policy *verify.Policy, which string) {
	data := map[string]any{"origin": o.Origin, "size": o.Size, "root": base64.StdEncoding.EncodeToString(o.Root[:])}
	text := fmt.Sprintf("%scheckpoint of log %s at size %d", which, plain(o.Origin), o.Size)
	if policy == nil {
		r.claim("checkpoint", data, "%s (its signatures were NOT checked)", text)
		return
	}
	text += ": signed by the log"
	if len(o.Witnesses) > 0 {
		data["witnesses"] = cosignerFields(o.Witnesses)
		text += ", cosigned by " + cosigners(o.Witnesses)
	}
	r.claim("checkpoint", data, "%s", text)
}
