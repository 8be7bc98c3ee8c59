package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
)

var logVerb = verb{
	name: "log",
	args: "[--policy FILE | --key VKEY] [--checkpoint FILE]... [--json] DIR",
	does: "check a whole log in a directory of tiles",
	help: `Checks the log in DIR, a directory of c2sp.org/tlog-tiles as "daybookd mirror" or any
other program copies it: every entry, leaf, tile and the root that the checkpoint
signs; and derives anew from the entries, in one pass on every core, what the log says
of itself: streams, runs with their numbers and running hashes, closes with their
tables, verdicts, alerts. A file that nothing proves is a fault, too.

--policy names the keys you trust, --key one log's verifier key in its place. With
neither, the best verdict is SELF-CONSISTENT. A later key of the log is taken where the
entries lead to it from one of yours: your key signed a checkpoint that covers the
rotation. --checkpoint is one that you kept from before, as often as you like, under
your keys or another one that the log has had: the log must begin with it, and must not
be shorter.

VERIFIED WITH DECLARED GAPS says that the log is whole, and that producers declared
numbers lost in it, or fell silent for longer than they had said.

Examples:
  daybook-verify log --policy policy.txt mirror
  daybook-verify log --key "$VKEY" --checkpoint lodged.checkpoint mirror
  daybook-verify log --policy policy.txt --json mirror
`,
	run:   runLog,
	whole: true,
}

func runLog(c *call) (*result, error) {
	if err := c.want("folder"); err != nil {
		return nil, err
	}
	policy, err := c.readPolicy()
	if err != nil {
		return nil, err
	}
	dir := c.args[0]
	if err := isLog(dir); err != nil {
		return nil, err
	}
	o := audit.Options{Policy: policy}
	for _, name := range c.older {
		note, err := readArgument(name)
		if err != nil {
			return nil, err
		}
		o.Older = append(o.Older, note)
	}
	bar := newBar(c.stderr)
	o.Progress = bar.show
	report, err := audit.Check(context.Background(), os.DirFS(dir), o)
	bar.end()
	if err != nil {
		return nil, err
	}
	r := &result{}
	r.logClaims(report, policy)
	r.logVerdict(report, policy)
	return r, nil
}

// isLog refuses what is no folder, or one of another kind than a log; one that is of
// no kind that is known may be a log that lacks its checkpoint.
func isLog(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		if _, err := os.Lstat(filepath.Join(dir, "checkpoint")); err == nil {
			return nil
		}
	}
	if instead := misplaced(dir); instead != "" {
		return usagef("%s", instead)
	}
	switch {
	case err != nil:
		return usagef("%s is no folder with a log: %v", dir, err)
	case !info.IsDir():
		return usagef("%s is no folder with a log, but a file", dir)
	}
	return nil
}

// logVerdict gives the verdict on a log.
func (r *result) logVerdict(report *audit.Report, policy *verify.Policy) {
	c := &report.Counts
	switch f := report.Fault; {
	case f != nil:
		r.fail(f)
		if f.Known {
			r.FirstBadIndex = &f.Index
		}
	case policy != nil && (c.Gaps > 0 || c.Silences > 0):
		r.Verdict = withGaps
		r.Reason = fmt.Sprintf("the log itself declares %s", gapWords(c))
	default:
		r.pass(policy)
	}
}

func gapWords(c *audit.Counts) string {
	return fmt.Sprintf("%d numbers lost in %d gaps, and %d times that a run or producer was silent past its limit", c.Lost, c.Gaps, c.Silences)
}

// logClaims says what was proved of a log.
func (r *result) logClaims(report *audit.Report, policy *verify.Policy) {
	o, c := &report.Checkpoint, &report.Counts
	if o.Origin == "" {
		return
	}
	r.checkpointClaim(*o, policy, "")
	if at := report.Bridge; at > 0 {
		r.claim("keys", map[string]any{"bridge": at}, "its key is a later one of the log: a checkpoint that follows from your policy, of size %d, covers the rotation", at)
	}
	for _, old := range report.Older {
		r.claim("consistency", map[string]any{"origin": o.Origin, "old_size": old.Size, "new_size": o.Size},
			"the log begins with all %d entries of a checkpoint that you kept, unchanged", old.Size)
	}
	counts := map[string]any{"entries": c.Entries, "accesses": c.Accesses, "streams": c.Streams, "runs": c.Runs, "one_offs": c.OneOffs,
		"closes": c.Closes, "maps": c.Maps, "alerts": c.Alerts, "declined": c.Declined, "gaps": c.Gaps, "lost": c.Lost, "silences": c.Silences, "signed": c.Signed}
	if report.Fault != nil {
		r.claim("entries", counts, "%d of %d entries passed before the fault", c.Entries, o.Size)
		return
	}
	r.claim("entries", counts, "unaltered: all %d entries from %s to %s hash into the tree, leaf by leaf and tile by tile", c.Entries, utc(c.OpenedNS), utc(c.NewestNS))
	r.claim("complete", nil, "complete as accepted: %d streams and %d closes were computed again%s", c.Streams, c.Closes, closedUntil(c))
	r.claim("numbered", nil, "complete as numbered: %d runs without a hole, %d events sent without one; %d numbers declined, %d lost in %d gaps; %d heartbeats and ends under producers' signatures",
		c.Runs, c.OneOffs, c.Declined, c.Lost, c.Gaps, c.Signed)
	r.claim("judged", nil, "authorized as declared and approved: %d verdicts and %d alerts follow from the entries before them, under %d domain maps", c.Accesses, c.Alerts, c.Maps)
	for _, name := range report.Unread {
		r.claim("unread", map[string]any{"name": name}, "%s beside the log was not looked at", plain(name))
	}
}

func closedUntil(c *audit.Counts) string {
	if c.Closes == 0 {
		return ""
	}
	return fmt.Sprintf(", the newest over all %d entries before %s", c.Cut, time.Unix(0, c.ClosedNS).UTC().Format(time.RFC3339))
}
