package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
)

func newReceiptCommand() *cobra.Command {
	var conn connection
	var eventID, dir string
	var asJSON bool
	var w witnessed
	cmd := &cobra.Command{
		Use:   "receipt {INDEX | FIRST-LAST}... | --event-id ID",
		Short: "Write receipts that anybody can verify offline",
		Long: `receipt writes INDEX.tlog-proof (c2sp tlog-proof) and INDEX.entry (the entry's
bytes) into a directory, each checked before it is written. An auditor checks
them with the log's policy alone: daybook-verify receipt --policy FILE ...

FIRST-LAST are the entries from FIRST to LAST, both included. Many entries cost
the log little: it proves each range once, and the single receipts are cut from
that here.

With --witnessed it waits until the quorum of the log's witnesses has cosigned a
checkpoint that covers them, and writes the receipts under that one. The log checks
its own policy; --policy FILE has it checked against yours.`,
		Example: `  daybook receipt 42 -o receipts
  daybook receipt 40-90 100 -o receipts
  daybook receipt --event-id 875240ac-e821-4fc6-a311-8c352a1d20f5
  daybook receipt 42 --witnessed --timeout 2m
  daybook checkpoint --policy > policy.txt
  daybook-verify receipts receipts --policy policy.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ranges := make([]client.Range, len(args))
			for i, arg := range args {
				var err error
				if ranges[i], err = parseRange(arg); err != nil {
					return err
				}
			}
			if (len(args) > 0) == (eventID != "") {
				return usagef("give indexes or --event-id")
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			if eventID != "" {
				if ranges, err = rangesOf(cmd, c, eventID); err != nil {
					return err
				}
			}
			at, err := w.wait(cmd, c, ranges)
			if err != nil {
				return err
			}
			return writeReceipts(cmd, c, ranges, at, dir, asJSON)
		},
	}
	conn.flags(cmd)
	w.flags(cmd)
	cmd.Flags().StringVar(&eventID, "event-id", "", "every entry with this event id")
	cmd.Flags().StringVarP(&dir, "output", "o", ".", "`directory` to write into")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// rangesOf names the entries of an event id.
func rangesOf(cmd *cobra.Command, c *client.Client, eventID string) ([]client.Range, error) {
	entries, err := fetch(cmd, c, 0, eventID)
	if err != nil {
		return nil, err
	}
	var ranges []client.Range
	for _, e := range entries {
		ranges = append(ranges, client.Range{Lo: e.Index, Hi: e.Index + 1})
	}
	return ranges, nil
}

// parseRange reads INDEX or FIRST-LAST.
func parseRange(arg string) (client.Range, error) {
	first, last, several := strings.Cut(arg, "-")
	lo, err := parseIndex(first)
	if err != nil || !several {
		return client.Range{Lo: lo, Hi: lo + 1}, err
	}
	hi, err := parseIndex(last)
	if err == nil && hi < lo {
		err = usagef("%q is no range: its last index is below its first", arg)
	}
	return client.Range{Lo: lo, Hi: hi + 1}, err
}

// writeReceipts writes the receipts under a checkpoint; nil: the newest.
func writeReceipts(cmd *cobra.Command, c *client.Client, ranges []client.Range, at *client.Checkpoint, dir string, asJSON bool) error {
	var files []string
	if err := c.ReceiptRangesAt(cmd.Context(), ranges, at, func(r *client.RangeReceipt) error {
		for i := range r.Entries {
			proof, entry, err := r.Files(i)
			if err != nil {
				return err
			}
			index := r.First + uint64(i)
			if err := client.WriteReceipt(dir, index, proof, entry); err != nil {
				return err
			}
			files = append(files, filepath.Join(dir, fmt.Sprintf("%d.tlog-proof", index)))
		}
		return nil
	}); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"receipts": files})
	}
	for _, f := range files {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), f); err != nil {
			return err
		}
	}
	return nil
}
