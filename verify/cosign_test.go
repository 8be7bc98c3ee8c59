package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

func TestCosign(t *testing.T) {
	l := newSampleLog(t, 3)
	a, b, other := newSigner("witness.example/a", 4), newSigner("witness.example/b", 6), newSigner("witness.example/other", 4)
	policy := l.policy(t, "witness a "+a.vkey(t)+" https://a.example/", "witness b "+b.vkey(t), "group g all a b", "quorum g")
	plain, text := l.checkpoint(t, 5), l.text(5)
	for _, tc := range []struct {
		name  string
		lines string
		by    string // names and times
		gives string // behind the plain note
		want  error
	}{
		{"one", a.line(t, text, 9), "[{witness.example/a 9 a}]", a.line(t, text, 9), nil},
		{"two", b.line(t, text, 9) + a.line(t, text, 8), "[{witness.example/b 9 b} {witness.example/a 8 a}]", "", nil},
		{"the same twice", a.line(t, text, 9) + a.line(t, text, 9), "[{witness.example/a 9 a} {witness.example/a 9 a}]", a.line(t, text, 9), nil},
		{"a stranger's is dropped", other.line(t, text, 9) + a.line(t, text, 9), "[{witness.example/a 9 a}]", a.line(t, text, 9), nil},
		{"strangers alone", other.line(t, text, 9), "[]", "\x00", nil},
		{"the log's own is dropped", l.origin.line(t, text, 0), "[]", "\x00", nil},
		{"bad beside good", a.line(t, text, 9) + spoilDigit(b.line(t, text, 9), 40), "", "", verify.ErrSignature},
		{"of another size", a.line(t, l.text(4), 9), "", "", verify.ErrSignature},
		{"of another time", spoilTime(a.line(t, text, 9)), "", "", verify.ErrSignature},
		{"without a time", a.line(t, text, 0), "", "", verify.ErrSignature},
		{"nothing", "", "", "", errAny},
		{"a blank line", "\n" + a.line(t, text, 9), "", "", errAny},
		{"a blank line between", a.line(t, text, 9) + "\n" + a.line(t, text, 9), "", "", errAny},
		{"unfinished", strings.TrimSuffix(a.line(t, text, 9), "\n"), "", "", errAny},
		{"garbage", "hello\n", "", "", errAny},
		{"a page", "<html></html>\n", "", "", errAny},
		{"too many", strings.Repeat(a.line(t, text, 9), 101), "", "", errAny},
	} {
		note, by, err := policy.Cosign(plain, []byte(tc.lines), true)
		if (err == nil) != (tc.want == nil) || tc.want != nil && tc.want != errAny && !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
			continue
		}
		if err != nil {
			if note != nil || by != nil {
				t.Errorf("%s: an answer beside the error", tc.name)
			}
			continue
		}
		if tc.by == "[]" && len(by) != 0 || tc.by != "[]" && fmt.Sprint(by) != tc.by {
			t.Errorf("%s: by %v, want %s", tc.name, by, tc.by)
		}
		if want := string(plain) + strings.TrimPrefix(tc.gives, "\x00"); tc.gives != "" && string(note) != want {
			t.Errorf("%s: note\n%s\nwant\n%s", tc.name, note, want)
		}
		if again, err := policy.Cosigned(note); err != nil || (tc.name != "the same twice" && len(again) != len(by)) {
			t.Errorf("%s: cosigned by %v, %v", tc.name, again, err)
		}
	}
}

