package drift

import (
	"fmt"
	"slices"
	"strings"
)

// Advice of checks on infrastructure.
const (
	adviceHosting  = "move it to where its domain is declared to run, or declare the new hosting after review"
	adviceTag      = "tag it " + DomainTag + " with the id of its domain, or declare the network under `hosting`"
	adviceNetwork  = "give each tier networks and accounts of its own"
	adviceJoin     = "remove the connection, or declare and approve the flow"
	adviceRule     = "narrow the rule to the domains that have a flow, or declare and approve the flow"
	adviceEveryone = "let only the gateways reach it"
)

// scanInfrastructure holds what Terraform made against the map.
func (s *scan) scanInfrastructure() []Difference {
	p := newPlant(s.d, s.c.Infrastructures)
	out := p.compareHosting()
	out = append(out, p.compareSharing()...)
	out = append(out, p.compareJoins()...)
	out = append(out, p.compareRoutes()...)
	out = append(out, p.compareRules(s.c.Now().UnixNano())...)
	for _, in := range s.c.Infrastructures {
		var notes []string
		if in.Skipped > 0 {
			notes = append(notes, fmt.Sprintf("resources that are not of AWS and were not looked at: %d", in.Skipped))
		}
		if in.Unknown > 0 {
			notes = append(notes, fmt.Sprintf("resources that have no id before they are made: %d; scan the state too once they are", in.Unknown))
		}
		if in.Unread > 0 {
			notes = append(notes, fmt.Sprintf("rules that name prefix lists, which were not looked at: %d", in.Unread))
		}
		s.scanned("terraform", in.Source, len(in.resources)+in.Skipped, strings.Join(notes, "; "))
	}
	return out
}

// compareHosting looks at tags, and at where tagged resources run.
func (p *plant) compareHosting() []Difference {
	var out []Difference
	for i := range p.all {
		r := &p.all[i]
		tag := r.v.tag(DomainTag)
		id, known := p.d.resolve(tag)
		switch {
		case tag != "" && !known:
			out = append(out, Difference{"terraform-unknown-domain", Medium, "", "", r.address,
				"its tag " + DomainTag + " names " + shorten(tag) + ", which the map does not have", "correct the tag, or add the domain to the map"})
		case known:
			out = append(out, p.placedElsewhere(r, id)...)
		case r.typ == "aws_vpc" && len(p.networks[r.v.ID].owners.ids) == 0:
			out = append(out, Difference{"terraform-unmapped", Medium, "", "", r.address,
				"no domain declares network " + p.title(r.v.ID), adviceTag})
		}
	}
	return out
}

func shorten(text string) string {
	if len(text) > 80 {
		return fmt.Sprintf("%q...", text[:80])
	}
	return fmt.Sprintf("%q", text)
}

// placedElsewhere holds where a resource runs against its domain's hosting.
func (p *plant) placedElsewhere(r *resource, id string) []Difference {
	h := p.d.byID[id].GetHosting()
	n := p.networkOf(r)
	var wrong []string
	if found := r.v.account(); h.GetAccount() != "" && found != "" && found != h.GetAccount() {
		wrong = append(wrong, "account "+found+", not "+h.GetAccount())
	}
	if found := r.v.region(); h.GetRegion() != "" && found != "" && found != h.GetRegion() {
		wrong = append(wrong, "region "+found+", not "+h.GetRegion())
	}
	if n != nil && h.GetNetwork() != "" && !n.named(h.GetNetwork()) {
		wrong = append(wrong, "network "+n.title()+", not "+h.GetNetwork())
	}
	if len(wrong) == 0 {
		return nil
	}
	severity, other := Medium, ""
	for _, x := range p.d.domains {
		there := x.GetHosting()
		same := n != nil && n.hosts(there) || there.GetNetwork() == "" && there.GetAccount() != "" && there.GetAccount() == r.v.account()
		if x.GetId() != id && same && p.d.betweenTiers(id, x.GetId()) != "" {
			severity, other = p.d.betweenTiers(id, x.GetId()), x.GetId()
			wrong = append(wrong, "where "+p.d.named(other)+" runs")
			break
		}
	}
	return []Difference{{"terraform-hosting", severity, id, other, r.address, "it runs in " + strings.Join(wrong, "; "), adviceHosting}}
}

// compareSharing looks for networks and accounts that hold two tiers.
func (p *plant) compareSharing() []Difference {
	var out []Difference
	accounts := map[string]*owners{}
	for _, n := range p.networks {
		in := n.inside
		in.ids = slices.Clone(in.ids)
		in.merge(n.owners)
		out = append(out, p.tiersIn(in, "terraform-shared-network", n.address, "network "+n.title(), "")...)
		if n.account != "" {
			if accounts[n.account] == nil {
				accounts[n.account] = &owners{}
			}
			accounts[n.account].merge(in)
		}
	}
	for account, in := range accounts {
		out = append(out, p.tiersIn(*in, "terraform-shared-account", "account "+account, "account "+account, Medium)...)
	}
	return out
}

// tiersIn reports each pair of domains of two tiers; with a cap, at most as that.
func (p *plant) tiersIn(in owners, check, subject, title string, most Severity) []Difference {
	var out []Difference
	for i, b := range in.ids {
		for _, a := range in.ids[:i] {
			severity := p.d.betweenTiers(a, b)
			if severity == "" {
				continue
			}
			if most != "" && severity.AtLeast(most) {
				severity = most
			}
			out = append(out, Difference{check, severity, a, b, subject,
				title + " holds " + p.d.named(a) + " and " + p.d.named(b), adviceNetwork})
		}
	}
	return out
}
