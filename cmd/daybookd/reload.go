package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
)

// renewEvery is how often the certificates of the directory's own listeners and
// clients are looked at; they last for months.
const renewEvery = time.Hour

// trustFiles is what a directory trusts, as its files say it.
type trustFiles struct {
	dir       datadir.Dir
	authority *identity.Authority // the private CA, as of the last load
	config    string              // path of the configuration, which may be missing
	paths     map[string]string   // bundles by domain, as of the last load
	trust     *identity.Trust
	listeners map[string]*identity.Trust   // of the listeners that have client certificates
	own       config.Listeners             // their trust, as of the last load
	cas       map[string]identity.Validity // as of the last load
}

// openTrust loads the trust of a directory. Of the configuration in force only
// trust and revoked are read, and again whenever it changes.
func openTrust(dir datadir.Dir, authority *identity.Authority, configPath string, c *config.Config) (*trustFiles, error) {
	t := &trustFiles{dir: dir, authority: authority, config: configPath, trust: new(identity.Trust), listeners: make(map[string]*identity.Trust)}
	for _, name := range config.Trusting {
		t.listeners[name] = new(identity.Trust)
	}
	return t, t.load(c)
}

// files are all files the trust depends on.
func (t *trustFiles) files() []string {
	names := []string{t.config, t.dir.CACertificate()}
	domains, err := t.dir.DomainCAs()
	if err == nil {
		for _, path := range domains {
			names = append(names, path)
		}
	}
	names = append(names, slices.Collect(maps.Values(t.paths))...)
	for _, name := range config.Trusting {
		names = append(names, slices.Collect(maps.Values(t.own.Of(name).Trust))...)
	}
	slices.Sort(names)
	return names
}

// reload reads the configuration again, and everything it names.
func (t *trustFiles) reload() error {
	text, err := os.ReadFile(t.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := config.Parse(text, filepath.Dir(t.config))
	if err != nil {
		return fmt.Errorf("configuration %s:\n%w", t.config, err)
	}
	if t.authority, err = openAuthority(t.dir); err != nil {
		return err
	}
	return t.load(c)
}

// load puts what the files hold in force, or nothing of it.
func (t *trustFiles) load(c *config.Config) error {
	t.paths, t.own = c.Trust, c.Listeners
	bundles, err := t.bundles(c.Trust)
	if err != nil {
		return err
	}
	own := t.authority.Bundle()
	cas := map[string]identity.Validity{}
	if err := addCAs(cas, "private", own); err != nil {
		return err
	}
	for domain, text := range bundles {
		if err := addCAs(cas, "domain "+domain, text); err != nil {
			return fmt.Errorf("trust: bundle of domain %s: %w", domain, err)
		}
	}
	next := map[*identity.Trust]trustOf{t.trust: {own, bundles}}
	for name, trust := range t.listeners {
		if next[trust], err = t.listenerTrust(name, trustOf{own, bundles}, cas); err != nil {
			return err
		}
	}
	for _, what := range next { // all or nothing
		if err := new(identity.Trust).Replace(what.own, what.bundles, c.Revoked); err != nil {
			return err
		}
	}
	for trust, what := range next {
		if err := trust.Replace(what.own, what.bundles, c.Revoked); err != nil {
			return err
		}
	}
	t.cas = cas
	return nil
}

// trustOf is what an identity.Trust is made of.
type trustOf struct {
	own     []byte
	bundles map[string][]byte
}

// listenerTrust reads what a listener trusts by itself; common where that is
// nothing.
func (t *trustFiles) listenerTrust(name string, common trustOf, cas map[string]identity.Validity) (trustOf, error) {
	paths := t.own.Of(name).Trust
	if len(paths) == 0 {
		return common, nil
	}
	alone := trustOf{bundles: make(map[string][]byte)}
	for domain, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return trustOf{}, fmt.Errorf("listeners.%s.trust.%s: %w", name, domain, err)
		}
		if err := addCAs(cas, "listener "+name+" domain "+domain, b); err != nil {
			return trustOf{}, fmt.Errorf("listeners.%s.trust.%s: %w", name, domain, err)
		}
		alone.bundles[domain] = b
	}
	return alone, nil
}

// bundles reads the bundle of each domain: of its own CA in the directory, and of
// those that the configuration names for it.
func (t *trustFiles) bundles(paths map[string]string) (map[string][]byte, error) {
	own, err := t.dir.DomainCAs()
	if err != nil {
		return nil, err
	}
	bundles := make(map[string][]byte)
	for _, from := range []map[string]string{own, paths} {
		for domain, path := range from {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("trust.%s: %w", domain, err)
			}
			bundles[domain] = append(append(bundles[domain], b...), '\n')
		}
	}
	return bundles, nil
}

// addCAs notes how long the CAs of a bundle are valid: the one that ends first.
func addCAs(cas map[string]identity.Validity, name string, bundle []byte) error {
	list, err := identity.ParseBundle(bundle)
	if err != nil {
		return err
	}
	for i, ca := range list {
		if v := identity.ValidityOf(ca); i == 0 || v.NotAfter.Before(cas[name].NotAfter) {
			cas[name] = v
		}
	}
	return nil
}

// keepIdentities reads certificates, bundles and the list of revoked certificates
// again when their files change, and renews what the private CA issued for the
// directory itself, until ctx ends.
func (r *runningServer) keepIdentities(ctx context.Context, c *config.Config, ids *identities, metrics *server.Metrics) {
	trust := ids.trusted
	r.server.WatchCAs(trust.cas)
	groups := []identity.Group{{Name: "trust", Files: trust.files, Load: func() error {
		if err := trust.reload(); err != nil {
			return err
		}
		r.server.WatchCAs(trust.cas)
		return nil
	}}}
	for _, name := range access.Listeners {
		certificate, key := r.Dir.Listener(name)
		if l := c.Listeners.Of(name); l.Certificate != "" {
			certificate, key = l.Certificate, l.Key
		} else if name == access.Public {
			continue
		}
		groups = append(groups, identity.Group{Name: "listener " + name,
			Files: func() []string { return []string{certificate, key} },
			Load: func() error {
				pair, err := readPair(certificate, key)
				if err != nil || pair == nil {
					return errors.Join(err, fmt.Errorf("reading %s and its key: one is missing", certificate))
				}
				return r.server.ReplaceCertificate(name, *pair)
			}})
	}
	watcher := identity.NewWatcher(r.log, metrics.Reloaded, groups...)
	look, renew := time.NewTicker(identity.WatchEvery), time.NewTicker(renewEvery)
	defer look.Stop()
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-renew.C:
			if err := renewOwn(r.Dir, trust.authority, c, time.Now(), r.log); err != nil {
				r.log.Error("certificates near their end were not renewed", "error", err)
			}
		case <-look.C:
			watcher.Look()
		}
	}
}

// renewOwn issues what is missing or near its end for the listeners and the
// directory's own clients; the watcher then finds it.
func renewOwn(dir datadir.Dir, authority *identity.Authority, c *config.Config, now time.Time, log *slog.Logger) error {
	var faults []error
	for _, name := range server.CertificateNames {
		if c.Listeners.Of(name).Certificate != "" {
			continue
		}
		_, err := ensureListener(dir, authority, name, c.CertificateHosts(), now, log)
		faults = append(faults, err)
	}
	for _, name := range []string{producerName, operatorName} {
		faults = append(faults, renewClient(dir, authority, name, now, log))
	}
	return errors.Join(faults...)
}
