// Package infer drafts a domain map from the crossings that a log has seen.
//
// The way in is to observe for a week, to draft, to review, and to enforce flow
// by flow. A draft is a map file that Parse accepts as it is: each source and
// target is a domain, each pair a flow in mode observe. What only a person can
// decide stands in it as a placeholder behind `# decide:`; comments say what was
// seen.
//
//	# seen 120 times, 2026-01-05T08:00:00Z to 2026-01-11T19:30:00Z
//	# operations: GET /quotes, GET /status
//	- id: web-to-market-data
//	  from: web
//	  to: market-data
//	  actions: [read]
//	  purpose: undecided # decide: what it is for
//	  approver: cco # decide: who approves changes of it
//	  least_proof: peer-certificate # the weakest seen
//	  observers: [source, target] # the sides seen
//	  mode: observe
//
// A pair that no flow may join is not drafted but listed at the head: one that
// leads from another tier to production by the names of its domains, and one of
// a reserved name, such as `?unmapped`. What was seen inside of one domain has no
// flow either, but makes it a domain of the draft: one that is not in the map
// would be unmapped, and whoever reports about it refused.
package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Crossing is what was seen of one source and target. Several of one pair are
// taken together; those from different sides should come apart, so that it is
// known which producer reported as a gateway.
type Crossing struct {
	Source, Target string                  // domain ids
	Sides          []daybookv1.Side        // from which it was reported
	Actions        []daybookv1.ActionClass // what was done
	Operations     []string                // as the services name them
	Producers      []string                // SPIFFE ids of who reported it
	Proofs         []daybookv1.SourceProof // how the source was known
	Count          uint64                  // how often
	First, Last    int64                   // when, UTC nanoseconds; 0: not known
}

// Options are what a draft cannot take from crossings.
type Options struct {
	Firm       string   // name of the firm; empty: a placeholder
	Approver   string   // id of the person who approves; required
	Identities []string // names under which the approver is authenticated; none: a placeholder
	Owner      string   // of each domain; empty: a placeholder
}

// Drafted is a map that was drafted.
type Drafted struct {
	YAML     []byte                 // the file
	Document *daybookv1.MapDocument // what Parse makes of it
	Left     []Left                 // pairs that were seen and have no flow, the most frequent first
}

// Left is a pair of domains that was seen and not drafted.
type Left struct {
	Source, Target string
	Count          uint64
	Reason         string
}

// undecided is the placeholder of what a person decides.
const undecided = "undecided"

// Bounds of a draft.
const (
	maxDomains = 4096
	maxFlows   = 65536
	maxListed  = 256  // gateways or collectors of a domain
	maxExpect  = 1024 // producers of a domain
	maxNamed   = 8    // operations in a comment
	maxLeft    = 100  // pairs in the comment at the head
)

// Draft drafts a map. The same crossings in any order and options give the same
// bytes. The error names the faults of the options.
func Draft(crossings []Crossing, o Options) (*Drafted, error) {
	if o.Approver == "" {
		return nil, fmt.Errorf("drafting a map: no approver is named")
	}
	pairs := merge(crossings)
	for flows := maxFlows; ; {
		d := newDraft(o, flows)
		for _, p := range pairs {
			d.add(p)
		}
		d.finish()
		file := append([]byte(d.head()), domains.Format(d.doc, d.note)...)
		if len(file) > domains.MaxFile && len(d.doc.Flows) > 0 {
			flows = len(d.doc.Flows) * 9 / 10 * domains.MaxFile / len(file)
			continue
		}
		doc, err := domains.Parse(file)
		if err != nil {
			return nil, fmt.Errorf("drafting a map: %w", err)
		}
		return &Drafted{YAML: file, Document: doc, Left: d.left}, nil
	}
}

