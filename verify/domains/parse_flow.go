package domains

import (
	"slices"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// flowNode is a flow with the places of its values.
type flowNode struct {
	*daybookv1.Flow
	node *yaml.Node
	at   *place
	keys map[string]*yaml.Node
}

// flow reads a flow.
func (p *parser) flow(n *yaml.Node, at *place) {
	f := &flowNode{Flow: &daybookv1.Flow{Mode: daybookv1.FlowMode_FLOW_MODE_OBSERVE}, node: n, at: at}
	f.keys = p.mapping(n, at, slices.Concat(p.flowMust(f), p.flowMay(f)))
	p.flows = append(p.flows, f)
	p.doc.Flows = append(p.doc.Flows, f.Flow)
}

// flowMust returns the keys that every flow has.
func (p *parser) flowMust(f *flowNode) []key {
	return []key{
		{"id", "the id of the flow", func(n *yaml.Node, at *place) { f.Id = p.text(n, at, flowLimits["id"], checkID) }},
		{"from", "the id of the domain it comes from", func(n *yaml.Node, at *place) { f.From = p.text(n, at, nil, nil) }},
		{"to", "the id of the domain it reaches", func(n *yaml.Node, at *place) { f.To = p.text(n, at, nil, nil) }},
		{"actions", "what may be done, such as [read]; [any] for everything", func(n *yaml.Node, at *place) { f.Actions = p.actions(n, at) }},
		{"purpose", "what the flow is for", func(n *yaml.Node, at *place) { f.Purpose = p.text(n, at, flowLimits["purpose"], nil) }},
		{"approver", "the id of the person who approves changes of it", func(n *yaml.Node, at *place) {
			f.Approver = p.text(n, at, flowLimits["approver"], nil)
		}},
	}
}

// flowMay returns the keys that a flow may have.
func (p *parser) flowMay(f *flowNode) []key {
	return []key{
		{"ticket", "", func(n *yaml.Node, at *place) { f.Ticket = p.text(n, at, flowLimits["ticket"], nil) }},
		{"valid", "", func(n *yaml.Node, at *place) { p.validity(n, at, f) }},
		{"least_proof", "", func(n *yaml.Node, at *place) { f.LeastProof = daybookv1.SourceProof(p.word(n, at, proofs)) }},
		{"observers", "", func(n *yaml.Node, at *place) { f.Observers = p.observers(n, at) }},
		{"needs", "", func(n *yaml.Node, at *place) {
			switch {
			case n.Kind == yaml.AliasNode:
			case n.Kind != yaml.ScalarNode || n.Value != "approval":
				p.fault(n, at, "is %s; the one word it may be is approval", kindOf(n))
			default:
				f.NeedsApproval = true
			}
		}},
		{"crosses_region", "", func(n *yaml.Node, at *place) { f.CrossesRegion = p.truth(n, at) }},
		{"mode", "", func(n *yaml.Node, at *place) { f.Mode = daybookv1.FlowMode(p.word(n, at, modes)) }},
	}
}

// actions reads what a flow permits.
func (p *parser) actions(n *yaml.Node, at *place) []string {
	items := p.texts(n, at, flowLimits["actions"], checkAction)
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		p.fault(n, at, "is empty: write what may be done, or [any]")
	}
	for _, a := range items {
		if a.value == anyAction && len(n.Content) > 1 {
			p.fault(a.node, a.at, "any is everything; it stands alone")
		}
	}
	return sortedValues(items)
}

// observers reads the sides that report each crossing.
func (p *parser) observers(n *yaml.Node, at *place) []uint64 {
	var out []uint64
	for _, i := range p.texts(n, at, flowLimits["observers"], nil) {
		if side := p.word(i.node, i.at, sides); side != 0 {
			out = append(out, uint64(side))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// validity reads from when to when a flow is valid.
func (p *parser) validity(n *yaml.Node, at *place, f *flowNode) {
	if p.mapping(n, at, []key{
		{"from", "", func(n *yaml.Node, at *place) { f.NotBeforeNs = p.instant(n, at) }},
		{"until", "", func(n *yaml.Node, at *place) { f.NotAfterNs = p.instant(n, at) }},
	}) == nil {
		return
	}
	switch {
	case len(n.Content) == 0:
		p.fault(n, at, "is empty: leave the key out, or give it from or until")
	case f.NotBeforeNs != 0 && f.NotAfterNs != 0 && f.NotAfterNs <= f.NotBeforeNs:
		p.fault(n, at, "ends on %s, which is not after its begin on %s", formatInstant(f.NotAfterNs), formatInstant(f.NotBeforeNs))
	}
}
