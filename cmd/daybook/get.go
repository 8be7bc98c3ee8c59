package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

func newGetCommand() *cobra.Command {
	var conn connection
	var eventID string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "get INDEX | --event-id ID",
		Short: "Show an entry, proven to be in the log",
		Example: `  daybook get 42
  daybook get --event-id 875240ac-e821-4fc6-a311-8c352a1d20f5 --json`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (eventID != "") {
				return usagef("give an index or --event-id")
			}
			index := uint64(0)
			if len(args) == 1 {
				var err error
				if index, err = parseIndex(args[0]); err != nil {
					return err
				}
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			entries, err := fetch(cmd, c, index, eventID)
			if err != nil {
				return err
			}
			return printEntries(cmd.OutOrStdout(), entries, asJSON)
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&eventID, "event-id", "", "every entry with this event id; `hex:...` for ids that are not text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func parseIndex(arg string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 63)
	if err != nil {
		return 0, usagef("%q is no index: want a decimal number from 0", arg)
	}
	return n, nil
}

func fetch(cmd *cobra.Command, c *client.Client, index uint64, eventID string) ([]*client.Entry, error) {
	if eventID == "" {
		e, err := c.Entry(cmd.Context(), index)
		return []*client.Entry{e}, err
	}
	entries, err := c.Event(cmd.Context(), eventID)
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("no entry has the event id %q", eventID)
	}
	return entries, err
}

func printEntries(w io.Writer, entries []*client.Entry, asJSON bool) error {
	views := make([]*apiv1.EntryView, len(entries))
	for i, e := range entries {
		views[i] = e.View
	}
	if asJSON {
		return printViews(w, views, 0)
	}
	for _, v := range views {
		shown := withoutBytes(v)
		shown.Judgement = nil // in words
		text, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(shown)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "entry %d, proven to be in the log\n%s%s\n", v.Index, judgementText(v), text); err != nil {
			return err
		}
	}
	return nil
}
