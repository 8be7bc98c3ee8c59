package main

import (
	"encoding/hex"
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
	"github.com/daybook-ledger/daybook/verify"
)

// A runsFilter holds the flags of `daybook runs`.
type runsFilter struct {
	producer, status string
	limit            int
}

func newRunsCommand() *cobra.Command {
	var conn connection
	var f runsFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs [RUN]",
		Short: "Show runs: how far each is signed by its producer, and what is missing",
		Long: `runs lists the lives of producers, newest first: how many events each holds, how
far its producer signed what it sent, which numbers were declined or lost,
whether it was resumed (by a restart, or by a take-over), has ended, or is
silent past its limit. With RUN, a run's id or its beginning, it shows all of
that one run.`,
		Example: `  daybook runs
  daybook runs --status silent
  daybook runs --producer spiffe://web.example.com/gateway --limit 5
  daybook runs 3f2a
  daybook runs --json | jq '.runs[] | select(.signed == null) | .run'`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := f.request()
			if err != nil {
				return err
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			if len(args) == 1 {
				return showRun(cmd, c, args[0], f.producer, asJSON)
			}
			var runs []*apiv1.RunView
			if err := c.Runs(cmd.Context(), request, f.limit, func(r *apiv1.RunView) bool {
				runs = append(runs, r)
				return true
			}); err != nil {
				return err
			}
			if asJSON {
				return printRunsJSON(cmd.OutOrStdout(), runs)
			}
			return printRuns(cmd.OutOrStdout(), runs)
		},
	}
	conn.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.producer, "producer", "", "producer's SPIFFE `URI`; the log's origin for the ledger's own runs")
	fl.StringVar(&f.status, "status", "", "open, ended or silent")
	fl.IntVar(&f.limit, "limit", 100, "most runs; 0: all")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.AddCommand(newGapCommand())
	return cmd
}

func (f *runsFilter) request() (*apiv1.ListRunsRequest, error) {
	r := &apiv1.ListRunsRequest{Producer: f.producer}
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if f.limit == 0 {
		r.PageSize = 1000
	}
	if f.status != "" {
		n, ok := apiv1.RunStatus_value["RUN_STATUS_"+strings.ToUpper(f.status)]
		if !ok || n == 0 {
			return nil, usagef("--status %q: open, ended or silent", f.status)
		}
		r.Status = apiv1.RunStatus(n)
	}
	return r, nil
}

func printRunsJSON(w io.Writer, runs []*apiv1.RunView) error {
	list := make([]json.RawMessage, len(runs))
	for i, r := range runs {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
		if err != nil {
			return err
		}
		list[i] = text
	}
	return printJSON(w, map[string]any{"runs": list})
}

func printRuns(w io.Writer, runs []*apiv1.RunView) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tPRODUCER\tOPENED\tLAST\tEVENTS\tDECLINED\tLOST\tSIGNED TO\tSTATE")
	for _, r := range runs {
		signed := "-"
		if r.Signed != nil {
			signed = fmt.Sprint(r.Signed.LastNumber)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", shortRun(r.Run), r.Producer, r.OpenedTime.AsTime().Format(time.RFC3339),
			r.LastNumber, r.Events, r.Declined, r.Lost, signed, runState(r))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d runs shown\n", len(runs))
	return err
}

func shortRun(id string) string { return id[:min(len(id), 16)] }

// runState is the state of a run in a word or two.
func runState(r *apiv1.RunView) string {
	state := "open"
	switch {
	case r.Ended && r.EndSigned:
		state = "ended, signed"
	case r.Ended:
		state = "ended"
	case r.Silent:
		state = "silent"
	}
	if r.Resumes > 0 {
		state += fmt.Sprintf(", resumed %dx", r.Resumes)
	}
	return state
}

