// Package render writes what gateways enforce of a domain map.
//
// For each domain that a flow reaches there is an Envoy HTTP filter and, once one
// of its flows is enforced, a Kubernetes NetworkPolicy. A flow in mode enforce is
// written as it is declared: what no flow of the domain permits is refused. A
// flow in mode observe takes nothing away: where other flows of the domain are
// enforced, everything from its source passes, and Envoy's shadow rules log what
// would be refused. A domain without an enforced flow is not closed at all.
//
// What is inside a domain always passes. The same document and options give the
// same bytes. Validity, approvals and source proof are the ledger's to judge:
// comments in a file say where they are not enforced.
package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// File is one rendered file.
type File struct {
	Name   string // such as `envoy-web.yaml`; safe as the name of a file
	Domain string // id of the domain that it guards
	Data   []byte
}

// Options says what is rendered.
type Options struct {
	// At leaves out the flows that are not valid then. Zero: validity is not
	// looked at.
	At time.Time
}

// JSON returns the map as indented JSON, with the keys of the map file.
func JSON(doc *daybookv1.MapDocument) []byte { return domains.FormatJSON(doc) }

// target is a domain with the flows that reach it, ascending by id.
type target struct {
	*daybookv1.Domain
	flows    []*daybookv1.Flow
	sources  map[string]*daybookv1.Domain // by id
	enforced bool                         // one of the flows is
}

// targetsOf returns the domains that flows reach, ascending by id.
func targetsOf(doc *daybookv1.MapDocument, o Options) []*target {
	byID := make(map[string]*daybookv1.Domain, len(doc.Domains))
	for _, d := range doc.Domains {
		byID[d.Id] = d
	}
	targets := map[string]*target{}
	for _, f := range doc.Flows {
		from, to := byID[f.From], byID[f.To]
		if from == nil || to == nil || !validAt(f, o.At) {
			continue
		}
		t := targets[to.Id]
		if t == nil {
			t = &target{Domain: to, sources: map[string]*daybookv1.Domain{}}
			targets[to.Id] = t
		}
		t.flows = append(t.flows, f)
		t.sources[from.Id] = from
		t.enforced = t.enforced || enforces(f)
	}
	out := make([]*target, 0, len(targets))
	for _, t := range targets {
		slices.SortFunc(t.flows, func(a, b *daybookv1.Flow) int { return strings.Compare(a.Id, b.Id) })
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *target) int { return strings.Compare(a.Id, b.Id) })
	return out
}

// enforces reports whether gateways refuse what a flow does not allow.
func enforces(f *daybookv1.Flow) bool { return f.Mode == daybookv1.FlowMode_FLOW_MODE_ENFORCE }

// validAt reports whether a flow is valid at a time.
func validAt(f *daybookv1.Flow, at time.Time) bool {
	if at.IsZero() {
		return true
	}
	ns := at.UnixNano()
	return (f.NotBeforeNs == 0 || ns >= f.NotBeforeNs) && (f.NotAfterNs == 0 || ns < f.NotAfterNs)
}

// observed returns the sources that have a flow in mode observe, ascending.
func (t *target) observed() []string {
	var out []string
	for _, f := range t.flows {
		if !enforces(f) {
			out = append(out, f.From)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trustDomains returns the SPIFFE trust domains that are a domain: its id, and
// those of its names under which its gateways and expected producers report.
func trustDomains(d *daybookv1.Domain) []string {
	names := map[string]bool{}
	for _, name := range slices.Concat(d.Aliases, d.Dns) {
		names[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	out := []string{d.Id}
	ids := slices.Clone(d.Gateways)
	for _, p := range d.Producers {
		ids = append(ids, p.Id)
	}
	for _, id := range ids {
		if trust, err := verify.ProducerDomain(id); err == nil && names[trust] {
			out = append(out, trust)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// notes are the comment at the head of a file.
type notes struct{ strings.Builder }

func (n *notes) add(format string, args ...any) {
	n.WriteString("# " + fmt.Sprintf(format, args...) + "\n")
}

// head begins the comment of a file about a domain.
func head(what string, doc *daybookv1.MapDocument, t *target) *notes {
	n := new(notes)
	n.add("%s of domain %s (%s), from the domain map of %s.", what, t.Id, domains.Word(t.Tier), doc.Firm)
	n.add("Change the map and write this file again; do not edit it.")
	return n
}

// flow adds what of a flow the file does not enforce.
func (n *notes) flow(f *daybookv1.Flow, t *target) {
	if !enforces(f) && t.enforced {
		n.add("flow %s is observed: nothing from %s is refused.", f.Id, f.From)
	}
	if f.NotBeforeNs != 0 || f.NotAfterNs != 0 {
		n.add("flow %s is valid%s%s; this file does not look at the time.", f.Id, when(" from ", f.NotBeforeNs), when(" until ", f.NotAfterNs))
	}
	if f.NeedsApproval {
		n.add("flow %s needs an approval of each access; the ledger looks at that, not this file.", f.Id)
	}
}

func when(word string, ns int64) string {
	if ns == 0 {
		return ""
	}
	return word + time.Unix(0, ns).UTC().Format(time.RFC3339)
}

// file writes a value under its comment.
func file(name, domain string, n *notes, value any) File {
	var out strings.Builder
	out.WriteString(n.String())
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(value); err != nil {
		panic("render: " + err.Error()) // structs, strings and lists of them
	}
	return File{Name: name + "-" + domain + ".yaml", Domain: domain, Data: []byte(out.String())}
}
