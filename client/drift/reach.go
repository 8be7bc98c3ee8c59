package drift

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// compareJoins looks at peerings and transit gateways between networks.
func (p *plant) compareJoins() []Difference {
	var out []Difference
	for _, r := range p.all {
		switch r.typ {
		case "aws_vpc_peering_connection":
			if _, ok := p.peerings[r.v.ID]; !ok {
				continue
			}
			a, b := p.ownersOf(r.v.VPC), p.ownersOf(r.v.PeerVPC)
			if len(a.ids) == 0 || len(b.ids) == 0 {
				out = append(out, Difference{"terraform-peering", Medium, strings.Join(a.ids, ","), strings.Join(b.ids, ","), r.address,
					fmt.Sprintf("it joins %s and %s of account %s, and the map does not know both", p.title(r.v.VPC), p.title(r.v.PeerVPC), r.v.PeerOwner), adviceTag})
			}
			out = append(out, p.joinsOf(a, b, r.address, "it joins "+p.title(r.v.VPC)+" and "+p.title(r.v.PeerVPC), "")...)
		case "aws_ec2_transit_gateway_vpc_attachment":
			n := p.networks[r.v.VPC]
			if n == nil {
				continue
			}
			for _, j := range n.joined {
				if j.gateway && j.by == r.v.Gateway && j.to < n.id { // each pair once
					out = append(out, p.joinsOf(n.owners, p.ownersOf(j.to), r.v.Gateway,
						"transit gateway "+r.v.Gateway+" joins "+n.title()+" and "+p.title(j.to)+"; its route tables may keep them apart", Medium)...)
				}
			}
		}
	}
	return out
}

// joinsOf reports a connection between domains that may not, or need not, be
// connected; with a cap, at most as that.
func (p *plant) joinsOf(a, b owners, subject, detail string, most Severity) []Difference {
	var out []Difference
	for _, x := range a.ids {
		for _, y := range b.ids {
			if x == y {
				continue
			}
			there, back := p.d.judge(x, y, 0), p.d.judge(y, x, 0)
			severity, why := Severity(""), ""
			switch {
			case p.d.forbidden(x, y) || p.d.forbidden(y, x):
				severity, why = High, "between "+p.d.named(x)+" and "+p.d.named(y)
			case there.why != "" && back.why != "":
				severity, why = Medium, "and no flow between "+x+" and "+y+" is declared"
			default:
				continue
			}
			sure := a.sure && b.sure || p.allForbidden(a, b) || p.allForbidden(b, a)
			if (most != "" || !sure) && severity == High {
				severity = Medium
			}
			out = append(out, Difference{"terraform-peering", severity, x, y, subject, detail + ", " + why, adviceJoin})
		}
	}
	return out
}

// compareRoutes looks at routes from one network to another. One that is there for
// answers alone is as declared.
func (p *plant) compareRoutes() []Difference {
	var out []Difference
	for _, r := range p.all {
		from, routes := r.v.VPC, r.v.Routes
		switch r.typ {
		case "aws_route":
			from, routes = p.tables[r.v.Table], []tfRoute{{r.v.To, r.v.Peering, r.v.Gateway}}
		case "aws_route_table":
		default:
			continue
		}
		n := p.networks[from]
		if n == nil {
			continue
		}
		for _, route := range routes {
			for _, j := range n.joined {
				if p.leads(route, j) {
					there := p.reaches(n.owners, p.ownersOf(j.to), "terraform-route", r.address,
						"it sends "+route.To+" of "+n.title()+" to "+p.title(j.to), 0)
					out = append(out, slices.DeleteFunc(there, p.answers)...)
				}
			}
		}
	}
	return out
}

// answers tells whether a route is the way back of a declared flow, which answers
// need: who may begin is what security groups say.
func (p *plant) answers(d Difference) bool { return p.d.judge(d.Other, d.Domain, 0).why == "" }

// leads tells whether a route uses a join.
func (p *plant) leads(route tfRoute, j join) bool {
	if !j.gateway {
		return route.Peering == j.by
	}
	to := p.networks[j.to]
	blocks := prefixes([]string{route.To})
	return route.Gateway == j.by && to != nil && len(blocks) == 1 && overlaps(to.cidrs, blocks[0])
}

// reaches reports the ways from one set of domains to another that are not
// declared at a time; 0: at any. What is not sure is at most medium.
func (p *plant) reaches(from, to owners, check, subject, detail string, at int64) []Difference {
	var out []Difference
	for _, x := range from.ids {
		for _, y := range to.ids {
			if x == y {
				continue
			}
			j := p.d.judge(x, y, at)
			if j.why == "" {
				continue
			}
			if sure := from.sure && to.sure || p.allForbidden(from, to); !sure && j.severity == High {
				j.severity = Medium
			}
			out = append(out, Difference{check, j.severity, x, y, subject, detail + "; " + j.why, adviceRule})
		}
	}
	return out
}

