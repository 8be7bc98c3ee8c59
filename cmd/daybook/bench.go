package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/operations"
)

// A benchPlan says what load to make.
type benchPlan struct {
	producers, batch, inFlight, checkEvery int
	duration                               time.Duration
	rate                                   float64 // events per second over all producers; 0: closed loop
	events                                 int     // end after so many; 0: after duration
	repeat                                 int     // measure so many times
	sources                                int     // source domains; 0: up to 64
	searches                               int     // ask so many questions of each kind instead
	unary, bare                            bool
}

// maxConnections is the most connections that producers share.
const maxConnections = 16

// connections is how many connections the producers share, of the log and of the
// baseline alike.
func (p *benchPlan) connections() int { return min(p.producers, maxConnections) }

func (p *benchPlan) validate() error {
	var errs []error
	for _, c := range []struct {
		name    string
		v, most int
	}{{"producers", p.producers, 1024}, {"batch", p.batch, 4096}, {"in-flight", p.inFlight, 64}, {"check-every", p.checkEvery, 1 << 20}, {"repeat", p.repeat, 1000}} {
		if c.v < 1 || c.v > c.most {
			errs = append(errs, fmt.Errorf("--%s %d: want 1 to %d", c.name, c.v, c.most))
		}
	}
	if p.duration <= 0 || p.rate < 0 || p.events < 0 || p.searches < 0 || p.sources < 0 {
		errs = append(errs, errors.New("--duration must be positive, --rate, --events, --sources and --search not negative"))
	}
	return errors.Join(errs...)
}

const benchLong = `bench opens a run for each producer and appends events of the shape and size of
real ones (about 550 bytes), then prints events per second, latencies of a batch
from the moment it was due, and how many receipts were verified. The events stay
in the log: use a log made for it.

With --baseline the same requests then go to bare gRPC over TLS, client and server
in this process, on as many connections, and the ratio is printed: figures of
different machines or days do not compare, ratios do. With --repeat the whole is
done several times and the run of the median rate is printed. Where the operations
listener is reached, bytes on disk and CPU time of the server are printed too.

With --search it appends nothing, and asks the log so many questions of each kind
that people ask, made of entries drawn at random; the answers hold up to 100
entries.

With --soak it goes on for hours and reports what grew: streams in runs that open,
are taken over and end, single events in runs and without, reads, lists, proofs
and receipts, by clients that come and go, while the server's figures are sampled.
Ctrl-C ends it early and still prints the report. Without --rate it appends as fast
as the log takes, and hours of that fill a disk: 10,000 events/s are some 40 GB in
four hours.

` + soakThresholds

func newBenchCommand() *cobra.Command {
	var conn connection
	var p benchPlan
	var s soakFlags
	var operationsAddr string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a log with real-shaped events and measure it",
		Long:  benchLong,
		Example: `  daybook bench --producers 4 --batch 100 --duration 10s --baseline --repeat 3
  daybook bench --producers 256 --batch 1 --unary --duration 10s
  daybook bench --producers 1 --batch 1 --rate 500 --json
  daybook bench --search 200
  daybook bench --soak --duration 4h --rate 10000 --report soak.txt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.validate(); err != nil {
				return &usageError{err}
			}
			figures, err := conn.operations(operationsAddr)
			if err != nil && s.on {
				return err
			}
			if figures != nil {
				defer figures.Close()
			}
			if p.searches > 0 {
				return p.search(cmd, &conn, asJSON)
			}
			if s.on {
				return s.run(cmd, &conn, &p, figures, asJSON)
			}
			r, err := p.measure(cmd, &conn, figures)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			return r.print(cmd.OutOrStdout())
		},
	}
	conn.flags(cmd)
	p.flags(cmd)
	cmd.Flags().StringVar(&operationsAddr, "operations-addr", "", "`host:port` of operations, in place of the profile's")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	s.flags(cmd)
	return cmd
}

func (p *benchPlan) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&p.producers, "producers", 4, "concurrent producers, each with a run of its own")
	f.IntVar(&p.batch, "batch", 100, "events in a batch")
	f.IntVar(&p.inFlight, "in-flight", 8, "batches in flight on a stream")
	f.IntVar(&p.checkEvery, "check-every", 16, "verify one receipt in so many")
	f.DurationVar(&p.duration, "duration", 10*time.Second, "how long")
	f.Float64Var(&p.rate, "rate", 0, "events per second in all; 0: as fast as answers come")
	f.IntVar(&p.events, "events", 0, "end after so many events in all; 0: after --duration")
	f.IntVar(&p.repeat, "repeat", 1, "measure so many times and print the median")
	f.IntVar(&p.sources, "sources", 0, "source domains that the events come from, 18 streams each; 0: up to 64")
	f.IntVar(&p.searches, "search", 0, "ask so many questions of each kind in place of appending")
	f.BoolVar(&p.unary, "unary", false, "one call for each batch in place of a stream")
	f.BoolVar(&p.bare, "baseline", false, "then put the same requests on bare gRPC, and print the ratio")
}

// operations makes a reader of the server's figures.
func (c *connection) operations(address string) (*operations.Reader, error) {
	p, err := client.LoadProfile(c.profile)
	if err != nil {
		return nil, err
	}
	if address == "" && p.Addresses == "" {
		address = p.Operations
	}
	return operations.Open(operations.Config{Address: address, Addresses: p.Addresses, CA: p.CA})
}

// measure repeats the load and the baseline, each time side by side, and returns
// the run of the median rate.
func (p *benchPlan) measure(cmd *cobra.Command, conn *connection, figures *operations.Reader) (*benchResult, error) {
	c, err := conn.dial(cmd, func(cfg *client.Config) {
		cfg.Connections, cfg.CheckEvery = p.connections(), p.checkEvery
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	// The events are garbage as soon as they are sent: a load generator with a tiny
	// heap would collect it all the time, on the cores of the log.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	ctx := cmd.Context()
	var results []*benchResult
	for range p.repeat {
		before := serverFigures(ctx, figures)
		cpu := processCPU()
		r, err := p.run(ctx, c)
		if err != nil {
			return nil, err
		}
		r.ClientCPU = (processCPU() - cpu).Seconds()
		r.serverShare(before, serverFigures(ctx, figures))
		if p.bare {
			bare, err := p.baseline(ctx)
			if err != nil {
				return nil, err
			}
			r.compare(bare)
		}
		results = append(results, r)
	}
	return medianResult(results), nil
}

// serverFigures are the server's figures; nil where they cannot be had: who may
// append need not reach the operations listener.
func serverFigures(ctx context.Context, r *operations.Reader) map[string]float64 {
	if r == nil {
		return nil
	}
	figures, err := r.Figures(ctx)
	if err != nil {
		return nil
	}
	return figures
}
