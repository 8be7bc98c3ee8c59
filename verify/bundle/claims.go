package bundle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// finish checks what shows at the end, and ends the report.
func (p *pass) finish(hashes, numbers *memberReader) error {
	if err := p.tree.skip(p.answer.Size); err != nil {
		return inMember(nameTree, err)
	}
	if p.tree.tree.Root() != p.head.Checkpoint.Root {
		return inMember(nameTree, fmt.Errorf("entries and hashes do not lead to the root that the checkpoint signs: %w", verify.ErrProof))
	}
	for _, in := range []*memberReader{hashes, numbers} {
		if err := in.done(); err != nil {
			return err
		}
	}
	for _, st := range p.order {
		if err := st.finish(); err != nil {
			return inMember(nameStreams, err)
		}
	}
	runs := p.runs.finish()
	if err := p.checkRuns(runs); err != nil {
		return inMember(nameAnswer, err)
	}
	p.summarize(runs)
	s := p.summary
	s.Claims = []report.Claim{p.unaltered(), p.accepted(), p.numbered(runs), p.authorized(), countersigned(p.head.Checkpoint.Witnesses)}
	return toReport(p.out.Finish(s))
}

// summarize fills in what the summary counts.
func (p *pass) summarize(runs []*run) {
	s := p.summary
	for _, r := range runs {
		s.Runs = append(s.Runs, r.Run)
	}
	s.OneOffs = p.runs.oneOffs
	p.judge.Approvals(func(a domains.Approved) bool {
		s.Approvals = append(s.Approvals, a)
		return true
	})
	slices.Reverse(s.Approvals) // the newest came first
	p.sumLosses()
	p.counts()
}

// checkRuns checks that the answer names the domains and runs of its answers, and
// no others.
func (p *pass) checkRuns(runs []*run) error {
	var found []string
	for d := range p.runs.domains {
		found = append(found, d)
	}
	slices.Sort(found)
	if !slices.Equal(found, p.answer.Domains) {
		return fmt.Errorf("domains of the answers' producers are %q, not %q", found, p.answer.Domains)
	}
	if first, end := p.answer.RunsFirst, p.answer.RunsEnd; len(found) > 0 && (*first != p.lowest || *end != p.highest) {
		return fmt.Errorf("the window of runs is [%d, %d), its known entries are in [%d, %d)", *first, *end, p.lowest, p.highest)
	}
	for _, r := range runs {
		if r.Answers == 0 {
			return fmt.Errorf("run %s of %q has no answer", r.id.Run, r.Producer)
		}
	}
	return nil
}

func (p *pass) counts() {
	for v, n := range p.verdicts {
		if n > 0 {
			p.summary.Verdicts = append(p.summary.Verdicts, report.Count{Name: domains.Word(daybookv1.Verdict(v)), Count: n})
		}
	}
	for v, n := range p.alerts {
		if n > 0 {
			p.summary.Alerts = append(p.summary.Alerts, report.Count{Name: domains.Word(daybookv1.AlertType(v)), Count: n})
		}
	}
}

func (p *pass) unaltered() report.Claim {
	return report.Claim{Name: report.ClaimUnaltered, State: report.Proved,
		Detail: fmt.Sprintf("every entry in this file stands, byte for byte, in the log of %d entries that the checkpoint signs", p.answer.Size)}
}

func (p *pass) accepted() report.Claim {
	c := report.Claim{Name: report.ClaimAccepted, State: report.Proved,
		Detail: fmt.Sprintf("these %d answers are all that the log took among the first %d of its %d entries, from %d streams", p.summary.Answers, p.head.Cut, p.answer.Size, len(p.head.Selected))}
	if p.answer.Parts > 1 {
		c.Detail = fmt.Sprintf("these %d answers are all that the log took in entries %d to %d, from %d streams; this is part %d of %d",
			p.summary.Answers, p.answer.First, max(p.answer.End, 1)-1, len(p.head.Selected), p.answer.Part, p.answer.Parts)
	}
	if period := p.question.Period; period != nil && period.Ends() > p.head.Close.PeriodEndNs {
		c.State = report.NotClaimed
		c.Detail += fmt.Sprintf("; the period ends after %s, when that of the close ends: what came later is not in this file",
			time.Unix(0, p.head.Close.PeriodEndNs).UTC().Format(time.RFC3339Nano))
	}
	if len(p.head.Unknown) > 0 {
		var said []string
		for _, u := range p.head.Unknown {
			said = append(said, u.Said)
		}
		c.State = report.NotClaimed
		c.Detail += fmt.Sprintf("; the log does not know what is asked for: %s; what is meant may stand under another name", strings.Join(said, ", "))
	}
	return c
}

