package infer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// draft is a map that is being drafted.
type draft struct {
	doc     *daybookv1.MapDocument
	most    int                // flows
	owner   string             // of each domain
	domains map[string]*domain // by the id that was seen
	flowIDs map[string]bool
	notes   map[string]string // comments by path
	left    []Left
}

// domain is a domain with what was seen of it.
type domain struct {
	*daybookv1.Domain
	guessed           bool // the tier is
	from, to          uint64
	flowsOut, flowsIn int
	gateways          set[string]
	collectors        set[string]
	producers         set[string]
}

// newDraft begins a draft of at most so many flows.
func newDraft(o Options, flows int) *draft {
	d := &draft{most: flows, owner: cmp.Or(o.Owner, undecided), domains: map[string]*domain{}, flowIDs: map[string]bool{}, notes: map[string]string{}}
	d.doc = &daybookv1.MapDocument{Firm: cmp.Or(o.Firm, undecided), Approver: o.Approver}
	person := &daybookv1.Person{Id: o.Approver, Identities: slices.Sorted(slices.Values(o.Identities))}
	if o.Firm == "" {
		d.notes["firm"] = "decide: the name of the firm"
	}
	if len(person.Identities) == 0 {
		person.Identities = []string{undecided + ":" + o.Approver}
		d.notes["people["+o.Approver+"].identities"] = "decide: a SPIFFE id, or <OIDC issuer>#<subject>"
	}
	d.doc.People = []*daybookv1.Person{person}
	return d
}

// add drafts the flow of a pair, or says why there is none.
func (d *draft) add(p *pair) {
	reason := ""
	for _, name := range []string{p.source, p.target} {
		if wrong := unusable(name); wrong != "" {
			reason = wrong
		}
	}
	var source, target *domain
	if reason == "" {
		if source, target = d.domain(p.source), d.domain(p.target); source == nil || target == nil {
			reason = fmt.Sprintf("a map has at most %d domains", maxDomains)
		}
	}
	if reason != "" {
		d.leave(p, reason)
		return
	}
	d.report(p, source, target)
	if source == target {
		return // inside of a domain nothing needs a flow
	}
	source.from, target.to = source.from+p.count, target.to+p.count
	switch {
	case domains.Forbidden(source.Tier, target.Tier):
		d.leave(p, fmt.Sprintf("by their names %s is of tier %s and %s of production, which it never reaches", p.source, domains.Word(source.Tier), p.target))
	case len(d.doc.Flows) >= d.most:
		d.leave(p, fmt.Sprintf("a draft has at most %d flows", d.most))
	default:
		source.flowsOut++
		target.flowsIn++
		d.flow(p, source, target)
	}
}

// leave lists a pair that has no flow.
func (d *draft) leave(p *pair, reason string) {
	d.left = append(d.left, Left{Source: p.source, Target: p.target, Count: p.count, Reason: reason})
}

// unusable says why a name cannot be a domain of a map.
func unusable(name string) string {
	switch {
	case strings.HasPrefix(name, "?"), name == "unknown", name == "anonymous":
		return fmt.Sprintf("%s is no domain", name)
	case strings.HasSuffix(name, "."):
		return fmt.Sprintf("%s ends with a dot", name)
	}
	return ""
}

// domain returns the domain that was seen under a name, or nil where the map has
// no room.
func (d *draft) domain(name string) *domain {
	if found := d.domains[name]; found != nil {
		return found
	}
	if len(d.doc.Domains) >= maxDomains {
		return nil
	}
	tier, guessed := guessTier(name)
	v := &domain{guessed: guessed, Domain: &daybookv1.Domain{Id: labels(name), Function: undecided, Tier: tier,
		Risk: daybookv1.Risk_RISK_HIGH, Owner: d.owner}}
	if v.Id != name {
		v.Aliases = []string{name}
	}
	d.domains[name] = v
	d.doc.Domains = append(d.doc.Domains, v.Domain)
	return v
}

