package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// maxLosses is how many producers a verdict names that lost reports; all are in the
// file's own report.
const maxLosses = 20

// lossClaim says which producers did not report all, as the log itself says.
func (r *result) lossClaim(parts []*report.Summary) {
	losses := joinLosses(parts)
	if len(losses) == 0 {
		return
	}
	var texts []string
	var fields []map[string]any
	for _, l := range losses[:min(len(losses), maxLosses)] {
		name := "a producer that is not named"
		if l.Producer != "" {
			name = plain(l.Producer)
		}
		if l.Asked {
			name += " (of a domain that is asked for)"
		}
		texts = append(texts, fmt.Sprintf("%s: %d gaps, %d silences", name, l.Gaps, l.Silences))
		fields = append(fields, map[string]any{"producer": l.Producer, "asked": l.Asked, "gaps": l.Gaps, "silences": l.Silences})
	}
	if n := len(losses) - len(texts); n > 0 {
		texts = append(texts, fmt.Sprintf("%d more producers", n))
	}
	r.claim("losses", map[string]any{"producers": fields, "total": len(losses)},
		"the log says that reports are missing, of which any could have been an answer: %s", strings.Join(texts, "; "))
}

// joinLosses sums the losses of parts by producer.
func joinLosses(parts []*report.Summary) []report.Loss {
	sums := map[string]report.Loss{}
	for _, s := range parts {
		for _, l := range s.Losses {
			l.Gaps += sums[l.Producer].Gaps
			l.Silences += sums[l.Producer].Silences
			sums[l.Producer] = l
		}
	}
	var out []report.Loss
	for _, l := range sums {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b report.Loss) int { return strings.Compare(a.Producer, b.Producer) })
	return out
}
