package ledger

import (
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// judge fills in what an access has beyond other kinds.
func (q *sequencer) judge(place *verify.EntryHead, a *admitted, p daybookv1.Provenance) {
	target, overflow := a.target, false
	if q.version == nil {
		target, overflow = q.state.resolve(a.source, a.target)
	}
	if overflow {
		q.l.alert(daybookv1.AlertType_ALERT_TYPE_OVERFLOW, a.source, a.source, "",
			fmt.Sprintf("over %d distinct targets: further ones go to %s", maxTargets, overflowTarget), q.next())
	}
	place.Target = target
	place.Side = a.event.Side
	place.Late = verify.Late(p, a.event.OccurredAtNS, q.cohort.time)
	access := domains.Access{Index: q.next(), Source: place.Source, Target: place.Target, Late: place.Late, Event: &a.event}
	place.Verdict, q.grounds = q.l.judge.Evaluate(domains.RulesVersion, q.version, &access)
}

// checkJudgement compares what the ledger said of the entry with what follows
// from the entries before it.
func (p *replay) checkJudgement() (err error) {
	place := &p.entry.Place
	if p.judge.InForce() == nil && place.Kind == daybookv1.Kind_KIND_ACCESS {
		target := p.target
		if known := p.stream.count > 0 && place.Target == target; !known {
			target, _ = p.state.resolve(p.source, target)
		}
		if place.Source != p.source || place.Target != target {
			return fmt.Errorf("stream %s -> %s, not %s -> %s", place.Source, place.Target, p.source, target)
		}
	}
	p.grounds, err = p.judge.Check(&p.entry, &p.event)
	return err
}