// TestCosignRenews attaches an earlier and a later line of one key, in both
// orders and ways.
func TestCosignRenews(t *testing.T) {
	l := newSampleLog(t, 3)
	a := newSigner("witness.example/a", 4)
	policy := l.policy(t, "witness a "+a.vkey(t), "quorum a")
	text := l.text(5)
	early, late := a.line(t, text, 8), a.line(t, text, 9)
	for _, tc := range []struct {
		first, second string
		renew         bool
		want          string
	}{{early, late, true, late}, {late, early, true, late}, {early, late, false, early}, {late, early, false, late}} {
		note, _, err := policy.Cosign(l.checkpoint(t, 5), []byte(tc.first), tc.renew)
		if err != nil {
			t.Fatal(err)
		}
		if note, _, err = policy.Cosign(note, []byte(tc.second), tc.renew); err != nil {
			t.Fatal(err)
		}
		if want := string(l.checkpoint(t, 5)) + tc.want; string(note) != want {
			t.Errorf("renew %v: %s", tc.renew, note)
		}
		if _, err := policy.Open(note); err != nil {
			t.Error(err)
		}
	}
}

func TestPolicyNamesWitnesses(t *testing.T) {
	l := newSampleLog(t, 3)
	a, b := newSigner("witness.example/a", 4), newSigner("witness.example/b", 6)
	p := l.policy(t, "witness a "+a.vkey(t)+" https://a.example/", "witness b "+b.vkey(t), "quorum none")
	got := p.Witnesses()
	want := []verify.Witness{{Name: "a", Key: "witness.example/a", VKey: a.vkey(t), URL: "https://a.example/"},
		{Name: "b", Key: "witness.example/b", VKey: b.vkey(t)}}
	if fmt.Sprint(got) != fmt.Sprint(want) || p.NeedsQuorum() || fmt.Sprint(p.LogKeys()) != fmt.Sprint([]string{l.origin.vkey(t)}) {
		t.Errorf("witnesses %v, quorum %v, logs %v", got, p.NeedsQuorum(), p.LogKeys())
	}
}

func TestPolicySatisfiedBy(t *testing.T) {
	l := newSampleLog(t, 1)
	lines := make([]string, 0, 6)
	for _, name := range []string{"a", "b", "c"} {
		lines = append(lines, "witness "+name+" "+newSigner("witness.example/"+name, 4).vkey(t))
	}
	p := l.policy(t, append(lines, "group pair all b c", "group g any a pair", "quorum g")...)
	for names, want := range map[string]bool{"": false, "a": true, "b": false, "b c": true, "a b": true, "pair": false, "d": false} {
		by := map[string]bool{}
		for _, name := range strings.Fields(names) {
			by[name] = true
		}
		if got := p.SatisfiedBy(by); got != want {
			t.Errorf("%q: %v", names, got)
		}
	}
}

// FuzzCosign: whatever a witness answers, the note stays one that opens, and no
// line of it is lost.
func FuzzCosign(f *testing.F) {
	l := newSampleLog(f, 3)
	a, b := newSigner("witness.example/a", 4), newSigner("witness.example/b", 4)
	policy := l.policy(f, "witness a "+a.vkey(f), "witness b "+b.vkey(f), "group g any a b", "quorum g")
	text := l.text(5)
	plain := l.checkpoint(f, 5, a)
	f.Add([]byte(b.line(f, text, 9)))
	f.Add([]byte(b.line(f, text, 9) + a.line(f, text, 9)))
	f.Add([]byte(spoilSignature(b.line(f, text, 9))))
	f.Add([]byte("\n" + b.line(f, text, 9)))
	f.Add([]byte("— x AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		for _, renew := range []bool{false, true} {
			note, by, err := policy.Cosign(plain, lines, renew)
			if err != nil {
				continue
			}
			o, err := policy.Open(note)
			if err != nil || verify.FormatCheckpoint(o.Checkpoint) != text {
				t.Fatalf("note %q does not open: %v", note, err)
			}
			if !renew && !bytes.HasPrefix(note, plain) || len(by) == 0 && !bytes.Equal(note, plain) {
				t.Fatalf("note %q is not a longer %q", note, plain)
			}
			got, err := verify.CosignatureLines(note)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := policy.Cosign(note, got, renew)
			if err != nil || !bytes.Equal(again, note) {
				t.Fatalf("its own lines change the note: %v", err)
			}
		}
	})
}
