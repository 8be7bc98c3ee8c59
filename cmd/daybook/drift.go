package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/drift"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// A driftCommand holds the flags of `daybook drift`.
type driftCommand struct {
	conn                              connection
	mapFile                           string
	zones, route53, cloudflare, plans []string
	resolver, roots, port, since      string
	tls, paths                        []string
	probe, crossings, append, asJSON  bool
	expiry, timeout                   time.Duration
	concurrency                       int
	failOn, output                    string
	document                          []byte // the map's YAML
	client                            *client.Client
}

func newDriftCommand() *cobra.Command {
	c := new(driftCommand)
	cmd := &cobra.Command{
		Use:   "drift [--map FILE] SOURCE...",
		Short: "Compare the declared domain map with what is found",
		Long: `Compare the domain map with DNS, servers, infrastructure and the crossings in the
log, and list what differs, worst first, with what to do next. A scan only reads.

The map is a file (--map) or the one in force in the log. At least one source is
needed: --zone, --route53, --cloudflare, --resolver, --tls, --probe, --terraform,
--crossings. A source that cannot be asked is a difference too.

As a step of CI: exit code 0 where nothing is as bad as --fail-on, 1 where
something is or the scan failed, 2 for a command line that makes no sense.
With --append the result becomes an entry of the log, and each high difference
an alert; keep the file of -o, whose SHA-256 is in that entry.`,
		Example: `  daybook drift --map domains.yaml --zone example.com.zone --resolver system
  aws route53 list-resource-record-sets --hosted-zone-id Z1 > zone.json
  daybook drift --map domains.yaml --route53 zone.json --fail-on medium
  terraform show -json > state.json
  daybook drift --map domains.yaml --terraform state.json --json
  daybook drift --probe --path / --path /login --roots firm-root.pem
  daybook drift --tls www.example.com=10.1.0.7:8443
  daybook drift --crossings --since 2026-11-01 --append -o drift.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd) },
	}
	c.flags(cmd)
	return cmd
}

func (c *driftCommand) flags(cmd *cobra.Command) {
	c.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.mapFile, "map", "", "the map's YAML `file` (default the map in force in the log)")
	f.StringArrayVar(&c.zones, "zone", nil, "master `[ZONE=]file` of a DNS zone (RFC 1035); again for more")
	f.StringArrayVar(&c.route53, "route53", nil, "`file` with what `aws route53 list-resource-record-sets` prints; again for more")
	f.StringArrayVar(&c.cloudflare, "cloudflare", nil, "`[ZONE=]file` exported from Cloudflare: a zone file, or the API's answers; again for more")
	f.StringArrayVar(&c.plans, "terraform", nil, "`file` with what `terraform show -json` prints of a state or plan; again for more")
	f.StringVar(&c.resolver, "resolver", "", "`host:port` of a resolver to ask for every declared name and for targets of aliases; `system`: the system's")
	f.StringArrayVar(&c.tls, "tls", nil, "server to look at: `[NAME=]host:port`, where NAME is the declared name; again for more")
	f.BoolVar(&c.probe, "probe", false, "look at the server of every declared DNS name")
	f.StringVar(&c.port, "port", "443", "`port` for --probe")
	f.StringArrayVar(&c.paths, "path", nil, "`path` to ask servers for (default /); again for more")
	f.StringVar(&c.roots, "roots", "", "PEM `file` of root CAs that complete the servers' chains (default the system's)")
	f.BoolVar(&c.crossings, "crossings", false, "compare the flows with the accesses in the log")
	f.StringVar(&c.since, "since", "", "with --crossings: from the close at or before this `time` on, as 2026-11-24 (default the whole log)")
	f.DurationVar(&c.expiry, "expiry", drift.DefaultExpiry, "report certificates that end within this time")
	f.DurationVar(&c.timeout, "timeout", drift.DefaultTimeout, "give up on one question or server after so long")
	f.IntVar(&c.concurrency, "concurrency", drift.DefaultConcurrency, "ask so many at a time")
	f.StringVar(&c.failOn, "fail-on", "high", "exit with 1 where a difference is as bad: high, medium, low; `never`: do not")
	f.BoolVar(&c.append, "append", false, "put the result into the log")
	f.StringVarP(&c.output, "output", "o", "", "write the result as JSON to this `file` too")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object")
}

// check refuses command lines that make no sense, before anything is read.
func (c *driftCommand) check() error {
	sources := len(c.zones) + len(c.route53) + len(c.cloudflare) + len(c.plans) + len(c.tls)
	switch {
	case sources == 0 && c.resolver == "" && !c.probe && !c.crossings:
		return usagef("nothing to compare the map with: give --zone, --route53, --cloudflare, --resolver, --tls, --probe, --terraform or --crossings")
	case c.since != "" && !c.crossings:
		return usagef("--since goes with --crossings")
	case c.concurrency < 1 || c.timeout <= 0 || c.expiry <= 0:
		return usagef("--concurrency, --timeout and --expiry are over 0")
	}
	if c.failOn != "never" {
		if _, err := drift.ParseSeverity(c.failOn); err != nil {
			return usagef("--fail-on: %w, nor never", err)
		}
	}
	return nil
}

func (c *driftCommand) do(cmd *cobra.Command) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.mapFile == "" || c.crossings || c.append {
		var err error
		if c.client, err = c.conn.dial(cmd, nil); err != nil {
			return err
		}
		defer c.client.Close()
	}
	config, err := c.config(cmd)
	if err != nil {
		return err
	}
	result, err := drift.Scan(cmd.Context(), *config)
	if err != nil {
		return err
	}
	report := driftReport{Result: result, MapSHA256: fmt.Sprintf("%x", sha256.Sum256(c.document))}
	if err := c.keep(cmd, &report); err != nil {
		return err
	}
	if c.asJSON {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.print(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return c.verdict(result)
}

// keep writes the result to the file of -o and, with --append, into the log: the
// file first, so that what the log names is there.
func (c *driftCommand) keep(cmd *cobra.Command, report *driftReport) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if c.output != "" {
		if err := os.WriteFile(c.output, text, 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	if !c.append {
		return nil
	}
	sum, mapSum := sha256.Sum256(text), sha256.Sum256(c.document)
	r := &apiv1.RecordDriftRequest{StartedNs: report.Started.UnixNano(), EndedNs: report.Ended.UnixNano(), Sha256: sum[:], MapSha256: mapSum[:],
		High: uint32(report.Counts.High), Medium: uint32(report.Counts.Medium), Low: uint32(report.Counts.Low)}
	for _, d := range report.Differences {
		if d.Severity == drift.High && len(r.Differences) < maxRecorded {
			r.Differences = append(r.Differences, &apiv1.DriftDifference{Check: d.Check, Domain: d.Domain, Other: d.Other, Subject: clipText(d.Subject, 1024), Detail: clipText(d.Detail, 1024)})
		}
	}
	for _, s := range report.Scanned[:min(len(report.Scanned), maxRecorded)] {
		r.Scanned = append(r.Scanned, s.Kind+" "+clipText(s.Name, 256))
	}
	entry, alerts, err := c.client.RecordDrift(cmd.Context(), r)
	if err != nil {
		return fmt.Errorf("%w; the scan itself went well: see it without --append", err)
	}
	report.Appended = &driftAppended{Index: entry.Index, Alerts: alerts, SHA256: fmt.Sprintf("%x", sum)}
	return nil
}

// verdict is the exit code for CI.
func (c *driftCommand) verdict(r *drift.Result) error {
	if c.failOn == "never" || r.Worst() == "" || !r.Worst().AtLeast(drift.Severity(c.failOn)) {
		return nil
	}
	n := 0
	for _, d := range r.Differences {
		if d.Severity.AtLeast(drift.Severity(c.failOn)) {
			n++
		}
	}
	words := c.failOn
	if c.failOn != string(drift.High) {
		words += " or worse"
	}
	if n == 1 {
		return fmt.Errorf("1 difference is %s", words)
	}
	return fmt.Errorf("%d differences are %s", n, words)
}
