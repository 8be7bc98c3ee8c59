package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// parseStream reads kind,source,target[,side][,late].
func parseStream(text string) (*apiv1.StreamName, error) {
	fields := strings.Split(text, ",")
	if len(fields) < 3 || len(fields) > 5 {
		return nil, usagef("stream %q: want kind,source,target[,side][,late], as access,web,prod-db,source", text)
	}
	kind := daybookv1.Kind_value["KIND_"+strings.ToUpper(strings.ReplaceAll(fields[0], "-", "_"))]
	if kind == 0 {
		return nil, usagef("stream %q: %q is no kind; see `daybook list --help`", text, fields[0])
	}
	s := &apiv1.StreamName{Kind: daybookv1.Kind(kind), Source: fields[1], Target: fields[2]}
	rest := fields[3:]
	if len(rest) > 0 && rest[len(rest)-1] == "late" {
		s.Late, rest = true, rest[:len(rest)-1]
	}
	if len(rest) == 1 {
		side, ok := daybookv1.Side_value["SIDE_"+strings.ToUpper(rest[0])]
		if !ok || side == 0 {
			return nil, usagef("stream %q: side %q is not source, target, gateway or collector", text, rest[0])
		}
		s.Side = daybookv1.Side(side)
	} else if len(rest) != 0 {
		return nil, usagef("stream %q: after the target come a side and `late`", text)
	}
	return s, nil
}

// parseRunName reads producer[,run id in hex].
func parseRunName(text string) (*apiv1.RunName, error) {
	producer, id, isRun := strings.Cut(text, ",")
	r := &apiv1.RunName{Producer: producer}
	if !isRun {
		return r, nil
	}
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 32 {
		return nil, usagef("run %q: the run id is 64 hex digits", text)
	}
	r.Run = b
	return r, nil
}

// period says which time a close covers.
func period(c *daybookv1.Close) string {
	from, to := time.Unix(0, c.PeriodStartNs).UTC(), time.Unix(0, c.PeriodEndNs).UTC()
	if c.PeriodEndNs-c.PeriodStartNs == verify.Day && verify.DayStart(c.PeriodStartNs) == c.PeriodStartNs {
		return from.Format(time.DateOnly)
	}
	return from.Format(time.RFC3339) + " to " + to.Format(time.RFC3339Nano)
}

func (c *closeCommand) printList(cmd *cobra.Command, conn *client.Client) error {
	var all []*apiv1.CloseView
	if err := conn.Closes(cmd.Context(), c.limit, func(v *apiv1.CloseView) bool { all = append(all, v); return true }); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.asJSON {
		b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&apiv1.ListClosesResponse{Closes: all})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", b)
		return err
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "INDEX\tPERIOD\tENTRIES\tCUT\tSTREAMS\tRUNS")
	for _, v := range all {
		m := v.Close
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\n", v.Index, period(m), m.Cut-m.PreviousCut, m.Cut, m.Streams.GetRows(), m.Runs.GetRows())
	}
	return t.Flush()
}

// print shows a close that was proven, or its slip.
func (c *closeCommand) print(cmd *cobra.Command, closed *client.Closed) error {
	out := cmd.OutOrStdout()
	slip, slipErr := closed.Slip()
	if c.slip && !c.asJSON {
		if slipErr != nil {
			return slipErr
		}
		_, err := fmt.Fprintln(out, slip)
		return err
	}
	if c.asJSON {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(closed.Close)
		if err != nil {
			return err
		}
		return printJSON(out, map[string]any{"index": closed.Index, "origin": closed.Origin, "close": rawJSON(text), "slip": slip, "verdict": "VERIFIED"})
	}
	m := closed.Close
	_, err := fmt.Fprintf(out, "close       entry %d, proven to be in the log\nperiod      %s\nentries     %d, of a log of %d\nroot        %x\nstreams     %d, root %x\nruns        %d, root %x\n",
		closed.Index, period(m), m.Cut-m.PreviousCut, m.Cut, m.Root, m.Streams.Rows, m.Streams.Root, m.Runs.Rows, m.Runs.Root)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		name   string
		counts []*daybookv1.CloseCount
		word   func(uint32) string
	}{
		{"kinds", m.Kinds, func(n uint32) string { return word(daybookv1.Kind(n).String(), "KIND_") }},
		{"verdicts", m.Verdicts, func(n uint32) string { return word(daybookv1.Verdict(n).String(), "VERDICT_") }},
		{"alerts", m.Alerts, func(n uint32) string { return word(daybookv1.AlertType(n).String(), "ALERT_TYPE_") }},
	} {
		if err := printCounts(out, list.name, list.counts, list.word); err != nil {
			return err
		}
	}
	return nil
}

func printCounts(out io.Writer, name string, counts []*daybookv1.CloseCount, word func(uint32) string) error {
	var parts []string
	for _, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", word(n.Value), n.Count))
	}
	if len(parts) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%-11s %s\n", name, strings.Join(parts, ", "))
	return err
}

// rawJSON is JSON that stands as it is in an object.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// writeRow shows a row, or its absence, that was checked.
func (c *closeCommand) writeRow(cmd *cobra.Command, r *apiv1.GetCloseRowRequest, row *client.CloseRow) error {
	var name proto.Message = r.Stream
	what := "run "
	if r.Stream != nil {
		what = "stream " + c.stream
	} else {
		name, what = r.Run, what+c.run
	}
	out := cmd.OutOrStdout()
	if c.asJSON {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(name)
		if err != nil {
			return err
		}
		answer := map[string]any{"verdict": "VERIFIED", "present": row.Row != nil, "name": rawJSON(text), "close_index": row.Index,
			"period_start_ns": row.Close.PeriodStartNs, "period_end_ns": row.Close.PeriodEndNs, "cut": row.Close.Cut}
		if row.Row != nil {
			answer["count"], answer["root"] = row.Row.Row.Count, hex.EncodeToString(row.Row.Row.Root[:])
		}
		return printJSON(out, answer)
	}
	if row.Row == nil {
		_, err := fmt.Fprintf(out, "VERIFIED absent: the close of %s (entry %d) has no row of %s\n", period(row.Close), row.Index, what)
		return err
	}
	_, err := fmt.Fprintf(out, "VERIFIED row: %s in the close of %s (entry %d)\ncount       %d\nroot        %x\n",
		what, period(row.Close), row.Index, row.Row.Row.Count, row.Row.Row.Root)
	return err
}
