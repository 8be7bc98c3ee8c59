package bundle

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// governed are the kinds whose streams are whole in every bundle but that of a
// range or a whole log.
var governed = []daybookv1.Kind{
	daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_DOMAIN_MAP, daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION,
	daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION, daybookv1.Kind_KIND_PART,
}

// isGoverned tells whether a kind is one of these.
func isGoverned(k daybookv1.Kind) bool { return slices.Contains(governed, k) }

// runKinds are the kinds about a run that are known for the domains of the
// answers' producers.
var runKinds = []daybookv1.Kind{
	daybookv1.Kind_KIND_DECLINED, daybookv1.Kind_KIND_GAP, daybookv1.Kind_KIND_RUN_OPENED, daybookv1.Kind_KIND_RUN_RESUMED,
	daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_RUN_ENDED,
}

// isRun tells whether a kind is one of these.
func isRun(k daybookv1.Kind) bool {
	return k >= daybookv1.Kind_KIND_DECLINED && k <= daybookv1.Kind_KIND_RUN_ENDED
}

// Ids that no map has: what a map does not know, and targets too many.
const (
	unmapped = "?unmapped"
	overflow = "?overflow"
)

// ids are the ids that a selector stands for.
type ids struct {
	any  bool
	list []string // ascending
}

func (s *ids) has(id string) bool {
	if s.any {
		return true
	}
	_, ok := slices.BinarySearch(s.list, id)
	return ok
}

// expand returns the ids that a selector stands for under every version of the map.
// Without a word it is any id. Else an id of a version is one if all words hold of
// its domain: the domain word is its id, or one of its aliases or DNS names as
// [domains.Map.Resolve] takes them. Such a domain also stands under the ids that
// its id, aliases and DNS names have before the first map, and a domain word under
// its own. [unmapped] and [overflow] always join: nobody can say that they are not
// meant.
func expand(s *question.Selector, versions []*domains.Version) *ids {
	if *s == (question.Selector{}) {
		return &ids{any: true}
	}
	set := map[string]bool{unmapped: true, overflow: true}
	if s.Domain != "" {
		set[verify.CanonicalDomain([]byte(s.Domain))] = true
	}
	for _, v := range versions {
		for _, d := range v.Document().Domains {
			if !matches(s, v, d) {
				continue
			}
			set[d.Id] = true
			for _, name := range slices.Concat([]string{d.Id}, d.Aliases, d.Dns) {
				set[verify.CanonicalDomain([]byte(name))] = true
			}
		}
	}
	out := &ids{}
	for id := range set {
		out.list = append(out.list, id)
	}
	slices.Sort(out.list)
	return out
}

func matches(s *question.Selector, v *domains.Version, d *daybookv1.Domain) bool {
	if s.Domain != "" {
		if id, ok := v.Resolve([]byte(s.Domain)); !ok || id != d.Id {
			return false
		}
	}
	return (s.Tier == "" || s.Tier == domains.Word(d.Tier)) &&
		(s.Function == "" || s.Function == d.Function) &&
		(s.Owner == "" || s.Owner == d.Owner)
}

// A scope is what a question selects of the table of streams.
type scope struct {
	sources, targets *ids
	exact            map[verify.StreamKey]bool // scope streams; nil: accesses by sources and targets
	domains          []string                  // of the producers of the answers
	pairs            map[verify.StreamKey]bool // keys of the alerts of selected pairs
}

func newScope(q *question.Question, versions []*domains.Version, producers []string) *scope {
	s := &scope{sources: &ids{}, targets: &ids{}, domains: producers, pairs: map[verify.StreamKey]bool{alertKey("", ""): true}}
	if len(q.Streams) > 0 {
		s.exact = map[verify.StreamKey]bool{}
		for _, name := range q.Streams {
			key, _ := name.Key() // Check has passed
			s.exact[key] = true
		}
		return s
	}
	s.sources, s.targets = expand(&q.From, versions), expand(&q.To, versions)
	return s
}

func alertKey(source, target string) verify.StreamKey {
	return verify.MakeStreamKey(daybookv1.Kind_KIND_ALERT, source, target, 0, false)
}

// asked tells whether the question asks for a stream.
func (s *scope) asked(key verify.StreamKey, kind daybookv1.Kind, source, target string) bool {
	if s.exact != nil {
		return s.exact[key]
	}
	return kind == daybookv1.Kind_KIND_ACCESS && s.sources.has(source) && s.targets.has(target)
}

// selects tells whether the entries of a stream are in the bundle. Streams that the
// question asks for were given to note before.
func (s *scope) selects(key verify.StreamKey) bool {
	kind, source, target, _, _, err := verify.ParseStreamKey([]byte(key))
	if err != nil {
		return false
	}
	switch {
	case isGoverned(kind), kind == daybookv1.Kind_KIND_CLOSE, s.asked(key, kind, source, target):
		return true
	case kind == daybookv1.Kind_KIND_ALERT:
		return s.pairs[key]
	case isRun(kind):
		_, ok := slices.BinarySearch(s.domains, source)
		return ok && target == ""
	}
	return false
}

// note takes a row of the table: the alerts of a pair whose accesses are asked
// for are selected too.
func (s *scope) note(key verify.StreamKey) {
	kind, source, target, _, _, err := verify.ParseStreamKey([]byte(key))
	if err == nil && kind == daybookv1.Kind_KIND_ACCESS && s.asked(key, kind, source, target) {
		s.pairs[alertKey(source, target)] = true
	}
}

// askedPrefixes are the intervals of keys that the question asks for. An interval
// is all keys that begin with a prefix; a whole key begins no other.
func (s *scope) askedPrefixes() [][]byte {
	var out [][]byte
	switch {
	case s.exact != nil:
		for key := range s.exact {
			out = append(out, []byte(key))
		}
	case s.sources.any:
		out = append(out, []byte{byte(daybookv1.Kind_KIND_ACCESS)})
	default:
		for _, id := range s.sources.list {
			out = append(out, append([]byte{byte(daybookv1.Kind_KIND_ACCESS), byte(len(id))}, id...))
		}
	}
	return out
}

// prefixes are the intervals of keys of which all rows are in the bundle,
// ascending, none inside another. Rows that the question asks for were noted.
func (s *scope) prefixes() [][]byte {
	out := s.askedPrefixes()
	for _, kind := range governed {
		out = append(out, []byte{byte(kind)})
	}
	out = append(out, []byte{byte(daybookv1.Kind_KIND_CLOSE)})
	for key := range s.pairs {
		out = append(out, []byte(key))
	}
	for _, domain := range s.domains {
		for _, kind := range runKinds {
			out = append(out, []byte(verify.MakeStreamKey(kind, domain, "", 0, false)))
		}
	}
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i], out[j]) < 0 })
	kept := out[:0]
	for _, p := range out {
		if n := len(kept); n == 0 || !bytes.HasPrefix(p, kept[n-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// producerDomain returns the domain under which the log has the entries about the
// runs of a producer.
func producerDomain(producer string) string {
	domain, err := verify.ProducerDomain(producer)
	if err != nil {
		domain, _, _ = strings.Cut(producer, "/")
	}
	return verify.CanonicalDomain([]byte(domain))
}
