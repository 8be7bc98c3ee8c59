package domains

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// domainNode is a domain with the places of its values.
type domainNode struct {
	*daybookv1.Domain
	node      *yaml.Node
	at        *place
	keys      map[string]*yaml.Node
	aliases   []item
	dns       []item
	cas       []item
	oidc      item
	producers []item
}

// personNode is a person with the places of the values.
type personNode struct {
	*daybookv1.Person
	node       *yaml.Node
	at         *place
	keys       map[string]*yaml.Node
	identities []item
}

// domain reads a domain.
func (p *parser) domain(n *yaml.Node, at *place) {
	d := &domainNode{Domain: new(daybookv1.Domain), node: n, at: at}
	d.keys = p.mapping(n, at, slices.Concat(p.domainMust(d), p.domainMay(d)))
	p.domains = append(p.domains, d)
	p.doc.Domains = append(p.doc.Domains, d.Domain)
}

// domainMust returns the keys that every domain has.
func (p *parser) domainMust(d *domainNode) []key {
	return []key{
		{"id", "the id of the domain", func(n *yaml.Node, at *place) { d.Id = p.text(n, at, domainLimits["id"], checkDomainID) }},
		{"function", "the one function of the domain, such as " + CustomerInterface + " or database", func(n *yaml.Node, at *place) {
			if n.Kind == yaml.SequenceNode {
				p.fault(n, at, "is a list; a domain has exactly one function: make a domain for each")
				return
			}
			d.Function = p.text(n, at, domainLimits["function"], checkFunction)
		}},
		{"tier", "one of " + tiers.list(), func(n *yaml.Node, at *place) { d.Tier = daybookv1.Tier(p.word(n, at, tiers)) }},
		{"risk", "one of " + risks.list(), func(n *yaml.Node, at *place) { d.Risk = daybookv1.Risk(p.word(n, at, risks)) }},
		{"owner", "who answers for the domain", func(n *yaml.Node, at *place) { d.Owner = p.text(n, at, domainLimits["owner"], nil) }},
	}
}

// domainMay returns the keys that a domain may have.
func (p *parser) domainMay(d *domainNode) []key {
	spiffe := func(limits *daybookv1.FieldLimits, into *[]string) func(*yaml.Node, *place) {
		return func(n *yaml.Node, at *place) { *into = sortedValues(p.texts(n, at, limits, checkSPIFFE)) }
	}
	return []key{
		{"aliases", "", func(n *yaml.Node, at *place) {
			d.aliases = p.texts(n, at, domainLimits["aliases"], checkAlias)
			d.Aliases = sortedValues(d.aliases)
		}},
		{"dns", "", func(n *yaml.Node, at *place) {
			d.dns = p.texts(n, at, domainLimits["dns"], checkDNS)
			d.Dns = sortedValues(d.dns)
		}},
		{"hosting", "", func(n *yaml.Node, at *place) { d.Hosting = p.hosting(n, at) }},
		{"issuer", "", func(n *yaml.Node, at *place) { d.Issuer = p.issuer(n, at, d) }},
		{"gateways", "", spiffe(domainLimits["gateways"], &d.Gateways)},
		{"collectors", "", spiffe(domainLimits["collectors"], &d.Collectors)},
		{"producers", "", func(n *yaml.Node, at *place) {
			lines := map[string]int{}
			for i, node := range p.items(n, at, domainLimits["producers"]) {
				p.producer(node, at.entry(fmt.Sprint(i+1)), d, lines)
			}
			slices.SortFunc(d.Producers, func(a, b *daybookv1.ExpectedProducer) int { return strings.Compare(a.Id, b.Id) })
		}},
		{"retention_class", "", func(n *yaml.Node, at *place) {
			d.RetentionClass = p.text(n, at, domainLimits["retention_class"], checkClass)
		}},
		{"clock_limit", "", func(n *yaml.Node, at *place) { d.ClockLimitNs = p.duration(n, at, minClock, maxClock) }},
	}
}

// hosting reads where a domain runs.
func (p *parser) hosting(n *yaml.Node, at *place) *daybookv1.Hosting {
	h := new(daybookv1.Hosting)
	if p.mapping(n, at, []key{
		{"account", "", func(n *yaml.Node, at *place) { h.Account = p.text(n, at, hostingLimits["account"], nil) }},
		{"network", "", func(n *yaml.Node, at *place) { h.Network = p.text(n, at, hostingLimits["network"], nil) }},
		{"region", "", func(n *yaml.Node, at *place) { h.Region = p.text(n, at, hostingLimits["region"], nil) }},
	}) == nil {
		return nil
	}
	if len(n.Content) == 0 {
		p.fault(n, at, "is empty: leave the key out, or give it one of account, network, region")
	}
	return h
}

// issuer reads who issues a domain's credentials.
func (p *parser) issuer(n *yaml.Node, at *place, d *domainNode) *daybookv1.Issuer {
	issuer := new(daybookv1.Issuer)
	if p.mapping(n, at, []key{
		{"cas", "", func(n *yaml.Node, at *place) {
			// The limits are of the digests, the text is twice as long.
			d.cas = p.texts(n, at, &daybookv1.FieldLimits{MaxItems: issuerLimits["ca_sha256"].GetMaxItems()}, checkDigest)
			for _, ca := range d.cas {
				if digest, err := hex.DecodeString(ca.value); err == nil {
					issuer.CaSha256 = append(issuer.CaSha256, digest)
				}
			}
			slices.SortFunc(issuer.CaSha256, bytes.Compare)
		}},
		{"oidc", "", func(n *yaml.Node, at *place) {
			issuer.Oidc = p.text(n, at, issuerLimits["oidc"], checkIssuerURL)
			d.oidc = item{value: issuer.Oidc, node: n, at: at}
		}},
	}) == nil {
		return nil
	}
	if len(n.Content) == 0 {
		p.fault(n, at, "is empty: leave the key out, or give it cas or oidc")
	}
	return issuer
}

// producer reads a producer that a domain expects to report. lines holds the
// lines of those before it.
func (p *parser) producer(n *yaml.Node, at *place, d *domainNode, lines map[string]int) {
	e := new(daybookv1.ExpectedProducer)
	keys := p.mapping(n, at, []key{
		{"id", "the SPIFFE id of the producer", func(n *yaml.Node, at *place) { e.Id = p.text(n, at, producerLimits["id"], checkSPIFFE) }},
		{"silence", "", func(n *yaml.Node, at *place) { e.SilenceLimitNs = p.duration(n, at, minSilence, maxSilence) }},
	})
	if e.Id == "" {
		return
	}
	id := item{value: e.Id, node: keys["id"], at: at.key("id")}
	if line, twice := lines[e.Id]; twice {
		p.fault(id.node, id.at, "%s is listed twice; the first is on line %d", quote(e.Id), line)
		return
	}
	lines[e.Id] = id.node.Line
	d.producers = append(d.producers, id)
	d.Producers = append(d.Producers, e)
}
