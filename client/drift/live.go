package drift

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// A question is one name to look up, and why.
type question struct {
	name   string
	why    int
	record Record // askTarget: the record that points to it
	answer Answer
	err    error
}

const (
	askDeclared = iota // a name that the map declares
	askTarget          // where an alias points to
	askWildcard        // a name that nobody made
)

// questions are what a resolver is asked: every declared name, every outside
// target of an alias, and a random name beside the declared ones.
func questions(d *declared, n *namespace) []question {
	var qs []question
	var parents []string
	seen := map[string]bool{}
	for _, name := range d.dnsNames() {
		qs = append(qs, question{name: name, why: askDeclared})
		// A name of two labels has the public's names beside it.
		if _, parent, ok := strings.Cut(name, "."); ok && strings.Contains(parent, ".") && !seen[parent] {
			seen[parent], parents = true, append(parents, parent)
		}
	}
	for _, z := range n.zones {
		for _, r := range z.Records {
			if (r.Type == "CNAME" || r.Type == "ALIAS") && n.zoneOf(r.Value) == nil {
				qs = append(qs, question{name: r.Value, why: askTarget, record: r})
			}
		}
	}
	for _, parent := range parents {
		var b [8]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		qs = append(qs, question{name: "no-such-name-" + hex.EncodeToString(b[:]) + "." + parent, why: askWildcard})
	}
	return qs
}

// scanResolver asks the resolver and judges its answers. It adds to ends where
// declared names lead to.
func (s *scan) scanResolver(ctx context.Context, n *namespace, ends map[string][]string) []Difference {
	qs := questions(s.d, n)
	s.each(ctx, "names", len(qs), func(ctx context.Context, i int) {
		qs[i].answer, qs[i].err = s.c.Resolver.Lookup(ctx, qs[i].name)
	})
	var out []Difference
	for _, q := range qs {
		out = append(out, s.judgeAnswer(q)...)
		if q.why == askDeclared && q.err == nil {
			ends[q.name] = append(ends[q.name], q.answer.Addresses...)
		}
	}
	s.scanned("resolver", s.c.Resolver.Server, len(qs), "")
	return out
}

func (s *scan) judgeAnswer(q question) []Difference {
	name, id := q.name, s.d.dns[q.name]
	if q.why == askTarget {
		name, id = q.record.Name, s.d.dns[q.record.Name]
	}
	a := q.answer
	switch {
	case q.err != nil && q.why == askWildcard:
		return nil // the declared name beside it tells
	case q.err != nil:
		return []Difference{{"unreachable", Medium, id, "", q.name, q.err.Error(), adviceAsk}}
	case q.why == askWildcard && len(a.Addresses) > 0:
		_, parent, _ := strings.Cut(q.name, ".")
		return []Difference{{"dns-wildcard", High, "", "", "*." + parent,
			"the resolver answers " + some(a.Addresses, 2) + " for a name that nobody made", adviceWildcard}}
	case q.why == askTarget && !a.Exists:
		return []Difference{dangling(id, name, q.name)}
	case q.why == askDeclared && len(a.Aliases) > 0 && len(a.Addresses) == 0:
		return []Difference{dangling(id, name, a.Aliases[len(a.Aliases)-1])}
	case q.why == askDeclared && len(a.Addresses) == 0:
		return []Difference{{"dns-vanished", Medium, id, "", name, "the map declares it, and the resolver has no address of it", adviceVanished}}
	}
	return nil
}

func dangling(id, name, target string) Difference {
	detail := fmt.Sprintf("it points to %s, which does not exist", target)
	if s, ok := claimable(target); ok {
		detail += ": anybody can ask " + s.name + " for that name"
	}
	return Difference{"dns-dangling", High, id, "", name, detail, adviceDangling}
}
