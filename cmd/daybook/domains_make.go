package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains/render"
)

// A mapRenderer holds the flags of `daybook domains render`.
type mapRenderer struct {
	conn                   connection
	format, domain, output string
	at                     string
	asJSON                 bool
}

func newDomainsRenderCommand() *cobra.Command {
	r := new(mapRenderer)
	cmd := &cobra.Command{
		Use:   "render --format {envoy | kubernetes | json} [FILE]",
		Short: "Write what gateways enforce of a domain map",
		Long: `render writes the flows of the map in force, or of FILE, as gateways take them: an
Envoy HTTP filter (RBAC) or a Kubernetes NetworkPolicy for each domain that a flow
reaches, or the whole map as JSON. With FILE it needs no server.

Flows in mode observe take nothing away: Envoy only logs what would be refused, and
a NetworkPolicy closes a domain once one of its flows is in mode enforce. What is
rendered does not change verdicts: the ledger judges by every flow.`,
		Example: `  daybook domains render --format envoy --domain prod-db
  daybook domains render --format kubernetes domains.yaml -o policies
  daybook domains render --format json -o domains.json`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.do(cmd, args) },
	}
	r.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.format, "format", "", "envoy, kubernetes or json")
	f.StringVar(&r.domain, "domain", "", "only what guards the domain with this `id`")
	f.StringVar(&r.at, "valid-at", "", "leave out flows that are not valid at this `time`")
	f.StringVarP(&r.output, "output", "o", "", "`directory` to write the files into; with json the file")
	f.BoolVar(&r.asJSON, "json", false, "print one JSON object: the files by their names")
	return cmd
}

func (r *mapRenderer) do(cmd *cobra.Command, args []string) error {
	at, err := timeFlag("valid-at", r.at)
	if err != nil {
		return err
	}
	if r.format == "json" && (r.domain != "" || r.at != "") {
		return usagef("--format json is the whole map: without --domain and --valid-at")
	}
	document, err := r.document(cmd, args)
	if err != nil {
		return err
	}
	files, err := r.files(document, render.Options{At: at})
	if err != nil {
		return err
	}
	switch {
	case r.asJSON:
		texts := map[string]string{}
		for _, f := range files {
			texts[f.Name] = string(f.Data)
		}
		return printJSON(cmd.OutOrStdout(), map[string]any{"files": texts})
	case r.format == "json" && r.output != "":
		return os.WriteFile(r.output, files[0].Data, 0o644)
	case r.output != "":
		return writeRendered(cmd, r.output, files)
	}
	return printRendered(cmd.OutOrStdout(), files)
}

func (r *mapRenderer) document(cmd *cobra.Command, args []string) (*daybookv1.MapDocument, error) {
	if len(args) == 1 {
		return loadMap(cmd, args[0])
	}
	c, err := r.conn.dial(cmd, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := c.DomainMap(cmd.Context())
	if err != nil {
		return nil, err
	}
	return m.Document, nil
}

// files renders, and keeps what guards one domain.
func (r *mapRenderer) files(document *daybookv1.MapDocument, o render.Options) ([]render.File, error) {
	var all []render.File
	switch r.format {
	case "envoy":
		all = render.Envoy(document, o)
	case "kubernetes":
		all = render.NetworkPolicies(document, o)
	case "json":
		return []render.File{{Name: "domains.json", Data: render.JSON(document)}}, nil
	default:
		return nil, usagef("--format %q: want envoy, kubernetes or json", r.format)
	}
	var out []render.File
	for _, f := range all {
		if r.domain == "" || f.Domain == r.domain {
			out = append(out, f)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case r.domain != "":
		return nil, fmt.Errorf("nothing guards %q: no flow reaches it, or none that is enforced", r.domain)
	}
	return nil, errors.New("nothing is to be enforced: no flow reaches a domain, or none is in mode enforce")
}

func writeRendered(cmd *cobra.Command, dir string, files []render.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), path); err != nil {
			return err
		}
	}
	return nil
}

// printRendered prints the files one after the other, as documents of one stream.
func printRendered(w io.Writer, files []render.File) error {
	for i, f := range files {
		if i > 0 {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		if _, err := w.Write(f.Data); err != nil {
			return err
		}
	}
	return nil
}

// progressEvery is how often people hear how far a long read is.
const progressEvery = 5 * time.Second
