package infer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// finish puts the parts of a draft in order and notes what to decide of domains.
func (d *draft) finish() {
	for name, v := range d.domains {
		v.Gateways = some(v.gateways, maxListed)
		v.Collectors = some(v.collectors, maxListed)
		for _, id := range some(v.producers, maxExpect) {
			v.Producers = append(v.Producers, &daybookv1.ExpectedProducer{Id: id})
		}
		d.noteDomain(name, v)
	}
	slices.SortFunc(d.doc.Domains, func(a, b *daybookv1.Domain) int { return strings.Compare(a.Id, b.Id) })
	slices.SortFunc(d.doc.Flows, func(a, b *daybookv1.Flow) int { return strings.Compare(a.Id, b.Id) })
}

// some returns the first values of a set in their order.
func some(s set[string], most int) []string {
	out := slices.Sorted(maps.Keys(s))
	return out[:min(len(out), most)]
}

// noteDomain says what was seen of a domain, and what a person decides of it.
func (d *draft) noteDomain(name string, v *domain) {
	at := "domains[" + v.Id + "]"
	note := fmt.Sprintf("as source: crossings %d, flows %d; as target: crossings %d, flows %d", v.from, v.flowsOut, v.to, v.flowsIn)
	switch {
	case v.Id != name:
		note += "\ndecide: a readable id"
	case hashed(v.Id):
		note += "\ndecide: the id stands for a name that can be none; put the name, which is in the events, under aliases"
	}
	if len(v.producers) > maxExpect || len(v.gateways) > maxListed || len(v.collectors) > maxListed {
		note += fmt.Sprintf("\nnot all are listed of %d producers, %d gateways, %d collectors", len(v.producers), len(v.gateways), len(v.collectors))
	}
	d.notes[at] = note
	d.notes[at+".function"] = "decide: its one function, such as broker-interface or database"
	d.notes[at+".tier"] = "decide: production, staging, test or development"
	if v.guessed {
		d.notes[at+".tier"] = "decide: guessed from the name"
	}
	d.notes[at+".risk"] = "decide: low, medium or high"
	if v.Owner == undecided {
		d.notes[at+".owner"] = "decide: who answers for it"
	}
	if len(v.Producers) > 0 {
		d.notes[at+".producers"] = "decide: how long each may be silent, such as silence: 5m"
	}
}

// hashed reports whether an id is what a log without a map calls a name that
// can be no id.
func hashed(id string) bool {
	digits, ok := strings.CutPrefix(id, "x-")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// note returns the comment on a path.
func (d *draft) note(path string) string { return d.notes[path] }

// head returns the comment at the head of the file.
func (d *draft) head() string {
	var out strings.Builder
	line := func(format string, args ...any) { out.WriteString("# " + fmt.Sprintf(format, args...) + "\n") }
	line("A draft of the domain map, from the crossings that were seen; domains %d, flows %d.", len(d.doc.Domains), len(d.doc.Flows))
	line("Review it: what stands behind `decide:` is a placeholder or a guess. What ought")
	line("not to have been is to be removed, not declared. Add dns, hosting and issuer.")
	for i, l := range d.left {
		if i == maxLeft {
			line("not drafted: %d more pairs", len(d.left)-maxLeft)
			break
		}
		line("not drafted: %s to %s, seen %s: %s", visible(l.Source), visible(l.Target), times(l.Count), visible(l.Reason))
	}
	return out.String()
}

// printable returns the names that can stand in a comment.
func printable(names []string) []string {
	var out []string
	for _, name := range names {
		if name = visible(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// visible returns a name without what cannot be seen: names are chosen by who
// sends events.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s)
}
