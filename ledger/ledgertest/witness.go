package ledgertest

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// WitnessPolicy trusts the test log and asks for so many of the witnesses; their
// names in it are w0, w1 and so on.
func WitnessPolicy(need int, witnesses ...cosigntest.Witness) *verify.Policy {
	var b strings.Builder
	fmt.Fprintf(&b, "log %s\n", VKey)
	members := ""
	for i, w := range witnesses {
		fmt.Fprintf(&b, "witness w%d %s\n", i, w.VKey())
		members += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&b, "group all-of-them %d%s\nquorum all-of-them\n", need, members)
	p, err := verify.ParsePolicy([]byte(b.String()))
	if err != nil {
		panic("policy of witnesses: " + err.Error())
	}
	return p
}

// Checkpoint is a checkpoint that the test log signed, of whatever size and root.
func Checkpoint(size uint64, root verify.Hash) []byte {
	signed, err := note.Sign(&note.Note{Text: verify.FormatCheckpoint(verify.Checkpoint{Origin: Origin, Size: size, Root: root})}, Signer())
	if err != nil {
		panic("signing a checkpoint: " + err.Error())
	}
	return signed
}