func showRun(cmd *cobra.Command, c *client.Client, id, producer string, asJSON bool) error {
	r, err := c.FindRun(cmd.Context(), id, producer)
	if err != nil {
		return err
	}
	if asJSON {
		return printRunsJSON(cmd.OutOrStdout(), []*apiv1.RunView{r})
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("run", "%s", r.Run)
	row("producer", "%s", r.Producer)
	row("provenance", "%s", word(r.Provenance.String(), "PROVENANCE_"))
	row("software", "%s", r.Software)
	row("opened", "entry %d, %s", r.OpenedIndex, r.OpenedTime.AsTime().Format(time.RFC3339))
	if r.PreviousRun != "" {
		row("after run", "%s, its number %d", r.PreviousRun, r.PreviousLast)
	}
	if r.Import != nil {
		row("import", "%s by %s version %d, SHA-256 %x", r.Import.FileName, r.Import.Mapping, r.Import.MappingVersion, r.Import.FileSha256)
	}
	row("state", "%s", runState(r))
	row("epoch", "%d: resumed %d times, each by a restart of its producer or by a take-over", r.Epoch, r.Resumes)
	row("numbers", "%d: %d events, %d declined, %d lost in %d gaps", r.LastNumber, r.Events, r.Declined, r.Lost, r.Gaps)
	row("signed", "%s", r.SignedWords)
	if r.Signed != nil {
		row("signed by", "key %s, entry %d", r.Signed.KeyFingerprint, r.Signed.Index)
	}
	if h := r.Heartbeat; h != nil {
		row("heartbeat", "entry %d, up to number %d", h.Index, h.LastNumber)
	}
	if r.SilenceLimit != nil {
		row("silence limit", "%v", r.SilenceLimit.AsDuration())
	}
	row("newest entry", "%d, %s", r.LastIndex, r.LastTime.AsTime().Format(time.RFC3339))
	if r.Ended {
		row("ended", "%s", r.EndedReason)
	}
	return t.Flush()
}

// newGapCommand is `daybook runs gap`.
func newGapCommand() *cobra.Command {
	var conn connection
	var through uint64
	var reason string
	cmd := &cobra.Command{
		Use:   "gap RUN --through N --reason TEXT",
		Short: "Declare that numbers of a run are lost",
		Long: `gap declares the numbers from the run's next one through N as lost, where the
events they stood for cannot be sent any more. It is for a producer whose spool is
gone: what can still be sent is resent instead, under the same numbers.

It resumes the run under your identity, which must be its producer's: a process
that still holds the run is shut out for good, so stop it first. The declaration
stays in the log for ever, and raises an alert.`,
		Example: `  daybook runs gap 3f2a --through 120 --reason "the spool's disk was lost"`,
		Args:    exactlyOneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if through == 0 || reason == "" {
				return usagef("--through and --reason are needed")
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			return declareGap(cmd, c, args[0], through, reason)
		},
	}
	conn.flags(cmd)
	cmd.Flags().Uint64Var(&through, "through", 0, "last lost `number`")
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	return cmd
}

func exactlyOneRun(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("name one run")
	}
	return nil
}

func declareGap(cmd *cobra.Command, c *client.Client, id string, through uint64, reason string) error {
	view, err := c.FindRun(cmd.Context(), id, c.Producer())
	if err != nil {
		return err
	}
	if through <= view.LastNumber {
		return fmt.Errorf("number %d is in the log: the run's next is %d; nothing was declared", through, view.LastNumber+1)
	}
	raw, err := hex.DecodeString(view.Run)
	if err != nil || len(raw) != len(verify.Hash{}) {
		return fmt.Errorf("the server names a run %q", view.Run)
	}
	run, err := c.ResumeRun(cmd.Context(), client.RunOptions{ID: verify.Hash(raw), Provenance: view.Provenance, HeartbeatEvery: -1})
	if err != nil {
		return err
	}
	receipt, err := run.DeclareGap(cmd.Context(), through, reason)
	if err != nil {
		return err
	}
	if view.Provenance != daybookv1.Provenance_PROVENANCE_BACKFILL {
		if _, err := run.Heartbeat(cmd.Context()); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "entry %d: numbers %d-%d of run %s are declared lost\n", receipt.Index(0), view.LastNumber+1, through, view.Run)
	return err
}

// hexOf is the text of a run's id.
func hexOf(h verify.Hash) string { return hex.EncodeToString(h[:]) }
