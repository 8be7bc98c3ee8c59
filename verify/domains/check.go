package domains

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// claim says which domain or person a name belongs to.
type claim struct {
	owner string // id
	what  string // what the name is there: id, alias, DNS name
	line  int
}

// check holds the parts of the map against each other.
func (p *parser) check() {
	p.misnamed = p.findMisnamed()
	people := p.checkPeople()
	if n := p.top["approver"]; n != nil {
		p.checkApprover(n, (*place)(nil).key("approver"), p.doc.Approver, people)
	}
	for _, list := range []string{"people", "domains"} {
		if n := p.top[list]; n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			p.fault(n, (*place)(nil).key(list), "is empty: a map has at least one")
		}
	}
	names := p.checkNames()
	p.checkIssuers()
	p.checkProducers(names)
	p.checkInterfaces()
	p.checkFlows(names, people)
}

// findMisnamed returns the ids of domains and people that have a fault of their
// own: what refers to them has none.
func (p *parser) findMisnamed() map[string]bool {
	out := map[string]bool{}
	for _, d := range p.domains {
		if n := d.keys["id"]; n != nil && d.Id == "" {
			out[n.Value] = true
		}
	}
	for _, person := range p.people {
		if n := person.keys["id"]; n != nil && person.Id == "" {
			out[n.Value] = true
		}
	}
	return out
}

// take gives a name to a domain or person, or reports whose it is already.
func (p *parser) take(claims map[string]claim, name string, c claim, n *yaml.Node, at *place) {
	old, taken := claims[name]
	if !taken {
		c.line = n.Line
		claims[name] = c
		return
	}
	p.fault(n, at, "%s is already the %s of %s, on line %d", quote(n.Value), old.what, quote(old.owner), old.line)
}

// checkPeople returns whose each id and identity is. None has two owners.
func (p *parser) checkPeople() map[string]claim {
	claims := make(map[string]claim, 2*len(p.people))
	for _, person := range p.people {
		if person.Id != "" {
			p.take(claims, person.Id, claim{owner: person.Id, what: "id"}, person.keys["id"], person.at.key("id"))
		}
	}
	for _, person := range p.people {
		for _, i := range person.identities {
			p.take(claims, i.value, claim{owner: person.Id, what: "identity"}, i.node, i.at)
		}
	}
	return claims
}

// checkApprover reports an approver who is none of the people.
func (p *parser) checkApprover(n *yaml.Node, at *place, id string, people map[string]claim) {
	c, known := people[id]
	switch {
	case id == "", known && c.what == "id", p.misnamed[id]: // reported already, or right
	case known:
		p.fault(n, at, "%s is an identity of %q; write the person's id", quote(id), c.owner)
	default:
		ids := make([]string, 0, len(p.people))
		for _, person := range p.people {
			ids = append(ids, person.Id)
		}
		p.fault(n, at, "no person has the id %s%s", quote(id), p.hint(id, ids, "; list the person under people"))
	}
}

// checkNames returns which domain each id, alias and DNS name means, by its
// folded form. None means two.
func (p *parser) checkNames() map[string]claim {
	claims := make(map[string]claim, 4*len(p.domains))
	for _, d := range p.domains {
		if d.Id != "" {
			p.take(claims, d.Id, claim{owner: d.Id, what: "id"}, d.keys["id"], d.at.key("id"))
		}
	}
	for _, d := range p.domains {
		for _, i := range d.dns {
			if c := claims[i.value]; c.owner == d.Id && c.what == "id" {
				continue // a domain may be called by its DNS name
			}
			p.take(claims, i.value, claim{owner: d.Id, what: "DNS name"}, i.node, i.at)
		}
		for _, i := range d.aliases {
			p.take(claims, fold(i.value), claim{owner: d.Id, what: "alias"}, i.node, i.at)
		}
	}
	return claims
}

// checkIssuers reports an issuer of two domains.
func (p *parser) checkIssuers() {
	claims := map[string]claim{}
	for _, d := range p.domains {
		issuers := d.cas
		if d.oidc.value != "" {
			issuers = append(slices.Clip(issuers), d.oidc)
		}
		for _, i := range issuers {
			name := strings.TrimRight(i.value, "/")
			if c, taken := claims[name]; taken {
				p.fault(i.node, i.at, "issues credentials of %s too (line %d); each domain has its own issuer", quote(c.owner), c.line)
				continue
			}
			claims[name] = claim{owner: d.Id, line: i.node.Line}
		}
	}
}

// checkProducers reports an expected producer of two domains, and one that may
// not speak for its domain.
func (p *parser) checkProducers(names map[string]claim) {
	claims := map[string]claim{}
	for _, d := range p.domains {
		for _, i := range d.producers {
			p.take(claims, i.value, claim{owner: d.Id, what: "producer"}, i.node, i.at)
			trust, err := verify.ProducerDomain(i.value)
			if err != nil || names[fold(trust)].owner == d.Id || d.Id == "" ||
				slices.Contains(d.Gateways, i.value) || slices.Contains(d.Collectors, i.value) {
				continue
			}
			p.fault(i.node, i.at, "%s is of trust domain %q and neither a gateway nor a collector of %q: it may not report here", quote(i.value), trust, d.Id)
		}
	}
}

