package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxDepth is how deep a record may nest.
const maxDepth = 32

// object is a JSON object: its values are string, json.Number, bool, nil,
// object and []any.
type object map[string]any

// errTwice reports a key that stands twice in one object.
type errTwice struct{ key string }

func (e *errTwice) Error() string { return "key " + strconv.Quote(e.key) + " stands twice" }

// errDeep reports a value that nests deeper than maxDepth.
var errDeep = errors.New("nested too deep")

// parseObject parses one JSON object that fills all of b. Unlike
// encoding/json it refuses an object that has a key twice: two readers would
// see two accesses in it.
func parseObject(b []byte) (object, *Reason) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, 0)
	var twice *errTwice
	switch {
	case errors.As(err, &twice):
		return nil, reasonf(TwiceNamed, twice.key, "")
	case err != nil:
		return nil, reasonf(NotJSON, "", "%v", jsonCause(err))
	}
	o, ok := v.(object)
	if !ok {
		return nil, reasonf(NotJSON, "", "not an object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, reasonf(NotJSON, "", "more than one value")
	}
	return o, nil
}

// jsonCause replaces the error of a value that ends early by words.
func jsonCause(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends early")
	}
	return err
}

// parseValue parses the next value.
func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return parseMembers(d, depth)
	case json.Delim('['):
		return parseElements(d, depth)
	default:
		return t, nil
	}
}

// parseMembers parses an object behind its opening brace.
func parseMembers(d *json.Decoder, depth int) (object, error) {
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return nil, errors.New("key is no string")
		}
		if _, ok := o[key]; ok {
			return nil, &errTwice{key}
		}
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o[key] = v
	}
	_, err := d.Token()
	return o, err
}

// parseElements parses an array behind its opening bracket.
func parseElements(d *json.Decoder, depth int) ([]any, error) {
	list := []any{}
	for d.More() {
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

// foldObject returns the object with its keys in lower case, at all depths of
// nested objects, and refuses one where two keys become one.
func foldObject(o object, depth int) (object, *Reason) {
	out := make(object, len(o))
	for key, v := range o {
		if nested, ok := v.(object); ok {
			folded, why := foldObject(nested, depth+1)
			if why != nil {
				return nil, why
			}
			v = folded
		}
		low := strings.ToLower(key)
		if _, ok := out[low]; ok {
			return nil, reasonf(TwiceNamed, low, "")
		}
		out[low] = v
	}
	return out, nil
}

// at returns the value at a path of keys; nil where there is none.
func (o object) at(path ...string) any {
	for i, key := range path {
		v := o[key]
		if i == len(path)-1 {
			return v
		}
		next, ok := v.(object)
		if !ok {
			return nil
		}
		o = next
	}
	return nil
}

// text returns the scalar at a path as text: a string as it is, a number as it
// was written, true or false; empty where there is none.
func (o object) text(path ...string) string {
	switch v := o.at(path...).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// flag returns the boolean at a path, also where it is written as text.
func (o object) flag(path ...string) (value, ok bool) {
	switch strings.ToLower(o.text(path...)) {
	case "true":
		return true, true
	case "false":
		return false, true
	default:
		return false, false
	}
}

// sub returns the object at a path; nil, which reads as empty, where there is
// none.
func (o object) sub(path ...string) object {
	v, _ := o.at(path...).(object)
	return v
}

// list returns the objects in the array at a path.
func (o object) list(path ...string) []object {
	values, _ := o.at(path...).([]any)
	objects := make([]object, 0, len(values))
	for _, v := range values {
		if e, ok := v.(object); ok {
			objects = append(objects, e)
		}
	}
	return objects
}
