package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// Verdicts.
const (
	verified       = "VERIFIED"
	failed         = "FAILED"
	selfConsistent = "SELF-CONSISTENT"
	withGaps       = "VERIFIED WITH DECLARED GAPS"
	newer          = "NEEDS A NEWER VERIFIER"
)

// result is what a verb found. As JSON it is the one object on stdout.
type result struct {
	Verdict string `json:"verdict,omitempty"`
	// NotClaimed names the claims of an examination file that it does not make. As JSON
	// they are the first claim, not_claimed.
	NotClaimed []string `json:"-"`
	// Claims is what was proved, each with its own fields and a sentence.
	Claims []claim `json:"claims"`
	// FirstBadIndex is the log index of the first receipt that did not verify,
	// where it says one.
	FirstBadIndex *uint64 `json:"first_bad_index"`
	// Reason says why the verdict is not VERIFIED.
	Reason  string `json:"reason"`
	version string // of the program, where that is all there is to say
	// Advice says what to do about it; people only.
	Advice string `json:"-"`
}

// claim is one thing that was proved.
type claim struct {
	What string         `json:"what"`             // stable word: checkpoint, inclusion, entry, receipts, consistency
	Text string         `json:"text"`             // in plain words
	Data map[string]any `json:"fields,omitempty"` // the same in numbers
}

func (r *result) claim(what string, data map[string]any, format string, args ...any) {
	r.Claims = append(r.Claims, claim{What: what, Text: fmt.Sprintf(format, args...), Data: data})
}

func (r *result) exit() int {
	switch r.Verdict {
	case failed:
		return exitFailed
	case selfConsistent:
		return exitSelfConsistent
	case withGaps:
		return exitGaps
	case newer:
		return exitNewer
	case verified, "": // nothing was to be checked
		return exitVerified
	}
	return exitFailed
}

func (r *result) writeJSON(w io.Writer) error {
	claims := []claim{}
	if len(r.NotClaimed) > 0 {
		claims = append(claims, claim{What: "not_claimed", Text: r.open(), Data: map[string]any{"claims": r.NotClaimed}})
	}
	r.Claims = append(claims, r.Claims...)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r *result) writeText(w io.Writer) error {
	if r.version != "" {
		_, err := fmt.Fprintln(w, r.Claims[0].Text)
		return err
	}
	var b strings.Builder
	b.WriteString(r.headline() + "\n")
	for _, c := range r.Claims {
		b.WriteString("  " + visible(c.Text) + "\n")
	}
	if r.Reason != "" {
		b.WriteString("  reason: " + visible(r.Reason) + "\n")
	}
	if r.Advice != "" {
		b.WriteString("  " + r.Advice + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the verdict for people, with what it leaves open in the same line.
func (r *result) headline() string {
	if len(r.NotClaimed) == 0 || r.Verdict == failed {
		return r.Verdict
	}
	return r.Verdict + "; " + r.open()
}

// open names what is not claimed.
func (r *result) open() string {
	return "not claimed: " + strings.ReplaceAll(strings.Join(r.NotClaimed, ", "), "_", " ")
}

// fail gives the verdict on an error of a check.
func (r *result) fail(err error) {
	r.Verdict, r.Reason = failed, err.Error()
	r.Advice = "keep the files as they are: they are the evidence"
	switch {
	case errors.Is(err, verify.ErrNewer):
		r.Verdict = newer
		r.Advice = "nothing was disproved: the file is of a later format; take a newer daybook-verify"
	case errors.Is(err, verify.ErrUnsigned):
		r.Advice = "compare the policy's log key with the one the firm gave you, by another way than these files; where the log's key was replaced since, the newer key card has the line to add (log VKEY)"
	case errors.Is(err, verify.ErrQuorum):
		r.Advice = "ask for a receipt under a later checkpoint: its witnesses may not have signed yet"
	}
}

// pass gives the verdict where every check passed.
func (r *result) pass(policy *verify.Policy) {
	r.Verdict = verified
	if policy == nil {
		r.Verdict = selfConsistent
		r.Reason = "no key from outside was given: anybody could have made files that fit together"
		r.Advice = "give --policy FILE with the log's key, taken from elsewhere than these files"
	}
}

// readPolicy reads the policy of a call, or makes it of its key; nil where neither
// is given.
func (c *call) readPolicy() (*verify.Policy, error) {
	switch {
	case c.policy != "" && c.key != "":
		return nil, usagef("give --policy or --key, not both")
	case c.key != "":
		if _, err := verify.VKeyOrigin(c.key); err != nil {
			return nil, usagef("--key: %v", err)
		}
		return verify.KeyPolicy(c.key)
	case c.policy == "":
		return nil, nil
	}
	text, err := os.ReadFile(c.policy)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	p, err := verify.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", c.policy, err)
	}
	return p, nil
}

// readArgument reads a file that was named on the command line: one that is
// not there is a mistake of the call, not a verdict.
func readArgument(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return b, nil
}

// visible shows what is not printable in a line by its code point: text out of a
// file must not move the cursor over a verdict.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "<U+%04X>", r)
	}
	return b.String()
}

// plain makes text from a file safe to print: what is not printable is escaped.
func plain(s string) string {
	q := strconv.Quote(s)
	if q == `"`+s+`"` {
		return s
	}
	return q
}

func utc(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z") }

// cosignerFields is cosigners in fields.
func cosignerFields(witnesses []verify.Cosigned) []map[string]string {
	var out []map[string]string
	for _, w := range witnesses {
		out = append(out, map[string]string{"name": w.Name, "time": time.Unix(w.Unix, 0).UTC().Format(time.RFC3339)})
	}
	return out
}

// cosigners says who cosigned.
func cosigners(witnesses []verify.Cosigned) string {
	var names []string
	for _, w := range witnesses {
		names = append(names, fmt.Sprintf("%s at %s", plain(w.Name), time.Unix(w.Unix, 0).UTC().Format(time.RFC3339)))
	}
	return strings.Join(names, ", ")
}
