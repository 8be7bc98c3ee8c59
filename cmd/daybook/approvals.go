package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// An approvalsFilter holds the flags of `daybook approvals`.
type approvalsFilter struct {
	subject, name, from, to, validAt string
	valid                            bool
	limit                            int
}

func newApprovalsCommand() *cobra.Command {
	var conn connection
	var f approvalsFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "approvals",
		Short: "List approvals, newest first, and what became of them",
		Example: `  daybook approvals --valid
  daybook approvals --from admin --to prod-db
  daybook approvals --subject map-change --json | jq '.approvals[].approval.approver'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request(time.Now())
			if err != nil {
				return err
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			var all []*apiv1.ApprovalState
			if err := c.Approvals(cmd.Context(), request, f.limit, func(a *apiv1.ApprovalState) bool {
				all = append(all, a)
				return true
			}); err != nil {
				return err
			}
			if asJSON {
				return printApprovalsJSON(cmd.OutOrStdout(), all)
			}
			return printApprovals(cmd.OutOrStdout(), all, time.Now())
		},
	}
	conn.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.subject, "subject", "", "what is approved: actor, flow, map-change, examiner, ...")
	fl.StringVar(&f.name, "name", "", "the actor's or the flow's `id`")
	fl.StringVar(&f.from, "from", "", "source domain `id`")
	fl.StringVar(&f.to, "to", "", "target domain `id`")
	fl.BoolVar(&f.valid, "valid", false, "only those valid now and not revoked")
	fl.StringVar(&f.validAt, "valid-at", "", "only those valid at this `time`, and not revoked")
	fl.IntVar(&f.limit, "limit", 100, "most approvals; 0: all")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (f *approvalsFilter) request(now time.Time) (*apiv1.ListApprovalsRequest, error) {
	r := &apiv1.ListApprovalsRequest{Name: f.name, From: f.from, To: f.to}
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if f.limit == 0 {
		r.PageSize = 1000
	}
	if f.subject != "" {
		n, err := enumOf("subject", f.subject, r.Subject.Descriptor())
		if err != nil {
			return nil, err
		}
		r.Subject = daybookv1.ApprovalSubject(n)
	}
	at, err := timeFlag("valid-at", f.validAt)
	switch {
	case err != nil:
		return nil, err
	case f.valid && f.validAt != "":
		return nil, usagef("--valid and --valid-at exclude each other")
	case f.valid:
		r.ValidAtNs = now.UnixNano()
	case f.validAt != "":
		r.ValidAtNs = at.UnixNano()
	}
	return r, nil
}

func printApprovalsJSON(w io.Writer, all []*apiv1.ApprovalState) error {
	list := make([]json.RawMessage, len(all))
	for i, a := range all {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(a)
		if err != nil {
			return err
		}
		list[i] = text
	}
	return printJSON(w, map[string]any{"approvals": list})
}

func printApprovals(w io.Writer, all []*apiv1.ApprovalState, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "INDEX\tID\tAPPROVED\tFROM\tTO\tVALID\tAPPROVED BY\tTICKET\tSTATE")
	for _, s := range all {
		a := s.Approval
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Index, shorten(a.Id, 24), shorten(subjectText(a), 40), a.From, a.To,
			windowText(a), shorten(a.Approver, 40), printable(a.Ticket), approvalStanding(s, now))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d approvals shown\n", len(all))
	return err
}

// subjectText says what is approved.
func subjectText(a *daybookv1.Approval) string {
	name := a.Name
	if len(a.Sha256) > 0 {
		name = fmt.Sprintf("%.8x", a.Sha256)
	}
	return strings.TrimSpace(word(a.Subject.String(), "APPROVAL_SUBJECT_") + " " + name)
}

// windowText is the time for which an approval holds.
func windowText(a *daybookv1.Approval) string {
	if a.NotBeforeNs == 0 && a.NotAfterNs == 0 {
		return ""
	}
	text := timeText(a.NotBeforeNs) + " to "
	if a.NotAfterNs == 0 {
		return text + "further notice"
	}
	return text + timeText(a.NotAfterNs)
}

// timeText is a time in UTC, to the second.
func timeText(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

// approvalStanding says in a word how an approval stands.
func approvalStanding(s *apiv1.ApprovalState, now time.Time) string {
	switch a := s.Approval; {
	case s.Revocation != 0:
		return "revoked " + timeText(s.RevokedNs)
	case a.NotAfterNs != 0 && now.UnixNano() >= a.NotAfterNs:
		return "over"
	case now.UnixNano() < a.NotBeforeNs:
		return "to come"
	}
	return "valid"
}

// approvalText shows one approval.
func approvalText(s *apiv1.ApprovalState) string {
	var b strings.Builder
	a := s.Approval
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-11s %s\n", name, printable(text))
		}
	}
	row("approved", subjectText(a))
	if a.From != "" || a.To != "" {
		row("crossing", a.From+" -> "+a.To)
	}
	row("purpose", a.Purpose)
	row("valid", windowText(a))
	row("ticket", a.Ticket)
	row("asked by", a.Requester)
	row("approved by", fmt.Sprintf("%s at %s", a.Approver, timeText(s.LogTimeNs)))
	if r := s.Revoked; r != nil {
		row("revoked by", fmt.Sprintf("%s at %s: %s", r.Revoker, timeText(s.RevokedNs), r.Reason))
	}
	return b.String()
}

// printApproved prints an approval that was proven as one object.
func printApproved(w io.Writer, a *client.Approved) error {
	state, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(a.State)
	if err != nil {
		return err
	}
	out := map[string]any{"approval": rawJSON(state), "index": a.Entry.Index, "verdict": "VERIFIED"}
	if a.InForce != nil {
		version, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(a.InForce)
		if err != nil {
			return err
		}
		out["in_force"] = rawJSON(version)
	}
	return printJSON(w, out)
}
