package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// A Verdict is what a check of a bundle ends with.
type Verdict string

// The verdicts, from the best to the worst.
const (
	Verified       Verdict = "VERIFIED"
	DeclaredGaps   Verdict = "VERIFIED WITH DECLARED GAPS"
	SelfConsistent Verdict = "SELF-CONSISTENT"
	Newer          Verdict = "NEEDS A NEWER VERIFIER"
	Failed         Verdict = "FAILED"
)

// Meant says what SELF-CONSISTENT is worth.
const Meant = "no key from outside was given: whoever made this file could have made all of it"

// Trust is what an examiner has from elsewhere than the bundle.
type Trust struct {
	// Policy is whom the examiner trusts; nil: nobody. A checkpoint under a later key
	// of the log is taken, too, where the file shows that one under the policy covers
	// the rotation.
	Policy *verify.Policy
	Held   *Held // nil: none
	// Receipts are of entries that must be in the bundle where its question asks for
	// them.
	Receipts []Receipted
}

// A File is a bundle, or a part of one.
type File struct {
	Name string // for messages; may be empty where there is one
	R    io.ReaderAt
	Size int64
}

// A Result is what a check of a bundle, or of all parts of one, found.
type Result struct {
	Verdict  Verdict
	Claims   []report.Claim    // five, under the examiner's policy; without one under the file's own
	FirstBad *uint64           // index of the first entry that is wrong
	Reason   string            // why the verdict is not VERIFIED; empty: it is
	Fault    *Fault            // where the file is wrong; nil: it is not, or elsewhere than in it
	Parts    []*report.Summary // of each part that was checked to its end, in the order of the parts
	Manifest []verify.Hash     // SHA-256 of the manifests, in the same order
	// Reconciled is what became of the receipts; nil: none were given.
	Reconciled *Reconciled
	Opened     verify.Opened // the checkpoint, under the examiner's policy; without one under the file's own
}