// labels returns the id of a domain for a name that may be none: one whose labels
// are empty, or begin or end with a dash.
func labels(name string) string {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			sum := sha256.Sum256([]byte(name))
			return "x-" + hex.EncodeToString(sum[:16])
		}
	}
	return name
}

// guessTier guesses a tier from the words of a name; production where none tells.
func guessTier(name string) (tier daybookv1.Tier, guessed bool) {
	for _, word := range strings.FieldsFunc(name, func(c rune) bool { return c == '.' || c == '-' }) {
		switch strings.TrimRight(word, "0123456789") {
		case "prod", "production", "live":
			return daybookv1.Tier_TIER_PRODUCTION, true
		case "stage", "staging", "stg", "uat", "preprod":
			return daybookv1.Tier_TIER_STAGING, true
		case "test", "testing", "tst", "qa":
			return daybookv1.Tier_TIER_TEST, true
		case "dev", "devel", "development", "sandbox":
			return daybookv1.Tier_TIER_DEVELOPMENT, true
		}
	}
	return daybookv1.Tier_TIER_PRODUCTION, false
}

// report puts the producers of a pair where they belong: gateways before the
// target unless they are of the source, collectors at the source.
func (d *draft) report(p *pair, source, target *domain) {
	for r := range p.reporters {
		switch r.role {
		case ofSource:
			source.producers = source.producers.put(r.producer)
		case ofTarget:
			target.producers = target.producers.put(r.producer)
		case byGateway:
			at := target
			if strings.HasPrefix(r.producer, "spiffe://"+p.source+"/") {
				at = source
			}
			at.gateways = at.gateways.put(r.producer)
		case byCollector:
			source.collectors = source.collectors.put(r.producer)
		}
	}
}

// flow drafts the flow of a pair.
func (d *draft) flow(p *pair, source, target *domain) {
	f := &daybookv1.Flow{Id: flowID(source.Id, target.Id, d.flowIDs), From: source.Id, To: target.Id, Purpose: undecided,
		Approver: d.doc.Approver, Mode: daybookv1.FlowMode_FLOW_MODE_OBSERVE}
	for class := range p.actions {
		if class != 0 {
			f.Actions = append(f.Actions, domains.Word(class))
		}
	}
	if slices.Sort(f.Actions); len(f.Actions) == 0 {
		f.Actions = []string{"any"}
	}
	at := "flows[" + f.Id + "]"
	for side := range p.sides {
		// A gateway or collector is expected where a domain has one: those that
		// reported this pair are among them.
		if side == daybookv1.Side_SIDE_SOURCE || side == daybookv1.Side_SIDE_TARGET ||
			side == daybookv1.Side_SIDE_GATEWAY && len(source.gateways)+len(target.gateways) > 0 ||
			side == daybookv1.Side_SIDE_COLLECTOR && len(source.collectors)+len(target.collectors) > 0 {
			f.Observers = append(f.Observers, uint64(side))
		}
	}
	if slices.Sort(f.Observers); len(f.Observers) > 0 {
		d.notes[at+".observers"] = "the sides seen"
	}
	if len(p.proofs) > 0 && !p.proofs[0] {
		f.LeastProof = slices.Max(slices.Collect(maps.Keys(p.proofs)))
		d.notes[at+".least_proof"] = "the weakest seen"
	}
	d.notes[at] = p.seen()
	d.notes[at+".purpose"] = "decide: what it is for"
	d.notes[at+".approver"] = "decide: who approves changes of it"
	d.doc.Flows = append(d.doc.Flows, f)
}

// seen says what was seen of a pair.
func (p *pair) seen() string {
	out := "seen " + times(p.count)
	if p.first != 0 && p.last != 0 {
		out += fmt.Sprintf(", %s to %s", moment(p.first), moment(p.last))
	}
	if names := printable(slices.Sorted(maps.Keys(p.operations))); len(names) > 0 {
		more := ""
		if len(names) > maxNamed {
			names, more = names[:maxNamed], fmt.Sprintf(" and %d more", len(names)-maxNamed)
		}
		out += "\noperations: " + strings.Join(names, ", ") + more
	}
	return out
}
