package domains

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// DocumentFormat is the format of the messages that Parse makes.
	DocumentFormat = 1
	// MaxFile bounds a map file, in bytes.
	MaxFile = 8 << 20
	// MaxDocument bounds a marshalled MapDocument, in bytes: its file and its
	// messages together.
	MaxDocument = verify.MaxMapDocument
)

// Parse reads a domain map as it stands in a firm's repository:
//
//	firm: Example Securities LLC
//	approver: cco                    # person who approves what is no flow
//	unused_after_days: 90            # report flows that nobody used; not said: never
//	people:
//	  - id: cco
//	    identities: [spiffe://people.example/cco, "https://idp.example#cco"]
//	domains:
//	  - id: web
//	    aliases: [customer-web]      # further names that events call it by
//	    function: customer-interface # exactly one
//	    tier: production             # production, staging, test, development
//	    risk: high                   # low, medium, high
//	    owner: Digital Channels
//	    dns: [www.example.com]       # exact names
//	    hosting: {account: "111122223333", network: vpc-web, region: us-east-1}
//	    issuer:                      # no two domains share one
//	      cas: [5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9]
//	      oidc: https://login.example.com
//	    gateways: [spiffe://web/gateway]
//	    collectors: [spiffe://ops/collector]
//	    producers:
//	      - {id: spiffe://web/app, silence: 5m}
//	    retention_class: trading
//	    clock_limit: 50ms
//	  - id: market-data
//	    function: market-data
//	    tier: production
//	    risk: low
//	    owner: Trading Systems
//	    hosting: {account: "444455556666", network: vpc-md, region: us-east-2}
//	flows:
//	  - id: web-to-quotes
//	    from: web
//	    to: market-data
//	    actions: [read, "op:GET /quotes*"] # action classes, op:<operation>[*], or any
//	    purpose: show quotes
//	    approver: cco
//	    ticket: CHG-1
//	    valid: {from: 2026-01-01, until: 2027-01-01} # midnight UTC, or RFC 3339 times
//	    least_proof: peer-certificate
//	    observers: [source, target]  # source, target, gateway, collector
//	    needs: approval              # each access needs an approval too
//	    crosses_region: true         # said where the regions differ, and only there
//	    mode: enforce                # observe unless said
//
// Required are firm, approver, people, domains; of a person id and identities;
// of a domain id, function, tier, risk, owner; of a flow id, from, to, actions,
// purpose, approver. Keys that are not known or stand twice, values of another
// type, anchors, aliases, tags, merge keys and a second document are faults.
//
// Ids of domains and flows are of a-z, 0-9, dot and dash; they, and what stands
// between their dots, begin and end with a letter or a digit. Names are compared
// without regard to letter case: an id, an alias or a DNS name belongs to
// one domain. So do a CA, an OIDC issuer and an expected producer. The domains
// whose functions are the interfaces of brokers, customers, administrators and
// compliance share no account and network with one of another such function. No
// flow leads from the tiers staging, test or development to production.
//
// The messages of the result are in the order their comments demand, whatever
// the order of the file; its yaml is a copy of the file, its author is empty. The
// error is of type [Faults] and names every fault. Parse is a pure function.
func Parse(file []byte) (*daybookv1.MapDocument, error) {
	r := &reader{hints: maxHints}
	root := r.load(file)
	if root == nil {
		return nil, r.report()
	}
	r.plain(root)
	p := &parser{reader: r, doc: &daybookv1.MapDocument{Format: DocumentFormat, Yaml: bytes.Clone(file)}}
	p.document(root)
	p.check()
	if len(r.faults) == 0 {
		// The author, which is not known yet, is within the slack.
		if size := proto.Size(p.doc) + 1024; size > MaxDocument {
			r.fault(root, nil, "the document would have %d bytes, more than %d", size, MaxDocument)
		}
	}
	if len(r.faults) > 0 {
		return nil, r.report()
	}
	p.sort()
	return p.doc, nil
}

// load returns the file's one node, or nil and a fault.
func (r *reader) load(file []byte) *yaml.Node {
	start := &yaml.Node{Line: 1, Column: 1}
	switch {
	case len(file) > MaxFile:
		r.fault(start, nil, "the file has %d bytes, more than %d", len(file), MaxFile)
		return nil
	case !utf8.Valid(file):
		r.fault(&yaml.Node{Line: invalidLine(file), Column: 1}, nil, "the line is not UTF-8")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(file))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fault(start, nil, "the file is empty")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.syntax(err)
		return nil
	default:
		r.fault(&next, nil, "a second document begins here; a map is one document")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || isNull(doc.Content[0]) {
		r.fault(start, nil, "the file is empty")
		return nil
	}
	return doc.Content[0]
}

// syntax reports an error of the YAML library, which has the line in its text.
func (r *reader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := &yaml.Node{Line: 1, Column: 1}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if digits, what, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(digits); err == nil {
				at.Line, text = line, what
			}
		}
	}
	r.fault(at, nil, "is not YAML: %s", text)
}