// Check checks a bundle: one file, or all parts of a split one, in any order. It
// reads each file twice, in order, and keeps in memory what grows with streams,
// runs and maps, not with accesses. The error is one of reading, the context's, or a
// *PartsError: what is wrong with the file is in the result.
func Check(ctx context.Context, files []File, trust Trust) (*Result, error) {
	if len(files) == 0 {
		return nil, errors.New("no file")
	}
	r := &Result{}
	var passes []*pass
	for _, f := range files {
		p, err := checkFile(ctx, f, trust.Receipts)
		var fault *Fault
		if errors.As(err, &fault) {
			if len(files) > 1 {
				fault.File = f.Name
			}
			r.fault(fault)
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		passes = append(passes, p)
	}
	passes, err := join(passes)
	var parts *PartsError
	if errors.As(err, &parts) {
		return nil, parts
	}
	if err != nil {
		r.fault(&Fault{Err: err})
		return r, nil
	}
	for _, p := range passes {
		r.Parts = append(r.Parts, p.summary)
		r.Manifest = append(r.Manifest, p.z.digest)
	}
	r.judge(passes, trust)
	r.reconcile(passes, trust.Receipts)
	return r, nil
}

// checkFile checks one file by itself.
func checkFile(ctx context.Context, f File, receipts []Receipted) (*pass, error) {
	z, err := openArchive(ctx, f.R, f.Size)
	if err != nil {
		return nil, err
	}
	sink := &comparer{z: z, made: map[string]bool{}}
	p, err := examine(ctx, z, sink, nil, watch(receipts))
	if err == nil {
		err = sink.done()
	}
	return p, err
}

// fault ends a check at what is wrong with a file.
func (r *Result) fault(f *Fault) {
	r.Verdict, r.Fault, r.Reason, r.FirstBad = Failed, f, f.Error(), f.Index
	if errors.Is(f, verify.ErrNewer) {
		r.Verdict = Newer
	}
	r.Claims = []report.Claim{
		{Name: report.ClaimUnaltered, State: report.Failed, Detail: f.Error()},
		{Name: report.ClaimAccepted}, {Name: report.ClaimNumbered}, {Name: report.ClaimAuthorized}, {Name: report.ClaimCountersigned},
	}
	if r.Verdict == Newer {
		r.Claims[0].State = report.NotClaimed
	}
	for i := range r.Claims[1:] {
		r.Claims[i+1].State, r.Claims[i+1].Detail = report.NotClaimed, "the check ended before it"
	}
}

// judge gives the verdict on files that are sound in themselves.
func (r *Result) judge(passes []*pass, trust Trust) {
	first := passes[0]
	r.Claims = joinClaims(passes)
	if c := &r.Claims[1]; first.answer.Parts > len(passes) && c.State == report.Proved {
		c.State = report.NotClaimed
		c.Detail += "; the other parts are not here"
	}
	r.Opened = first.head.Checkpoint
	r.Verdict = Verified
	for _, p := range passes {
		if len(p.losses) > 0 || p.gaps > 0 {
			r.Verdict = DeclaredGaps
			r.Reason = "producers declared numbers as lost, or were silent past their limit: see the gaps and alerts in the report"
		}
	}
	if err := r.trust(first, trust); err != nil {
		r.Verdict, r.Reason = Failed, err.Error()
		r.Claims[0] = report.Claim{Name: report.ClaimUnaltered, State: report.Failed, Detail: err.Error()}
	} else if trust.Policy == nil {
		r.Verdict, r.Reason = SelfConsistent, Meant
		c := &r.Claims[len(r.Claims)-1]
		if c.State == report.Proved {
			c.State, c.Detail = report.NotClaimed, "only by the file's own policy: "+c.Detail
		}
	}
	for _, p := range passes {
		if i := p.failedAt(); i != nil && (r.FirstBad == nil || *i < *r.FirstBad) {
			r.FirstBad = i
		}
	}
	for _, c := range r.Claims {
		if c.State == report.Failed && r.Verdict != Failed {
			r.Verdict, r.Reason = Failed, c.Name+": "+c.Detail
		}
	}
}

// failedAt returns the index of the first entry that fails a claim; nil: none.
func (p *pass) failedAt() *uint64 {
	var at *uint64
	if p.misjudged != nil {
		at = &p.wrongAt
	}
	if p.runs != nil {
		for _, run := range p.runs.runs {
			if run.fault != nil && (at == nil || run.faultAt < *at) {
				at = &run.faultAt
			}
		}
	}
	return at
}

// trust holds the files against what the examiner has.
func (r *Result) trust(p *pass, trust Trust) error {
	if trust.Policy != nil {
		note, err := p.z.read(nameCheckpoint, maxNote)
		if err != nil {
			return err
		}
		r.Opened, err = trust.Policy.Open(note)
		if errors.Is(err, verify.ErrUnsigned) {
			err = r.follow(p, trust.Policy, note, err)
		}
		if err != nil {
			return fmt.Errorf("the checkpoint under the policy that you gave: %w", err)
		}
		c := countersigned(r.Opened.Witnesses)
		c.Detail += strangers(p.head.Checkpoint.Witnesses, r.Opened.Witnesses)
		r.Claims[len(r.Claims)-1] = c
	}
	if trust.Held != nil {
		return compareHeld(trust.Held, trust.Policy, p)
	}
	return nil
}

// joinClaims joins the claims of all parts: the worst state of each, with the
// detail of the first part that has it.
func joinClaims(passes []*pass) []report.Claim {
	rank := map[report.State]int{report.Proved: 0, report.NotClaimed: 1, report.Failed: 2}
	out := append([]report.Claim(nil), passes[0].summary.Claims...)
	for _, p := range passes[1:] {
		for i, c := range p.summary.Claims {
			if rank[c.State] > rank[out[i].State] {
				out[i] = c
			}
		}
	}
	if len(passes) > 1 {
		var answers uint64
		for _, p := range passes {
			answers += p.summary.Answers
		}
		for i := range out {
			if out[i].Name == report.ClaimAccepted && out[i].State == report.Proved {
				out[i].Detail = fmt.Sprintf("all %d parts are here and join without a hole: %d answers", len(passes), answers)
			}
		}
	}
	return out
}
