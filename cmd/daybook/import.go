package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/importer"
	"github.com/daybook-ledger/daybook/client/mapping"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// importFlags are the flags of `daybook import`.
type importFlags struct {
	connection
	format     string
	provenance string
	batch      int
	rate       float64
	receipts   string
	pairs      int
	json       bool
}

// newImportCommand is `daybook import`.
func newImportCommand() *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "import --format FORMAT FILE...",
		Short: "Import the records of other systems' logs",
		Long: `Import turns each record of the files into one event and appends it. Files are
JSON lines, gzip or not; - is standard input. CloudTrail's own {"Records":[...]}
files are read as well.

A file is one run, named by the SHA-256 of its decompressed bytes: importing it
twice adds nothing, and an import that was stopped goes on where it was. A
record that is no event is skipped; the log then holds a Declined with the
reason under its number. Accepted, duplicate and skipped records add up to the
records of the files.

Formats: ` + strings.Join(mapping.Names(), ", ") + `.`,
		Example: `  daybook import --format cloudtrail trail.json.gz
  zcat auth-*.gz | daybook import --format lanl-auth -
  daybook import --format xroad --receipts ./receipts --json opmon.jsonl`,
		RunE: func(cmd *cobra.Command, files []string) error { return f.run(cmd, files) },
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", "format of the files: "+strings.Join(mapping.Names(), ", "))
	flags.StringVar(&f.provenance, "provenance", "backfill", "how you have the records: backfill (after the fact, from a file) or second-hand (as they happen, from another system)")
	flags.IntVar(&f.batch, "batch", 512, "most records in one batch, 1 to 4096")
	flags.Float64Var(&f.rate, "rate", 0, "most records per second; 0: as many as the log takes")
	flags.StringVar(&f.receipts, "receipts", "", "write the receipt of every entry into this directory")
	flags.IntVar(&f.pairs, "pairs", 20, "most pairs of domains to print")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// provenances are the values of --provenance.
var provenances = map[string]daybookv1.Provenance{
	"backfill":    daybookv1.Provenance_PROVENANCE_BACKFILL,
	"second-hand": daybookv1.Provenance_PROVENANCE_SECOND_HAND,
}

// check finds the mapping, and reports the first flag that makes no sense.
func (f *importFlags) check(files []string) (*mapping.Mapping, error) {
	if f.format == "" {
		return nil, usagef("--format is missing: one of %s", strings.Join(mapping.Names(), ", "))
	}
	m, err := mapping.Find(f.format)
	switch {
	case err != nil:
		return nil, usagef("--format: %v", err)
	case len(files) == 0:
		return nil, usagef("no file is named; - is standard input")
	case provenances[f.provenance] == daybookv1.Provenance_PROVENANCE_UNSPECIFIED:
		return nil, usagef("--provenance %q: backfill or second-hand", f.provenance)
	case f.batch < 1 || f.batch > verify.MaxBatchItems:
		return nil, usagef("--batch %d: 1 to %d", f.batch, verify.MaxBatchItems)
	case f.rate < 0 || f.pairs < 0 || f.patience <= 0:
		return nil, usagef("--rate, --pairs and --patience must not be negative")
	}
	return m, nil
}

// run imports all files, and prints the summary of what is in the log, also
// where one failed.
func (f *importFlags) run(cmd *cobra.Command, files []string) error {
	m, err := f.check(files)
	if err != nil {
		return err
	}
	c, err := f.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	total := newImportTotal()
	for _, path := range files {
		if err = f.importFile(cmd, c, m, path, total); err != nil {
			err = fmt.Errorf("importing %s: %w", path, err)
			break
		}
	}
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("stopped: what is counted is in the log, and the same command goes on from there: %w", err)
	}
	return errors.Join(err, f.print(cmd.OutOrStdout(), total))
}

// importFile imports one file.
func (f *importFlags) importFile(cmd *cobra.Command, c *client.Client, m *mapping.Mapping, path string, total *importTotal) (err error) {
	open := func() (*importer.File, error) { return importer.Open(path, m) }
	if path == "-" {
		open = func() (*importer.File, error) { return importer.Spool(path, cmd.InOrStdin(), m) }
	}
	file, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bar := newProgress(cmd.ErrOrStderr(), file)
	defer bar.Finish()
	summary, err := importer.Run(cmd.Context(), c, file, importer.Options{
		Provenance: provenances[f.provenance],
		Batch:      f.batch,
		Rate:       f.rate,
		OnReceipt:  f.writeReceipts,
		OnProgress: func(records uint64) { bar.Set64(int64(records)) },
	})
	if summary != nil {
		total.add(file, m, summary)
	}
	return err
}

// writeReceipts writes a receipt's files where they are asked for.
func (f *importFlags) writeReceipts(r *client.Receipt) error {
	if f.receipts == "" {
		return nil
	}
	for i := range r.Len() {
		if err := r.WriteFiles(f.receipts, i); err != nil {
			return err
		}
	}
	return nil
}

// newProgress makes a progress bar, which is silent where w is no terminal.
func newProgress(w io.Writer, file *importer.File) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions64(int64(file.Records),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription(file.Name),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("records"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}