// allForbidden tells whether the tier rule forbids every way there may be: then
// it does not matter which of the domains it is.
func (p *plant) allForbidden(from, to owners) bool {
	for _, x := range from.ids {
		for _, y := range to.ids {
			if !p.d.forbidden(x, y) {
				return false
			}
		}
	}
	return len(from.ids) > 0 && len(to.ids) > 0
}

// A rule is one rule of a security group.
type rule struct {
	address, group string
	ingress        bool
	ports          string
	web            bool // ports 80 and 443 alone
	blocks         []netip.Prefix
	groups         []string
}

// rules are those of a resource, of whichever type says them.
func (r *resource) rules() []rule {
	v := &r.v
	switch r.typ {
	case "aws_security_group":
		var out []rule
		for _, in := range v.Ingress {
			out = append(out, makeRule(r.address, v.ID, true, in.Protocol, in.From, in.Until, prefixes(in.CIDRs, in.CIDR6s), in.Groups))
		}
		for _, e := range v.Egress {
			out = append(out, makeRule(r.address, v.ID, false, e.Protocol, e.From, e.Until, prefixes(e.CIDRs, e.CIDR6s), e.Groups))
		}
		return out
	case "aws_security_group_rule":
		return []rule{makeRule(r.address, v.Group, v.Kind == "ingress", v.Protocol, v.From, v.Until, prefixes(v.CIDRs, v.CIDR6s), one(v.Source))}
	case "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule":
		return []rule{makeRule(r.address, v.Group, r.typ == "aws_vpc_security_group_ingress_rule", v.IP, v.From, v.Until,
			prefixes([]string{v.CIDRv4, v.CIDRv6}), one(v.Refers))}
	}
	return nil
}

func one(id string) []string {
	if id == "" {
		return nil
	}
	// A group of another account is written account/id.
	return []string{id[strings.LastIndex(id, "/")+1:]}
}

func makeRule(address, group string, ingress bool, protocol string, from, until *float64, blocks []netip.Prefix, groups []string) rule {
	r := rule{address: address, group: group, ingress: ingress, blocks: blocks, groups: groups}
	switch {
	case protocol == "-1" || protocol == "all" || from == nil || until == nil:
		r.ports = "every port"
	case *from == *until:
		r.ports = fmt.Sprintf("%s %.0f", protocol, *from)
		r.web = protocol == "tcp" && (*from == 80 || *from == 443)
	default:
		r.ports = fmt.Sprintf("%s %.0f-%.0f", protocol, *from, *until)
	}
	return r
}

// compareRules looks at what security groups let in, and at what they let out
// across the tier rule. Egress elsewhere is judged at the group that lets it in.
func (p *plant) compareRules(now int64) []Difference {
	var out []Difference
	for i := range p.all {
		for _, r := range p.all[i].rules() {
			g := p.groups[r.group]
			if g == nil {
				continue
			}
			peers := owners{sure: true}
			var from []string
			for _, id := range r.groups {
				if other := p.groups[id]; other != nil && id != r.group {
					peers.merge(other.owners)
					from = append(from, other.address)
				}
			}
			for _, block := range r.blocks {
				if block.Bits() == 0 {
					if r.ingress {
						out = append(out, p.openTo(r, g, block)...)
					}
					continue
				}
				peers.merge(p.behind(g.network, block))
				from = append(from, block.String())
			}
			out = append(out, p.judgeRule(r, g, peers, from, now)...)
		}
	}
	return out
}

func (p *plant) judgeRule(r rule, g *group, peers owners, named []string, now int64) []Difference {
	if r.ingress {
		return p.reaches(peers, g.owners, "terraform-security-group", r.address, "it lets "+some(named, 4)+" in, to "+r.ports, now)
	}
	all := p.reaches(g.owners, peers, "terraform-security-group", r.address, "it lets "+g.address+" out to "+some(named, 4)+", "+r.ports, now)
	return slices.DeleteFunc(all, func(d Difference) bool { return !p.d.forbidden(d.Domain, d.Other) })
}

// openTo judges a rule that lets everybody in.
func (p *plant) openTo(r rule, g *group, block netip.Prefix) []Difference {
	detail := "it lets " + block.String() + " in, to " + r.ports
	if len(g.owners.ids) == 0 {
		return []Difference{{"terraform-open", Medium, "", "", r.address, detail, adviceEveryone}}
	}
	var out []Difference
	for _, id := range g.owners.ids {
		faces := strings.HasSuffix(p.d.byID[id].GetFunction(), "-interface")
		severity := High
		switch {
		case r.web && faces:
			continue // the public is whom it is for
		case r.web || !g.owners.sure:
			severity = Medium
		}
		out = append(out, Difference{"terraform-open", severity, id, "", r.address, detail, adviceEveryone})
	}
	return out
}
