package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/server/datadir"
)

func newInitCommand() *cobra.Command {
	var data string
	var o createOptions
	cmd := &cobra.Command{
		Use:   "init --data DIR --origin NAME",
		Short: "Make a new log: keys, private CA, certificates, entry 0",
		Long: `Make a new log in DIR, which must be missing or empty.

The origin names the log for good: NAME with 8 random hex digits at its end, so
that no two directories ever continue one name. Its first part is the trust
domain of the certificates, spiffe://<domain>/<client>.`,
		Example: `  daybookd init --data /srv/daybook --origin example.com/audit
  daybookd init --data ./log --origin example.com/audit --domain prod.example.com`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			if o.Name == "" && o.Domain == "" {
				return usagef("--origin is missing: name the log, such as --origin example.com/audit")
			}
			o.Dir = dir
			origin, err := createLog(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.ErrOrStderr(), nextSteps(dir, origin))
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().StringVar(&o.Name, "origin", "", "name of the log, such as example.com/audit; 8 random hex digits are added")
	cmd.Flags().StringVar(&o.Domain, "domain", "", "trust domain of the certificates (default: the first part of the origin)")
	cmd.Flags().BoolVar(&o.PublicTiles, "public-tiles", false, "for good: tiles may be public, each entry carries a blind")
	return cmd
}

// dataFlag returns the directory that --data names.
func dataFlag(data string) (datadir.Dir, error) {
	if data == "" {
		return "", usagef("--data is missing: name the data directory")
	}
	return datadir.Clean(data)
}

func nextSteps(dir datadir.Dir, origin string) string {
	return fmt.Sprintf(`daybookd: made log %[1]s in %[2]s

  Keep safe    %[2]s/log.key signs the log; %[2]s/ca/ca.key issues identities.
               Back up both, apart from the store.
  Keep apart   %[2]s.anchor is the newest checkpoint: leave it out of the
               backups of %[2]s, it tells an older copy from the newest.
  Serve        daybookd serve --data %[2]s
  Append       daybook append --profile %[2]s/profile.yaml event.json
  Lodge        the page that daybookd key card --data %[2]s prints, with regulator
               and auditor, before they ask; %[2]s/log.vkey checks receipts.
`, origin, dir)
}
