package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/client"
)

// demoPairs is how many pairs the demo prints.
const demoPairs = 12

// newDemoCommand is `daybookd demo`.
func newDemoCommand() *cobra.Command {
	d := &demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a log of real records, show what it proves, and serve it",
		Long: `Demo makes a log in a temporary directory, serves it with TLS on free loopback
ports, imports a sample of real records over gRPC, takes a receipt and checks it
as an examiner would, and shows that a changed or missing entry is caught. Then
it serves until Ctrl-C.

Nothing leaves this machine. The directory is removed at the end, unless --data
names one: it is kept, and used again the next time.`,
		Example: `  daybookd demo
  daybookd demo --data /tmp/daybook-demo
  daybookd demo --exit`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out, d.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.data, "data", "", "directory of the log; kept at the end (default: a temporary one)")
	cmd.Flags().BoolVar(&d.exit, "exit", false, "end after the checks; exit code 1 where one failed")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	data string
	exit bool
	// shown is the index of the entry that is looked at.
	shown uint64
	out   io.Writer
	// stderr takes the server's warnings.
	stderr io.Writer
}

// errDemo says that a check of the demo failed; which, was printed.
var errDemo = &silentError{errors.New("a check of the demo failed")}

// run runs the demo until its end, or until ctx ends.
func (d *demo) run(ctx context.Context) (err error) {
	if d.data == "" {
		parent, err := os.MkdirTemp("", "daybook-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(parent)
		d.data = filepath.Join(parent, "log")
	}
	s, err := startDemoServer(ctx, d.data, d.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	err = d.show(ctx, s, c)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && !errors.Is(err, errDemo):
		return err
	case d.exit:
		return err
	}
	d.printNext(s)
	return errors.Join(err, s.Wait())
}

// show imports, prints and checks.
func (d *demo) show(ctx context.Context, s *demoServer, c *client.Client) error {
	fmt.Fprintf(d.out, "%s  Daybook: a log of every access between domains, which nobody can rewrite unnoticed\n\n", d.bold("DEMO"))
	fmt.Fprintf(d.out, "Log %s in %s\n\n", d.bold(s.Origin), s.Dir)
	fmt.Fprintf(d.out, "Real records, de-identified, imported over gRPC with TLS\n")
	began := time.Now()
	var x *examiner
	imported, err := importSamples(ctx, d.out, c, func() (err error) {
		x, err = newExaminer(c, s.VKey, s.receipts())
		return err
	})
	if err != nil {
		return err
	}
	records := imported.total.Accepted + imported.total.Duplicates + imported.total.Skipped
	fmt.Fprintf(d.out, "  %s records in %.1f s, each with a receipt that was checked\n\n", thousands(records), time.Since(began).Seconds())
	if err := imported.printPairs(d.out, demoPairs); err != nil {
		return err
	}
	if x.index, err = tellStory(ctx, d.out, s, c); err != nil {
		return err
	}
	d.shown = x.index
	if err := s.writePolicy(); err != nil {
		return err
	}
	return d.check(ctx, x)
}

// check runs the checks and prints what they saw.
func (d *demo) check(ctx context.Context, x *examiner) error {
	fmt.Fprintln(d.out, "What can be checked, with nothing but the log's public key")
	failed := false
	for _, check := range x.checks() {
		seen, err := check.keep(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		mark := d.bold("ok    ")
		if err != nil {
			mark, seen, failed = d.bold("FAILED"), err.Error(), true
		}
		fmt.Fprintf(d.out, "  %s  %s\n          %s\n", mark, check.promise, seen)
	}
	fmt.Fprintln(d.out)
	if failed {
		return errDemo
	}
	return nil
}

// printNext prints where the log serves and what to try.
func (d *demo) printNext(s *demoServer) {
	profile := quoted(s.Dir.Profile())
	certificate, key := s.Dir.Client("producer")
	daybook, auditor := programs()
	fmt.Fprintf(d.out, "It serves until Ctrl-C: gRPC %s (ingest) and %s (query), REST https://%s\nIn another terminal:\n\n",
		s.Addresses.Ingest, s.Addresses.Query, s.Addresses.QueryHTTP)
	for _, line := range []string{
		fmt.Sprintf("export DAYBOOK_PROFILE=%s", profile),
		fmt.Sprintf("%s list --limit 5", daybook),
		fmt.Sprintf("%s get %d", daybook, d.shown),
		fmt.Sprintf("%s receipts %s --policy %s", auditor, quoted(s.receipts()), quoted(s.policy())),
		fmt.Sprintf("%s export --from-tier test --to-tier production -o case.zip", daybook),
		fmt.Sprintf("%s bundle --policy %s case.zip", auditor, quoted(s.policy())),
		fmt.Sprintf("curl --cacert %s --cert %s --key %s 'https://%s/v1/entries/%d'",
			quoted(s.Dir.Bundle()), quoted(certificate), quoted(key), s.Addresses.QueryHTTP, d.shown),
	} {
		fmt.Fprintln(d.out, "  "+line)
	}
	fmt.Fprintln(d.out)
}

// programs returns how the other programs are called: with go run where this
// one was.
func programs() (daybook, auditor string) {
	path, err := os.Executable()
	if err == nil && strings.Contains(filepath.ToSlash(path), "/go-build") {
		return "go run ./cmd/daybook", "go run ./cmd/daybook-verify"
	}
	return "daybook", "daybook-verify"
}

// bold marks words on a terminal.
func (d *demo) bold(s string) string {
	f, ok := d.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("NO_COLOR") != "" {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}
