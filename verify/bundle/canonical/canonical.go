// Package canonical is JSON in the one form that an examination file has.
//
// A document is indented by two spaces as encoding/json indents, and ends in one
// line feed. A line has no white space but the line feed at its end. In both, keys
// stand in the order that the format gives them and are absent where their value
// is empty, unless the format says otherwise. A string escapes `"` and `\` by a
// backslash and bytes below 0x20 as \u00xx in lower-case hex; everything else is
// raw UTF-8. Numbers are decimal integers.
package canonical

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// AppendString appends a string with its quotes. What is not UTF-8 in it is
// appended raw; whoever formats text from outside checks it before.
func AppendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// A Writer appends JSON without white space to B. Keys are ASCII without
// anything to escape. The zero value is ready; it is not safe for concurrent use.
type Writer struct {
	B    []byte
	more bool // a comma is due before the next element
}

// Open begins an object or an array: '{' or '['.
func (w *Writer) Open(bracket byte) {
	w.comma()
	w.B = append(w.B, bracket)
	w.more = false
}

// Close ends what Open began: '}' or ']'.
func (w *Writer) Close(bracket byte) {
	w.B = append(w.B, bracket)
	w.more = true
}

// Key begins a field of an object.
func (w *Writer) Key(name string) {
	w.comma()
	w.B = append(w.B, '"')
	w.B = append(w.B, name...)
	w.B = append(w.B, '"', ':')
	w.more = false
}

// String appends a string as an element or a field's value.
func (w *Writer) String(s string) {
	w.comma()
	w.B = AppendString(w.B, s)
}

// Int appends an integer.
func (w *Writer) Int(n int64) {
	w.comma()
	w.B = strconv.AppendInt(w.B, n, 10)
}

// Uint appends an integer.
func (w *Writer) Uint(n uint64) {
	w.comma()
	w.B = strconv.AppendUint(w.B, n, 10)
}

// Bool appends true or false.
func (w *Writer) Bool(v bool) {
	w.comma()
	w.B = strconv.AppendBool(w.B, v)
}

// Field appends a field that is a string, unless it is empty.
func (w *Writer) Field(name, value string) {
	if value != "" {
		w.Key(name)
		w.String(value)
	}
}

func (w *Writer) comma() {
	if w.more {
		w.B = append(w.B, ',')
	}
	w.more = true
}

// Document returns what was written as a document.
func (w *Writer) Document() []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, w.B, "", "  "); err != nil {
		panic(fmt.Sprintf("canonical: %v in %q", err, w.B)) // a caller's mistake: a bracket too many, a key without a value
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Line returns what was written as a line. It aliases B until the next write.
func (w *Writer) Line() []byte {
	w.B = append(w.B, '\n')
	return w.B
}

// Reset makes the writer ready for the next value in the same memory.
func (w *Writer) Reset() { w.B, w.more = w.B[:0], false }

// Parse reads a document into a value and refuses it unless format of the value
// gives the same bytes: unknown, repeated or misplaced keys, other spellings of a
// string or a number, and other white space all differ there.
func Parse[T any](document []byte, format func(*T) []byte) (*T, error) {
	v := new(T)
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, err
	}
	if !bytes.Equal(format(v), document) {
		return nil, fmt.Errorf("not in canonical form")
	}
	return v, nil
}
