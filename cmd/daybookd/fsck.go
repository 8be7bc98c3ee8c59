package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// fsckReport is what `fsck --json` prints.
type fsckReport struct {
	Entries       uint64  `json:"entries"`
	OK            bool    `json:"ok"`
	FirstBadIndex *uint64 `json:"first_bad_index,omitempty"` // where not ok
	Reason        string  `json:"reason,omitempty"`
}

func reportOf(r ledger.FsckResult) fsckReport {
	report := fsckReport{Entries: r.Entries, OK: r.OK}
	if !r.OK {
		report.FirstBadIndex, report.Reason = &r.FirstBadIndex, r.Reason
	}
	return report
}

func newFsckCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck --data DIR",
		Short: "Re-derive every leaf, tile, stream, close and root of a log",
		Long: `Read the whole log and compute everything again from the entries' bytes: leaf
hashes, tiles, stream positions, runs, closes, verdicts, the alerts that follow
from the entries, the root at every commit, and the tables of the search index. A log that is being served is checked through its
admin listener, at its present size.`,
		Example: `  daybookd fsck --data /srv/daybook
  daybookd fsck --data /srv/daybook --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr())
			report, err := check(cmd.Context(), dir, bar.show)
			bar.end()
			if err != nil {
				return err
			}
			if asJSON {
				return report.printJSON(cmd.OutOrStdout())
			}
			return report.print(cmd.OutOrStdout(), demoMark(dir))
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// check checks a log, served or stopped.
func check(ctx context.Context, dir datadir.Dir, progress func(done, total uint64)) (report fsckReport, err error) {
	engine, err := openStopped(dir)
	if isServed(err) {
		return askFsck(ctx, dir, progress)
	}
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	result, err := ledger.Fsck(ctx, engine, progress)
	return reportOf(result), err
}

// askFsck has the server of a directory check it.
func askFsck(ctx context.Context, dir datadir.Dir, progress func(done, total uint64)) (fsckReport, error) {
	conn, err := dialAdmin(dir)
	if err != nil {
		return fsckReport{}, err
	}
	defer conn.Close()
	stream, err := apiv1.NewAdminServiceClient(conn).Fsck(ctx, &apiv1.FsckRequest{})
	if err != nil {
		return fsckReport{}, adminError(dir, err)
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fsckReport{}, fmt.Errorf("the server of %s ended its check without a result", dir)
		}
		if err != nil {
			return fsckReport{}, adminError(dir, err)
		}
		if r.GetDone() {
			return reportOf(ledger.FsckResult{Entries: r.GetEntries(), OK: r.GetOk(), FirstBadIndex: r.GetFirstBadIndex(), Reason: r.GetReason()}), nil
		}
		progress(r.GetEntries(), r.GetTotal())
	}
}

// printJSON writes the report; one that is not good fails the command.
func (r fsckReport) printJSON(w io.Writer) error {
	if err := printJSON(w, r); err != nil {
		return err
	}
	if !r.OK {
		return &silentError{errors.New(r.Reason)}
	}
	return nil
}

// print writes the report for people.
func (r fsckReport) print(w io.Writer, mark string) error {
	if r.OK {
		_, err := fmt.Fprintf(w, "ok: %d entries; every leaf, tile, stream and root is as the entries say%s\n", r.Entries, mark)
		return err
	}
	return fmt.Errorf("the log is damaged at index %d: %s%s\n"+
		"  safe: the %d entries before it\n  next: stop the server, keep this directory as evidence, and restore the newest backup;\n"+
		"  where the search index alone is damaged, `daybookd reindex` builds it anew",
		*r.FirstBadIndex, r.Reason, mark, min(*r.FirstBadIndex, r.Entries))
}

// demoMark is what every report of a demonstration says.
func demoMark(dir datadir.Dir) string {
	if vkey, err := os.ReadFile(dir.LogVKey()); err == nil && isDemo(vkey) {
		return "  (DEMO: not for evidence)"
	}
	return ""
}

// bar is a progress bar on a terminal, with the rate and the time that is left,
// and nothing elsewhere.
type bar struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil before the first progress, and off a terminal
	on  bool
	at  uint64 // last shown
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	return &bar{w: w, on: ok && term.IsTerminal(int(f.Fd()))}
}

func (b *bar) show(done, total uint64) {
	if !b.on {
		return
	}
	if done < b.at { // the next phase
		b.end()
		b.bar = nil
	}
	b.at = done
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(int64(total), progressbar.OptionSetWriter(b.w),
			progressbar.OptionSetDescription("checking"), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("entries"), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set64(int64(done)) // a terminal that does not take it is no reason to stop
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
