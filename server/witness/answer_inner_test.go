package witness

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// FuzzAnswer: what a witness answers beside cosignatures is bounded, printable, and
// a size only in its one form.
func FuzzAnswer(f *testing.F) {
	f.Add(409, "text/x.tlog.size", "", []byte("7\n"))
	f.Add(409, "Text/X.tlog.size; charset=utf-8", "1", []byte("007\n"))
	f.Add(503, "text/plain", "99999999999999999999", []byte("not now\x1b[2J\xff"))
	f.Fuzz(func(t *testing.T, status int, typ, after string, body []byte) {
		h := http.Header{"Content-Type": {typ}, "Retry-After": {after}}
		if n, ok := sizeOf(status, h, body); ok && (status != 409 || string(body) != strconv.FormatUint(n, 10)+"\n" || n > verify.MaxSize) {
			t.Errorf("%d %q %q is size %d", status, typ, body, n)
		}
		if d := retryAfter(h); d < 0 || d > maxRetryAfter || d%time.Second != 0 {
			t.Errorf("after %q: %v", after, d)
		}
		text := clean(body)
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is shown as %q", body, text)
		}
	})
}

// FuzzReadPolicy: a policy that is taken trusts this log alone, needs somebody,
// and reads the same again.
func FuzzReadPolicy(f *testing.F) {
	w := cosigntest.Witness{Name: "witness.example/w", Type: cosigntest.Ed25519}
	line := "witness w " + w.VKey() + " https://witness.example/prefix/\n"
	f.Add([]byte(line + "quorum w\n"))
	f.Add([]byte("log " + ledgertest.VKey + "\n" + line + "group g any w\nquorum g\n"))
	f.Add([]byte("# a comment\n\nlog x\n" + line))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ReadPolicy(text, ledgertest.VKey)
		if err != nil {
			return
		}
		keys, err := verify.NewKeyChain(ledgertest.VKey)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadPolicy([]byte(p.Text(keys)), ledgertest.VKey)
		if err != nil || !p.NeedsQuorum() || again.witnesses != p.witnesses {
			t.Errorf("read again: %v", err)
		}
		for _, k := range p.LogKeys() {
			if of, err := verify.VKeyOrigin(k); err != nil || of != keys.Origin() {
				t.Errorf("it trusts log %q, %v", of, err)
			}
		}
	})
}
