package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/verify"
)

func newCheckpointCommand() *cobra.Command {
	var conn connection
	var vkey, policy, witnessed, asJSON bool
	var size, since uint64
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest checkpoint, the log's key, or a policy",
		Long: `checkpoint prints the log's newest checkpoint, a signed note, or with --witnessed the
newest one that the quorum of the log's witnesses cosigned.

--since prints the proof that the log goes on from the checkpoint of that size, such as
one on a key card: what ` + "`daybook-verify bundle --proof`" + ` and ` + "`consistency`" + ` take.

--policy prints what an auditor's program needs to trust: the log's key, and its
witnesses with their quorum where the log has any. Compare them with what the
witnesses themselves publish: which ones to believe is the auditor's choice.`,
		Example: `  daybook checkpoint
  daybook checkpoint --size 1000
  daybook checkpoint --since 1000 --size 5000 > proof.txt
  daybook checkpoint --witnessed
  daybook checkpoint --policy > policy.txt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if vkey && policy {
				return usagef("--vkey and --policy exclude each other")
			}
			switch {
			case witnessed && (size != 0 || since != 0 || vkey || policy):
				return usagef("--witnessed stands alone")
			case since != 0 && (vkey || policy):
				return usagef("--since goes with --size alone")
			}
			if vkey {
				return printKey(cmd, &conn)
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			if policy {
				return printPolicy(cmd, c)
			}
			if witnessed {
				cp, err := c.Witnessed(cmd.Context())
				return printCheckpoint(cmd, cp, err, asJSON)
			}
			return printAt(cmd, c, since, size, asJSON)
		},
	}
	conn.flags(cmd)
	cmd.Flags().BoolVar(&vkey, "vkey", false, "print the log's verifier key")
	cmd.Flags().BoolVar(&policy, "policy", false, "print a policy (c2sp tlog-policy) that accepts this log, with its witnesses")
	cmd.Flags().BoolVar(&witnessed, "witnessed", false, "the newest checkpoint that the quorum of witnesses cosigned")
	cmd.Flags().Uint64Var(&size, "size", 0, "the checkpoint of this past size, any up to the newest")
	cmd.Flags().Uint64Var(&since, "since", 0, "the proof that it goes on from the checkpoint of this `size`, one hash a line")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printAt prints the checkpoint of a size, or the proof that it goes on from an
// older one.
func printAt(cmd *cobra.Command, c *client.Client, older, size uint64, asJSON bool) error {
	if older != 0 {
		return printConsistency(cmd, c, older, size, asJSON)
	}
	cp, err := c.Checkpoint(cmd.Context(), size)
	return printCheckpoint(cmd, cp, err, asJSON)
}

// printConsistency prints the consistency proof between two sizes, as a proof file.
func printConsistency(cmd *cobra.Command, c *client.Client, older, newer uint64, asJSON bool) error {
	proof, to, err := c.Consistency(cmd.Context(), older, newer)
	if err != nil {
		return err
	}
	text := verify.FormatHashes(proof)
	if asJSON {
		lines := strings.Fields(string(text))
		return printJSON(cmd.OutOrStdout(), map[string]any{"first": older, "second": to.Size, "proof": append([]string{}, lines...), "checkpoint": string(to.Note)})
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// printCheckpoint prints a checkpoint, or returns why there is none.
func printCheckpoint(cmd *cobra.Command, cp *client.Checkpoint, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"origin": cp.Origin, "size": cp.Size, "root": fmt.Sprintf("%x", cp.Root),
			"time": cp.Time.UTC().Format(time.RFC3339Nano), "checkpoint": string(cp.Note)})
	}
	_, err = cmd.OutOrStdout().Write(cp.Note)
	return err
}

// printKey prints what the profile says, and the state directory of what followed;
// it asks no server.
func printKey(cmd *cobra.Command, conn *connection) error {
	p, err := client.LoadProfile(conn.profile)
	if err != nil {
		return err
	}
	keys, err := p.KnownKeys()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), keys.Current().VKey)
	return err
}

// printPolicy prints the log's policy, which trusts the profile's key.
func printPolicy(cmd *cobra.Command, c *client.Client) error {
	text, _, err := c.Policy(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}
