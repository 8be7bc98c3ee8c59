package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/verify"
)

func newCheckpointCommand() *cobra.Command {
	var conn connection
	var vkey, policy, asJSON bool
	var size uint64
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest checkpoint, the log's key, or a policy",
		Example: `  daybook checkpoint
  daybook checkpoint --size 1000
  daybook checkpoint --policy > policy.txt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if vkey && policy {
				return usagef("--vkey and --policy exclude each other")
			}
			if vkey || policy {
				return printKey(cmd, &conn, policy)
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			cp, err := c.Checkpoint(cmd.Context(), size)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"origin": cp.Origin, "size": cp.Size, "root": fmt.Sprintf("%x", cp.Root),
					"time": cp.Time.UTC().Format(time.RFC3339Nano), "checkpoint": string(cp.Note)})
			}
			_, err = cmd.OutOrStdout().Write(cp.Note)
			return err
		},
	}
	conn.flags(cmd)
	cmd.Flags().BoolVar(&vkey, "vkey", false, "print the log's verifier key")
	cmd.Flags().BoolVar(&policy, "policy", false, "print a policy (c2sp tlog-policy) that accepts this log")
	cmd.Flags().Uint64Var(&size, "size", 0, "the checkpoint of this past size, any up to the newest")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printKey prints what the profile says; it asks no server.
func printKey(cmd *cobra.Command, conn *connection, policy bool) error {
	p, err := client.LoadProfile(conn.profile)
	if err != nil {
		return err
	}
	text := p.VKey + "\n"
	if policy {
		text = verify.FormatPolicy(p.VKey)
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}