// checkInterfaces reports domains of different interfaces in one place.
func (p *parser) checkInterfaces() {
	type spot struct{ account, network string }
	first := map[spot][]*domainNode{} // one domain for each function
	for _, d := range p.domains {
		s := spot{d.GetHosting().GetAccount(), d.GetHosting().GetNetwork()}
		if !slices.Contains(interfaces, d.Function) || s == (spot{}) {
			continue
		}
		same := false
		for _, other := range first[s] {
			if other.Function == d.Function {
				same = true
				continue
			}
			p.fault(d.keys["hosting"], d.at.key("hosting"), "is the account and network of %q too, which is a %s; a %s is hosted apart from it",
				other.Id, other.Function, d.Function)
		}
		if !same {
			first[s] = append(first[s], d)
		}
	}
}

// checkFlows holds the flows against domains and people.
func (p *parser) checkFlows(names, people map[string]claim) {
	domains := make(map[string]*domainNode, len(p.domains))
	ids := make([]string, 0, len(p.domains))
	for _, d := range p.domains {
		if d.Id != "" && domains[d.Id] == nil {
			domains[d.Id] = d
			ids = append(ids, d.Id)
		}
	}
	claims := make(map[string]claim, len(p.flows))
	for _, f := range p.flows {
		if f.Id != "" {
			p.take(claims, f.Id, claim{owner: f.Id, what: "id"}, f.keys["id"], f.at.key("id"))
		}
		if n := f.keys["approver"]; n != nil {
			p.checkApprover(n, f.at.key("approver"), f.Approver, people)
		}
		for _, end := range []struct{ key, id string }{{"from", f.From}, {"to", f.To}} {
			if end.id != "" && domains[end.id] == nil && !p.misnamed[end.id] {
				p.fault(f.keys[end.key], f.at.key(end.key), "no domain has the id %s%s", quote(end.id), p.meant(end.id, ids, names))
			}
		}
		if from, to := domains[f.From], domains[f.To]; from != nil && to != nil {
			p.checkFlow(f, from, to)
		}
	}
}

// meant returns a hint at the domain that a name may mean.
func (p *parser) meant(name string, ids []string, names map[string]claim) string {
	if c, ok := names[fold(name)]; ok {
		return fmt.Sprintf("; it is the %s of %q: write that", c.what, c.owner)
	}
	return p.hint(name, ids, "; list it under domains")
}

// checkFlow holds a flow against the two domains it joins.
func (p *parser) checkFlow(f *flowNode, from, to *domainNode) {
	at := func(key string) (*yaml.Node, *place) {
		if n := f.keys[key]; n != nil {
			return n, f.at.key(key)
		}
		return f.node, f.at.key(key)
	}
	if from == to {
		n, here := at("to")
		p.fault(n, here, "is where it comes from; inside of %q nothing needs a flow", f.To)
		return
	}
	if Forbidden(from.Tier, to.Tier) {
		n, here := at("to")
		p.fault(n, here, "leads from %q, of tier %s, to %q, of tier %s: %s never reaches production, whatever a flow says",
			f.From, Word(from.Tier), f.To, Word(to.Tier), Word(from.Tier))
	}
	n, here := at("crosses_region")
	switch a, b := from.GetHosting().GetRegion(), to.GetHosting().GetRegion(); {
	case a == "" || b == "": // not known
	case n != f.node && n.ShortTag() != "!!bool": // reported already
	case a != b && !f.CrossesRegion:
		p.fault(n, here, "is not said, and the flow leads from region %s to %s: write crosses_region: true if it is meant to", quote(a), quote(b))
	case a == b && f.CrossesRegion:
		p.fault(n, here, "is said, and both domains are in region %s", quote(a))
	}
	n, here = at("observers")
	for _, observer := range f.Observers {
		side := daybookv1.Side(observer)
		switch {
		case side == daybookv1.Side_SIDE_GATEWAY && len(from.Gateways)+len(to.Gateways) == 0,
			side == daybookv1.Side_SIDE_COLLECTOR && len(from.Collectors)+len(to.Collectors) == 0:
			p.fault(n, here, "expects a %s, and neither %q nor %q has one", Word(side), f.From, f.To)
		}
	}
}

// Forbidden reports the tier rule: staging, test and development never reach
// production.
func Forbidden(from, to daybookv1.Tier) bool {
	return to == daybookv1.Tier_TIER_PRODUCTION &&
		(from == daybookv1.Tier_TIER_STAGING || from == daybookv1.Tier_TIER_TEST || from == daybookv1.Tier_TIER_DEVELOPMENT)
}
