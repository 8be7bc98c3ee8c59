package mapping_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client/mapping"
)

// TestReader splits files, and compares the records' bytes.
func TestReader(t *testing.T) {
	for name, tt := range map[string]struct {
		mapping, file string
		want          []string
	}{
		"empty":                  {"xroad", "", nil},
		"blank lines":            {"xroad", "\n \t\r\n\n", nil},
		"no newline at the end":  {"xroad", "{}\n{\"a\":1}", []string{"{}", `{"a":1}`}},
		"carriage returns":       {"xroad", "{}\r\n\r\n {\"a\":1} \r\n", []string{"{}", `{"a":1}`}},
		"byte order mark":        {"xroad", "\xef\xbb\xbf{}\n", []string{"{}"}},
		"array is a line":        {"xroad", `{"Records":[{}]}`, []string{`{"Records":[{}]}`}},
		"native":                 {"cloudtrail", `{"Records":[{"a":[1, 2]}, {}]}`, []string{`{"a":[1, 2]}`, "{}"}},
		"native, written widely": {"cloudtrail", "\n{\n \"Records\" : [\n {}\n,{}\n]\n}\n", []string{"{}", "{}"}},
		"native, empty":          {"cloudtrail", `{"Records":[]}`, nil},
		"lines":                  {"cloudtrail", "{\"Records\":1}\n{}\n", []string{`{"Records":1}`, "{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			records := readAll(t, find(t, tt.mapping), []byte(tt.file))
			var got []string
			for i, r := range records {
				got = append(got, string(r.Bytes))
				if r.Number != uint64(i+1) || r.File != sha256.Sum256([]byte(tt.file)) {
					t.Errorf("record %d has number %d and file %x", i+1, r.Number, r.File)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReaderRefuses reports native files that are not whole: no record may be
// lost without a word.
func TestReaderRefuses(t *testing.T) {
	for _, file := range []string{
		`{"Records":[`, `{"Records":[{}`, `{"Records":[{},`, `{"Records":[{}]`, `{"Records":[{}],"more":1}`,
		`{"Records":[{}]}{}`, `{"Records":[{} {}]}`,
	} {
		r := find(t, "cloudtrail").NewReader(strings.NewReader(file), [32]byte{})
		var err error
		for n := 0; err == nil; n++ {
			if n > 3 {
				t.Fatalf("%s: no end", file)
			}
			_, err = r.Next()
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s: read as whole", file)
		}
	}
}

// TestLongRecord declines a line over the bound, with its digest, and reads on.
func TestLongRecord(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 3*mapping.MaxRecord) + `"}`
	for name, file := range map[string]string{
		"lines":  "{}\n" + long + "\n{}\n",
		"native": `{"Records":[{},` + long + `,{}]}`,
	} {
		m := find(t, "cloudtrail")
		records := readAll(t, m, []byte(file))
		if len(records) != 3 {
			t.Fatalf("%s: %d records, want 3", name, len(records))
		}
		r := records[1]
		want := sha256.Sum256([]byte(long))
		if r.Long == nil || *r.Long != want {
			t.Errorf("%s: long record has digest %x, want %x", name, r.Long, want)
		}
		_, err := m.Map(r)
		var why *mapping.Reason
		if !errors.As(err, &why) || why.Code != mapping.TooLong {
			t.Errorf("%s: long record gave %v", name, err)
		}
	}
}

// TestDecompress reads gzip, also of several members, and anything else as is.
func TestDecompress(t *testing.T) {
	var packed bytes.Buffer
	for _, part := range []string{"{}\n", "{\"a\":1}\n"} {
		z := gzip.NewWriter(&packed)
		if _, err := z.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{packed.String(): "{}\n{\"a\":1}\n", "{}": "{}", "": "", "x": "x"} {
		r, err := mapping.Decompress(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != want {
			t.Errorf("Decompress gave %q, %v, want %q", got, err, want)
		}
	}
	if _, err := mapping.Decompress(strings.NewReader("\x1f\x8bnonsense")); err == nil {
		t.Error("broken gzip was accepted")
	}
}
