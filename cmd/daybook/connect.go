package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
)

// A connection holds the flags that say where the log is and who we are.
type connection struct {
	profile, ingest, query string
	identity               string
	officer, passphrase    string
	token                  string
	patience               time.Duration

	mu   sync.Mutex
	told time.Time // when a retry was last told of; guarded by mu
}

func (c *connection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.profile, "profile", "", "profile `file` (default $"+client.ProfileVariable+")")
	f.StringVar(&c.identity, "identity", "", "who you are, in place of the profile's: a `folder` that daybookd identity issued, or NAME of NAME.pem and NAME.key")
	f.StringVar(&c.officer, "officer", "", "a production officer's sealed credential `file`, in place of the profile's identity")
	f.StringVar(&c.passphrase, "passphrase-file", "", "`file` with the passphrase of --officer (default: ask on the terminal)")
	f.StringVar(&c.token, "token-file", "", "`file` with your OIDC token, by which query then knows you; read for each call")
	f.StringVar(&c.ingest, "ingest-addr", "", "`host:port` of ingest, in place of the profile's")
	f.StringVar(&c.query, "query-addr", "", "`host:port` of query, in place of the profile's")
	f.DurationVar(&c.patience, "patience", 120*time.Second, "give up after so long without progress")
}

// retrying says what is waited for.
func retrying(err error) string {
	if errors.Is(err, client.ErrDiskLow) {
		return "waiting for room on the log's disk; nothing is lost, and this goes on by itself"
	}
	return "retrying"
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
	if c.identity != "" {
		cfg.Certificate, cfg.Key = identityFiles(c.identity)
	}
	if c.officer != "" {
		if err := asOfficer(cmd, &cfg, c.officer, c.passphrase); err != nil {
			return nil, err
		}
	}
	if c.token != "" {
		cfg.Token = func() (string, error) {
			b, err := os.ReadFile(c.token)
			return strings.TrimSpace(string(b)), err
		}
	}
	cfg.Patience, cfg.Software = c.patience, "daybook "+version()
	cfg.OnRetry = func(err error, _ time.Duration) { c.tellRetry(cmd, err) }
	cfg.OnIdentity = func(err error) { tellIdentity(cmd, cfg.Certificate, err) }
	if change != nil {
		change(&cfg)
	}
	return client.Dial(cfg)
}

// identityFiles are the certificate and the key of an identity: in a folder as
// `daybookd identity issue` makes it, or NAME.pem and NAME.key.
func identityFiles(name string) (certificate, key string) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return filepath.Join(name, "certificate.pem"), filepath.Join(name, "key.pem")
	}
	name = strings.TrimSuffix(name, ".pem")
	return name + ".pem", name + ".key"
}

// tellIdentity says that the certificate on disk was taken over, or why not.
func tellIdentity(cmd *cobra.Command, path string, err error) {
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "daybook: the changed certificate was not taken over, the one before stays in use: %v\n", err)
		return
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "daybook: took over the certificate that now lies in %s\n", path)
}

// tellRetry says that something is retried, every 5 s at most, whichever of the
// clients and runs it is.
func (c *connection) tellRetry(cmd *cobra.Command, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.told) > 5*time.Second {
		c.told = time.Now()
		fmt.Fprintf(cmd.ErrOrStderr(), "daybook: %s: %v\n", retrying(err), err)
	}
}
