package report

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// maxPhrase is how many characters of a value stand in a sentence.
const maxPhrase = 200

// hidden are the characters that a reader would not see, or that reorder what is
// read: they are shown by their code point.
var hidden = [...][2]rune{
	{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x180e, 0x180e}, {0x200b, 0x200f},
	{0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
}

func isHidden(r rune) bool {
	if r >= 0x20 && r < 0x7f {
		return false
	}
	for _, h := range hidden {
		if r >= h[0] && r <= h[1] {
			return true
		}
	}
	return false
}

// plain tells whether s is printable ASCII alone.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// show returns s with hidden characters, and those of more, by their code points.
func show(s, more string) string {
	if plain(s) {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, "<0x"...)
			out = hex.AppendEncode(out, []byte(s[:1]))
			out = append(out, '>')
		case isHidden(r) || strings.ContainsRune(more, r):
			digits := strings.ToUpper(strconv.FormatInt(int64(r), 16))
			out = append(out, "<U+0000"[:3+max(0, 4-len(digits))]...)
			out = append(append(out, digits...), '>')
		default:
			out = append(out, s[:n]...)
		}
		s = s[n:]
	}
	return string(out)
}

// phrase returns s as it stands in a sentence between quotes.
func phrase(s string) string {
	s = show(s, "“”")
	if len(s) <= maxPhrase || utf8.RuneCountInString(s) <= maxPhrase {
		return s
	}
	end := 0
	for range maxPhrase - 3 {
		_, n := utf8.DecodeRuneInString(s[end:])
		end += n
	}
	return s[:end] + "..."
}

// bytesText returns bytes as text: as they are where they are printable ASCII
// that does not begin with 0x, else 0x and hex digits.
func bytesText(b []byte) string {
	s := string(b)
	if s == "" || plain(s) && !strings.HasPrefix(s, "0x") {
		return s
	}
	return "0x" + hex.EncodeToString(b)
}

// appendHTML appends s as text, or as the value of an attribute in quotes.
func appendHTML(dst []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// appendJSON appends s as a canonical JSON string, bytes that are no UTF-8 as U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return canonical.AppendString(dst, s)
}

// appendCSV appends one field: safe in a program that runs formulas.
func appendCSV(dst []byte, s string) []byte {
	guard := ""
	if s != "" && strings.IndexByte("=+-@\t\r'", s[0]) >= 0 {
		guard = "'"
	}
	if !strings.ContainsAny(s, "\",\r\n") {
		return append(append(dst, guard...), s...)
	}
	dst = append(append(dst, '"'), guard...)
	dst = append(dst, strings.ReplaceAll(s, `"`, `""`)...)
	return append(dst, '"')
}

// utc returns a time in UTC nanoseconds as RFC 3339 text with nine digits.
func utc(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

// An offset is a zone's difference from UTC from a time on.
type offset struct {
	from    int64 // Unix seconds
	seconds int   // east of UTC
}

// offsetsOf returns the offsets of a question; none where the zone never differs
// from UTC.
func offsetsOf(q *question.Question) ([]offset, error) {
	if q == nil || q.Period == nil {
		return nil, nil
	}
	var out []offset
	differs := false
	for _, o := range q.Period.Offsets {
		from, err := time.Parse(time.RFC3339, o.From)
		if err != nil {
			return nil, fmt.Errorf("reading the question's offsets: %w", err)
		}
		out = append(out, offset{from.Unix(), o.Seconds})
		differs = differs || o.Seconds != 0
	}
	if !differs {
		return nil, nil
	}
	return out, nil
}

// local returns a time in the zone of the offsets, or "" without offsets.
func local(ns int64, offsets []offset) string { return localTime(time.Unix(0, ns), offsets) }

func localTime(at time.Time, offsets []offset) string {
	if len(offsets) == 0 {
		return ""
	}
	in := offsets[0]
	for _, o := range offsets {
		if o.from <= at.Unix() {
			in = o
		}
	}
	text := at.UTC().Add(time.Duration(in.seconds) * time.Second).Format("2006-01-02T15:04:05.000000000")
	return text + offsetText(in.seconds)
}

// offsetText returns an offset as +hh:mm, or +hh:mm:ss where it has seconds.
func offsetText(seconds int) string {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	out := append([]byte{sign}, two(seconds/3600)...)
	out = append(append(out, ':'), two(seconds/60%60)...)
	if seconds%60 != 0 {
		out = append(append(out, ':'), two(seconds%60)...)
	}
	return string(out)
}

func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// human returns what utc and local return as it stands in sentences: a space for
// the T, no fraction's last groups of three zeros, and UTC for the Z.
func human(text string) string {
	if len(text) < 30 {
		return text
	}
	fraction := text[20:29]
	for strings.HasSuffix(fraction, "000") {
		fraction = fraction[:len(fraction)-3]
	}
	out := text[:10] + " " + text[11:19]
	if fraction != "" {
		out += "." + fraction
	}
	zone := text[29:]
	if zone == "Z" {
		zone = "UTC"
	}
	return out + " " + zone
}

// grouped returns a number with a comma before each three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	out := make([]byte, 0, len(s)+len(s)/3)
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, s[i])
	}
	return string(out)
}

// count is a number for templates: n its text, one whether it is 1, any whether it
// is not 0.
func count(n uint64) fields {
	return fields{"n": grouped(n), "one": n == 1, "any": n != 0}
}
