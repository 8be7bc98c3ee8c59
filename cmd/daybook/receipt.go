package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
)

// receiptsAtOnce is how many receipts one call may ask for.
const receiptsAtOnce = 1000

func newReceiptCommand() *cobra.Command {
	var conn connection
	var eventID, dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "receipt INDEX... | --event-id ID",
		Short: "Write receipts that anybody can verify offline",
		Long: `receipt writes INDEX.tlog-proof (c2sp tlog-proof) and INDEX.entry (the entry's
bytes) into a directory, each checked before it is written. An auditor checks
them with the log's policy alone: daybook-verify receipt --policy FILE ...`,
		Example: `  daybook receipt 42 -o receipts
  daybook receipt --event-id 875240ac-e821-4fc6-a311-8c352a1d20f5
  daybook checkpoint --policy > policy.txt
  daybook-verify receipts receipts --policy policy.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			indexes := make([]uint64, len(args))
			for i, arg := range args {
				var err error
				if indexes[i], err = parseIndex(arg); err != nil {
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
				entries, err := fetch(cmd, c, 0, eventID)
				if err != nil {
					return err
				}
				for _, e := range entries {
					indexes = append(indexes, e.Index)
				}
			}
			return writeReceipts(cmd, c, indexes, dir, asJSON)
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&eventID, "event-id", "", "every entry with this event id")
	cmd.Flags().StringVarP(&dir, "output", "o", ".", "`directory` to write into")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func writeReceipts(cmd *cobra.Command, c *client.Client, indexes []uint64, dir string, asJSON bool) error {
	var files []string
	for len(indexes) > 0 {
		n := min(len(indexes), receiptsAtOnce)
		receipts, err := c.Receipts(cmd.Context(), indexes[:n]...)
		if err != nil {
			return err
		}
		for _, r := range receipts {
			if err := client.WriteReceipt(dir, r.Index, r.Proof, r.Entry); err != nil {
				return err
			}
			files = append(files, filepath.Join(dir, fmt.Sprintf("%d.tlog-proof", r.Index)))
		}
		indexes = indexes[n:]
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
