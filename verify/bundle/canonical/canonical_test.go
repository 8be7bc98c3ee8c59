package canonical_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
)

// TestDocument writes every kind of value.
func TestDocument(t *testing.T) {
	var w canonical.Writer
	w.Open('{')
	w.Key("a")
	w.String("x\"\\\n\x7f\u2028é")
	w.Field("b", "")
	w.Field("c", "d")
	w.Key("e")
	w.Open('[')
	w.Int(-1)
	w.Uint(1<<64 - 1)
	w.Bool(true)
	w.Close(']')
	w.Key("f")
	w.Open('[')
	w.Close(']')
	w.Close('}')
	want := "{\n  \"a\": \"x\\\"\\\\\\u000a\x7f\u2028é\",\n  \"c\": \"d\",\n  \"e\": [\n    -1,\n    18446744073709551615,\n    true\n  ],\n  \"f\": []\n}\n"
	if got := string(w.Document()); got != want {
		t.Errorf("document %q, want %q", got, want)
	}
	if got := string(w.Line()); got != "{\"a\":\"x\\\"\\\\\\u000a\x7f\u2028é\",\"c\":\"d\",\"e\":[-1,18446744073709551615,true],\"f\":[]}\n" {
		t.Errorf("line %q", got)
	}
	w.Reset()
	w.Bool(false)
	if got := string(w.Line()); got != "false\n" {
		t.Errorf("after a reset %q", got)
	}
}

type pair struct {
	A string `json:"a"`
	N uint64 `json:"n"`
}

func (p *pair) document() []byte {
	var w canonical.Writer
	w.Open('{')
	w.Field("a", p.A)
	w.Key("n")
	w.Uint(p.N)
	w.Close('}')
	return w.Document()
}

// FuzzString: what is appended is the string, and nothing else is.
func FuzzString(f *testing.F) {
	f.Add("a\"\\\x00\x1f\x7f</script>\u2028\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		b := canonical.AppendString(nil, s)
		if err := json.Unmarshal(b, &got); utf8.ValidString(s) && (err != nil || got != s) {
			t.Errorf("%q is %q: %v", s, got, err)
		}
	})
}

// FuzzParse: what is taken has one encoding.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"{\n  \"a\": \"x\",\n  \"n\": 7\n}\n", "{\n  \"n\": 0\n}\n", "{\"n\":0}\n", "{\n  \"n\": 0,\n  \"n\": 0\n}\n", "{\n  \"N\": 0\n}\n", "{\n  \"a\": \"\\u0041\",\n  \"n\": 1e1\n}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := canonical.Parse(b, (*pair).document)
		if err == nil && !bytes.Equal(p.document(), b) {
			t.Errorf("%q is %q", b, p.document())
		}
	})
}
