package report

import (
	"fmt"
	"strings"
)

// A node is one piece of a parsed template.
type node struct {
	op    byte   // 't' text, 'v' value, '#' section, '^' inverse section, '>' pick
	text  string // of text; else the name
	table string // of a pick
	body  []node // of a section
}

// value is what a name stands for: a string, a bool, a list of scopes or a scope.
// nil: nothing.
type value any

// scope gives names their values.
type scope interface {
	lookup(name string) value
}

// fields is a scope of names and values.
type fields map[string]value

func (f fields) lookup(name string) value { return f[name] }

// parseTemplate reads a template; doc.go has the syntax.
func parseTemplate(text string) ([]node, error) {
	nodes, rest, err := parseNodes(text, "")
	if err == nil && rest != "" {
		err = fmt.Errorf("template: %.20q closes nothing", rest)
	}
	return nodes, err
}

// parseNodes reads up to the tag that closes the section of that name, or to the
// end, and returns what is behind it.
func parseNodes(text, section string) (nodes []node, rest string, err error) {
	for {
		before, after, tagged := strings.Cut(text, "{{")
		if before != "" {
			nodes = append(nodes, node{op: 't', text: before})
		}
		if !tagged {
			if section != "" {
				return nil, "", fmt.Errorf("template: section %s is not closed", section)
			}
			return nodes, "", nil
		}
		tag, behind, ok := strings.Cut(after, "}}")
		if !ok || tag == "" {
			return nil, "", fmt.Errorf("template: tag %.20q is not closed", after)
		}
		text = behind
		switch tag[0] {
		case '/':
			if tag[1:] != section || section == "" {
				return nil, "", fmt.Errorf("template: %s closes section %s", tag, section)
			}
			return nodes, text, nil
		case '#', '^':
			n := node{op: tag[0], text: tag[1:]}
			if n.body, text, err = parseNodes(text, n.text); err != nil {
				return nil, "", err
			}
			nodes = append(nodes, n)
		case '>':
			table, name, _ := strings.Cut(tag[1:], " ")
			nodes = append(nodes, node{op: '>', text: name, table: table})
		default:
			nodes = append(nodes, node{op: 'v', text: tag})
		}
	}
}

// renderer writes templates with the values of scopes, the innermost last.
type renderer struct {
	tables map[string]map[string][]node
	html   bool // escape values
	out    []byte
}

func (r *renderer) render(nodes []node, scopes []scope) {
	for i := range nodes {
		n := &nodes[i]
		switch n.op {
		case 't':
			r.out = append(r.out, n.text...)
		case 'v':
			r.append(textOf(find(scopes, n.text)))
		case '>':
			r.render(r.pick(n.table, textOf(find(scopes, n.text))), scopes)
		case '^':
			if !truth(find(scopes, n.text)) {
				r.render(n.body, scopes)
			}
		case '#':
			r.section(n, find(scopes, n.text), scopes)
		}
	}
}

func (r *renderer) section(n *node, v value, scopes []scope) {
	switch v := v.(type) {
	case []scope:
		for _, element := range v {
			r.render(n.body, append(scopes[:len(scopes):len(scopes)], element))
		}
	case scope:
		r.render(n.body, append(scopes[:len(scopes):len(scopes)], v))
	default:
		if truth(v) {
			r.render(n.body, scopes)
		}
	}
}

// pick returns the template of a table under a key, else that under "*".
func (r *renderer) pick(table, key string) []node {
	if nodes, ok := r.tables[table][key]; ok {
		return nodes
	}
	return r.tables[table]["*"]
}

func (r *renderer) append(s string) {
	if !r.html {
		r.out = append(r.out, s...)
		return
	}
	r.out = appendHTML(r.out, s)
}

// find looks a name up from the innermost scope outwards.
func find(scopes []scope, name string) value {
	first, rest, dotted := strings.Cut(name, ".")
	for i := len(scopes) - 1; i >= 0; i-- {
		v := scopes[i].lookup(first)
		if v == nil {
			continue
		}
		if !dotted {
			return v
		}
		if s, ok := v.(scope); ok {
			return find([]scope{s}, rest)
		}
		return nil
	}
	return nil
}

// truth tells whether a section of the value is rendered.
func truth(v value) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case bool:
		return v
	case []scope:
		return len(v) > 0
	}
	return v != nil
}

// textOf returns the text of a value; only strings have one.
func textOf(v value) string {
	s, _ := v.(string)
	return s
}
