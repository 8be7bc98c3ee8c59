package domains

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// What a Change is of.
const (
	ChangeMap    = "map" // firm, approver, unused_after_days; or the file's text alone
	ChangeDomain = "domain"
	ChangeFlow   = "flow"
	ChangePerson = "person"
)

// How something changed.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is one difference between two versions of a map.
type Change struct {
	What      string   // ChangeMap, ChangeDomain, ChangeFlow, ChangePerson
	ID        string   // id of the domain, flow or person; empty for the map
	How       string   // Added, Removed, Changed
	Details   []string // a line for each value, such as `tier: test -> production`, `dns: -a.example +b.example`
	Approvers []string // ids of the people who approve it, ascending
}

// Diff returns what differs between two versions of a map: the map itself, then
// domains, flows and people, each ascending by id. old may be nil: everything is
// added. Where nothing but the text of the file differs, that is a change of the
// map: people reviewed another text.
func Diff(old, new *daybookv1.MapDocument) []Change {
	return diff(old, new, true)
}

// diff is Diff, with the details or without, which cost most.
func diff(old, new *daybookv1.MapDocument, details bool) []Change {
	changes := diffParts(old, new, details)
	if old != nil && len(changes) == 0 && !bytes.Equal(old.Yaml, new.Yaml) {
		changes = append(changes, Change{What: ChangeMap, How: Changed, Details: []string{"the file's text alone: comments, order or notation"},
			Approvers: mapApprovers(old, new)})
	}
	return changes
}

// Needed returns the ids of the people who must approve that new takes the place
// of old, ascending: of each flow that is added, removed or changed its approver
// in old and in new; where anything else changed, the approver of the map in old
// and in new. It is empty only where nothing changed. old may be nil.
//
// Whose approval counts as that of a person in old is a question to old: a
// proposal that gives the person another identity must not answer it.
func Needed(old, new *daybookv1.MapDocument) []string {
	var out []string
	for _, c := range diff(old, new, false) {
		out = append(out, c.Approvers...)
	}
	return distinct(out)
}

// diffParts compares the messages.
func diffParts(old, new *daybookv1.MapDocument, details bool) []Change {
	approvers := mapApprovers(old, new)
	changes := diffMap(old, new, approvers)
	changes = append(changes, diffList(ChangeDomain, details, old.GetDomains(), new.GetDomains(),
		func(d *daybookv1.Domain) *facts { return factsOf(fileOfDomain(d)) },
		func(_, _ *daybookv1.Domain) []string { return slices.Clone(approvers) })...)
	changes = append(changes, diffList(ChangeFlow, details, old.GetFlows(), new.GetFlows(),
		func(f *daybookv1.Flow) *facts { return factsOf(fileOfFlow(f)) },
		func(a, b *daybookv1.Flow) []string { return distinct([]string{a.GetApprover(), b.GetApprover()}) })...)
	return append(changes, diffList(ChangePerson, details, old.GetPeople(), new.GetPeople(),
		func(p *daybookv1.Person) *facts { return factsOf(fileOfPerson(p)) },
		func(_, _ *daybookv1.Person) []string { return slices.Clone(approvers) })...)
}

// diffMap compares what belongs to the map itself.
func diffMap(old, new *daybookv1.MapDocument, approvers []string) []Change {
	type head struct {
		Firm        string `yaml:"firm"`
		Approver    string `yaml:"approver"`
		UnusedAfter uint32 `yaml:"unused_after_days,omitempty"`
	}
	after := factsOf(head{new.GetFirm(), new.GetApprover(), new.GetUnusedDays()})
	if old == nil {
		return []Change{{What: ChangeMap, How: Added, Details: differ(nil, after), Approvers: approvers}}
	}
	details := differ(factsOf(head{old.GetFirm(), old.GetApprover(), old.GetUnusedDays()}), after)
	if len(details) == 0 {
		return nil
	}
	return []Change{{What: ChangeMap, How: Changed, Details: details, Approvers: approvers}}
}

// part is a domain, a flow or a person.
type part interface {
	comparable
	proto.Message
	GetId() string
}

