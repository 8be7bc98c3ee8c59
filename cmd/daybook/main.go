// Command daybook appends to a log and reads it: for producers, compliance
// staff and operators.
//
//	daybook list --source web --target prod-db
//
// stdout carries data only; everything else goes to stderr as `daybook: ...`.
// Exit codes: 0 good, 1 failed, 2 usage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work in the orderly way; with the handler gone
	// the second one ends the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "daybook: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(stderr, "daybook: %s\n", hint)
	}
	var usage *usageError
	if errors.As(err, &usage) || errors.Is(err, client.ErrNoProfile) {
		fmt.Fprintf(stderr, "daybook: see `%s --help`\n", command.CommandPath())
		return 2
	}
	return 1
}

// hintOf says what is safe, and what to do, where the error does not.
func hintOf(err error) string {
	var gaveUp *client.GaveUpError
	var fork *client.ForkError
	var over *client.TakenOverError
	switch {
	case errors.As(err, &gaveUp):
		return "nothing acknowledged is lost; start the server and run the same command again: what is in the log already is not added twice"
	case errors.As(err, &over):
		return "see `daybook runs " + hexOf(over.Run) + "` for who holds it now"
	case errors.As(err, &fork):
		return "do not use this log further: keep both checkpoints and show them to its operator and to your examiner"
	}
	return ""
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "daybook",
		Short: "Append to a Daybook log, import into it, and read it",
		Long: `daybook sends cross-domain access events to a log and reads them back with
proofs. It finds the log's address, the CA and your identity in a profile:
--profile FILE, else $DAYBOOK_PROFILE.

For example:  daybook import --format cloudtrail trail.json.gz
              daybook list --source web --target prod-db
              daybook receipt 42 -o receipts`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return cmd.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newAppendCommand(), newOfficerCommand(), newImportCommand(), newGetCommand(), newListCommand(), newReceiptCommand(),
		newCheckpointCommand(), newCloseCommand(), newCountsCommand(), newDriftCommand(), newExportCommand(), newRunsCommand(), newDomainsCommand(), newApproveCommand(), newRevokeCommand(),
		newApprovalsCommand(), newBenchCommand(), newGuideCommand(), newVersionCommand())
	return root
}

// noArgs refuses arguments that are not flags; atMost one more than n.
func noArgs(cmd *cobra.Command, args []string) error { return atMost(0)(cmd, args) }

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef("unexpected argument %q", args[n])
		}
		return nil
	}
}

// printJSON prints one object on one line.
func printJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
