package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// reindexReport is what `reindex --json` prints.
type reindexReport struct {
	Entries uint64 `json:"entries"` // of the log
	Indexed uint64 `json:"indexed"` // in tables; the next start indexes the others
}

func newReindexCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reindex --data DIR",
		Short: "Build the search index of a stopped log anew",
		Long: `Remove the search index and build it again from the entries. The index is
derived: nothing of the log itself is read from it or changed. Stop the server
first. If this is interrupted, the next start of the server goes on from there.`,
		Example: `  daybookd reindex --data /srv/daybook
  daybookd reindex --data /srv/daybook --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr())
			report, err := reindex(cmd.Context(), dir, bar.show)
			bar.end()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok: the index of %d entries is built anew%s\n", report.Entries, demoMark(dir))
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func reindex(ctx context.Context, dir datadir.Dir, progress func(done, total uint64)) (report reindexReport, err error) {
	exists, err := dir.Exists()
	if err != nil {
		return report, err
	}
	if !exists {
		return report, fmt.Errorf("%s holds no log: check the path", dir)
	}
	engine, err := pebblestore.Open(pebblestore.Options{Dir: dir.Store(), MustExist: true, Logger: quiet})
	if isServed(err) {
		return report, fmt.Errorf("a server has %s: stop it, then run this again; its index is as it was", dir)
	}
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	head, err := engine.Head()
	if err != nil {
		return report, err
	}
	indexed, err := ledger.Reindex(ctx, engine, progress)
	if err != nil {
		err = fmt.Errorf("stopped at entry %d: %w\n  safe: the log itself\n  next: start the server, which goes on from there, or run this again", indexed, err)
	}
	return reindexReport{head.Size, indexed}, err
}