func (p *pass) numbered(runs []*run) report.Claim {
	c := report.Claim{Name: report.ClaimNumbered, State: report.Proved}
	proved, unseen := 0, uint64(0)
	for _, r := range runs {
		unseen += r.unseen
		if r.fault != nil {
			return report.Claim{Name: report.ClaimNumbered, State: report.Failed, Detail: fmt.Sprintf("run %s of %s: %s", r.id.Run, r.Producer, r.Reason)}
		}
		if r.Proved {
			proved++
		}
	}
	switch {
	case len(runs) == 0:
		c.State, c.Detail = report.NotClaimed, "no answer is of a run"
	case proved < len(runs):
		c.State = report.NotClaimed
		fallthrough
	default:
		c.Detail = fmt.Sprintf("%d of %d runs: their producers signed that no number is missing", proved, len(runs))
	}
	if unseen > 0 {
		c.Detail += fmt.Sprintf("; of %d numbers only the hashes are here: that the log has their entries is shown by a file of the whole log", unseen)
	}
	if p.summary.OneOffs > 0 {
		c.Detail += fmt.Sprintf("; %d answers were sent one at a time, in no run", p.summary.OneOffs)
	}
	return c
}

func (p *pass) authorized() report.Claim {
	if p.misjudged != nil {
		return report.Claim{Name: report.ClaimAuthorized, State: report.Failed, Detail: fmt.Sprintf("entry %d: %v", p.wrongAt, p.misjudged)}
	}
	c := report.Claim{Name: report.ClaimAuthorized, State: report.Proved, Detail: "every verdict, also that an access was not authorized, follows from the maps and approvals in this file"}
	sep := ": "
	for _, v := range p.summary.Verdicts {
		c.Detail += fmt.Sprintf("%s%d %s", sep, v.Count, v.Name)
		sep = ", "
	}
	return c
}

// strangers says which cosigners, that the file's own policy and report name, are
// none of the examiner's: anybody adds a line to the policy in a file, and a
// signature to its checkpoint.
func strangers(own, trusted []verify.Cosigned) string {
	others := slices.DeleteFunc(slices.Clone(own), func(w verify.Cosigned) bool {
		return slices.ContainsFunc(trusted, func(t verify.Cosigned) bool { return t.Name == w.Name && t.Unix == w.Unix })
	})
	if len(others) == 0 {
		return ""
	}
	return "; the report in the file names " + countersigned(others).Detail + ", which your policy does not bear out"
}

// countersigned says who cosigned, in the order of time and name.
func countersigned(witnesses []verify.Cosigned) report.Claim {
	c := report.Claim{Name: report.ClaimCountersigned, State: report.NotClaimed, Detail: "no witness of the policy cosigned the checkpoint"}
	if len(witnesses) == 0 {
		return c
	}
	sorted := slices.Clone(witnesses)
	slices.SortFunc(sorted, func(a, b verify.Cosigned) int {
		return cmp.Or(cmp.Compare(a.Unix, b.Unix), strings.Compare(a.Name, b.Name))
	})
	var names []string
	for _, w := range sorted {
		names = append(names, fmt.Sprintf("%s at %s", w.Name, time.Unix(w.Unix, 0).UTC().Format(time.RFC3339)))
	}
	c.State, c.Detail = report.Proved, strings.Join(names, ", ")
	return c
}
