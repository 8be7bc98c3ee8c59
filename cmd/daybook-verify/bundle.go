package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // an examiner's machine may have no table of zones

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

var bundleVerb = verb{
	name: "bundle",
	args: "[--policy FILE | --key VKEY] [--checkpoint FILE [--proof FILE]] [--json] CASE.zip...",
	does: "check an examination file",
	help: `Checks an examination file, as "daybook export" writes it: one file, or all parts of a
split one in any order. Every byte of it is proved or made anew and compared: the
entries under the log's root that the checkpoint signs; that none is missing which the
question asks for, by the tables of the close; the producers' numbers and signatures;
every verdict, from the maps and approvals in the file; the tables, the README and the
report for people.

--policy names the keys you trust, --key one log's verifier key in its place. With
neither, the best verdict is SELF-CONSISTENT: whoever made the file could have made all
of it. A later key of the log is taken where the file has the rotation and a checkpoint
under your keys that covers it. --checkpoint is one that you kept from before, under
your keys or another one that the log has had: the file must be of the same history.
Where its size is not one that the file shows, give the consistency proof between the
two sizes with --proof.

The first line names, beside the verdict, the claims that the file does not make. Where
"complete as accepted" is one of them, do not rely on a count before you know why: the
period goes on after the close, the other parts are not here, or the question has a name
that nothing in the log has, as a misspelled one; zero accesses of that are no evidence.

Examples:
  daybook-verify bundle --policy policy.txt CASE.zip
  daybook-verify bundle --policy policy.txt --checkpoint lodged.checkpoint CASE.zip
  daybook-verify bundle --policy policy.txt --json CASE-1.zip CASE-2.zip
`,
	run:    runBundle,
	whole:  true,
	proves: true,
}

func runBundle(c *call) (*result, error) {
	if len(c.args) == 0 {
		return nil, usagef("no examination file given")
	}
	policy, err := c.readPolicy()
	if err != nil {
		return nil, err
	}
	trust := bundle.Trust{Policy: policy}
	if trust.Held, err = c.readHeld(); err != nil {
		return nil, err
	}
	found, err := checkBundles(c.args, trust)
	if err != nil {
		return nil, err
	}
	r := &result{}
	r.bundleClaims(found, policy)
	r.bundleVerdict(found)
	return r, nil
}

// readHeld reads the checkpoint that the examiner holds; nil: none.
func (c *call) readHeld() (*bundle.Held, error) {
	switch {
	case len(c.older) == 0 && c.proof != "":
		return nil, usagef("--proof goes with --checkpoint")
	case len(c.older) == 0:
		return nil, nil
	case len(c.older) > 1:
		return nil, usagef("give one --checkpoint")
	}
	note, err := readArgument(c.older[0])
	if err != nil {
		return nil, err
	}
	held := &bundle.Held{Note: note}
	if c.proof == "" {
		return held, nil
	}
	text, err := readArgument(c.proof)
	if err != nil {
		return nil, err
	}
	if held.Proof, err = verify.ParseHashes(text); err != nil {
		return nil, usagef("%s: %v", c.proof, err)
	}
	if held.Proof == nil {
		held.Proof = []verify.Hash{}
	}
	return held, nil
}

