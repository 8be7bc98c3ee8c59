package bundle

import (
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// takeLoss counts an alert in the window that says that reports are missing. Alerts of
// gaps and silences are of no pair, so that they are in every file: also in that of an
// answer of zero, which has neither the gaps themselves nor the runs.
func (p *pass) takeLoss(m *daybookv1.Alert) {
	gap, silence := m.Type == daybookv1.AlertType_ALERT_TYPE_GAP, m.Type == daybookv1.AlertType_ALERT_TYPE_SILENCE
	if !gap && !silence {
		return
	}
	if p.losses == nil {
		p.losses = map[string]*report.Loss{}
	}
	l := p.losses[m.Producer]
	if l == nil {
		l = &report.Loss{Producer: m.Producer, Asked: p.head.Sources != nil && m.Producer != "" && slices.Contains(p.head.Sources, producerDomain(m.Producer))}
		p.losses[m.Producer] = l
	}
	if gap {
		l.Gaps++
	} else {
		l.Silences++
	}
}

// sumLosses puts what was counted into the summary.
func (p *pass) sumLosses() {
	for _, l := range p.losses {
		p.summary.Losses = append(p.summary.Losses, *l)
	}
	slices.SortFunc(p.summary.Losses, func(a, b report.Loss) int { return strings.Compare(a.Producer, b.Producer) })
}
