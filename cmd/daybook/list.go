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
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

func newListCommand() *cobra.Command {
	var conn connection
	f := newListFilter()
	var asJSON bool
	var values, prefix string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List entries by any indexed field and time, newest first",
		Long: `List the entries that satisfy every flag, newest first. A field of text is
searched by its whole value or, with the flag that ends in -prefix, by its begin.
What values a field has is told by --values.

Flow, and tier, function and owner of a side, are those of the domain map that was in
force for each entry: the map of today does not change what is found.`,
		Example: `  daybook list --source web --target prod-db --since 2026-11-01
  daybook list --actor alice@broker.example --decision denied
  daybook list --actor-prefix alice@ --verdict undeclared --late
  daybook list --ticket CHG-004711 --kind approval
  daybook list --source-tier test --target-tier production
  daybook list --flow nightly-export --verdict not-approved
  daybook list --values actor --prefix ali
  daybook list --ascending --json | jq '.entries[].place.verdict'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request()
			if err != nil {
				return err
			}
			if prefix != "" && values == "" {
				return usagef("--prefix goes with --values; to search by a prefix use a flag such as --actor-prefix")
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			if values != "" {
				return printValues(cmd, c, values, prefix, f.limit, asJSON)
			}
			var views []*apiv1.EntryView
			size, err := c.List(cmd.Context(), request, f.limit, func(v *apiv1.EntryView) bool {
				views = append(views, v)
				return true
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printViews(cmd.OutOrStdout(), views, size)
			}
			return printTable(cmd.OutOrStdout(), views, size)
		},
	}
	conn.flags(cmd)
	f.flags(cmd.Flags())
	cmd.Flags().StringVar(&values, "values", "", "list the values of a `field` instead: actor, source, target, operation, resource, producer, approver, ticket, purpose, grant-id")
	cmd.Flags().StringVar(&prefix, "prefix", "", "with --values: those that begin with this `text`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printValues prints what a field can be searched for.
func printValues(cmd *cobra.Command, c *client.Client, field, prefix string, limit int, asJSON bool) error {
	values, more, err := c.Values(cmd.Context(), strings.ReplaceAll(field, "-", "_"), prefix, limit)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"values": append([]string{}, values...), "more": more})
	}
	for _, v := range values {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), v); err != nil {
			return err
		}
	}
	if more {
		fmt.Fprintln(cmd.ErrOrStderr(), "daybook: there are more: give a longer --prefix or a higher --limit")
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// printViews prints {"entries": [...], "tree_size": n} as one object.
func printViews(w io.Writer, views []*apiv1.EntryView, size uint64) error {
	list := make([]json.RawMessage, len(views))
	for i, v := range views {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(v)
		if err != nil {
			return err
		}
		list[i] = text
	}
	out := map[string]any{"entries": list}
	if size > 0 {
		out["tree_size"] = size
	}
	return printJSON(w, out)
}

// withoutBytes leaves out the entry bytes, which nobody reads on a terminal.
func withoutBytes(v *apiv1.EntryView) *apiv1.EntryView {
	c := proto.CloneOf(v)
	c.Entry = nil
	return c
}

func printTable(w io.Writer, views []*apiv1.EntryView, size uint64) error {
	if alertsAlone(views) {
		return printAlerts(w, views, size)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	why := judged(views)
	head := "INDEX\tOCCURRED\tSOURCE\tTARGET\tACTOR\tACTION\tOUTCOME\tVERDICT"
	if why {
		head += "\tFLOW\tAPPROVED BY"
	}
	fmt.Fprintln(t, head)
	for _, v := range views {
		at, actor, action, outcome := time.Unix(0, v.Head.LogTimeNs), "", word(v.Place.Kind.String(), "KIND_"), ""
		if e := v.GetEvent(); e != nil {
			at, actor = time.Unix(0, e.OccurredAtNs), e.Actor.GetId()
			action, outcome = e.Action.GetOperation(), word(e.Outcome.GetResult().String(), "OUTCOME_RESULT_")
		} else if m := v.GetAlert(); m != nil {
			action = "alert: " + alertWord(m)
		} else if m := v.GetActivity(); m != nil {
			actor, action = printable(m.Actor), "activity: "+word(m.Type.String(), "ACTIVITY_TYPE_")
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s", v.Index, at.UTC().Format(time.RFC3339),
			v.Place.Source, v.Place.Target, shorten(actor, 40), shorten(action, 32), outcome, word(v.Place.Verdict.String(), "VERDICT_"))
		if why {
			fmt.Fprintf(t, "\t%s\t%s", v.GetJudgement().GetFlow(), approvalCell(v))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d entries shown, of a log of %d\n", len(views), size)
	return err
}

func word(name, prefix string) string {
	name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
	if name == "unspecified" {
		return ""
	}
	return name
}

// shorten returns text for a cell of a table.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		s = string(r[:n-3]) + "..."
	}
	return printable(s)
}
