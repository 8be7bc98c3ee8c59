package mapping

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePython(t *testing.T) {
	for in, want := range map[string]object{
		`{}`:                        {},
		` { 'a' : 'b' } `:           {"a": "b"},
		`{'a': "it's"}`:             {"a": "it's"},
		`{'a': 'say "x"'}`:          {"a": `say "x"`},
		`{'a': 'it\'s "x"\\'}`:      {"a": `it's "x"\`},
		`{'a': '\n\r\t\xe9\u20ac'}`: {"a": "\n\r\té€"},
		`{'a': '\U0001f600é'}`:      {"a": "😀é"},
		`{'a': None, 'b': True, 'c': False, 'd': -1, 'e': 2.5e-07}`: {
			"a": nil, "b": true, "c": false, "d": json.Number("-1"), "e": json.Number("2.5e-07")},
		`{'a': [], 'b': [1, ['x']], 'c': (), 'd': ('x',), 'e': (1, 2)}`: {
			"a": []any{}, "b": []any{json.Number("1"), []any{"x"}}, "c": []any{}, "d": []any{"x"},
			"e": []any{json.Number("1"), json.Number("2")}},
		`{'a': {'b': {'c': 'd'}}}`: {"a": object{"b": object{"c": "d"}}},
	} {
		got, err := parsePython(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestParsePythonRefuses(t *testing.T) {
	for _, in := range []string{
		``, `{`, `}`, `[]`, `'a'`, `{'a'}`, `{'a':}`, `{'a' 'b'}`, `{'a': 'b'`, `{'a': 'b' 'c': 'd'}`, `{'a': 'b',}`,
		`{'a': 'b'} x`, `{'a': 'b}`, `{'a': 'b\'}`, `{'a': '\q'}`, `{'a': '\x4'}`, `{'a': '\ud800'}`, `{'a': '\U00110000'}`,
		`{'a': 1, 'a': 2}`, `{1: 2}`, `{None: 2}`, `{'a': nan}`, `{'a': 01}`, `{'a': +1}`, `{'a': exit()}`, `{'a': b'x'}`,
		`{'a': datetime.datetime(2020, 1, 1)}`, "{'a': '\n'}", `{'a': [1 2]}`, `{'a': [1,, 2]}`, `{'a': [1, 2}`, `{"a": null}`,
		`{'a': ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		if got, err := parsePython(in); err == nil {
			t.Errorf("%s was accepted as %v", in, got)
		}
	}
}

// repr writes a value as Python's repr does, with double quotes where they save
// escapes.
func repr(v any) string {
	switch v := v.(type) {
	case object:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		items := make([]string, 0, len(keys))
		for _, k := range keys {
			items = append(items, repr(k)+": "+repr(v[k]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case []any:
		items := make([]string, 0, len(v))
		for _, e := range v {
			items = append(items, repr(e))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case string:
		quote := "'"
		if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
			quote = `"`
		}
		var out strings.Builder
		for _, r := range v {
			switch {
			case r == '\\' || string(r) == quote:
				out.WriteString(`\` + string(r))
			case r == '\n':
				out.WriteString(`\n`)
			case r < ' ' || r == 0x7f:
				fmt.Fprintf(&out, `\x%02x`, r)
			default:
				out.WriteRune(r)
			}
		}
		return quote + out.String() + quote
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case nil:
		return "None"
	case json.Number:
		return v.String()
	default:
		panic(strconv.Quote(fmt.Sprintf("%T", v)))
	}
}

// FuzzParsePython checks that what is accepted can be written again and reads
// the same.
func FuzzParsePython(f *testing.F) {
	f.Add(`{'type': 'AWSAccount', 'principalId': '', 'accountId': 'ANONYMOUS_PRINCIPAL'}`)
	f.Add(`{'a': "it's", 'n': [1, -2.5, None, True, ('x',), {}], 'e': '\\ \' \" \x41 \u20ac'}`)
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		v, err := parsePython(text)
		if err != nil {
			return
		}
		again, err := parsePython(repr(v))
		if err != nil {
			t.Fatalf("%s, written again as %s: %v", text, repr(v), err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
