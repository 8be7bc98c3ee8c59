package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// configReport is what `config check --json` prints.
type configReport struct {
	OK       bool              `json:"ok"`
	File     string            `json:"file"` // empty: there is none
	Settings []config.Setting  `json:"settings"`
	Exposure []config.Exposure `json:"exposure"`
	Witness  []string          `json:"witnesses"` // who cosigns, in words
	Faults   []string          `json:"faults"`
}

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheckCommand())
	return cmd
}

func newConfigCheckCommand() *cobra.Command {
	var data string
	var asJSON bool
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Print every value with its origin, and who can reach what",
		Long: `Print every value of a configuration and whether it is a default or is from the
file or a flag; then, for each listener, who can reach it, how it is secured, and
who may do what on it. Nothing is opened or changed.

It fails, naming every fault, where serve would not start.`,
		Example: `  daybookd config check --data /srv/daybook
  daybookd config check --config daybook.yaml --allow-remote --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" && o.Config == "" {
				return usagef("name a configuration with --config FILE, or a data directory with --data DIR")
			}
			if data != "" {
				dir, err := datadir.Clean(data)
				if err != nil {
					return err
				}
				o.Dir = dir
			}
			report, err := checkConfig(o)
			if err != nil {
				return err
			}
			return report.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory")
	f.StringVar(&o.Config, "config", "", "configuration file (default DIR/config.yaml where there is one)")
	f.BoolVar(&o.AllowRemote, "allow-remote", false, "permit addresses that other machines can reach")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	addAddressFlags(cmd, &o.Listen)
	return cmd
}

// checkConfig reads a configuration as serve would.
func checkConfig(o serveOptions) (*configReport, error) {
	r := &configReport{File: o.Config, Faults: []string{}}
	if r.File == "" {
		r.File = o.Dir.Config()
	}
	text, err := os.ReadFile(r.File)
	if errors.Is(err, fs.ErrNotExist) && o.Config == "" {
		r.File, text, err = "", nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	domain := demoDomain
	flags := config.Flags{Listen: o.Listen, AllowRemote: o.AllowRemote}
	if o.Dir != "" {
		flags.Anchor = o.Dir.Anchor()
		if ca, err := openAuthority(o.Dir); err == nil {
			domain = ca.Domain()
		}
	}
	c, err := config.Load(text, filepath.Dir(r.File), flags, domain)
	r.fault(err)
	r.fault(checkFiles(c))
	if r.Settings, err = config.Explain(c, text, flags); err != nil {
		return nil, err
	}
	if r.Exposure, err = c.Exposed(); err != nil && len(r.Faults) == 0 {
		return nil, err
	}
	r.Witness, err = explainWitnesses(c, o.Dir)
	r.fault(err)
	r.OK = len(r.Faults) == 0
	return r, nil
}

// fault adds the lines of an error.
func (r *configReport) fault(err error) {
	if err != nil {
		r.Faults = append(r.Faults, strings.Split(err.Error(), "\n")...)
	}
}

// checkFiles reads the files that a configuration names.
func checkFiles(c *config.Config) error {
	var faults []error
	check := func(key, path string) {
		if path == "" {
			return // reported already, or the system's
		}
		b, err := os.ReadFile(path)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
			err = fmt.Errorf("%s holds no certificate in PEM form", path)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
	}
	for domain, path := range c.Trust {
		check("trust."+domain, path)
	}
	for i, o := range c.People.OIDC {
		check(fmt.Sprintf("people.oidc[%d].ca", i), o.CA)
	}
	for _, name := range access.Listeners {
		l := c.Listeners.Of(name)
		for domain, path := range l.Trust {
			check("listeners."+name+".trust."+domain, path)
		}
		if l.Certificate != "" && l.Key != "" {
			_, err := configuredPair(name, l)
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// print says what was found; an error where there are faults.
func (r *configReport) print(out, errs io.Writer, asJSON bool) error {
	var failed error
	if !r.OK {
		failed = &silentError{errors.New("the configuration has faults")}
	}
	if asJSON {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", b)
		return errors.Join(err, failed)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range r.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Origin, s.Key, s.Value)
	}
	w.Flush()
	for _, e := range r.Exposure {
		reach := "this machine alone"
		if e.Remote {
			reach = "OTHER MACHINES, too"
		}
		fmt.Fprintf(out, "\n%s, %s: reached by %s; %s\n", e.Listener, e.Address, reach, e.Secured)
		for _, who := range e.Who {
			fmt.Fprintf(out, "  %s\n", who)
		}
	}
	if len(r.Witness) > 0 {
		fmt.Fprint(out, "\nwitnesses\n")
	}
	for _, line := range r.Witness {
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(errs, "daybookd: configuration: %s\n", f)
	}
	return failed
}
