package bundle

import (
	"fmt"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// unknown returns what the selectors of a question say and nothing in the log has.
// A domain is known if a version of the map has the name, or if a known row of
// accesses has what is its id before the first map; a tier, function or owner if a
// version has a domain of it. Where all words of a side are known, and not all of
// one domain, none of them is.
func unknown(q *question.Question, versions []*domains.Version, rows []knownRow) (out []report.Unknown) {
	for _, side := range []struct {
		name string
		s    *question.Selector
	}{{"from", &q.From}, {"to", &q.To}} {
		words := wordsOf(side.s)
		if len(words) == 0 || anyMatches(side.s, versions) {
			continue
		}
		known := 0
		for _, w := range words {
			if w.knownTo(versions, rows) {
				known++
				continue
			}
			out = append(out, report.Unknown{Side: side.name, Word: w.name, Name: w.value, Said: side.name + " " + w.String(), Text: side.name + ": " + w.nobodys(side.name, len(versions) > 0)})
		}
		if known == len(words) && known > 1 {
			all := strings.Join(named(words), ", ")
			out = append(out, report.Unknown{Side: side.name, Said: side.name + " one domain of " + all, Text: side.name + ": no domain map in force up to the close has one domain of all of " + all +
				": zero accesses " + side.name + " such a domain are no evidence"})
		}
	}
	return out
}

// A selectorWord is a word of a selector that is set.
type selectorWord struct{ name, value string }

func wordsOf(s *question.Selector) []selectorWord {
	all := []selectorWord{{"domain", s.Domain}, {"tier", s.Tier}, {"function", s.Function}, {"owner", s.Owner}}
	return slices.DeleteFunc(all, func(w selectorWord) bool { return w.value == "" })
}

// named returns words with their values in quotes.
func named(words []selectorWord) (out []string) {
	for _, w := range words {
		out = append(out, w.String())
	}
	return out
}

// String returns the word and its value in quotes.
func (w selectorWord) String() string {
	return w.name + " " + string(canonical.AppendString(nil, w.value))
}

// selector selects by this word alone.
func (w selectorWord) selector() *question.Selector {
	switch w.name {
	case "tier":
		return &question.Selector{Tier: w.value}
	case "function":
		return &question.Selector{Function: w.value}
	case "owner":
		return &question.Selector{Owner: w.value}
	}
	return &question.Selector{Domain: w.value}
}

// knownTo tells whether anything in the log has the word.
func (w selectorWord) knownTo(versions []*domains.Version, rows []knownRow) bool {
	return anyMatches(w.selector(), versions) || w.name == "domain" && inRows(verify.CanonicalDomain([]byte(w.value)), rows)
}

// anyMatches tells whether a version has a domain that a selector selects.
func anyMatches(s *question.Selector, versions []*domains.Version) bool {
	return slices.ContainsFunc(versions, func(v *domains.Version) bool {
		return slices.ContainsFunc(v.Document().Domains, func(d *daybookv1.Domain) bool { return matches(s, v, d) })
	})
}

// inRows tells whether a row of accesses is from or to a domain.
func inRows(id string, rows []knownRow) bool {
	return slices.ContainsFunc(rows, func(r knownRow) bool {
		kind, source, target, _, _, err := verify.ParseStreamKey(r.Key)
		return err == nil && kind == daybookv1.Kind_KIND_ACCESS && (source == id || target == id)
	})
}

// nobodys says that nothing in the log has the word. The words are in the report.
func (w selectorWord) nobodys(side string, mapped bool) string {
	quoted := string(canonical.AppendString(nil, w.value))
	switch {
	case w.name == "domain" && mapped:
		return fmt.Sprintf("no domain map in force up to the close knows a domain %s, and no stream of accesses in this file has that name: accesses %s it could stand under unmapped alone, and zero of them say nothing of a domain that is spelled otherwise", quoted, side)
	case w.name == "domain":
		return fmt.Sprintf("no domain map was in force up to the close, and no stream of accesses in this file has the name %s: zero accesses %s it say nothing of a domain that is spelled otherwise", quoted, side)
	case mapped:
		return fmt.Sprintf("no domain map in force up to the close has a domain of %s %s: zero accesses %s such a domain are no evidence", w.name, quoted, side)
	}
	return fmt.Sprintf("no domain map was in force up to the close, so that the log knows no domain of %s %s: zero accesses %s such a domain are no evidence", w.name, quoted, side)
}

// Nearest returns the name in the domain maps of a bundle that is nearest to one that
// nothing in the log has, as a misspelling is; empty: none is near.
func Nearest(s *report.Summary, u report.Unknown) string {
	var names []string
	for _, v := range s.Maps {
		for _, d := range v.Document().Domains {
			switch u.Word {
			case "domain":
				names = append(append(append(names, d.Id), d.Aliases...), d.Dns...)
			case "tier":
				names = append(names, domains.Word(d.Tier))
			case "function":
				names = append(names, d.Function)
			case "owner":
				names = append(names, d.Owner)
			}
		}
	}
	return domains.Nearest(u.Name, names)
}
