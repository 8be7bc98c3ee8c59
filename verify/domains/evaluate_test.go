package domains_test

import (
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// TestRulesVersion1 is golden: a released rules version never changes.
func TestRulesVersion1(t *testing.T) {
	const (
		allowed, denied = daybookv1.Decision_DECISION_ALLOWED, daybookv1.Decision_DECISION_DENIED
		ok, refused     = daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED
	)
	for _, c := range []struct {
		source, target string
		decision       daybookv1.Decision
		outcome        daybookv1.OutcomeResult
		want           daybookv1.Verdict
	}{
		{"web", "web", allowed, ok, daybookv1.Verdict_VERDICT_INTERNAL},
		{"web", "web", denied, refused, daybookv1.Verdict_VERDICT_INTERNAL},
		{"web", "db", denied, ok, daybookv1.Verdict_VERDICT_DENIED},
		{"web", "db", allowed, refused, daybookv1.Verdict_VERDICT_DENIED},
		{"web", "db", allowed, ok, daybookv1.Verdict_VERDICT_UNDECLARED},
		{"web", "db", daybookv1.Decision_DECISION_UNKNOWN, daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN, daybookv1.Verdict_VERDICT_UNDECLARED},
		{"?overflow", "?overflow", allowed, ok, daybookv1.Verdict_VERDICT_INTERNAL},
	} {
		if got := domains.Evaluate(1, c.source, c.target, c.decision, c.outcome); got != c.want {
			t.Errorf("Evaluate(1, %s, %s, %v, %v) = %v, want %v", c.source, c.target, c.decision, c.outcome, got, c.want)
		}
	}
	if got := domains.Evaluate(2, "a", "b", allowed, ok); got != daybookv1.Verdict_VERDICT_UNSPECIFIED {
		t.Errorf("unknown rules version gave %v", got)
	}
}
