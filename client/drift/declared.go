package drift

import (
	"cmp"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

type way struct{ from, to string }

// A declared is a domain map with what scans look up in it. Immutable.
type declared struct {
	domains []*daybookv1.Domain
	byID    map[string]*daybookv1.Domain
	names   map[string]string   // id, alias or DNS name, canonical: domain id
	dns     map[string]string   // DNS name, canonical: domain id
	beside  map[string][]string // parent: the DNS names one label below it
	under   map[string][]string // DNS name: the domains of names further below it, each once
	flows   map[way][]*daybookv1.Flow
	cas     map[string]string // SHA-256 of the SPKI: domain id
}

func declare(m *daybookv1.MapDocument) *declared {
	d := &declared{byID: map[string]*daybookv1.Domain{}, names: map[string]string{}, dns: map[string]string{}, beside: map[string][]string{},
		under: map[string][]string{},
		flows: map[way][]*daybookv1.Flow{}, cas: map[string]string{}}
	d.domains = slices.SortedFunc(slices.Values(m.GetDomains()), func(a, b *daybookv1.Domain) int { return cmp.Compare(a.GetId(), b.GetId()) })
	for _, x := range d.domains {
		id := x.GetId()
		d.byID[id], d.names[id] = x, id
		for _, alias := range x.GetAliases() {
			d.names[canonical(alias)] = id
		}
		for _, name := range x.GetDns() {
			name = canonical(name)
			d.names[name], d.dns[name] = id, id
			_, parent, _ := strings.Cut(name, ".")
			d.beside[parent] = append(d.beside[parent], name)
			for at := parent; at != ""; _, at, _ = strings.Cut(at, ".") {
				if list := d.under[at]; len(list) == 0 || list[len(list)-1] != id {
					d.under[at] = append(list, id) // ascending: domains are
				}
			}
		}
		for _, ca := range x.GetIssuer().GetCaSha256() {
			d.cas[string(ca)] = id
		}
	}
	for _, f := range m.GetFlows() {
		w := way{f.GetFrom(), f.GetTo()}
		d.flows[w] = append(d.flows[w], f)
	}
	return d
}

// resolve returns the domain that a name of an event stands for.
func (d *declared) resolve(name string) (string, bool) {
	id, ok := d.names[canonical(name)]
	return id, ok
}

// dnsNames are the declared DNS names, ascending.
func (d *declared) dnsNames() []string {
	names := make([]string, 0, len(d.dns))
	for name := range d.dns {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (d *declared) tier(id string) daybookv1.Tier { return d.byID[id].GetTier() }

func (d *declared) production(id string) bool { return d.tier(id) == daybookv1.Tier_TIER_PRODUCTION }

// tierWord names the tier of a domain.
func (d *declared) tierWord(id string) string {
	return strings.ToLower(strings.TrimPrefix(d.tier(id).String(), "TIER_"))
}

// named is a domain with its tier, in words.
func (d *declared) named(id string) string { return id + " (" + d.tierWord(id) + ")" }

// forbidden tells whether the tier rule forbids a way whatever a flow says.
func (d *declared) forbidden(from, to string) bool { return !d.production(from) && d.production(to) }

// A judged is what the map says of a way between two domains.
type judged struct {
	severity Severity
	why      string // empty: it is declared
}

// judge says whether a way between two different domains is declared at a time;
// 0: at any.
func (d *declared) judge(from, to string, at int64) judged {
	if d.forbidden(from, to) {
		return judged{High, "the tier rule forbids that " + d.named(from) + " reaches " + d.named(to)}
	}
	flows := d.flows[way{from, to}]
	for _, f := range flows {
		if at == 0 || f.GetNotBeforeNs() <= at && (f.GetNotAfterNs() == 0 || at < f.GetNotAfterNs()) {
			return judged{}
		}
	}
	severity := Medium
	if d.production(to) && d.byID[to].GetRisk() == daybookv1.Risk_RISK_HIGH {
		severity = High
	}
	if len(flows) > 0 {
		return judged{severity, "the flow from " + from + " to " + to + " is not valid now"}
	}
	return judged{severity, "no flow from " + from + " to " + to + " is declared"}
}

// betweenTiers is the severity of something that two domains of different tiers
// share; empty: they are of one tier.
func (d *declared) betweenTiers(a, b string) Severity {
	switch {
	case d.tier(a) == d.tier(b):
		return ""
	case d.production(a) || d.production(b):
		return High
	}
	return Medium
}