// diffList compares two lists by the ids of their items.
func diffList[T part](what string, details bool, old, new []T, values func(T) *facts, approvers func(old, new T) []string) []Change {
	olds, news := byID(old), byID(new)
	ids := maps.Clone(news)
	maps.Copy(ids, olds)
	var none T
	var out []Change
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		a, b := olds[id], news[id]
		c := Change{What: what, ID: id, How: Changed}
		var before, after *facts
		switch {
		case a == none:
			c.How = Added
		case b == none:
			c.How = Removed
		case proto.Equal(a, b):
			continue
		}
		if a != none && details {
			before = values(a)
		}
		if b != none && details {
			after = values(b)
		}
		if details {
			c.Details = differ(before, after)
		}
		c.Approvers = approvers(a, b)
		out = append(out, c)
	}
	return out
}

func byID[T part](list []T) map[string]T {
	out := make(map[string]T, len(list))
	for _, v := range list {
		out[v.GetId()] = v
	}
	return out
}

// mapApprovers returns the approvers of two versions of a map.
func mapApprovers(old, new *daybookv1.MapDocument) []string {
	return distinct([]string{old.GetApprover(), new.GetApprover()})
}

// distinct sorts ids and leaves out repeats and the empty one.
func distinct(ids []string) []string {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > 0 && ids[0] == "" {
		ids = ids[1:]
	}
	return ids
}

// facts are the values of a part of a map by path, in the order of the file.
type facts struct {
	paths []string
	lists map[string]bool
	of    map[string][]string
}

// factsOf returns the values of a part of a file, without its id.
func factsOf(part any) *facts {
	f := &facts{lists: map[string]bool{}, of: map[string][]string{}}
	var n yaml.Node
	if err := n.Encode(part); err != nil {
		panic("domains: a part of a map cannot be encoded: " + err.Error())
	}
	f.add("", &n)
	return f
}

func (f *facts) add(path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if path == "" && name == "id" {
				continue
			}
			f.add(strings.TrimPrefix(path+"."+name, "."), n.Content[i+1])
		}
	case yaml.SequenceNode:
		f.paths, f.lists[path] = append(f.paths, path), true
		for _, item := range n.Content {
			f.of[path] = append(f.of[path], inline(item))
		}
	default:
		f.paths = append(f.paths, path)
		f.of[path] = []string{n.Value}
	}
}

// inline writes an item of a list on one line.
func inline(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return n.Value
	}
	var parts []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		if name := n.Content[i].Value; name != "id" {
			parts = append(parts, name+" "+n.Content[i+1].Value)
		} else {
			parts = append(parts, n.Content[i+1].Value)
		}
	}
	return strings.Join(parts, ", ")
}

// differ says line by line how one part differs from another. Either may be nil.
func differ(old, new *facts) []string {
	var out []string
	switch {
	case old == nil:
		old = &facts{}
	case new == nil:
		old, new = &facts{}, old
	}
	paths := slices.Clone(new.paths)
	for _, path := range old.paths {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		before, after := old.of[path], new.of[path]
		switch {
		case slices.Equal(before, after):
		case len(old.paths) == 0:
			out = append(out, fmt.Sprintf("%s: %s", path, strings.Join(after, ", ")))
		case old.lists[path] || new.lists[path]:
			out = append(out, path+":"+changedItems(before, after))
		case before == nil:
			out = append(out, fmt.Sprintf("%s: (not said) -> %s", path, after[0]))
		case after == nil:
			out = append(out, fmt.Sprintf("%s: %s -> (not said)", path, before[0]))
		default:
			out = append(out, fmt.Sprintf("%s: %s -> %s", path, before[0], after[0]))
		}
	}
	return out
}

// changedItems lists what a list lost and gained.
func changedItems(before, after []string) string {
	var out strings.Builder
	for _, s := range before {
		if !slices.Contains(after, s) {
			fmt.Fprintf(&out, " -%s", s)
		}
	}
	for _, s := range after {
		if !slices.Contains(before, s) {
			fmt.Fprintf(&out, " +%s", s)
		}
	}
	return out.String()
}
