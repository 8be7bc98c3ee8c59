// Package domains judges accesses against what was declared and approved.
//
// Evaluate is pure, so that an auditor gives each verdict again from the
// entries alone. Rules version 1 knows no domain map: an access inside one
// domain is internal, one that was denied by its source, a gateway or its
// target is denied, every other is undeclared. For example an event from
// `web` to `prod-db` that was allowed has the verdict undeclared.
package domains

import (
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// RulesVersion is the newest rules version. Every released version stays.
const RulesVersion = 1

// Evaluate returns the verdict of an access from the stream's source and target
// ids and the event's decision and outcome: the first that holds, in the order
// of the Verdict enum's rules. A rules version that is not known gives
// VERDICT_UNSPECIFIED.
func Evaluate(rules uint32, source, target string, decision daybookv1.Decision, outcome daybookv1.OutcomeResult) daybookv1.Verdict {
	switch {
	case rules != RulesVersion:
		return daybookv1.Verdict_VERDICT_UNSPECIFIED
	case source == target:
		return daybookv1.Verdict_VERDICT_INTERNAL
	case decision == daybookv1.Decision_DECISION_DENIED, outcome == daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED:
		return daybookv1.Verdict_VERDICT_DENIED
	default:
		return daybookv1.Verdict_VERDICT_UNDECLARED
	}
}
