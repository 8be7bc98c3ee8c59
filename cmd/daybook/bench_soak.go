package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/operations"
	"github.com/daybook-ledger/daybook/client/soak"
)

// soakThresholds says how a soak is judged.
const soakThresholds = soak.Thresholds

// soakFlags are the flags of `bench --soak`.
type soakFlags struct {
	on     bool
	report string
	every  time.Duration
}

func (s *soakFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&s.on, "soak", false, "mixed load for --duration, and a report of what grew")
	f.StringVar(&s.report, "report", "", "with --soak, write the report to this `file` too: JSON where its name ends in .json")
	f.DurationVar(&s.every, "sample-every", 0, "with --soak, time between samples; 0: a 240th of the duration, 1 s to 60 s")
}

// run soaks the log and prints the report, also of what was interrupted.
func (s *soakFlags) run(cmd *cobra.Command, conn *connection, p *benchPlan, figures *operations.Reader, asJSON bool) error {
	if p.unary || p.bare || p.events > 0 || p.repeat > 1 || s.every < 0 {
		return usagef("--soak goes with --duration, --producers, --batch, --in-flight, --rate, --check-every, --sample-every and --report")
	}
	report, err := soak.Run(cmd.Context(), soak.Config{
		Dial: func() (*client.Client, error) {
			return conn.dial(cmd, func(cfg *client.Config) { cfg.CheckEvery = p.checkEvery })
		},
		Figures: figures.Figures, Duration: p.duration, Every: s.every,
		Producers: p.producers, Batch: p.batch, InFlight: p.inFlight, Rate: p.rate,
		OnSample: func(sample soak.Sample) { tellSample(cmd, sample) },
	})
	if report == nil {
		return err
	}
	if failed := s.write(cmd, report, asJSON); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if failed := report.Failed(); len(failed) > 0 {
		return fmt.Errorf("the soak failed: %s; the report says why", strings.Join(failed, ", "))
	}
	return nil
}

// tellSample says on stderr how it goes.
func tellSample(cmd *cobra.Command, s soak.Sample) {
	v := s.Values
	server := "the server does not show its figures"
	if size, ok := v["size"]; ok {
		server = fmt.Sprintf("size %.0f, memory %.0f MB", size, v["memory_mb"])
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "daybook: %v: %.0f events/s, p99 %.1f ms, %s, %.0f errors\n",
		time.Duration(s.Seconds*float64(time.Second)).Round(time.Second), v["events_per_second"], v["stream_p99_ms"], server, v["errors"])
}

func (s *soakFlags) write(cmd *cobra.Command, r *soak.Report, asJSON bool) error {
	if s.report != "" {
		if err := writeReport(s.report, r); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), r)
	}
	return r.WriteText(cmd.OutOrStdout())
}

// writeReport writes a report into a file. It is not synced: it can be lost in a
// crash of the machine, and stands on stdout too.
func writeReport(path string, r *soak.Report) error {
	var b strings.Builder
	err := r.WriteText(&b)
	if strings.HasSuffix(path, ".json") {
		b.Reset()
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	}
	if err == nil {
		err = os.WriteFile(path, []byte(b.String()), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
