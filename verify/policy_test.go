package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

func TestCheckpointStrict(t *testing.T) {
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	one := "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
	good := "example.com/log\n1\n" + one + "\n"
	if c, err := verify.ParseCheckpoint(good); err != nil || verify.FormatCheckpoint(c) != good {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := verify.ParseCheckpoint("o\n0\n" + root + "\n"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "example.com/log\n1\n", "example.com/log\n1\n" + one, "\n1\n" + one + "\n", "a b\n1\n" + one + "\n", "a+b\n1\n" + one + "\n",
		"a\u00a0b\n1\n" + one + "\n", "a\x7f\n1\n" + one + "\n", strings.Repeat("a", 256) + "\n1\n" + one + "\n",
		"o\n01\n" + one + "\n", "o\n+1\n" + one + "\n", "o\n-1\n" + one + "\n", "o\n 1\n" + one + "\n", "o\n1_0\n" + one + "\n", "o\n\n" + one + "\n",
		"o\n9223372036854775808\n" + one + "\n", "o\n1\n" + one + "\nextension\n", "o\n1\n" + one + "\n\n", "o\r\n1\n" + one + "\n",
		"o\n1\n" + one[:43] + "\n", "o\n1\n" + strings.Replace(one, "0=", "1=", 1) + "\n", "o\n1\n" + one[:20] + "\r" + one[20:43] + "\n",
		"o\n0\n" + one + "\n", "o\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	} {
		if c, err := verify.ParseCheckpoint(bad); err == nil {
			t.Errorf("%q gives %+v", bad, c)
		}
	}
}

func TestOpenCheckpoint(t *testing.T) {
	l := newSampleLog(t, 3)
	w4, w6, other := newSigner("witness.example/a", 4), newSigner("witness.example/b", 6), newSigner("witness.example/other", 4)
	none := l.policy(t)
	both := l.policy(t, "witness a "+w4.vkey(t), "witness b "+w6.vkey(t)+" https://b.example/", "group g all a b", "quorum g")
	one := l.policy(t, "witness a "+w4.vkey(t), "witness b "+w6.vkey(t), "group g 1 a b", "quorum g")
	plain, cosigned := l.checkpoint(t, 5), l.checkpoint(t, 5, other, w6, w4)
	text := l.text(5)
	stranger := newSigner("someone.example", 1)
	impostor := newSigner(l.origin.name, 6) // the log's name, another key
	for _, tc := range []struct {
		name   string
		policy *verify.Policy
		note   string
		want   error // nil: opens; errAny: any error
	}{
		{"log only", none, string(plain), nil},
		{"unknown cosignatures are passed over", none, string(cosigned), nil},
		{"all of two", both, string(cosigned), nil},
		{"one of two", one, string(l.checkpoint(t, 5, w4)), nil},
		{"the other of two", one, string(l.checkpoint(t, 5, w6)), nil},
		{"one short", both, string(l.checkpoint(t, 5, w4, w4, other)), verify.ErrQuorum},
		{"no cosignature", one, string(plain), verify.ErrQuorum},
		{"no log signature", one, text + "\n" + w4.line(t, text, 1), verify.ErrUnsigned},
		{"stranger's signature", none, text + "\n" + stranger.line(t, text, 0), verify.ErrUnsigned},
		{"same name, other key", none, text + "\n" + impostor.line(t, text, 0), verify.ErrUnsigned},
		{"known key, bad signature beside a good one", none, string(plain) + spoilSignature(l.origin.line(t, text, 0)), verify.ErrSignature},
		{"known witness, bad signature, not needed", one, string(l.checkpoint(t, 5, w4)) + spoilSignature(w6.line(t, text, 9)), verify.ErrSignature},
		{"cosignature of another size", one, string(plain) + w4.line(t, l.text(4), 9), verify.ErrSignature},
		{"cosignature with another time", one, string(plain) + spoilTime(w4.line(t, text, 9)), verify.ErrSignature},
		{"another size", none, strings.Replace(string(plain), "\n5\n", "\n4\n", 1), verify.ErrSignature},
		{"text with a blank line", none, "a\n\n" + string(plain), errAny},
		{"no signature", none, text + "\n", errAny},
		{"no blank line", none, text, errAny},
		{"unfinished line", none, strings.TrimSuffix(string(plain), "\n"), errAny},
		{"control character", none, strings.Replace(string(plain), "\u2014 ", "\u2014 \t", 1), errAny},
		{"hyphen for a dash", none, strings.Replace(string(plain), "\u2014 ", "- ", 1), errAny},
		{"not UTF-8", none, "\xff" + string(plain), errAny},
		{"many signatures", none, string(plain) + strings.Repeat(stranger.line(t, text, 0), 100), errAny},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := tc.policy.OpenCheckpoint([]byte(tc.note))
			switch {
			case tc.want == nil && (err != nil || verify.FormatCheckpoint(c) != text):
				t.Errorf("%+v, %v", c, err)
			case tc.want == errAny && err == nil || tc.want != nil && tc.want != errAny && !errors.Is(err, tc.want):
				t.Errorf("error %v, want %v", err, tc.want)
			case err != nil && c != (verify.Checkpoint{}):
				t.Errorf("a checkpoint with an error: %+v", c)
			}
		})
	}
	o, err := both.Open(cosigned)
	if err != nil || fmt.Sprint(o.Witnesses) != "[{witness.example/b 1783000002 b} {witness.example/a 1783000003 a}]" {
		t.Errorf("witnesses %v, %v", o.Witnesses, err)
	}
	if _, err := none.Open([]byte(string(plain) + strings.Repeat(stranger.line(t, text, 0), 99))); err != nil {
		t.Errorf("100 signatures: %v", err)
	}
}

