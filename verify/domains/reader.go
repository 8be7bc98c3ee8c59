package domains

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// place is where in the file something stands: a key, or an item of a list.
type place struct {
	parent *place
	name   string
	item   bool
}

// key returns the place of a key of the mapping at p.
func (p *place) key(name string) *place { return &place{parent: p, name: name} }

// entry returns the place of an item of the list at p.
func (p *place) entry(name string) *place { return &place{parent: p, name: name, item: true} }

// String returns the path, such as `domains[web].issuer.cas[2]`.
func (p *place) String() string {
	switch {
	case p == nil:
		return ""
	case p.item:
		return p.parent.String() + "[" + p.name + "]"
	case p.parent == nil:
		return p.name
	default:
		return p.parent.String() + "." + p.name
	}
}

// reader turns nodes into values. What it cannot read becomes a fault, and the
// value is zero.
type reader struct {
	faults Faults
	more   int // faults that were counted only
	hints  int // how many more hints may be looked for: each costs a scan
}

// maxKept bounds the faults that are kept until all is read: those reported are
// the first of them.
const maxKept = 10 * MaxFaults

// fault reports what is wrong at a node.
func (r *reader) fault(n *yaml.Node, at *place, format string, args ...any) {
	if len(r.faults) >= maxKept {
		r.more++
		return
	}
	r.faults = append(r.faults, Fault{Line: max(n.Line, 1), Column: max(n.Column, 1), Path: at.String(), Message: fmt.Sprintf(format, args...)})
}

// key is one key of a mapping.
type key struct {
	name     string
	required string // what is to be written where it is missing; empty: may be
	read     func(n *yaml.Node, at *place)
}

// mapping reads the keys of a mapping and returns the node of each value.
func (r *reader) mapping(n *yaml.Node, at *place, keys []key) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.fault(n, at, "is %s, not a mapping of %s", kindOf(n), nameList(keys))
		return nil
	}
	found := make(map[string]*yaml.Node, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		k := r.known(name, at, keys)
		if k == nil {
			continue
		}
		if line, twice := lines[k.name]; twice {
			r.fault(name, at.key(k.name), "stands here a second time; the first is on line %d", line)
			continue
		}
		lines[k.name], found[k.name] = name.Line, value
		if isNull(value) {
			r.fault(name, at.key(k.name), "has no value; %s", orLeaveOut(k))
			continue
		}
		k.read(value, at.key(k.name))
	}
	for i := range keys {
		if k := &keys[i]; k.required != "" && found[k.name] == nil {
			r.fault(n, at.key(k.name), "is missing: %s", k.required)
		}
	}
	return found
}

// known returns the key that a node names, or reports that there is none.
func (r *reader) known(name *yaml.Node, at *place, keys []key) *key {
	if name.Kind != yaml.ScalarNode {
		if name.Kind != yaml.AliasNode { // reported already
			r.fault(name, at, "a key is %s, not a word", kindOf(name))
		}
		return nil
	}
	for i := range keys {
		if keys[i].name == name.Value {
			return &keys[i]
		}
	}
	if name.Value == "<<" {
		r.fault(name, at, "merge keys (<<) are not allowed: write the values out")
		return nil
	}
	if len(r.faults) >= maxKept {
		r.more++
		return nil
	}
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name
	}
	r.fault(name, at, "unknown key %s%s", quote(name.Value), r.hint(name.Value, names, "; known: "+nameList(keys)))
	return nil
}

// items returns the items of a list; a fault where it is none, or too long.
func (r *reader) items(n *yaml.Node, at *place, limits *daybookv1.FieldLimits) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		if n.Kind != yaml.AliasNode {
			r.fault(n, at, "is %s, not a list", kindOf(n))
		}
		return nil
	}
	if most := int(limits.GetMaxItems()); most > 0 && len(n.Content) > most {
		r.fault(n, at, "has %d items, more than %d", len(n.Content), most)
		return nil
	}
	return n.Content
}

// text reads text within limits. check, where it is not nil, returns what is
// wrong with it.
func (r *reader) text(n *yaml.Node, at *place, limits *daybookv1.FieldLimits, check func(string) string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		switch {
		case n.Kind == yaml.AliasNode:
		case n.Kind == yaml.ScalarNode && !isNull(n):
			r.fault(n, at, "is %s, not text; put it in quotes: %q", kindOf(n), n.Value)
		default:
			r.fault(n, at, "is %s, not text", kindOf(n))
		}
		return ""
	}
	s := n.Value
	if wrong := checkText(s, int(limits.GetMax())); wrong != "" {
		r.fault(n, at, "%s", wrong)
		return ""
	}
	if check != nil {
		if wrong := check(s); wrong != "" {
			r.fault(n, at, "%s", wrong)
			return ""
		}
	}
	return s
}

// checkText returns what is wrong with text of any kind.
func checkText(s string, most int) string {
	switch {
	case s == "":
		return "is empty"
	case most > 0 && len(s) > most:
		return fmt.Sprintf("has %d bytes, more than %d", len(s), most)
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.TrimSpace(s) != s:
		return "begins or ends with white space"
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return fmt.Sprintf("holds %U, which cannot be seen", c)
		}
	}
	return ""
}

// item is an item of a list of text, with its place.
type item struct {
	value string
	node  *yaml.Node
	at    *place
}

// texts reads a list of distinct texts, in the order of the file. Those that
// have a fault are left out.
func (r *reader) texts(n *yaml.Node, at *place, limits *daybookv1.FieldLimits, check func(string) string) []item {
	nodes := r.items(n, at, limits)
	out := make([]item, 0, len(nodes))
	lines := make(map[string]int, len(nodes))
	for i, node := range nodes {
		here := at.entry(fmt.Sprint(i + 1))
		s := r.text(node, here, limits, check)
		if s == "" {
			continue
		}
		if line, twice := lines[s]; twice {
			r.fault(node, here, "%s is listed twice; the first is on line %d", quote(s), line)
			continue
		}
		lines[s] = node.Line
		out = append(out, item{value: s, node: node, at: here})
	}
	return out
}

// word reads one of a few words and returns its number, or 0.
func (r *reader) word(n *yaml.Node, at *place, w *words) int32 {
	switch {
	case n.Kind == yaml.AliasNode:
		return 0
	case n.Kind != yaml.ScalarNode:
		r.fault(n, at, "is %s, not one of %s", kindOf(n), w.list())
		return 0
	}
	number, ok := w.numbers[n.Value]
	if !ok {
		r.fault(n, at, "%s is none of %s%s", quote(n.Value), w.list(), r.hint(n.Value, w.names, ""))
	}
	return number
}

// truth reads true or false.
func (r *reader) truth(n *yaml.Node, at *place) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
		if n.Kind != yaml.AliasNode {
			r.fault(n, at, "is %s, neither true nor false", kindOf(n))
		}
		return false
	}
	return n.Value == "true"
}

// isNull reports whether a node has no value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// orLeaveOut says what to do about a key without a value.
func orLeaveOut(k *key) string {
	if k.required != "" {
		return k.required
	}
	return "leave the key out, or give it one"
}

// kindOf says what a node is, for a message.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	default:
		return quote(n.Value)
	}
}

// quote quotes what a file holds for a message, shortened.
func quote(s string) string { return fmt.Sprintf("%.80q", s) }

// nameList names keys for a message.
func nameList(keys []key) string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name
	}
	return strings.Join(names, ", ")
}
