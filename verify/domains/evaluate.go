package domains

import (
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// RulesVersion is the newest rules version. Every released version stays.
//
//	1  internal, denied, undeclared; knows no map
//	2  the map in force and the approvals before the entry; without a map as 1
const RulesVersion = 2

// Access is what an access is judged by, beside map and approvals.
type Access struct {
	Index          uint64 // of its entry
	Source, Target string // ids of its stream
	Late           bool
	Event          *verify.EventFields
}

// Grounds say what a verdict rests on.
type Grounds struct {
	Flow     *daybookv1.Flow // that declares it; nil: none
	Approval *Approved       // the best there was; nil: none, or none is needed
}

// Evaluate returns the verdict of an access under a rules version and the map in
// force, nil for none: the first that holds of
//
//	internal            source and target are one domain
//	denied              by its source, a gateway or its target
//	unmapped            the map does not know source or target
//	forbidden           from test, staging or development to production
//	undeclared          no flow of the pair is for what it does, at that time
//	expired             every such flow's validity is over
//	late-unverified     late, and the map came into force since it occurred
//	unproven-source     the source is known less well than the flow asks
//	self-approved, revoked, approved-after, not-approved
//	                    the flow needs an approval
//	authorized
//
// Without a map only internal, denied and undeclared hold. Of several flows, or
// approvals, the best counts: the one that authorizes, else the first in this
// order. Approvals are those whose index is smaller than the entry's, tested at
// the time of occurrence. A rules version that is not known gives
// VERDICT_UNSPECIFIED.
//
// Whoever calls Apply may call Evaluate at the same time from no other goroutine;
// others use [Judge.Reevaluate].
func (j *Judge) Evaluate(rules uint32, v *Version, a *Access) (daybookv1.Verdict, Grounds) {
	switch {
	case rules == 0 || rules > RulesVersion:
		return daybookv1.Verdict_VERDICT_UNSPECIFIED, Grounds{}
	case a.Source == a.Target && (v == nil || rules == 1 || !reserved(a.Source)):
		return daybookv1.Verdict_VERDICT_INTERNAL, Grounds{}
	case a.Event.Decision == daybookv1.Decision_DECISION_DENIED, a.Event.Outcome == daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED:
		return daybookv1.Verdict_VERDICT_DENIED, Grounds{}
	case v == nil || rules == 1:
		return daybookv1.Verdict_VERDICT_UNDECLARED, Grounds{}
	}
	return j.evaluateMapped(v, a)
}

// Reevaluate is Evaluate for goroutines beside the one that calls Apply. What it
// returns is a copy.
func (j *Judge) Reevaluate(rules uint32, v *Version, a *Access) (daybookv1.Verdict, Grounds) {
	j.approvals.mu.RLock()
	defer j.approvals.mu.RUnlock()
	verdict, grounds := j.Evaluate(rules, v, a)
	if grounds.Approval != nil {
		approved := *grounds.Approval
		grounds.Approval = &approved
	}
	return verdict, grounds
}

func (j *Judge) evaluateMapped(v *Version, a *Access) (daybookv1.Verdict, Grounds) {
	source, target := v.domain(a.Source), v.domain(a.Target)
	if source == nil || target == nil {
		return daybookv1.Verdict_VERDICT_UNMAPPED, Grounds{}
	}
	if Forbidden(source.tier, target.tier) {
		return daybookv1.Verdict_VERDICT_FORBIDDEN, Grounds{}
	}
	verdict, grounds, best := daybookv1.Verdict_VERDICT_UNDECLARED, Grounds{}, len(flowOrder)
	for _, f := range source.flows[target] {
		if !f.allows(a.Event) || a.Event.OccurredAtNS < f.from {
			continue
		}
		got, approval := j.evaluateFlow(v, f, a)
		if rank := flowOrder[got]; rank < best {
			verdict, grounds, best = got, Grounds{f.Flow, approval}, rank
		}
		if got == daybookv1.Verdict_VERDICT_AUTHORIZED {
			break
		}
	}
	return verdict, grounds
}

// flowOrder ranks what the flows of one pair say, the best first.
var flowOrder = [...]int{
	daybookv1.Verdict_VERDICT_AUTHORIZED:      0,
	daybookv1.Verdict_VERDICT_LATE_UNVERIFIED: 1,
	daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE: 2,
	daybookv1.Verdict_VERDICT_SELF_APPROVED:   3,
	daybookv1.Verdict_VERDICT_REVOKED:         4,
	daybookv1.Verdict_VERDICT_APPROVED_AFTER:  5,
	daybookv1.Verdict_VERDICT_NOT_APPROVED:    6,
	daybookv1.Verdict_VERDICT_EXPIRED:         7,
}

func (j *Judge) evaluateFlow(v *Version, f *flow, a *Access) (daybookv1.Verdict, *Approved) {
	switch {
	case f.until != 0 && a.Event.OccurredAtNS >= f.until:
		return daybookv1.Verdict_VERDICT_EXPIRED, nil
	case a.Late && v.LogTimeNS > a.Event.OccurredAtNS:
		return daybookv1.Verdict_VERDICT_LATE_UNVERIFIED, nil
	case weaker(a.Event.SourceProof, f.least):
		return daybookv1.Verdict_VERDICT_UNPROVEN_SOURCE, nil
	case !f.needs:
		return daybookv1.Verdict_VERDICT_AUTHORIZED, nil
	}
	approval, standing := j.approvals.best(v.Map, f, a)
	return standingVerdicts[standing], approval
}

// weaker tells whether a proof says less than the least that is accepted. Not
// said is the weakest.
func weaker(proof, least daybookv1.SourceProof) bool {
	return least != 0 && (proof == 0 || proof > least)
}

// Later returns a copy of the first approval that came with or after the entry of
// an access and would have covered it; nil: none. It changes no verdict. It is
// safe beside Apply.
func (j *Judge) Later(v *Version, f *daybookv1.Flow, a *Access) *Approved {
	if v == nil || f == nil || !f.NeedsApproval {
		return nil
	}
	j.approvals.mu.RLock()
	defer j.approvals.mu.RUnlock()
	var first *Approved
	ready := v.flow(f)
	if ready == nil {
		return nil
	}
	j.approvals.each(v.Map, ready, a.Event.ActorID, func(list []*Approved) {
		for _, approved := range list {
			if approved.Index >= a.Index && (first == nil || approved.Index < first.Index) && approved.covers(a.Event) {
				first = approved
			}
		}
	})
	if first == nil {
		return nil
	}
	later := *first
	return &later
}
