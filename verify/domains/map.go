package domains

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Unmapped is the id of every domain that the map in force does not know.
const Unmapped = "?unmapped"

// Map is a version of the domain map, ready to judge by. It is immutable and safe
// for concurrent use.
type Map struct {
	document *daybookv1.MapDocument
	names    map[string]*domain // ids, aliases and DNS names, lower case
	flows    map[string]*daybookv1.Flow
	people   map[string]*daybookv1.Person // by id and identity

	gateways, collectors map[string]bool // of any domain
}

// A domain is one with its flows to others, in the order of their ids.
type domain struct {
	*daybookv1.Domain
	tier  daybookv1.Tier // the same, nearer: these are looked at for every access
	flows map[*domain][]*flow
}

// A flow is one that is ready to match.
type flow struct {
	*daybookv1.Flow
	pair       string // pairKey of it
	at         int    // place among the map's flows
	any, needs bool
	from       int64 // not before
	until      int64 // not after; 0: without end
	least      daybookv1.SourceProof
	classes    uint32   // bit n: action class n
	operations []string // exact
	prefixes   []string // of operations
}

// ParseDocument reads the marshalled bytes of a MapDocument strictly, which
// marshalling it gives again, and compiles it.
func ParseDocument(document []byte) (*Map, error) {
	if err := verify.CheckMapDocument(document); err != nil {
		return nil, fmt.Errorf("domain map: %w", err)
	}
	m := new(daybookv1.MapDocument)
	if err := proto.Unmarshal(document, m); err != nil {
		return nil, fmt.Errorf("domain map: %w", err)
	}
	again, err := MarshalDocument(m)
	if err != nil {
		return nil, fmt.Errorf("domain map: %w", err)
	}
	if !bytes.Equal(again, document) {
		return nil, fmt.Errorf("domain map: marshalling it gives other bytes: %w", verify.ErrNewer)
	}
	return Compile(m)
}

// MarshalDocument returns the bytes of a document that are hashed.
func MarshalDocument(m *daybookv1.MapDocument) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// Compile makes a document ready. It refuses one whose names are ambiguous,
// unknown or out of order; what a firm should not declare is [Parse]'s to say.
// The map owns the document from here on.
func Compile(m *daybookv1.MapDocument) (*Map, error) {
	c := &Map{document: m, names: map[string]*domain{}, flows: map[string]*daybookv1.Flow{},
		people: map[string]*daybookv1.Person{}, gateways: map[string]bool{}, collectors: map[string]bool{}}
	if m.Format != 1 {
		return nil, fmt.Errorf("domain map: format %d: %w", m.Format, verify.ErrNewer)
	}
	if err := errors.Join(c.addDomains(), c.addPeople(), c.addFlows()); err != nil {
		return nil, fmt.Errorf("domain map: %w", err)
	}
	if m.Approver != "" && c.people[m.Approver] == nil {
		return nil, fmt.Errorf("domain map: approver %q is nobody in people", m.Approver)
	}
	return c, nil
}

func (c *Map) addDomains() error {
	last := ""
	for _, d := range c.document.Domains {
		if d.Id <= last {
			return fmt.Errorf("domain %q is not after %q", d.Id, last)
		}
		if verify.CanonicalDomain([]byte(d.Id)) != d.Id {
			return fmt.Errorf("domain id %q is not 1-63 bytes of [a-z0-9.-]", d.Id)
		}
		if reserved(d.Id) {
			return fmt.Errorf("domain id %q is reserved", d.Id)
		}
		last = d.Id
		for _, id := range d.Gateways {
			c.gateways[id] = true
		}
		for _, id := range d.Collectors {
			c.collectors[id] = true
		}
		ready := &domain{d, d.Tier, map[*domain][]*flow{}}
		for _, name := range slices.Concat([]string{d.Id}, d.Aliases, d.Dns) {
			key := strings.ToLower(name)
			if had := c.names[key]; had != nil && had != ready || key == "" {
				return fmt.Errorf("name %q of domain %q is empty, or another domain's", name, d.Id)
			}
			c.names[key] = ready
		}
	}
	return nil
}

func (c *Map) addPeople() error {
	last := ""
	for _, p := range c.document.People {
		if p.Id <= last {
			return fmt.Errorf("person %q is not after %q", p.Id, last)
		}
		last = p.Id
		for _, name := range slices.Concat([]string{p.Id}, p.Identities) {
			if had := c.people[name]; had != nil && had != p || name == "" {
				return fmt.Errorf("identity %q of person %q is empty, or another person's", name, p.Id)
			}
			c.people[name] = p
		}
	}
	return nil
}

