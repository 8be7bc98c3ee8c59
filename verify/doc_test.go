package verify_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// TestDocExample makes the example of the package comment and checks that it
// stands there; -update writes it.
func TestDocExample(t *testing.T) {
	text := docExample(t)
	var lines strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line == "" {
			lines.WriteString("//\n")
		} else {
			lines.WriteString("//\t" + line + "\n")
		}
	}
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	const before = "and its receipt:\n//\n"
	head, _, ok := strings.Cut(string(b), before)
	if !ok {
		head, _, ok = strings.Cut(string(b), "and its receipt:\n")
	}
	want := head + before + lines.String() + "package verify\n"
	if *update && ok {
		if err := os.WriteFile("doc.go", []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(b) {
		t.Errorf("doc.go does not have this example; run with -update and explain the difference:\n%s", lines.String())
	}
}

// docExample tells how the smallest access is kept, in hex.
func docExample(t *testing.T) string {
	l := newSampleLog(t, 3)
	old, err := verify.ParseEntry(l.entries[2])
	if err != nil {
		t.Fatal(err)
	}
	old.Place.Source, old.Place.Target, old.Place.Side = "a", "b", 0
	body := minimalEvent(t)
	place := old.Place.AppendTo(nil)
	l.entries[2] = verify.AppendEntry(nil, old.HeadBytes, place, body)
	l.leaves[2] = verify.HashLeaf(l.entries[2])
	receipt := l.receipt(t, 2, 5)
	if _, err := verify.CheckReceipt(l.policy(t), receipt, l.entries[2]); err != nil {
		t.Fatal(err)
	}
	proof, err := verify.ProveRange(2, 4, 5, l.leaves.nodes)
	if err != nil {
		t.Fatal(err)
	}

	var b strings.Builder
	part := func(name string, bytes []byte) {
		for i := 0; i < len(bytes); i += 32 {
			fmt.Fprintf(&b, "%-7s%x\n", name, bytes[i:min(i+32, len(bytes))])
			name = ""
		}
	}
	n := len(old.HeadBytes)
	part("head", l.entries[2][:3+n])
	part("place", l.entries[2][3+n:len(l.entries[2])-len(body)-2])
	part("body", l.entries[2][len(l.entries[2])-len(body)-2:])
	h0 := verify.RunStart(old.Head.Producer, old.Head.Run)
	fmt.Fprintf(&b, "\nleaf   %x\nstream %x\n", l.leaves[2], verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "a", "b", 0, false))
	fmt.Fprintf(&b, "h(0)   %x\nh(1)   %x\n", h0, verify.RunNext(h0, 1, sha256.Sum256(body)))
	fmt.Fprintf(&b, "range proof of [2, 4) at size 5\n")
	for _, h := range proof {
		fmt.Fprintf(&b, "       %x\n", h)
	}
	b.WriteString("\n")
	b.Write(receipt)
	return b.String()
}
