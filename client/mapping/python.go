package mapping

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parsePython parses one dictionary as Python's repr writes it:
//
//	{'type': 'AWSAccount', 'note': "it's", 'n': [1, -2.5, None, True]}
//
// Keys are strings and stand once. Strings have single or double quotes, with
// the escapes that repr uses: \\ \' \" \n \r \t \xhh \uhhhh \Uhhhhhhhh. Values
// may nest maxDepth deep. Anything else, also behind the end, is an error.
func parsePython(s string) (object, error) {
	p := &python{rest: s, size: len(s)}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.rest != "" {
		return nil, p.errorf("text behind the end")
	}
	o, ok := v.(object)
	if !ok {
		return nil, p.errorf("not a dictionary")
	}
	return o, nil
}

// python is what is left of the text.
type python struct {
	rest string
	size int
}

// errorf makes an error with the offset that was reached.
func (p *python) errorf(format string, args ...any) error {
	return fmt.Errorf("python text at byte %d: %s", p.size-len(p.rest), fmt.Sprintf(format, args...))
}

func (p *python) space() { p.rest = strings.TrimLeft(p.rest, " ") }

// take skips spaces and, where it is next, the token.
func (p *python) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

// value parses the next value.
func (p *python) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.errorf("nested too deep")
	}
	switch {
	case p.take("{"):
		return p.dict(depth)
	case p.take("["):
		return p.items("]", depth)
	case p.take("("):
		return p.items(")", depth)
	case p.take("None"):
		return nil, nil
	case p.take("True"):
		return true, nil
	case p.take("False"):
		return false, nil
	case strings.HasPrefix(p.rest, "'") || strings.HasPrefix(p.rest, `"`):
		return p.str()
	default:
		return p.number()
	}
}

// dict parses a dictionary behind its opening brace.
func (p *python) dict(depth int) (object, error) {
	o := object{}
	if p.take("}") {
		return o, nil
	}
	for {
		p.space()
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, ok := o[key]; ok {
			return nil, p.errorf("key %q stands twice", key)
		}
		if !p.take(":") {
			return nil, p.errorf("no colon behind a key")
		}
		if o[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if p.take("}") {
			return o, nil
		}
		if !p.take(",") {
			return nil, p.errorf("no comma between items")
		}
	}
}

// items parses a list or tuple behind its opening bracket.
func (p *python) items(end string, depth int) ([]any, error) {
	list := []any{}
	for !p.take(end) {
		if len(list) > 0 && !p.take(",") {
			return nil, p.errorf("no comma between items")
		}
		if len(list) == 1 && end == ")" && p.take(end) {
			return list, nil
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// number parses an integer or a floating-point number, as JSON writes them.
func (p *python) number() (any, error) {
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) })
	if n < 0 {
		n = len(p.rest)
	}
	text := p.rest[:n]
	if !json.Valid([]byte(text)) {
		return nil, p.errorf("no value")
	}
	p.rest = p.rest[n:]
	return json.Number(text), nil
}

// str parses a string.
func (p *python) str() (string, error) {
	if p.rest == "" || p.rest[0] != '\'' && p.rest[0] != '"' {
		return "", p.errorf("no string")
	}
	quote := p.rest[0]
	p.rest = p.rest[1:]
	var out strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == quote:
			p.rest = p.rest[1:]
			return out.String(), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
		case c < ' ':
			return "", p.errorf("bare control character")
		default:
			out.WriteByte(c)
			p.rest = p.rest[1:]
		}
	}
	return "", p.errorf("string without an end")
}

// escape parses one escape.
func (p *python) escape() (rune, error) {
	if len(p.rest) < 2 {
		return 0, p.errorf("string without an end")
	}
	digits := 0
	switch c := p.rest[1]; c {
	case '\\', '\'', '"':
		p.rest = p.rest[2:]
		return rune(c), nil
	case 'n', 'r', 't':
		p.rest = p.rest[2:]
		return map[byte]rune{'n': '\n', 'r': '\r', 't': '\t'}[c], nil
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		return 0, p.errorf("unknown escape")
	}
	if len(p.rest) < 2+digits {
		return 0, p.errorf("string without an end")
	}
	n, err := strconv.ParseUint(p.rest[2:2+digits], 16, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, p.errorf("escape of no character")
	}
	p.rest = p.rest[2+digits:]
	return rune(n), nil
}
