package ledger

import (
	"errors"
	"fmt"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// late tells whether an access is late (permanent): no backfill, occurred before
// UTC midnight of its own log time and over 300 s before it.
func late(p daybookv1.Provenance, occurred, logged int64) bool {
	const day = int64(24 * time.Hour)
	midnight := logged - logged%day
	return p != daybookv1.Provenance_PROVENANCE_BACKFILL && occurred < midnight && logged-occurred > int64(LatenessLimit)
}

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
	place.Late = late(p, a.event.OccurredAtNS, q.cohort.time)
	access := domains.Access{Index: q.next(), Source: place.Source, Target: place.Target, Late: place.Late, Event: &a.event}
	place.Verdict, q.grounds = q.l.judge.Evaluate(domains.RulesVersion, q.version, &access)
}

// checkAccess compares what the ledger said of an access with what follows from
// it.
func (p *replay) checkAccess() error {
	head, place, ev := &p.entry.Head, &p.entry.Place, &p.event
	source, target := p.source, p.target
	version := p.judge.InForce()
	if version != nil {
		source, _ = version.Resolve(ev.SourceDomain)
		target, _ = version.Resolve(ev.TargetDomain)
	} else if known := p.stream.count > 0 && place.Target == target; !known {
		target, _ = p.state.resolve(source, target)
	}
	if place.Source != source || place.Target != target {
		return fmt.Errorf("stream %s -> %s, not %s -> %s", place.Source, place.Target, source, target)
	}
	if place.Side != ev.Side || place.Late != late(head.Provenance, ev.OccurredAtNS, head.LogTimeNS) {
		return errors.New("side or late differs from the event")
	}
	access := accessOf(place, ev)
	verdict, grounds := p.judge.Evaluate(head.RulesVersion, version, &access)
	if verdict != place.Verdict {
		return fmt.Errorf("verdict %v, not %v", place.Verdict, verdict)
	}
	p.grounds = grounds
	return nil
}

// mapIndex is what a batch head says of the map in force.
func mapIndex(v *domains.Version) uint64 {
	if v == nil {
		return 0
	}
	return v.Index
}