func (c *Map) addFlows() error {
	last := ""
	for _, f := range c.document.Flows {
		switch {
		case f.Id <= last:
			return fmt.Errorf("flow %q is not after %q", f.Id, last)
		case c.Domain(f.From) == nil || c.Domain(f.To) == nil || f.From == f.To:
			return fmt.Errorf("flow %q: %q -> %q are not two domains", f.Id, f.From, f.To)
		case c.people[f.Approver] == nil || c.people[f.Approver].Id != f.Approver:
			return fmt.Errorf("flow %q: approver %q is nobody in people", f.Id, f.Approver)
		}
		last = f.Id
		ready, err := makeFlow(f)
		if err != nil {
			return err
		}
		from, to := c.names[f.From], c.names[f.To]
		ready.at = len(c.flows)
		c.flows[f.Id] = f
		from.flows[to] = append(from.flows[to], ready)
	}
	return nil
}

// ActionClass returns the action class of a name, such as `read`; 0 for any
// other.
func ActionClass(name string) daybookv1.ActionClass {
	return daybookv1.ActionClass(daybookv1.ActionClass_value["ACTION_CLASS_"+strings.ToUpper(name)])
}

func makeFlow(f *daybookv1.Flow) (*flow, error) {
	ready := &flow{Flow: f, pair: pairKey(f.From, f.To), needs: f.NeedsApproval, from: f.NotBeforeNs, until: f.NotAfterNs, least: f.LeastProof}
	for _, action := range f.Actions {
		operation, isOperation := strings.CutPrefix(action, "op:")
		prefix, isPrefix := strings.CutSuffix(operation, "*")
		switch {
		case action == "any":
			ready.any = true
		case isOperation && isPrefix:
			ready.prefixes = append(ready.prefixes, prefix)
		case isOperation:
			ready.operations = append(ready.operations, operation)
		case ActionClass(action) == 0 || strings.ToLower(action) != action:
			return nil, fmt.Errorf("flow %q: action %q is no class, nor `op:` and an operation, nor `any`", f.Id, action)
		default:
			ready.classes |= 1 << ActionClass(action)
		}
	}
	if len(f.Actions) == 0 {
		return nil, fmt.Errorf("flow %q has no action", f.Id)
	}
	return ready, nil
}

// allows tells whether an access does what the flow is for.
func (f *flow) allows(ev *verify.EventFields) bool {
	if f.any || f.classes>>ev.ActionClass&1 == 1 {
		return true
	}
	for _, operation := range f.operations {
		if operation == string(ev.Operation) {
			return true
		}
	}
	for _, prefix := range f.prefixes {
		if len(ev.Operation) >= len(prefix) && string(ev.Operation[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// reserved tells the ids that name no domain.
func reserved(id string) bool {
	return id == "" || id[0] == '?' || id == "unknown" || id == "anonymous"
}

// Resolve returns the id of the domain that has the name: its id, an alias or a
// DNS name, whatever the case, with a trailing dot or without. Another name's id
// is Unmapped.
func (c *Map) Resolve(name []byte) (id string, ok bool) {
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	d := c.names[string(name)]
	if d == nil {
		if d = c.names[strings.ToLower(string(name))]; d == nil {
			return Unmapped, false
		}
	}
	return d.Id, true
}

// Document returns the document. It must not be modified.
func (c *Map) Document() *daybookv1.MapDocument { return c.document }

// Domain returns the domain with that id; nil: none.
func (c *Map) Domain(id string) *daybookv1.Domain {
	if d := c.domain(id); d != nil {
		return d.Domain
	}
	return nil
}

func (c *Map) domain(id string) *domain {
	if d := c.names[id]; d != nil && d.Id == id {
		return d
	}
	return nil
}

// Flow returns the flow with that id; nil: none.
func (c *Map) Flow(id string) *daybookv1.Flow { return c.flows[id] }

// same tells whether two identities are one person's.
func (c *Map) same(a string, b []byte) bool {
	if a == string(b) {
		return true
	}
	p := c.people[a]
	return p != nil && p == c.people[string(b)]
}

// flow returns the flow of the map that f is; nil: it is none of its.
func (c *Map) flow(f *daybookv1.Flow) *flow {
	from, to := c.domain(f.From), c.domain(f.To)
	if from == nil || to == nil {
		return nil
	}
	for _, ready := range from.flows[to] {
		if ready.Flow == f {
			return ready
		}
	}
	return nil
}

// Person returns the id of the person who has the identity, or whose id it is;
// the identity itself where it is nobody's.
func (c *Map) Person(identity string) string {
	if p := c.people[identity]; p != nil {
		return p.Id
	}
	return identity
}
