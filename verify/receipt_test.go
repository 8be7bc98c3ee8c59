package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestReceiptStrict(t *testing.T) {
	l := newSampleLog(t, 3)
	good := string(l.receipt(t, 2, 5))
	withExtra := strings.Replace(good, "index", "extra AQI=\nindex", 1)
	for _, text := range []string{good, withExtra, string(l.receipt(t, 0, 1))} {
		r, err := verify.ParseReceipt([]byte(text))
		if err != nil || string(verify.FormatReceipt(r)) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
	hash := strings.Split(good, "\n")[2]
	for name, bad := range map[string]string{
		"empty": "", "no header": strings.TrimPrefix(good, "c2sp.org/tlog-proof@v1\n"), "carriage returns": strings.ReplaceAll(good, "\n", "\r\n"),
		"leading zero": strings.Replace(good, "index 2", "index 02", 1), "plus": strings.Replace(good, "index 2", "index +2", 1),
		"two spaces": strings.Replace(good, "index 2", "index  2", 1), "over 63 bits": strings.Replace(good, "index 2", "index 9223372036854775808", 1),
		"no index": strings.Replace(good, "index 2\n", "", 1), "extra behind": strings.Replace(good, "index 2\n", "index 2\nextra AQI=\n", 1),
		"empty extra": strings.Replace(good, "index", "extra \nindex", 1), "extra twice": strings.Replace(withExtra, "extra", "extra AQI=\nextra", 1),
		"loose base64 in extra": strings.Replace(withExtra, "AQI=", "AQJ=", 1), "hash cut": strings.Replace(good, hash, hash[1:], 1),
		"loose base64": strings.Replace(good, hash, hash[:42]+"B=", 1), "many hashes": strings.Replace(good, hash, strings.Repeat(hash+"\n", 64)+hash, 1),
		"no checkpoint": good[:strings.Index(good, "\n\n")+2], "no blank line": strings.Replace(good, "\n\n", "\n", 2),
	} {
		if r, err := verify.ParseReceipt([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := verify.ParseReceipt([]byte(strings.Replace(good, "@v1", "@v2", 1))); !errors.Is(err, verify.ErrNewer) {
		t.Errorf("version 2: %v", err)
	}
}

// TestCheckReceipt checks every entry at every size, in every order of sizes,
// and refuses each with any one byte of receipt or entry changed.
func TestCheckReceipt(t *testing.T) {
	l := newSampleLog(t, 7)
	p := l.policy(t)
	checker := verify.ReceiptChecker{Policy: p}
	for size := 1; size <= len(l.entries); size++ {
		for i := range size {
			receipt := l.receipt(t, i, size)
			claims, err := verify.CheckReceipt(p, receipt, l.entries[i])
			if err != nil {
				t.Fatalf("entry %d at %d: %v", i, size, err)
			}
			again, err := checker.Check(receipt, l.entries[i])
			if err != nil || fmt.Sprint(again) != fmt.Sprint(claims) {
				t.Fatalf("entry %d at %d: the checker says %+v, %v", i, size, again, err)
			}
			if claims.Index != uint64(i) || claims.Size != uint64(size) || claims.Origin != l.origin.name || claims.Leaf != l.leaves[i] {
				t.Errorf("entry %d at %d: %+v", i, size, claims)
			}
			if i > 0 {
				if _, err := checker.Check(receipt, l.entries[i-1]); err == nil {
					t.Errorf("entry %d at %d: its neighbour is taken for it", i, size)
				}
			}
		}
	}
	receipt, entry := l.receipt(t, 5, 9), l.entries[5]
	for at := range receipt {
		changed := bytes.Clone(receipt)
		changed[at] ^= 1
		if _, err := verify.CheckReceipt(p, changed, entry); err == nil {
			t.Errorf("byte %d of the receipt changed: taken", at)
		}
		if _, err := checker.Check(changed, entry); err == nil {
			t.Errorf("byte %d of the receipt changed: taken by the checker", at)
		}
	}
	for at := range entry {
		changed := bytes.Clone(entry)
		changed[at] ^= 1
		if _, err := verify.CheckReceipt(p, receipt, changed); err == nil {
			t.Errorf("byte %d of the entry changed: taken", at)
		}
	}
	if _, err := verify.CheckReceipt(nil, receipt, entry); err == nil {
		t.Error("taken without a policy")
	}
	own := verify.ReceiptChecker{}
	if c, err := own.Check(receipt, entry); err != nil || c.Index != 5 {
		t.Errorf("self-consistent: %+v, %v", c, err)
	}
}

// TestCheckReceiptOfOddEntries has the log sign what it never should, or what a
// later format may: each gets its own kind of error after the tree is proved.
func TestCheckReceiptOfOddEntries(t *testing.T) {
	l := newSampleLog(t, 1)
	e, err := verify.ParseEntry(l.entries[2])
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := e.Place
	elsewhere.Index++
	head := bytes.Clone(e.HeadBytes)
	l.entries = [][]byte{
		verify.AppendEntry(nil, head, append(bytes.Clone(e.PlaceBytes), 0x68, 1), e.Body),                                                                                                                 // field 13 of the head
		append(verify.AppendEntry(nil, head, e.PlaceBytes, e.Body), 0x22, 1, 'x'),                                                                                                                         // field 4 of the entry
		verify.AppendEntry(nil, append([]byte{8, 2}, head[2:]...), []byte("not even a head"), e.Body),                                                                                                     // format 2
		verify.AppendEntry(nil, head, (&verify.EntryHead{Kind: 21, Index: 3, Number: 1}).AppendTo(nil), e.Body),                                                                                           // kind 21
		verify.AppendEntry(nil, head, (&verify.EntryHead{Kind: daybookv1.Kind_KIND_GAP, Index: 4, Number: 1}).AppendTo(nil), append(marshal(t, &daybookv1.Gap{First: 1, Last: 1, Reason: "r"}), 0x20, 1)), // field 4 of a gap
		verify.AppendEntry(nil, head, elsewhere.AppendTo(nil), e.Body),
		verify.AppendEntry(nil, head, (&verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Index: 6, Number: 1}).AppendTo(nil), []byte("x")),
		[]byte("no entry"),
	}
	l.leaves = nil
	for _, entry := range l.entries {
		l.leaves = append(l.leaves, verify.HashLeaf(entry))
	}
	p := l.policy(t)
	for i, entry := range l.entries {
		c, err := verify.CheckReceipt(p, l.receipt(t, i, len(l.entries)), entry)
		if err == nil || c.Leaf != l.leaves[i] {
			t.Errorf("entry %d: %+v, %v", i, c, err)
		}
		if errors.Is(err, verify.ErrNewer) != (i < 5) {
			t.Errorf("entry %d: error %v, want ErrNewer: %v", i, err, i < 5)
		}
	}
}

// FuzzParseReceipt: what is taken has one text.
func FuzzParseReceipt(f *testing.F) {
	l := newSampleLog(f, 3)
	f.Add(l.receipt(f, 2, 5))
	f.Add(l.receipt(f, 0, 1))
	f.Add(bytes.Replace(l.receipt(f, 1, 3), []byte("index"), []byte("extra AQI=\nindex"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := verify.ParseReceipt(b); err == nil && !bytes.Equal(verify.FormatReceipt(r), b) {
			t.Errorf("%q reads as %q", b, verify.FormatReceipt(r))
		}
	})
}

// BenchmarkReceiptCheck checks the receipts of neighbours under one checkpoint,
// as daybook-verify does for a folder.
func BenchmarkReceiptCheck(b *testing.B) {
	l := newSampleLog(b, 1022)
	var receipts [][]byte
	for i := range l.entries {
		receipts = append(receipts, l.receipt(b, i, len(l.entries)))
	}
	checker := verify.ReceiptChecker{Policy: l.policy(b)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 1) % len(receipts) {
		if _, err := checker.Check(receipts[i], l.entries[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
}
