package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/client/drift"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

const (
	// maxRecorded is how many differences and sources one request may name.
	maxRecorded = 1000
	// maxTail is how many accesses after the newest close are counted one by one.
	maxTail = 200_000
)

// config reads the map and every source.
func (c *driftCommand) config(cmd *cobra.Command) (*drift.Config, error) {
	config := &drift.Config{Paths: c.paths, Expiry: c.expiry, Concurrency: c.concurrency, Timeout: c.timeout, Progress: driftProgress(cmd.ErrOrStderr())}
	var err error
	if config.Map, err = c.loadDeclared(cmd); err != nil {
		return nil, err
	}
	c.document = config.Map.GetYaml()
	if err := errors.Join(c.loadZones(config), c.loadPlans(config)); err != nil {
		return nil, err
	}
	if c.resolver == "system" {
		config.Resolver, err = drift.SystemResolver("/etc/resolv.conf")
	} else if c.resolver != "" {
		config.Resolver, err = &drift.Resolver{Server: c.resolver, Timeout: c.timeout}, checkHostPort("--resolver", c.resolver)
	}
	if err != nil {
		return nil, err
	}
	if err := c.loadTargets(config); err != nil {
		return nil, err
	}
	if c.crossings {
		config.Crossings, err = c.loadCrossings(cmd.Context(), config.Map)
	}
	return config, err
}

// loadDeclared reads the map from its file, or the one in force with its proof.
func (c *driftCommand) loadDeclared(cmd *cobra.Command) (*daybookv1.MapDocument, error) {
	if c.mapFile != "" {
		return loadMap(cmd, c.mapFile)
	}
	m, err := c.client.DomainMap(cmd.Context())
	if err != nil {
		return nil, fmt.Errorf("%w; to compare a file give --map FILE", err)
	}
	return m.Document, nil
}

// readSource reads a file within its bound.
func readSource(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, drift.MaxBytes+1))
	if err == nil && len(text) > drift.MaxBytes {
		err = fmt.Errorf("reading %s: it is over %d bytes", path, drift.MaxBytes)
	}
	return text, err
}

func (c *driftCommand) loadZones(config *drift.Config) error {
	for _, kind := range []struct {
		files []string
		named bool // NAME=FILE is allowed
		parse func(text []byte, origin, source string) (*drift.Zone, error)
	}{
		{c.zones, true, drift.ParseZone},
		{c.route53, false, func(text []byte, _, source string) (*drift.Zone, error) { return drift.ParseRoute53(text, source) }},
		{c.cloudflare, true, drift.ParseCloudflare},
	} {
		for _, file := range kind.files {
			origin := ""
			if name, path, ok := strings.Cut(file, "="); ok && kind.named {
				origin, file = name, path
			}
			text, err := readSource(file)
			if err != nil {
				return err
			}
			z, err := kind.parse(text, origin, file)
			if err != nil {
				return err
			}
			config.Zones = append(config.Zones, z)
		}
	}
	return nil
}

func (c *driftCommand) loadPlans(config *drift.Config) error {
	for _, file := range c.plans {
		text, err := readSource(file)
		if err != nil {
			return err
		}
		in, err := drift.ParseTerraform(text, file)
		if err != nil {
			return err
		}
		config.Infrastructures = append(config.Infrastructures, in)
	}
	return nil
}

// loadTargets collects the servers to look at. A name that no domain declares is
// a mistake in the command line: there is nothing to compare it with.
func (c *driftCommand) loadTargets(config *drift.Config) error {
	declared := drift.Targets(config.Map, c.port)
	for _, text := range c.tls {
		name, address, ok := strings.Cut(text, "=")
		if !ok {
			address = text
			name, _, _ = net.SplitHostPort(address)
		}
		if err := checkHostPort("--tls", address); err != nil {
			return err
		}
		known := false
		for _, t := range declared {
			known = known || strings.EqualFold(t.Name, strings.TrimSuffix(name, "."))
		}
		if !known {
			return usagef("--tls %s: no domain declares the DNS name %q", text, name)
		}
		config.Targets = append(config.Targets, drift.Target{Name: name, Address: address})
	}
	if c.probe {
		config.Targets = append(config.Targets, declared...)
	}
	if c.roots == "" {
		return nil
	}
	text, err := readSource(c.roots)
	if err != nil {
		return err
	}
	config.Roots = x509.NewCertPool()
	if !config.Roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate in PEM", c.roots)
	}
	return nil
}

func checkHostPort(flag, text string) error {
	if host, port, err := net.SplitHostPort(text); err != nil || host == "" || port == "" {
		return usagef("%s: %q is no host:port", flag, text)
	}
	return nil
}

// loadCrossings counts what the log holds. Where it could not count everything
// after the newest close, it still asks for each flow that seems unused.
func (c *driftCommand) loadCrossings(ctx context.Context, m *daybookv1.MapDocument) (*drift.Crossings, error) {
	var since time.Time
	if c.since != "" {
		var err error
		if since, err = parseTime(c.since); err != nil {
			return nil, usagef("--since: %w", err)
		}
	}
	found, err := c.client.Pairs(ctx, since, maxTail)
	if err != nil {
		return nil, err
	}
	out := &drift.Crossings{Name: fmt.Sprintf("entries %d to %d", found.From, found.Until)}
	seen := map[[2]string]bool{}
	for _, p := range found.Pairs {
		seen[[2]string{p.Source, p.Target}] = true
		out.Pairs = append(out.Pairs, drift.Pair{Source: p.Source, Target: p.Target, Count: p.Count})
	}
	if found.Until >= found.Size {
		return out, nil
	}
	out.Note = fmt.Sprintf("of the entries from %d to %d only declared flows were looked for: the next close counts all", found.Until, found.Size)
	for _, f := range m.GetFlows() {
		pair := [2]string{f.GetFrom(), f.GetTo()}
		if seen[pair] {
			continue
		}
		seen[pair] = true
		filter := &apiv1.ListEntriesRequest{Source: pair[0], Target: pair[1], Kind: daybookv1.Kind_KIND_ACCESS}
		if !since.IsZero() {
			filter.LoggedFrom = timestamppb.New(since)
		}
		if _, err := c.client.List(ctx, filter, 1, func(*apiv1.EntryView) bool {
			out.Pairs = append(out.Pairs, drift.Pair{Source: pair[0], Target: pair[1], Count: 1})
			return true
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// driftProgress tells on a terminal how far a stage is.
func driftProgress(w io.Writer) func(stage string, done, total int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func(stage string, done, total int) {
		fmt.Fprintf(w, "\rdaybook: %s %d of %d", stage, done, total)
		if done == total {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}

// clipText shortens text to n bytes, between characters; a name in an export may
// be no text at all.
func clipText(s string, n int) string {
	if s = strings.ToValidUTF8(s, "?"); len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
