package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
)

// A connection holds the flags that say where the log is and who we are.
type connection struct {
	profile, ingest, query string
	patience               time.Duration
}

func (c *connection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.profile, "profile", "", "profile `file` (default $"+client.ProfileVariable+")")
	f.StringVar(&c.ingest, "ingest-addr", "", "`host:port` of ingest, in place of the profile's")
	f.StringVar(&c.query, "query-addr", "", "`host:port` of query, in place of the profile's")
	f.DurationVar(&c.patience, "patience", 120*time.Second, "give up after so long without progress")
}

// dial makes a client of the profile; change may adjust its configuration.
func (c *connection) dial(cmd *cobra.Command, change func(*client.Config)) (*client.Client, error) {
	p, err := client.LoadProfile(c.profile)
	if err != nil {
		return nil, err
	}
	cfg := p.Config()
	if c.ingest != "" {
		cfg.Ingest = c.ingest
	}
	if c.query != "" {
		cfg.Query = c.query
	}
	cfg.Patience, cfg.Software = c.patience, "daybook "+version()
	var told time.Time
	cfg.OnRetry = func(err error, wait time.Duration) {
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(cmd.ErrOrStderr(), "daybook: retrying: %v\n", err)
		}
	}
	if change != nil {
		change(&cfg)
	}
	return client.Dial(cfg)
}