// invalidLine returns the number of the first line that is not UTF-8.
func invalidLine(file []byte) int {
	line := 1
	for text := range bytes.Lines(file) {
		if !utf8.Valid(text) {
			break
		}
		line++
	}
	return line
}

// plain reports what makes a file say other than it shows: anchors, aliases and
// tags. What is below n is looked at too.
func (r *reader) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fault(n, nil, "aliases (*%s) are not allowed: write the value out", n.Value)
		return
	case n.Anchor != "":
		r.fault(n, nil, "anchors (&%s) are not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n, nil, "tags (%s) are not allowed", n.Tag)
	}
	for _, c := range n.Content {
		r.plain(c)
	}
}

// parser reads a map's nodes into a document, and remembers where all stands.
type parser struct {
	*reader
	doc     *daybookv1.MapDocument
	top     map[string]*yaml.Node
	domains []*domainNode
	flows   []*flowNode
	people  []*personNode

	misnamed map[string]bool // ids of domains and people that have a fault themselves
}

// document reads the whole file.
func (p *parser) document(root *yaml.Node) {
	p.top = p.mapping(root, nil, []key{
		{"firm", "the name of the firm", func(n *yaml.Node, at *place) { p.doc.Firm = p.text(n, at, documentLimits["firm"], nil) }},
		{"approver", "the id of the person who approves what is no flow", func(n *yaml.Node, at *place) {
			p.doc.Approver = p.text(n, at, documentLimits["approver"], nil)
		}},
		{"unused_after_days", "", func(n *yaml.Node, at *place) { p.doc.UnusedDays = p.days(n, at) }},
		{"people", "who approves, at least one", func(n *yaml.Node, at *place) {
			for i, item := range p.items(n, at, documentLimits["people"]) {
				p.person(item, at.entry(nameOf(item, i)))
			}
		}},
		{"domains", "at least one", func(n *yaml.Node, at *place) {
			for i, item := range p.items(n, at, documentLimits["domains"]) {
				p.domain(item, at.entry(nameOf(item, i)))
			}
		}},
		{"flows", "", func(n *yaml.Node, at *place) {
			for i, item := range p.items(n, at, documentLimits["flows"]) {
				p.flow(item, at.entry(nameOf(item, i)))
			}
		}},
	})
}

// days reads a number of days.
func (p *parser) days(n *yaml.Node, at *place) uint32 {
	days, err := strconv.ParseUint(n.Value, 10, 32)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || days < 1 || days > maxUnused {
		if n.Kind != yaml.AliasNode {
			p.fault(n, at, "is %s, not a number of days from 1 to %d", kindOf(n), maxUnused)
		}
		return 0
	}
	return uint32(days)
}

// person reads one of the people.
func (p *parser) person(n *yaml.Node, at *place) {
	person := &personNode{Person: new(daybookv1.Person), node: n, at: at}
	person.keys = p.mapping(n, at, []key{
		{"id", "the id of the person", func(n *yaml.Node, at *place) { person.Id = p.text(n, at, personLimits["id"], checkPersonID) }},
		{"identities", "the names under which the person is authenticated or acts", func(n *yaml.Node, at *place) {
			person.identities = p.texts(n, at, personLimits["identities"], checkIdentity)
			person.Identities = sortedValues(person.identities)
			if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				p.fault(n, at, "is empty: want the names under which the person is authenticated or acts")
			}
		}},
	})
	p.people = append(p.people, person)
	p.doc.People = append(p.doc.People, person.Person)
}

// sort puts domains, flows and people into the order of their ids.
func (p *parser) sort() {
	slices.SortFunc(p.doc.Domains, func(a, b *daybookv1.Domain) int { return strings.Compare(a.Id, b.Id) })
	slices.SortFunc(p.doc.Flows, func(a, b *daybookv1.Flow) int { return strings.Compare(a.Id, b.Id) })
	slices.SortFunc(p.doc.People, func(a, b *daybookv1.Person) int { return strings.Compare(a.Id, b.Id) })
}

// nameOf returns the id of an item of a list for its path, or its number.
func nameOf(n *yaml.Node, i int) string {
	if n.Kind == yaml.MappingNode {
		for k := 0; k+1 < len(n.Content); k += 2 {
			if id := n.Content[k+1]; n.Content[k].Value == "id" && id.Kind == yaml.ScalarNode && id.Value != "" && len(id.Value) <= 256 {
				return id.Value
			}
		}
	}
	return fmt.Sprint(i + 1)
}

// sortedValues returns the values of a list in bytewise order.
func sortedValues(items []item) []string {
	if len(items) == 0 {
		return nil
	}
	out := make([]string, len(items))
	for i := range items {
		out[i] = items[i].value
	}
	slices.Sort(out)
	return out
}
