// Command daybookd is the ledger server: it makes a log, serves it, and checks it.
//
//	daybookd serve --data ./log --dev
//
// stdout carries data only; everything else goes to stderr as `daybookd: ...`.
// Exit codes: 0 good, 1 failed, 2 usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work in the orderly way; with the handler gone
	// the second one ends the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var silent *silentError
	if !errors.As(err, &silent) {
		fmt.Fprintf(stderr, "daybookd: %v\n", err)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "daybookd: see `%s --help`\n", command.CommandPath())
		return 2
	}
	return 1
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// silentError fails a command that has said why already, as its data.
type silentError struct{ error }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "daybookd",
		Short: "Keep an immutable log of every access across a domain boundary",
		Long: `daybookd keeps an append-only Merkle log of cross-domain access events that
nobody, its operator included, can rewrite or thin out unnoticed.

Try it:       daybookd demo
For real:     daybookd init --data DIR --origin example.com/audit
              daybookd serve --data DIR`,
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
	root.AddCommand(newInitCommand(), newServeCommand(), newStatusCommand(), newFsckCommand(), newReindexCommand(), newDemoCommand(), newMirrorCommand(), newSucceedCommand(), newIdentityCommand(), newKeyCommand(), newConfigCommand(), newVersionCommand())
	return root
}

// noArgs refuses arguments that are not flags.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
