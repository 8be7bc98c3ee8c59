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
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A listFilter holds the flags of `daybook list`.
type listFilter struct {
	source, target, kind                   string
	since, until, loggedSince, loggedUntil string
	ascending                              bool
	limit                                  int
}

func newListCommand() *cobra.Command {
	var conn connection
	var f listFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List entries by pair, kind and time, newest first",
		Example: `  daybook list --source web --target prod-db --since 2026-11-01
  daybook list --kind alert --limit 20
  daybook list --ascending --json | jq '.entries[].place.verdict'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request()
			if err != nil {
				return err
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
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
	fl := cmd.Flags()
	fl.StringVar(&f.source, "source", "", "source domain `id`")
	fl.StringVar(&f.target, "target", "", "target domain `id`")
	fl.StringVar(&f.kind, "kind", "", "kind: access, declined, gap, run-opened, alert, activity, ...")
	fl.StringVar(&f.since, "since", "", "accesses that occurred at or after this `time` (RFC 3339, or a date in UTC)")
	fl.StringVar(&f.until, "until", "", "accesses that occurred before this `time`")
	fl.StringVar(&f.loggedSince, "logged-since", "", "entries logged at or after this `time`")
	fl.StringVar(&f.loggedUntil, "logged-until", "", "entries logged before this `time`")
	fl.BoolVar(&f.ascending, "ascending", false, "oldest first")
	fl.IntVar(&f.limit, "limit", 100, "most entries; 0: all")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (f *listFilter) request() (*apiv1.ListEntriesRequest, error) {
	r := &apiv1.ListEntriesRequest{Source: f.source, Target: f.target, Ascending: f.ascending}
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if f.limit > 0 {
		r.PageSize = int32(min(f.limit, 1000))
	}
	if f.kind != "" {
		n, ok := daybookv1.Kind_value["KIND_"+strings.ToUpper(strings.ReplaceAll(f.kind, "-", "_"))]
		if !ok || n == 0 {
			return nil, usagef("--kind %q is no kind", f.kind)
		}
		r.Kind = daybookv1.Kind(n)
	}
	for _, t := range []struct {
		name, text string
		to         **timestamppb.Timestamp
	}{{"since", f.since, &r.OccurredFrom}, {"until", f.until, &r.OccurredUntil},
		{"logged-since", f.loggedSince, &r.LoggedFrom}, {"logged-until", f.loggedUntil, &r.LoggedUntil}} {
		if t.text == "" {
			continue
		}
		at, err := parseTime(t.text)
		if err != nil {
			return nil, usagef("--%s %q: want a date such as 2026-11-01 or a time such as 2026-11-01T09:30:00Z", t.name, t.text)
		}
		*t.to = timestamppb.New(at)
	}
	return r, nil
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
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "INDEX\tOCCURRED\tSOURCE\tTARGET\tACTOR\tACTION\tOUTCOME\tVERDICT")
	for _, v := range views {
		at, actor, action, outcome := time.Unix(0, v.Head.LogTimeNs), "", word(v.Place.Kind.String(), "KIND_"), ""
		if e := v.GetEvent(); e != nil {
			at, actor = time.Unix(0, e.OccurredAtNs), e.Actor.GetId()
			action, outcome = e.Action.GetOperation(), word(e.Outcome.GetResult().String(), "OUTCOME_RESULT_")
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Index, at.UTC().Format(time.RFC3339),
			v.Place.Source, v.Place.Target, shorten(actor, 40), shorten(action, 32), outcome, word(v.Place.Verdict.String(), "VERDICT_"))
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

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}
