package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A countsCommand holds the flags of `daybook counts`.
type countsCommand struct {
	conn                   connection
	from, to, since, until string
	asJSON                 bool
}

func newCountsCommand() *cobra.Command {
	c := new(countsCommand)
	cmd := &cobra.Command{
		Use:   "counts --from DOMAIN --to DOMAIN [--since TIME] [--until TIME]",
		Short: "Count the accesses between two domains by day",
		Long: `counts says how many accesses from one domain to another were logged on each day,
by who reported them, late ones apart. The periods are those of the closes: UTC
days, or parts of a day that was closed on demand, or days that the server missed
and closed at once. A period that --since or --until cuts is counted whole.

The numbers are the server's word. Those of a closed period can be proven: each is
the difference of what its close and the close before have of a stream, which
"daybook close --stream" looks up and checks. What came since the newest close
is proven by its entries alone: "daybook list".`,
		Example: `  daybook counts --from web --to prod-db
  daybook counts --from web --to prod-db --since 2026-01-01 --until 2027-01-01
  daybook counts --from web --to prod-db --json | jq '.total'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd) },
	}
	c.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.from, "from", "", "source `domain`, as entries have it")
	f.StringVar(&c.to, "to", "", "target `domain`")
	f.StringVar(&c.since, "since", "", "logged at or after this `time`, as 2026-11-24 (default the log's beginning)")
	f.StringVar(&c.until, "until", "", "logged before this `time` (default: to the newest entry)")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (c *countsCommand) request() (*apiv1.CountPairRequest, error) {
	if c.from == "" || c.to == "" {
		return nil, usagef("give both domains: --from and --to")
	}
	r := &apiv1.CountPairRequest{Source: c.from, Target: c.to}
	for _, bound := range []struct {
		name, text string
		to         **timestamppb.Timestamp
	}{{"since", c.since, &r.LoggedFrom}, {"until", c.until, &r.LoggedUntil}} {
		t, err := timeFlag(bound.name, bound.text)
		if err != nil {
			return nil, err
		}
		if bound.text != "" {
			*bound.to = timestamppb.New(t)
		}
	}
	if r.LoggedFrom != nil && r.LoggedUntil != nil && !r.LoggedUntil.AsTime().After(r.LoggedFrom.AsTime()) {
		return nil, usagef("--until is not after --since")
	}
	return r, nil
}

func (c *countsCommand) do(cmd *cobra.Command) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	conn, err := c.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	a, err := conn.CountPair(cmd.Context(), r)
	if err != nil {
		return err
	}
	if c.asJSON {
		return printCountsJSON(cmd.OutOrStdout(), a)
	}
	return c.print(cmd.OutOrStdout(), a)
}

func printCountsJSON(w io.Writer, a *apiv1.CountPairResponse) error {
	days, total := make([]json.RawMessage, len(a.Days)), uint64(0)
	for i, d := range a.Days {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(d)
		if err != nil {
			return err
		}
		days[i] = text
		total += d.Count
	}
	return printJSON(w, map[string]any{"days": days, "total": total, "tree_size": a.TreeSize})
}

// print shows a line for each period, and what can be proven of them.
func (c *countsCommand) print(w io.Writer, a *apiv1.CountPairResponse) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PERIOD\tCOUNT\tLATE\tBY SIDE\tCLOSE")
	var total, late uint64
	var closed, open *apiv1.PairDay // the newest closed one with an access, and the open one
	for _, d := range a.Days {
		when, proof := "since "+d.PeriodStart.AsTime().Format(time.RFC3339Nano), "not closed yet"
		if d.CloseIndex != 0 {
			when, proof = period(&daybookv1.Close{PeriodStartNs: d.PeriodStart.AsTime().UnixNano(), PeriodEndNs: d.PeriodEnd.AsTime().UnixNano()}), fmt.Sprint(d.CloseIndex)
			if d.Count > 0 {
				closed = d
			}
		} else {
			open = d
		}
		sides, tardy := sidesOf(d)
		total, late = total+d.Count, late+tardy
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", when, d.Count, tardy, sides, proof)
	}
	fmt.Fprintf(t, "total\t%d\t%d\t\t\n", total, late)
	if err := t.Flush(); err != nil {
		return err
	}
	if closed != nil {
		if err := c.printProof(w, closed); err != nil {
			return err
		}
	}
	if open != nil && open.Count > 0 {
		_, err := fmt.Fprintf(w, "%d since the newest close: no close proves those yet, their entries do: daybook list --source %s --target %s --logged-since %s\n",
			open.Count, c.from, c.to, open.PeriodStart.AsTime().Format(time.RFC3339Nano))
		return err
	}
	return nil
}

// printProof says how a number of a closed period is proven.
func (c *countsCommand) printProof(w io.Writer, d *apiv1.PairDay) error {
	s := d.Streams[0]
	name := "access," + c.from + "," + c.to
	if s.Side != 0 {
		name += "," + word(s.Side.String(), "SIDE_")
	}
	if s.Late {
		name += ",late"
	}
	less := ""
	if d.PreviousCloseIndex != 0 {
		less = fmt.Sprintf(", less what --show %d has", d.PreviousCloseIndex)
	}
	_, err := fmt.Fprintf(w, "Each number of a close can be proven. For %d of those from %s on: daybook close --stream %s --show %d%s\n",
		s.Count, d.PeriodStart.AsTime().Format(time.RFC3339Nano), name, d.CloseIndex, less)
	return err
}

// sidesOf says who reported the accesses of a period, and how many came late.
func sidesOf(d *apiv1.PairDay) (text string, late uint64) {
	counts := map[daybookv1.Side]uint64{}
	for _, s := range d.Streams {
		counts[s.Side] += s.Count
		if s.Late {
			late += s.Count
		}
	}
	var parts []string
	for side := daybookv1.Side(0); side <= daybookv1.Side_SIDE_COLLECTOR; side++ {
		if n := counts[side]; n > 0 && side == 0 {
			parts = append(parts, fmt.Sprintf("unsaid %d", n))
		} else if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", word(side.String(), "SIDE_"), n))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-"), late
}
