package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
)

// writePair writes the key first: a certificate without its key is of no use.
func writePair(pair identity.Pair, certificate, key string) error {
	if err := datadir.WriteFile(key, pair.Key, 0o600); err != nil {
		return err
	}
	return datadir.WriteFile(certificate, pair.Certificate, 0o644)
}

// readPair returns a nil pair where either file is missing.
func readPair(certificate, key string) (*identity.Pair, error) {
	var pair identity.Pair
	for _, part := range []struct {
		path string
		to   *[]byte
	}{{certificate, &pair.Certificate}, {key, &pair.Key}} {
		b, err := os.ReadFile(part.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		*part.to = b
	}
	return &pair, nil
}

// identities are what the listeners of a data directory authenticate with.
type identities struct {
	authority *identity.Authority
	trusted   *trustFiles
	listeners map[string]identity.Pair
}

// openAuthority reads the private CA of a directory.
func openAuthority(dir datadir.Dir) (*identity.Authority, error) {
	pair, err := readPair(dir.CACertificate(), dir.CAKey())
	if err != nil {
		return nil, fmt.Errorf("reading the private CA: %w", err)
	}
	if pair == nil {
		return nil, fmt.Errorf("the private CA is missing: %s and its key; put them back from a backup", dir.CACertificate())
	}
	return identity.ParseAuthority(*pair)
}

// openIdentities reads the CA, issues what is missing or near its end for the
// listeners and the directory's own clients, and loads the domains' bundles.
func openIdentities(dir datadir.Dir, authority *identity.Authority, configPath string, c *config.Config, log *slog.Logger) (*identities, error) {
	now := time.Now()
	ids := &identities{authority: authority, listeners: make(map[string]identity.Pair)}
	configured, err := configuredPairs(c)
	if err != nil {
		return nil, err
	}
	maps.Copy(ids.listeners, configured)
	for _, name := range server.CertificateNames {
		if _, ok := configured[name]; ok {
			continue
		}
		pair, err := ensureListener(dir, authority, name, c.CertificateHosts(), now, log)
		if err != nil {
			return nil, err
		}
		ids.listeners[name] = *pair
	}
	for _, name := range []string{producerName, operatorName} {
		if err := renewClient(dir, authority, name, now, log); err != nil {
			return nil, err
		}
	}
	ids.trusted, err = openTrust(dir, authority, configPath, c)
	return ids, err
}

// configuredPairs reads the certificates that the configuration names for
// listeners.
func configuredPairs(c *config.Config) (map[string]identity.Pair, error) {
	pairs := make(map[string]identity.Pair)
	for _, name := range access.Listeners {
		l := c.Listeners.Of(name)
		if l.Certificate == "" {
			continue
		}
		pair, err := configuredPair(name, l)
		if err != nil {
			return nil, err
		}
		pairs[name] = *pair
	}
	return pairs, nil
}

func configuredPair(name string, l config.Listener) (*identity.Pair, error) {
	pair, err := readPair(l.Certificate, l.Key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("listeners.%s.certificate: %w", name, err)
	case pair == nil:
		return nil, fmt.Errorf("listeners.%s.certificate: %s or its key %s is missing", name, l.Certificate, l.Key)
	}
	if _, err := identity.NewCredential(*pair); err != nil {
		return nil, fmt.Errorf("listeners.%s.certificate: %s and %s: %w", name, l.Certificate, l.Key, err)
	}
	return pair, nil
}

// ensureListener returns the pair of a listener, new where the old one will not do.
func ensureListener(dir datadir.Dir, ca *identity.Authority, name string, hosts []string, now time.Time, log *slog.Logger) (*identity.Pair, error) {
	certificate, key := dir.Listener(name)
	pair, err := readPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of listener %s: %w", name, err)
	}
	why := "there is none"
	if pair != nil {
		if why = ca.Stale(*pair, hosts, now); why == "" {
			return pair, nil
		}
	}
	fresh, err := ca.IssueServer(name, hosts, now)
	if err != nil {
		return nil, err
	}
	log.Info("issued a certificate", "listener", name, "why", why)
	return &fresh, writePair(fresh, certificate, key)
}

// renewClient replaces a certificate of the directory's own clients that is near
// its end; the key stays. One that was taken away stays away.
func renewClient(dir datadir.Dir, ca *identity.Authority, name string, now time.Time, log *slog.Logger) error {
	certificate, key := dir.Client(name)
	pair, err := readPair(certificate, key)
	if err != nil || pair == nil {
		return err
	}
	if !ca.Expiring(*pair, now) {
		return nil
	}
	fresh, err := ca.IssueClient("spiffe://"+ca.Domain()+"/"+name, pair, now)
	if err != nil {
		return fmt.Errorf("renewing %s: %w", certificate, err)
	}
	log.Info("renewed a certificate near its end", "client", name)
	return writePair(fresh, certificate, key)
}

// copyTree copies files durably, directories with them.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return datadir.WriteFile(filepath.Join(to, rel), b, info.Mode().Perm())
	})
}
