package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// serveOptions says what to serve and where.
type serveOptions struct {
	Dir         datadir.Dir
	Config      string        // file; empty: DIR/config.yaml where there is one
	Dev         bool          // make a demonstration log where DIR is vacant
	AllowRemote bool          // as the configuration's allow_remote
	AcceptClock bool          // open in spite of an implausible clock
	Listen      config.Listen // wins over the configuration where set
	Stderr      io.Writer     // takes the program's log
}

func newServeCommand() *cobra.Command {
	var data string
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Serve a log",
		Long: `Serve the log in DIR until SIGINT or SIGTERM, which finishes what was accepted.
A line "ready" on stderr says that it serves; DIR/addresses.json has the addresses.

With --dev it makes a demonstration log where DIR is missing or empty.`,
		Example: `  daybookd serve --data /srv/daybook
  daybookd serve --data ./log --dev
  daybookd serve --data ./log --dev --ingest-addr 127.0.0.1:0
  daybookd serve --data /srv/daybook --config /etc/daybook.yaml --allow-remote --ingest-addr 10.0.0.7:7401`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			o.Dir, o.Stderr = dir, cmd.ErrOrStderr()
			s, err := startServer(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "ready")
			return s.Wait()
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory")
	f.StringVar(&o.Config, "config", "", "configuration file (default DIR/config.yaml where there is one)")
	f.BoolVar(&o.Dev, "dev", false, "make a demonstration log where DIR is missing or empty")
	f.BoolVar(&o.AllowRemote, "allow-remote", false, "permit addresses that other machines can reach")
	f.BoolVar(&o.AcceptClock, "accept-clock", false, "open in spite of an implausible wall clock; leaves an entry")
	addAddressFlags(cmd, &o.Listen)
	return cmd
}

// addAddressFlags adds --ingest-addr and so on.
func addAddressFlags(cmd *cobra.Command, l *config.Listen) {
	d := config.Defaults()
	for _, a := range []struct {
		name, what, standard string
		to                   *string
	}{
		{"ingest", "gRPC for producers", d.Ingest, &l.Ingest},
		{"query", "gRPC for readers", d.Query, &l.Query},
		{"query-http", "REST for readers", d.QueryHTTP, &l.QueryHTTP},
		{"admin", "gRPC for operators", d.Admin, &l.Admin},
		{"public", "plain HTTP for /checkpoint", d.Public, &l.Public},
		{"operations", "HTTPS for metrics and health", d.Operations, &l.Operations},
	} {
		cmd.Flags().StringVar(a.to, a.name+"-addr", "", fmt.Sprintf("%s; port 0 picks a free one (default %s)", a.what, a.standard))
	}
}

// configPath is the file of the configuration, which may be missing where it was
// not named.
func (o *serveOptions) configPath() string { return cmp.Or(o.Config, o.Dir.Config()) }

// loadConfig reads the configuration, puts the flags on top and completes it.
func loadConfig(o serveOptions, domain string) (*config.Config, error) {
	path := o.configPath()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && o.Config == "" {
		text, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := config.Load(text, filepath.Dir(path), o.flags(), domain)
	if err != nil {
		return nil, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return c, nil
}

// flags are what the command line says of the configuration.
func (o *serveOptions) flags() config.Flags {
	return config.Flags{Listen: o.Listen, AllowRemote: o.AllowRemote, Anchor: o.Dir.Anchor()}
}

// newLogger returns the program's log on w.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	f, ok := w.(*os.File)
	return slog.New(c.Handler(w, ok && term.IsTerminal(int(f.Fd()))))
}

// ensureLog makes a demonstration log with --dev, and says what to do without.
func ensureLog(ctx context.Context, o serveOptions) error {
	exists, err := o.Dir.Exists()
	if err != nil || exists {
		return err
	}
	if !o.Dev {
		return fmt.Errorf("%s holds no log: make one with `daybookd init --data %s --origin NAME`, or add --dev for a demonstration", o.Dir, o.Dir)
	}
	_, err = createLog(ctx, createOptions{Dir: o.Dir, Name: demoDomain, PublicTiles: true})
	return err
}

// writeAddresses says in DIR/addresses.json where the listeners are.
func writeAddresses(dir datadir.Dir, a server.Addresses) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return datadir.WriteFile(dir.Addresses(), append(b, '\n'), 0o644)
}
