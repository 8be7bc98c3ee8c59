// Package drift compares the declared domain map with what is found.
//
// What is found comes from exports of DNS zones, a resolver, TLS and HTTP
// servers, `terraform show -json`, and the crossings that the log holds:
//
//	result, err := drift.Scan(ctx, drift.Config{Map: document, Zones: zones, Resolver: resolver})
//
// A scan only reads. Parsers of exports are strict about what they need, ignore
// what they do not know, and never panic; a source that cannot be asked becomes
// a difference of check `unreachable`, so that a scan that saw little does not
// look like a clean one.
package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Severity says how bad a difference is.
type Severity string

// The severities, worst first. High is what breaks the separation of domains now
// or lets somebody else break it.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
)

// Severities are all of them, worst first.
func Severities() []Severity { return []Severity{High, Medium, Low} }

// ParseSeverity reads high, medium or low.
func ParseSeverity(text string) (Severity, error) {
	if s := Severity(text); slices.Contains(Severities(), s) {
		return s, nil
	}
	return "", fmt.Errorf("severity %q is not high, medium or low", text)
}

// AtLeast tells whether s is as bad as floor, or worse.
func (s Severity) AtLeast(floor Severity) bool { return s.rank() <= floor.rank() }

func (s Severity) rank() int { return slices.Index(Severities(), s) }

// Difference is one place where declared and found differ.
type Difference struct {
	// Check that saw it, such as `dns-wildcard`; stable.
	Check string `json:"check"`
	// Severity is high, medium or low.
	Severity Severity `json:"severity"`
	// Domain it concerns, by id; empty: none that the map knows. Where it is about
	// a way from one domain to another, the source.
	Domain string `json:"domain"`
	// Other is the second domain, where there is one.
	Other string `json:"other,omitempty"`
	// Subject is the name, address or resource it is about.
	Subject string `json:"subject"`
	// Detail says in words what differs.
	Detail string `json:"detail"`
	// Advice says what to do next.
	Advice string `json:"advice"`
}

// Counts counts differences.
type Counts struct {
	High   int `json:"high"`
	Medium int `json:"medium"`
	Low    int `json:"low"`
}

// Scanned is one source that a scan read.
type Scanned struct {
	// Kind of the source: zone, route53, cloudflare, resolver, tls, http,
	// terraform, crossings.
	Kind string `json:"kind"`
	// Name of the file or address.
	Name string `json:"name"`
	// Items is how many records, names, resources or pairs it held.
	Items int `json:"items"`
	// Note says what could not be looked at; empty: nothing.
	Note string `json:"note,omitempty"`
}

// Result is what a scan saw. Its JSON is stable.
type Result struct {
	// Differences, worst first, then by check, domain, other and subject. Never nil.
	Differences []Difference `json:"differences"`
	// Counts of them.
	Counts Counts `json:"counts"`
	// Scanned sources, in the order they were given. Never nil.
	Scanned []Scanned `json:"scanned"`
	// Started and Ended are when the scan ran, in UTC.
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// Worst returns the worst severity of the result; empty where it is clean.
func (r *Result) Worst() Severity {
	if len(r.Differences) == 0 {
		return ""
	}
	return r.Differences[0].Severity
}

// finish sorts differences, leaves out repeats of one thing in favour of the
// worst, and counts.
func (r *Result) finish(all []Difference) {
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Check, b.Check),
			cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Other, b.Other), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Detail, b.Detail))
	})
	r.Differences = []Difference{}
	seen := map[[4]string]bool{}
	for _, d := range all {
		key := [4]string{d.Check, d.Domain, d.Other, d.Subject}
		if seen[key] {
			continue
		}
		seen[key] = true
		r.Differences = append(r.Differences, d)
		switch d.Severity {
		case High:
			r.Counts.High++
		case Medium:
			r.Counts.Medium++
		case Low:
			r.Counts.Low++
		}
	}
}

// canonical is a DNS name in lower case without its final dot.
func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// below tells whether name is zone or a name under it; both are canonical.
func below(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// some joins at most n words.
func some(words []string, n int) string {
	if len(words) > n {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
	}
	return strings.Join(words, ", ")
}