// merge takes the crossings of each pair together, the most frequent first.
func merge(crossings []Crossing) []*pair {
	type key struct{ source, target string }
	found := map[key]*pair{}
	var out []*pair
	for i := range crossings {
		c := &crossings[i]
		k := key{canonical(c.Source), canonical(c.Target)}
		p := found[k]
		if p == nil {
			p = &pair{source: k.source, target: k.target}
			found[k] = p
			out = append(out, p)
		}
		p.add(c)
	}
	slices.SortFunc(out, func(a, b *pair) int {
		switch {
		case a.count != b.count:
			if a.count > b.count {
				return -1
			}
			return 1
		case a.source != b.source:
			return strings.Compare(a.source, b.source)
		default:
			return strings.Compare(a.target, b.target)
		}
	})
	return out
}

// canonical returns a name as the ledger does where no map is in force.
func canonical(name string) string {
	if strings.HasPrefix(name, "?") {
		return name
	}
	return verify.CanonicalDomain([]byte(name))
}

// pair is what was seen of a source and target.
type pair struct {
	source, target string
	sides          set[daybookv1.Side]
	actions        set[daybookv1.ActionClass]
	operations     set[string]
	proofs         set[daybookv1.SourceProof]
	reporters      set[reporter]
	count          uint64
	first, last    int64
}

// reporter is a producer as it reported a pair.
type reporter struct {
	producer string
	role     role
}

// role is what a producer is for a domain.
type role int

const (
	ofSource    role = iota + 1 // a producer of the source
	ofTarget                    // a producer of the target
	byGateway                   // a gateway
	byCollector                 // a collector
)

// set is a set of values.
type set[T comparable] map[T]bool

// put adds values and returns the set.
func (s set[T]) put(values ...T) set[T] {
	if s == nil {
		s = set[T]{}
	}
	for _, v := range values {
		s[v] = true
	}
	return s
}

// add adds what was seen.
func (p *pair) add(c *Crossing) {
	p.sides, p.actions = p.sides.put(known(c.Sides)...), p.actions.put(known(c.Actions)...)
	p.operations, p.proofs = p.operations.put(c.Operations...), p.proofs.put(known(c.Proofs)...)
	p.count += c.Count
	for _, id := range c.Producers {
		if trust, err := verify.ProducerDomain(id); err == nil {
			p.reporters = p.reporters.put(reporter{id, p.roleOf(trust, c.Sides)})
		}
	}
	if c.First != 0 && (p.first == 0 || c.First < p.first) {
		p.first = c.First
	}
	p.last = max(p.last, c.Last)
}

// known returns the values that have a name; the others count as not said.
func known[E protoreflect.Enum](values []E) []E {
	out := slices.Clone(values)
	for i, v := range out {
		if v.Descriptor().Values().ByNumber(v.Number()) == nil {
			var none E
			out[i] = none
		}
	}
	return out
}

// roleOf returns the role of a producer of a trust domain that reported from
// sides: who is neither of the source nor of the target has it from others.
func (p *pair) roleOf(trust string, sides []daybookv1.Side) role {
	switch own := strings.TrimSuffix(trust, "."); {
	case slices.Contains(sides, daybookv1.Side_SIDE_GATEWAY):
		return byGateway
	case slices.Contains(sides, daybookv1.Side_SIDE_COLLECTOR):
		return byCollector
	case own == p.source && !only(sides, daybookv1.Side_SIDE_TARGET):
		return ofSource
	case own == p.target && !only(sides, daybookv1.Side_SIDE_SOURCE):
		return ofTarget
	default:
		return byCollector
	}
}

// only reports whether sides is one side.
func only(sides []daybookv1.Side, side daybookv1.Side) bool {
	return len(sides) == 1 && sides[0] == side
}

// flowID returns the id of a flow that is not taken.
func flowID(source, target string, taken map[string]bool) string {
	const most = 128
	id := source + "-to-" + target
	if len(id) > most || taken[id] {
		sum := sha256.Sum256([]byte(source + "\x00" + target))
		suffix := "-" + hex.EncodeToString(sum[:8])
		id = strings.TrimRight(id[:min(len(id), most-len(suffix))], ".-") + suffix
	}
	taken[id] = true
	return id
}

// times writes how often something was seen.
func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// moment writes a time of a comment.
func moment(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }
