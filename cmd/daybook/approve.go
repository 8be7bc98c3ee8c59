package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// An approveCommand holds the flags of `daybook approve`.
type approveCommand struct {
	conn                           connection
	actor, flow, from, to          string
	examiner                       string
	key, successor, told           string // told: the words of the key
	words                          string // of the key that is approved
	purpose, ticket, requester, id string
	notBefore, until               string
	lasting                        time.Duration
	asJSON                         bool
	now                            func() time.Time
}

func newApproveCommand() *cobra.Command {
	c := &approveCommand{now: time.Now}
	cmd := &cobra.Command{
		Use:   "approve {--actor A --from D --to D | --flow F | --examiner ID | --key KEY | --successor KEY} {--for TIME | --until TIME}",
		Short: "Approve that an actor or a flow may cross, or an examiner read, for a time; or a key of the log",
		Long: `approve writes an approval into the log, under your own identity. An access on a
flow that says "needs: approval" is authorized only by an approval that was in the
log before the access; one that comes later is shown beside the verdict and does not
change it. Nobody approves their own access, by whatever of their names.

--flow approves everybody on that flow of the domain map; its domains are the map's.
--examiner approves that the person who has the grant of an examiner reads
everything. Without it the grant has no effect. Neither the examiner nor who asked
for the grant can approve it.

--key approves that a new key signs the log, and --successor that another log goes on
where this one ends. Neither needs a time. Whoever rotates or ends the log must be
another person. Have the key's words told to you, compare all twelve, or give them
with --words.

The time begins at once, or at --not-before; an approval that begins in the past says
who takes responsibility for what was not approved in time.`,
		Example: `  daybook approve --actor alice@broker.example --from admin --to prod-db --for 8h --ticket CHG-4711
  daybook approve --flow nightly-export --until 2026-12-01 --purpose "year end"
  daybook approve --examiner spiffe://people.broker.example/examiner --for 72h --purpose "examination 2026-11"
  daybook approve --key 0badcafe.vkey --words "betray pride street tide echo scissors bid plastic explain treat ramp gadget"
  daybook approve --actor bob --from admin --to prod-db --for 2h --requester bob --identity ~/.daybook/carol`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd) },
	}
	c.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.actor, "actor", "", "who may cross: the actor's `id`, as events have it")
	f.StringVar(&c.flow, "flow", "", "the `id` of a flow on which everybody may cross")
	f.StringVar(&c.examiner, "examiner", "", "the `identity` of an examiner, as the grant names it: a SPIFFE id, or ISSUER#SUBJECT")
	f.StringVar(&c.key, "key", "", "a new key of the log: its vkey, or a `file` with it")
	f.StringVar(&c.successor, "successor", "", "the log that goes on where this one ends: its vkey, or a `file` with it")
	f.StringVar(&c.told, "words", "", "with --key and --successor: the key's `words`, as they were told to you")
	f.StringVar(&c.from, "from", "", "source domain `id`; with --flow the map's")
	f.StringVar(&c.to, "to", "", "target domain `id`; with --flow the map's")
	f.StringVar(&c.purpose, "purpose", "", "what for; empty: whatever the access is for")
	f.StringVar(&c.ticket, "ticket", "", "`ticket` under which it was agreed")
	f.StringVar(&c.requester, "requester", "", "who asked for it: an `identity` or a person of the map")
	f.StringVar(&c.id, "id", "", "`id` of the approval, which events may cite as grant_id (default: one is made)")
	f.StringVar(&c.notBefore, "not-before", "", "when it begins: a date, a `time`, or how long ago, such as -15m (default: now)")
	f.StringVar(&c.until, "until", "", "when it ends: a date or a `time`")
	f.DurationVar(&c.lasting, "for", 0, "how long it lasts, such as 8h")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (c *approveCommand) do(cmd *cobra.Command) error {
	approval, err := c.approval()
	if err != nil {
		return err
	}
	conn, err := c.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	a, err := conn.Approve(cmd.Context(), approval)
	if err != nil {
		return err
	}
	if c.asJSON {
		return printApproved(cmd.OutOrStdout(), a)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "approval    entry %d, id %s, proven to be in the log\n%s", a.State.Index, printable(a.State.Approval.Id), approvalText(a.State))
	if err == nil {
		err = c.printWords(cmd.OutOrStdout())
	}
	return err
}

// approval makes the approval that the flags ask for.
func (c *approveCommand) approval() (*daybookv1.Approval, error) {
	a := &daybookv1.Approval{Id: c.id, From: c.from, To: c.to, Purpose: c.purpose, Ticket: c.ticket, Requester: c.requester}
	key, err := c.approveKeys(a)
	switch {
	case err != nil:
		return nil, err
	case c.told != "" && !key:
		return nil, usagef("--words goes with --key or --successor")
	case key && c.lasting == 0 && c.until == "" && c.notBefore == "":
		return a, c.checkWords()
	case key:
		err = c.checkWords()
	default:
		err = c.subject(a)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case (c.lasting == 0) == (c.until == ""):
		return nil, usagef("give --for or --until: an approval ends")
	case c.lasting < 0:
		return nil, usagef("--for %v: want more than nothing", c.lasting)
	}
	begin := c.now() // the ledger's clock says when it begins
	if c.notBefore != "" {
		var err error
		if begin, err = c.begin(begin); err != nil {
			return nil, err
		}
		a.NotBeforeNs = begin.UnixNano()
	}
	end, err := timeFlag("until", c.until)
	if err != nil {
		return nil, err
	}
	if c.lasting > 0 {
		end = begin.Add(c.lasting)
	}
	if !end.After(begin) {
		return nil, usagef("the approval would end at %s, before it begins at %s", end.UTC().Format(time.RFC3339), begin.UTC().Format(time.RFC3339))
	}
	a.NotAfterNs = end.UnixNano()
	return a, nil
}

// subject says whom or what the flags approve.
func (c *approveCommand) subject(a *daybookv1.Approval) error {
	given := 0
	for _, s := range []struct {
		name    string
		subject daybookv1.ApprovalSubject
	}{
		{c.actor, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR},
		{c.flow, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW},
		{c.examiner, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER},
	} {
		if s.name != "" {
			given++
			a.Name, a.Subject = s.name, s.subject
		}
	}
	switch {
	case given != 1:
		return usagef("give one of --actor, --flow, --examiner, --key and --successor")
	case c.actor != "" && (c.from == "" || c.to == ""):
		return usagef("--actor goes with --from and --to")
	case c.examiner != "" && c.from+c.to != "":
		return usagef("--examiner goes without --from and --to: an examiner reads everything")
	}
	return nil
}

// begin reads --not-before: a time, or how long before now.
func (c *approveCommand) begin(now time.Time) (time.Time, error) {
	if before, err := time.ParseDuration(c.notBefore); err == nil && before < 0 {
		return now.Add(before), nil
	}
	return timeFlag("not-before", c.notBefore)
}

// timeFlag reads a date or time; zero for an empty text.
func timeFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, usagef("--%s %q: want a date such as 2026-11-01 or a time such as 2026-11-01T09:30:00Z", name, text)
	}
	return t, nil
}

func newRevokeCommand() *cobra.Command {
	var conn connection
	var reason, ticket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke {INDEX | ID} --reason TEXT",
		Short: "End an approval",
		Long: `revoke writes a revocation into the log, under your own identity. Accesses that
occur after it are not covered by the approval any more; those before it stay as they
were judged.`,
		Example: `  daybook revoke 4711 --reason "left the firm"
  daybook revoke CHG-4711-alice --reason "work is done" --ticket CHG-4712`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || reason == "" {
				return usagef("name one approval, by index or id, and give --reason")
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			a, err := c.Revoke(cmd.Context(), args[0], reason, ticket)
			if err != nil {
				return err
			}
			if asJSON {
				return printApproved(cmd.OutOrStdout(), a)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "revocation  entry %d, proven to be in the log\n%s", a.Entry.Index, approvalText(a.State))
			return err
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	cmd.Flags().StringVar(&ticket, "ticket", "", "`ticket` under which it was agreed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