var errAny = errors.New("any")

// spoilSignature changes a digit of a signature.
func spoilSignature(line string) string { return spoilDigit(line, 20) }

// spoilTime changes a digit of a cosignature's time, which has digits 6 to 15.
func spoilTime(line string) string { return spoilDigit(line, 14) }

func spoilDigit(line string, n int) string {
	b := []byte(line)
	at := strings.LastIndex(line, " ") + 1 + n
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

func TestPolicyRefuses(t *testing.T) {
	log1, log2 := newSigner("log.example", 1), newSigner("log2.example", 6)
	a, b := newSigner("witness.example/a", 4), newSigner("witness.example/b", 6)
	l1, wa, wb := "log "+log1.vkey(t)+"\n", "witness a "+a.vkey(t)+"\n", "witness b "+b.vkey(t)+"\n"
	twin := newSigner("twin.example", 4)
	twin.seed = log1.seed
	own := newSigner("log.example", 4)
	for _, good := range []string{
		l1 + "quorum none\n", l1 + "quorum none", "# comment\n\n" + l1 + "log " + log2.vkey(t) + " https://x/\nquorum none\n",
		"log\t" + log1.vkey(t) + "\t https://x \nquorum  none\n", l1 + wa + "quorum a\n", l1 + wa + wb + "group g 2 a b\nquorum g\n",
		l1 + wa + wb + "group g any a\ngroup h all g b\nquorum h\n", wa + "quorum a\n" + l1,
	} {
		if _, err := verify.ParsePolicy([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "no log": wa + "quorum a\n", "no quorum": l1, "two quorums": l1 + "quorum none\nquorum none\n", "quorum of nobody": l1 + "quorum g\n",
		"quorum of two": l1 + wa + wb + "quorum a b\n", "unknown word": l1 + "quorum none\nwitnesses a\n", "carriage return": l1 + "quorum none\r\n",
		"witness as log": "log " + a.vkey(t) + "\nquorum none\n", "log as witness": l1 + "witness x " + newSigner("x", 1).vkey(t) + "\nquorum x\n",
		"same key twice": l1 + "witness t " + twin.vkey(t) + "\nquorum t\n", "log twice": l1 + l1 + "quorum none\n", "its own witness": l1 + "witness o " + own.vkey(t) + "\nquorum o\n",
		"name twice": l1 + wa + "witness a " + b.vkey(t) + "\nquorum a\n", "name of none": l1 + "witness none " + a.vkey(t) + "\nquorum none\n",
		"group named as witness": l1 + wa + "group a any a\nquorum a\n", "used before defined": l1 + "group g any a\n" + wa + "quorum g\n",
		"member of two groups": l1 + wa + "group g any a\ngroup h any a\nquorum h\n", "member twice": l1 + wa + "group g 2 a a\nquorum g\n", "member of itself": l1 + "group g any g\nquorum g\n",
		"threshold 0": l1 + wa + "group g 0 a\nquorum g\n", "threshold 2 of 1": l1 + wa + "group g 2 a\nquorum g\n", "threshold 01": l1 + wa + "group g 01 a\nquorum g\n",
		"group of nobody": l1 + "group g any\nquorum g\n", "two urls": "log " + log1.vkey(t) + " x y\nquorum none\n", "log without key": "log\nquorum none\n",
		"comment behind": l1 + "quorum none # really\n",
	} {
		if _, err := verify.ParsePolicy([]byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestVKeyRefuses(t *testing.T) {
	good := newSigner("log.example", 1).vkey(t)
	if name, err := verify.VKeyOrigin(good); err != nil || name != "log.example" {
		t.Fatalf("%q, %v", name, err)
	}
	name, rest, _ := strings.Cut(good, "+")
	id, key, _ := strings.Cut(rest, "+")
	for _, bad := range []string{"", name, name + "+" + id, "+" + rest, "x" + good, name + "+" + strings.ToUpper(id) + "+" + key, name + "+0" + id + "+" + key,
		name + "+" + id + "+" + key + "=", name + "+" + id + "+" + key + "\n", name + "+" + id + "+" + key[:40], "a b+" + rest, good + " "} {
		if n, err := verify.VKeyOrigin(bad); err == nil {
			t.Errorf("%q gives %q", bad, n)
		}
	}
}

func TestHashesFile(t *testing.T) {
	h := []verify.Hash{{1}, {2}}
	text := verify.FormatHashes(h)
	if got, err := verify.ParseHashes(text); err != nil || len(got) != 2 || got[1] != h[1] {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := verify.ParseHashes(nil); err != nil || len(got) != 0 {
		t.Errorf("no hashes: %v, %v", got, err)
	}
	for _, bad := range [][]byte{text[:len(text)-1], append(bytes.Clone(text), '\n'), bytes.Replace(text, []byte("="), []byte("A"), 1),
		bytes.ReplaceAll(text, []byte("\n"), []byte(" ")), bytes.Repeat(verify.FormatHashes(h[:1]), 65)} {
		if got, err := verify.ParseHashes(bad); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

// FuzzParseCheckpoint, FuzzParsePolicy and the like: what is taken has one text.
func FuzzParseCheckpoint(f *testing.F) {
	f.Add("example.com/log\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n")
	f.Add("o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := verify.ParseCheckpoint(text); err == nil && verify.FormatCheckpoint(c) != text {
			t.Errorf("%q reads as %q", text, verify.FormatCheckpoint(c))
		}
	})
}

// FuzzOpenCheckpoint: no note opens but those whose text the log signed.
func FuzzOpenCheckpoint(f *testing.F) {
	l := newSampleLog(f, 1)
	w := newSigner("witness.example/a", 4)
	p := l.policy(f, "witness a "+w.vkey(f), "group g any a", "quorum g")
	f.Add(l.checkpoint(f, 2, w))
	f.Add(l.checkpoint(f, 2))
	f.Add([]byte("\n\n\u2014 a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, note []byte) {
		c, err := p.OpenCheckpoint(note)
		if err == nil && verify.FormatCheckpoint(c) != l.text(2) {
			t.Errorf("opened %+v", c)
		}
		u, err := verify.OpenUnverified(note)
		if err == nil && !bytes.HasPrefix(note, []byte(verify.FormatCheckpoint(u)+"\n")) {
			t.Errorf("%q reads as %+v", note, u)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	l := newSigner("log.example", 1)
	f.Add([]byte(verify.FormatPolicy(l.vkey(f))))
	f.Add([]byte("log " + l.vkey(f) + "\nwitness a " + newSigner("a", 4).vkey(f) + "\ngroup g 1 a\nquorum g\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := verify.ParsePolicy(text)
		if err != nil {
			return
		}
		if _, err := p.OpenCheckpoint([]byte("o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u2014 o AAAAAAA=\n")); err == nil {
			t.Error("an unsigned checkpoint opens")
		}
	})
}

func FuzzParseHashes(f *testing.F) {
	f.Add(verify.FormatHashes([]verify.Hash{{1}, {2}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := verify.ParseHashes(text); err == nil && !bytes.Equal(verify.FormatHashes(h), text) {
			t.Errorf("%q reads as %q", text, verify.FormatHashes(h))
		}
	})
}

func FuzzVKeyOrigin(f *testing.F) {
	f.Add(newSigner("log.example", 1).vkey(f))
	f.Fuzz(func(t *testing.T, vkey string) {
		if name, err := verify.VKeyOrigin(vkey); err == nil && !strings.HasPrefix(vkey, name+"+") {
			t.Errorf("%q has name %q", vkey, name)
		}
	})
}
