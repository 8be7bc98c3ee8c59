package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

func newIdentityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identity",
		Short: "Issue and renew identities, for firms without a PKI of their own",
		Long: `Issue identities of producers and readers from the private CA of DIR, or from a
CA of their own domain. A server that runs takes over what changes by itself, and
so do clients that use the renewed files; neither is restarted.

Firms that have a PKI, or SPIRE, name its bundles under trust in the
configuration instead.`,
		Example: `  daybookd identity ca --data /srv/daybook --domain web
  daybookd identity issue --data /srv/daybook --id spiffe://web/app -o ./web-app
  daybookd identity renew --data /srv/daybook --all
  daybookd identity list --data /srv/daybook`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIdentityIssueCommand(), newIdentityRenewCommand(), newIdentityListCommand(), newIdentityCACommand())
	return cmd
}

func newIdentityIssueCommand() *cobra.Command {
	var data string
	var days int
	var asJSON bool
	var o issueOptions
	cmd := &cobra.Command{
		Use:   "issue --data DIR --id SPIFFE-ID",
		Short: "Issue an identity: certificate, key, CA bundle and profile",
		Long: `Issue an identity into a folder that holds all a client needs:

  certificate.pem, key.pem (mode 0600), ca.pem, profile.yaml

The CA is that of the id's domain where one was made with daybookd identity ca,
else the private CA of DIR. Hand the folder to the producer, on a way on which
nobody reads the key. The addresses in the profile are those of this machine
unless --ingest and --query are given.`,
		Example: `  daybookd identity issue --data /srv/daybook --id spiffe://web/app -o ./web-app
  daybookd identity issue --data /srv/daybook --id spiffe://web/app --days 90 --ingest audit.example.com:7401
  daybook append --profile ./web-app/profile.yaml event.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := logFlag(data)
			if err != nil {
				return err
			}
			if o.Life, err = lifeFlag(days); err != nil {
				return err
			}
			o.Dir = dir
			issued, err := issueIdentity(o, time.Now())
			if err != nil {
				return err
			}
			return issued.print(cmd.OutOrStdout(), asJSON, "issued")
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory")
	f.StringVar(&o.ID, "id", "", "SPIFFE id, spiffe://<domain>/<name>")
	f.StringVarP(&o.Out, "out", "o", "", "folder to make (default DIR/identities/<domain>+<name>)")
	f.IntVar(&days, "days", maxDays, "how long the certificate lasts")
	f.StringVar(&o.Ingest, "ingest", "", "host:port of the ingest listener, for a client on another machine")
	f.StringVar(&o.Query, "query", "", "host:port of the query listener, for a client on another machine")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newIdentityRenewCommand() *cobra.Command {
	var data string
	var days int
	var asJSON, all bool
	var o renewOptions
	cmd := &cobra.Command{
		Use:   "renew --data DIR {--id SPIFFE-ID | --all}",
		Short: "Renew an identity, or all that are near their end",
		Long: `Issue a new certificate in the place of an old one. The key stays, so that the
producer goes on signing with it; --new-key makes another. A client that uses the
folder takes the new certificate over by itself, also after the old one has
ended: what it had sent and not been answered it sends again, once.

--all renews what ends within 90 days.`,
		Example: `  daybookd identity renew --data /srv/daybook --id spiffe://web/app
  daybookd identity renew --data /srv/daybook --id spiffe://web/app -o ./web-app --new-key
  daybookd identity renew --data /srv/daybook --all`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := logFlag(data)
			if err != nil {
				return err
			}
			if (o.ID == "") == !all {
				return usagef("give either --id or --all")
			}
			if o.Life, err = lifeFlag(days); err != nil {
				return err
			}
			o.Dir = dir
			if all {
				return renewAll(cmd.OutOrStdout(), o, asJSON, time.Now())
			}
			renewed, err := renewIdentity(o, time.Now())
			if err != nil {
				return err
			}
			return renewed.print(cmd.OutOrStdout(), asJSON, "renewed")
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory")
	f.StringVar(&o.ID, "id", "", "SPIFFE id")
	f.BoolVar(&all, "all", false, "every identity that ends within 90 days")
	f.StringVarP(&o.Out, "out", "o", "", "folder of the identity, where it was moved (default: where it was issued)")
	f.IntVar(&days, "days", maxDays, "how long the certificate lasts")
	f.BoolVar(&o.NewKey, "new-key", false, "make another key too")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newIdentityListCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list --data DIR",
		Short: "List CAs, listeners' certificates and issued identities with their ends",
		Example: `  daybookd identity list --data /srv/daybook
  daybookd identity list --data /srv/daybook --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := logFlag(data)
			if err != nil {
				return err
			}
			list, err := listIdentities(dir, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"identities": list})
			}
			return printIdentities(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newIdentityCACommand() *cobra.Command {
	var data, domain string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ca --data DIR --domain DOMAIN",
		Short: "Make a CA for one domain, and print its digest for the domain map",
		Long: `Make a private CA that issues the identities of one domain and of no other. From
then on no other CA vouches for the domain: renew its identities next, their
clients wait for that. The digest belongs into the domain map:

  domains:
    - id: DOMAIN
      issuer: {cas: [DIGEST]}

Where the CA is there already, the digest is printed again.`,
		Example: `  daybookd identity ca --data /srv/daybook --domain web`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := logFlag(data)
			if err != nil {
				return err
			}
			made, err := makeDomainCA(dir, domain, time.Now())
			if err != nil {
				return err
			}
			return made.print(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().StringVar(&domain, "domain", "", "trust domain of the CA, such as web")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// logFlag returns the directory that --data names, which holds a log.
func logFlag(data string) (datadir.Dir, error) {
	dir, err := dataFlag(data)
	if err != nil {
		return "", err
	}
	exists, err := dir.Exists()
	if err == nil && !exists {
		err = fmt.Errorf("%s holds no log: check the path, or make one with `daybookd init --data %s --origin NAME`", dir, dir)
	}
	return dir, err
}

// maxDays is the longest that an identity lasts.
const maxDays = 397

func lifeFlag(days int) (time.Duration, error) {
	if days < 1 || days > maxDays {
		return 0, usagef("--days %d is not 1 to %d", days, maxDays)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// domainCA is what `identity ca` says.
type domainCA struct {
	Domain      string `json:"domain"`
	CASHA256    string `json:"ca_sha256"`
	Certificate string `json:"certificate"`
	Created     bool   `json:"created"`
	// Renew are the identities of the domain that the CA has not issued.
	Renew []string `json:"renew"`
}

// makeDomainCA makes the CA of a domain, or finds it. The key is written first: a
// certificate without its key would bind the domain to a CA that issues nothing.
func makeDomainCA(dir datadir.Dir, domain string, now time.Time) (*domainCA, error) {
	if _, err := verify.ProducerDomain("spiffe://" + domain + "/x"); err != nil {
		return nil, usagef("--domain %q is no trust domain: 1 to 63 of a-z, 0-9, . and -", domain)
	}
	authority, err := openDomainAuthority(dir, domain)
	if err != nil {
		return nil, err
	}
	certificate, key := dir.DomainCA(domain)
	made := &domainCA{Domain: domain, Certificate: certificate, Created: authority == nil, Renew: []string{}}
	if authority == nil {
		if authority, err = identity.NewAuthority(domain, now); err != nil {
			return nil, err
		}
		pair, err := authority.Pair()
		if err != nil {
			return nil, err
		}
		if err := writePair(pair, certificate, key); err != nil {
			return nil, err
		}
	}
	sum := authority.KeyDigest()
	made.CASHA256 = hex.EncodeToString(sum[:])
	records, err := readRecords(dir)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.domain() == domain && !r.issuedBy(authority) {
			made.Renew = append(made.Renew, r.ID)
		}
	}
	return made, nil
}

func (m *domainCA) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, m)
	}
	verb := "is there"
	if m.Created {
		verb = "made"
	}
	fmt.Fprintf(w, "CA of domain %s %s: %s, its key beside it (keep it safe)\n\n  domain map:  issuer: {cas: [%s]}\n", m.Domain, verb, m.Certificate, m.CASHA256)
	for _, id := range m.Renew {
		fmt.Fprintf(w, "  renew next:  daybookd identity renew --data DIR --id %s\n", id)
	}
	return nil
}
