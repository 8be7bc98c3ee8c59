package drift

import (
	"cmp"
	"net/netip"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Owners are the domains that something belongs to, ascending; sure is false
// where it is only known that it lies in a network that several share.
type owners struct {
	ids  []string
	sure bool
}

func (o *owners) add(id string) {
	if i, found := slices.BinarySearch(o.ids, id); !found {
		o.ids = slices.Insert(o.ids, i, id)
	}
}

// A network is one VPC.
type network struct {
	id, name, account, region, address string
	cidrs                              []netip.Prefix
	owners                             owners
	inside                             owners // of everything that is in it by tag
	joined                             []join
	parts                              []*subnet
}

// A join leads from one network to another.
type join struct {
	to      string // id
	by      string // peering connection or transit gateway
	gateway bool
}

type subnet struct {
	network string
	cidrs   []netip.Prefix
	owners  owners
}

type group struct {
	address, network string
	owners           owners
}

// A plant is all infrastructure of a scan, looked up by id.
type plant struct {
	d        *declared
	networks map[string]*network
	subnets  map[string]*subnet
	groups   map[string]*group
	tables   map[string]string // route table: network
	peerings map[string][2]string
	all      []resource
}

func newPlant(d *declared, ins []*Infrastructure) *plant {
	p := &plant{d: d, networks: map[string]*network{}, subnets: map[string]*subnet{}, groups: map[string]*group{},
		tables: map[string]string{}, peerings: map[string][2]string{}}
	for _, in := range ins {
		p.all = append(p.all, in.resources...)
	}
	slices.SortStableFunc(p.all, func(a, b resource) int { return cmp.Compare(a.address, b.address) })
	p.addNetworks()
	p.addParts()
	p.addAttached()
	p.addJoins()
	return p
}

// tagged returns the domain that a resource's tag names, where the map has it.
func (p *plant) tagged(r *resource) string {
	id, _ := p.d.resolve(r.v.tag(DomainTag))
	return id
}

func (p *plant) addNetworks() {
	for i := range p.all {
		if r := &p.all[i]; r.typ == "aws_vpc" {
			n := &network{id: r.v.ID, name: r.v.tag("Name"), account: r.v.account(), region: r.v.region(), address: r.address,
				cidrs: prefixes([]string{r.v.CIDR, r.v.CIDR6})}
			p.networks[n.id] = n
			if id := p.tagged(r); id != "" {
				n.owners.add(id)
				n.inside.add(id)
			} else {
				for _, x := range p.d.domains {
					if n.hosts(x.GetHosting()) {
						n.owners.add(x.GetId())
					}
				}
			}
			n.owners.sure = len(n.owners.ids) == 1
		}
	}
}

// hosts tells whether a declared hosting is this network.
func (n *network) hosts(h *daybookv1.Hosting) bool {
	return n.named(h.GetNetwork()) && (h.GetAccount() == "" || n.account == "" || h.GetAccount() == n.account)
}

func (n *network) named(name string) bool { return name != "" && (name == n.id || name == n.name) }

func (n *network) title() string {
	if n.name != "" {
		return n.id + " (" + n.name + ")"
	}
	return n.id
}

// addParts adds subnets, groups, tables and peerings.
func (p *plant) addParts() {
	for i := range p.all {
		r := &p.all[i]
		id := p.tagged(r)
		own := owners{sure: true}
		if id != "" {
			own.add(id)
		}
		switch r.typ {
		case "aws_subnet":
			p.subnets[r.v.ID] = &subnet{r.v.VPC, prefixes([]string{r.v.CIDR, r.v.CIDR6}), own}
		case "aws_security_group":
			p.groups[r.v.ID] = &group{r.address, r.v.VPC, own}
		case "aws_route_table":
			p.tables[r.v.ID] = r.v.VPC
		case "aws_vpc_peering_connection":
			if r.v.Accept == "" || r.v.Accept == "active" || r.v.Accept == "pending-acceptance" {
				p.peerings[r.v.ID] = [2]string{r.v.VPC, r.v.PeerVPC}
			}
		}
	}
}

// networkOf returns the network that a resource lies in; nil: not known.
func (p *plant) networkOf(r *resource) *network {
	if r.typ == "aws_vpc" {
		return p.networks[r.v.ID]
	}
	if n := p.networks[r.v.VPC]; n != nil {
		return n
	}
	for _, id := range r.v.subnets() {
		if s := p.subnets[id]; s != nil {
			return p.networks[s.network]
		}
	}
	for _, id := range r.v.groups() {
		if g := p.groups[id]; g != nil {
			return p.networks[g.network]
		}
	}
	return nil
}

// addAttached gives groups the domains of what they are attached to, and notes
// what lies in each network.
func (p *plant) addAttached() {
	attached := map[string]*owners{}
	for i := range p.all {
		r := &p.all[i]
		id := p.tagged(r)
		if id == "" {
			continue
		}
		if n := p.networkOf(r); n != nil {
			n.inside.add(id)
		}
		for _, g := range r.v.groups() {
			if attached[g] == nil {
				attached[g] = &owners{sure: true}
			}
			attached[g].add(id)
		}
	}
	for id, g := range p.groups {
		if len(g.owners.ids) == 0 && attached[id] != nil {
			g.owners = *attached[id]
		}
		if n := p.networks[g.network]; len(g.owners.ids) == 0 && n != nil {
			g.owners = n.owners
		}
	}
	for _, s := range p.subnets {
		n := p.networks[s.network]
		if n == nil {
			continue
		}
		if n.parts = append(n.parts, s); len(s.owners.ids) == 0 {
			s.owners = n.owners
		}
	}
}

// addJoins notes which networks lead to which.
func (p *plant) addJoins() {
	join2 := func(a, b, by string, gateway bool) {
		if n := p.networks[a]; n != nil && a != b {
			n.joined = append(n.joined, join{b, by, gateway})
		}
		if n := p.networks[b]; n != nil && a != b {
			n.joined = append(n.joined, join{a, by, gateway})
		}
	}
	for by, ends := range p.peerings {
		join2(ends[0], ends[1], by, false)
	}
	attached := map[string][]string{}
	for _, r := range p.all {
		if r.typ == "aws_ec2_transit_gateway_vpc_attachment" && r.v.Gateway != "" && !slices.Contains(attached[r.v.Gateway], r.v.VPC) {
			for _, other := range attached[r.v.Gateway] {
				join2(other, r.v.VPC, r.v.Gateway, true)
			}
			attached[r.v.Gateway] = append(attached[r.v.Gateway], r.v.VPC)
		}
	}
}

// ownersOf returns the domains of a network that may stand outside of the states:
// those that declare it as their hosting.
func (p *plant) ownersOf(id string) owners {
	if n := p.networks[id]; n != nil {
		return n.owners
	}
	var out owners
	for _, x := range p.d.domains {
		if id != "" && x.GetHosting().GetNetwork() == id {
			out.add(x.GetId())
		}
	}
	out.sure = len(out.ids) == 1
	return out
}

// title names a network.
func (p *plant) title(id string) string {
	if n := p.networks[id]; n != nil {
		return n.title()
	}
	return id + " (outside of what was read)"
}

// behind returns the domains that a block of addresses stands for, as seen from
// a network: its own parts, those it is joined to, and else one that the block
// lies in.
func (p *plant) behind(from string, block netip.Prefix) owners {
	out := owners{sure: true}
	take := func(n *network) bool {
		if n == nil || !overlaps(n.cidrs, block) {
			return false
		}
		narrow := false
		for _, s := range n.parts {
			if overlaps(s.cidrs, block) {
				narrow = true
				out.merge(s.owners)
			}
		}
		if !narrow {
			out.merge(n.owners)
		}
		return true
	}
	found := take(p.networks[from])
	if n := p.networks[from]; n != nil {
		for _, j := range n.joined {
			found = take(p.networks[j.to]) || found
		}
	}
	if found {
		return out
	}
	for _, n := range p.networks {
		if slices.ContainsFunc(n.cidrs, func(c netip.Prefix) bool { return c.Bits() <= block.Bits() && c.Overlaps(block) }) {
			take(n)
		}
	}
	out.sure = false
	return out
}

func (o *owners) merge(other owners) {
	for _, id := range other.ids {
		o.add(id)
	}
	o.sure = o.sure && (other.sure || len(other.ids) == 0)
}

func overlaps(cidrs []netip.Prefix, block netip.Prefix) bool {
	return slices.ContainsFunc(cidrs, block.Overlaps)
}
