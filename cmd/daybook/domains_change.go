package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

func newDomainsProposeCommand() *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "propose FILE",
		Short: "Propose a version of the domain map",
		Long: `propose checks the file, puts it into the log under your identity, and says who
must approve it: the approver of each flow that it adds, removes or changes, and the
map's approver where anything else changes. You cannot approve what you propose, by
whatever of your names.

Nothing is judged by it until the last of them has: "daybook domains approve".`,
		Example: `  daybook domains propose domains.yaml
  daybook domains propose domains.yaml --json | jq -r .sha256`,
		Args: exactlyOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			yaml, err := readMapFile(cmd, args[0])
			if err != nil {
				return err
			}
			if _, err := parseMap(args[0], yaml); err != nil {
				return err
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			m, err := c.ProposeMap(cmd.Context(), yaml)
			if err != nil {
				return inFile(args[0], err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), proposalJSON(m.Proposal))
			}
			return printProposal(cmd.OutOrStdout(), m.Proposal)
		},
	}
	conn.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func exactlyOneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("name one file; - is standard input")
	}
	return nil
}

// inFile gives the faults that a server found the name of the file.
func inFile(file string, err error) error {
	var faults *client.MapFaultsError
	if !errors.As(err, &faults) {
		return err
	}
	var b strings.Builder
	for _, f := range faults.Faults {
		fmt.Fprintf(&b, "\n%s:%d:%d: %s", file, f.Line, f.Column, f.Message)
	}
	return fmt.Errorf("the log refuses the domain map; nothing of it was kept:%s", b.String())
}

func printProposal(w io.Writer, p *apiv1.MapProposal) error {
	var b strings.Builder
	fmt.Fprintf(&b, "proposed    %x\nin          %s, proven to be in the log\nby          %s\n", p.Sha256, entriesText(p.FirstPart, p.Parts), p.Author)
	writeChanges(&b, p)
	writeApprovers(&b, p)
	_, err := io.WriteString(w, b.String())
	return err
}

// entriesText names the entries of a document's parts.
func entriesText(first uint64, parts uint32) string {
	if parts == 1 {
		return fmt.Sprintf("entry %d", first)
	}
	return fmt.Sprintf("entries %d to %d", first, first+uint64(parts)-1)
}

// maxLines is how many changes people are shown; `daybook domains diff` shows all.
const maxLines = 60

func writeChanges(b *strings.Builder, p *apiv1.MapProposal) {
	for i, line := range p.Changes {
		if i == maxLines {
			fmt.Fprintf(b, "            and more: `daybook domains diff` shows all\n")
			break
		}
		name := ""
		if i == 0 {
			name = "changes"
		}
		fmt.Fprintf(b, "%-11s %s\n", name, line)
	}
}

func writeApprovers(b *strings.Builder, p *apiv1.MapProposal) {
	if len(p.Approved) > 0 {
		fmt.Fprintf(b, "approved by %s\n", strings.Join(p.Approved, ", "))
	}
	if len(p.Missing) > 0 {
		fmt.Fprintf(b, "missing     %s\n\nEach of them, under their own identity:  daybook domains approve %.8x\n", strings.Join(p.Missing, ", "), p.Sha256)
	}
}

// A mapApprover holds the flags of `daybook domains approve`.
type mapApprover struct {
	conn           connection
	latest, asJSON bool
	ticket         string
}

func newDomainsApproveCommand() *cobra.Command {
	a := new(mapApprover)
	cmd := &cobra.Command{
		Use:   "approve {SHA256 | --latest}",
		Short: "Approve a proposed version of the domain map",
		Long: `approve puts your approval of a proposal into the log, under your own identity. What
you approve is the document with that SHA-256 sum, which is fetched with its proofs
and whose changes are shown. With the last approval that it needs the version comes
into force.

Review it before:  daybook domains get --sha256 SHA256 -o proposed.yaml
                   daybook domains diff proposed.yaml`,
		Example: `  daybook domains approve 9f86d081 --identity ~/.daybook/cco
  daybook domains approve --latest --ticket CHG-4711`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == a.latest {
				return usagef("name the proposal by its SHA-256 sum, or give --latest")
			}
			return a.do(cmd, args)
		},
	}
	a.conn.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&a.latest, "latest", false, "the newest open proposal")
	f.StringVar(&a.ticket, "ticket", "", "`ticket` under which it was agreed")
	f.BoolVar(&a.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (a *mapApprover) do(cmd *cobra.Command, args []string) error {
	c, err := a.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if a.latest {
		all, err := c.DomainMaps(cmd.Context())
		if err != nil {
			return err
		}
		if len(all.Proposals) == 0 {
			return errors.New("there is no open proposal: see `daybook domains history`")
		}
		args = []string{hex.EncodeToString(all.Proposals[0].Sha256)}
	}
	sum, err := findSum(cmd, c, args[0], true)
	if err != nil {
		return err
	}
	proposed, err := c.DomainMapBySum(cmd.Context(), sum)
	if err != nil {
		return err
	}
	approved, err := c.Approve(cmd.Context(), &daybookv1.Approval{
		Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: sum[:], Ticket: a.ticket})
	if err != nil {
		return err
	}
	if a.asJSON {
		return printApproved(cmd.OutOrStdout(), approved)
	}
	return a.print(cmd, c, proposed, approved)
}

func (a *mapApprover) print(cmd *cobra.Command, c *client.Client, proposed *client.DomainMap, approved *client.Approved) error {
	var b strings.Builder
	fmt.Fprintf(&b, "approved    %s\napproval    entry %d, proven to be in the log\nby          %s\n",
		sumOf(proposed), approved.State.Index, approved.State.Approval.Approver)
	writeChanges(&b, proposed.Proposal)
	if v := approved.InForce; v != nil {
		fmt.Fprintf(&b, "in force    for the entries after %d\n", v.Index)
	} else if left, err := c.DomainMapBySum(cmd.Context(), [32]byte(approved.State.Approval.Sha256)); err == nil && left.Proposal != nil {
		writeApprovers(&b, left.Proposal)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}