// checkBundles checks the files of one answer.
func checkBundles(names []string, trust bundle.Trust) (r *bundle.Result, err error) {
	var files []bundle.File
	for _, name := range names {
		if instead := misplaced(name); instead != "" && !isCase(name) {
			return nil, usagef("%s", instead)
		}
		f, openErr := os.Open(name)
		if openErr != nil {
			return nil, usagef("%v", openErr)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		info, statErr := f.Stat()
		if statErr != nil {
			return nil, statErr
		}
		if info.IsDir() {
			return nil, usagef("%s is a folder, and no examination file is in it", name)
		}
		if encrypted(f) {
			return nil, usagef("%s is encrypted: open it first, with age --decrypt -i KEYFILE -o CASE.zip %s", name, name)
		}
		files = append(files, bundle.File{Name: filepath.Base(name), R: f, Size: info.Size()})
	}
	r, err = bundle.Check(context.Background(), files, trust)
	var parts *bundle.PartsError
	if errors.As(err, &parts) {
		return nil, usagef("%v", parts)
	}
	return r, err
}

// encrypted tells whether a file is one of age, armoured or not.
func encrypted(f *os.File) bool {
	head := make([]byte, 64)
	n, _ := f.ReadAt(head, 0) // a shorter file is none; a fault shows when it is read
	for _, mark := range []string{"age-encryption.org/v1\n", "-----BEGIN AGE ENCRYPTED FILE-----"} {
		if strings.HasPrefix(string(head[:n]), mark) {
			return true
		}
	}
	return false
}

// bundleVerdict gives the verdict on an examination file.
func (r *result) bundleVerdict(found *bundle.Result) {
	r.Verdict, r.Reason, r.FirstBadIndex = string(found.Verdict), found.Reason, found.FirstBad
	switch found.Verdict {
	case bundle.Failed:
		r.Advice = "keep the file as it is: it is the evidence; ask for it again by another way"
	case bundle.Newer:
		r.Advice = "nothing was disproved: the file is of a later format; take a newer daybook-verify"
	case bundle.SelfConsistent:
		r.Advice = "give --policy FILE or --key VKEY, taken from elsewhere than this file"
	}
	if found.Verdict == bundle.Verified || found.Verdict == bundle.DeclaredGaps {
		r.Advice = openEnds(found)
	}
	if f := found.Fault; f != nil && errors.Is(f, verify.ErrNewer) {
		r.Verdict = newer
	}
}

// openEnds says what to do where a sound file does not show all that its question
// asks for; empty: it does.
func openEnds(found *bundle.Result) string {
	if found.Claims[1].State == report.Proved {
		return ""
	}
	h := found.Parts[0].Head
	var todo []string
	if len(h.Unknown) > 0 {
		todo = append(todo, "ask again with a name that the log knows")
	}
	if h.Parts > len(found.Parts) {
		todo = append(todo, "give the other parts, too")
	}
	if p := h.Question.Period; p != nil && h.Close != nil && p.Ends() > h.Close.PeriodEndNs {
		todo = append(todo, "ask for a file made after a later close")
	}
	return "this file does not show all that its question asks for: " + strings.Join(todo, "; ")
}

// unknownClaim says what the question says and nothing in the log has.
func (r *result) unknownClaim(s *report.Summary) {
	for _, u := range s.Head.Unknown {
		fields := map[string]any{"side": u.Side}
		if u.Word != "" {
			fields[u.Word] = u.Name
		}
		text := "CAUTION: " + u.Text
		if near := bundle.Nearest(s, u); near != "" {
			fields["nearest"] = near
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		r.claim("unknown_name", fields, "%s", text)
	}
}

// bundleClaims says what was proved of an examination file.
func (r *result) bundleClaims(found *bundle.Result, policy *verify.Policy) {
	for _, c := range found.Claims {
		if c.State == report.NotClaimed && found.Verdict != bundle.Failed && found.Verdict != bundle.Newer {
			r.NotClaimed = append(r.NotClaimed, strings.ReplaceAll(c.Name, " ", "_"))
		}
	}
	if len(found.Parts) > 0 {
		r.unknownClaim(found.Parts[0])
		if found.Opened.Origin != "" { // it opened
			r.checkpointClaim(found.Opened, policy, "")
		}
		r.questionClaim(found)
	}
	for _, c := range found.Claims {
		r.claim(strings.ReplaceAll(c.Name, " ", "_"), map[string]any{"state": string(c.State)}, "%s: %s: %s", c.Name, strings.ToUpper(string(c.State)), c.Detail)
	}
	if len(found.Parts) > 0 {
		r.lossClaim(found.Parts)
		r.limitsClaim(found.Parts[0])
	}
	if n := found.Reconciled; n != nil {
		r.claim("reconciled", map[string]any{"inside": n.Inside, "outside": n.Outside, "wrong": len(n.Wrong)},
			"receipts: %d are in the file, %d are of entries that it was not asked for, %d are missing from it or differ", n.Inside, n.Outside, len(n.Wrong))
	}
}

// questionClaim says what the file answers.
func (r *result) questionClaim(found *bundle.Result) {
	s := found.Parts[0]
	q := s.Head.Question
	var answers uint64
	var digests []string
	for i, part := range found.Parts {
		answers += part.Answers
		digests = append(digests, fmt.Sprintf("%x", found.Manifest[i]))
	}
	fields := map[string]any{"answers": answers, "parts": s.Head.Parts, "checked_parts": len(found.Parts), "manifests": digests}
	text := "question"
	for _, f := range []struct{ name, words, value string }{
		{"case", "case", q.Case}, {"item", "item", q.Item}, {"asked_by", "asked by", q.AskedBy}, {"recipient", "for", q.Recipient},
	} {
		if f.value != "" {
			fields[f.name] = f.value
			text += fmt.Sprintf(", %s %s", f.words, plain(f.value))
		}
	}
	if q.Period != nil {
		text += fmt.Sprintf(", period %s in %s by %s time, from %s to %s", plain(q.Period.Text), plain(q.Period.Zone),
			map[string]string{"logged": "log", "occurred": "event"}[q.Period.By], q.Period.Start, q.Period.End)
		fields["start"], fields["end"] = q.Period.Start, q.Period.End
	}
	if n := len(found.Parts); n < s.Head.Parts {
		text += fmt.Sprintf(", part %d of %d alone", s.Head.Part, s.Head.Parts)
	}
	r.claim("question", fields, "%s: %d answers", text, answers)
	r.zoneClaim(q.Period)
	for i, d := range digests {
		r.claim("manifest", map[string]any{"sha256": d}, "manifest of part %d: SHA-256 %s", found.Parts[i].Head.Part, d)
	}
}

// zoneClaim says where bounds or offsets of the period are not those of its zone by the
// table of zones of this program.
func (r *result) zoneClaim(p *question.Period) {
	if p == nil {
		return
	}
	if err := p.InZone(time.LoadLocation); err != nil {
		r.claim("zone", map[string]any{"agrees": false}, "CAUTION: period or local times may have been shifted: by this program's table of zones, %s", plain(err.Error()))
	}
}

// limitsClaim says how far the answer reaches.
func (r *result) limitsClaim(s *report.Summary) {
	h := s.Head
	if h.Close == nil || h.Question.Tiles() {
		return
	}
	r.claim("until", map[string]any{"cut": h.Cut, "size": h.Checkpoint.Size, "time": utc(h.Close.PeriodEndNs)},
		"the answer reaches to %s, the end of the close it rests on: %d entries after it are not in it", utc(h.Close.PeriodEndNs), h.Checkpoint.Size-h.Cut)
}
