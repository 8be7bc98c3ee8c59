package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// demoDomain is under RFC 2606's invalid: a log made by `serve --dev` never
// passes for a firm's.
const demoDomain = "demo.invalid"

// createOptions says which log to make.
type createOptions struct {
	Dir         datadir.Dir
	Name        string // origin without its random end
	Domain      string // trust domain of the certificates; empty: Name's host
	PublicTiles bool
	Succession  *succession // of a log that this one continues; nil: none
}

// Clients of a new directory: their SPIFFE ids are spiffe://<domain>/<name>.
const (
	producerName = "producer"
	operatorName = "operator"
)

// createLog makes a data directory with keys, CA, certificates and entry 0, and
// returns its origin. DIR must be missing or empty. It is made beside DIR and
// renamed: after a crash DIR is whole or not there. Where DIR is a mount point
// it is filled in place, with log.vkey last.
func createLog(ctx context.Context, o createOptions) (origin string, err error) {
	if err := checkVacant(o.Dir); err != nil {
		return "", err
	}
	domain, origin, err := originOf(o)
	if o.Succession != nil {
		origin, err = o.Succession.Origin, nil
	}
	if err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(string(o.Dir)), "."+filepath.Base(string(o.Dir))+".init-*")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the folder of %s does not exist: make it first", o.Dir)
	}
	if err != nil {
		return "", fmt.Errorf("making %s: %w", o.Dir, err)
	}
	defer os.RemoveAll(temp)
	if err := fillDirectory(ctx, datadir.Dir(temp), o, origin, domain); err != nil {
		return "", err
	}
	if err := moveInto(temp, o.Dir); err != nil {
		return "", fmt.Errorf("making %s: %w", o.Dir, err)
	}
	return origin, nil
}

// checkVacant refuses a directory that holds anything, and one whose anchor says
// that a log was here.
func checkVacant(dir datadir.Dir) error {
	exists, err := dir.Exists()
	if err != nil {
		return err
	}
	if exists {
		return fmt.Errorf("%s holds a log already: nothing was changed; serve it with `daybookd serve --data %s`", dir, dir)
	}
	vacant, err := dir.Vacant()
	if err != nil {
		return err
	}
	if !vacant {
		return fmt.Errorf("%s holds other files and no log: nothing was changed; name a directory that is missing or empty", dir)
	}
	text, err := ledger.FileAnchor(dir.Anchor()).Load()
	if err != nil || text == nil {
		return err
	}
	if isDemo(text) {
		return os.Remove(dir.Anchor())
	}
	return fmt.Errorf("%s is gone but its anchor %s is here: a log of that directory was lost; "+
		"put the newest copy back, or move the anchor away to begin another log", dir, dir.Anchor())
}

// isDemo tells whether a checkpoint is of a log made by `serve --dev`.
func isDemo(note []byte) bool { return strings.HasPrefix(string(note), demoDomain+"/") }

// originOf returns trust domain and origin of a new log.
func originOf(o createOptions) (domain, origin string, err error) {
	if o.Name == "" {
		o.Name = o.Domain
	}
	if o.Domain == "" {
		o.Domain, _, _ = strings.Cut(o.Name, "/")
	}
	if _, err := verify.ProducerDomain("spiffe://" + o.Domain + "/" + producerName); err != nil {
		return "", "", usagef("origin %q: its first part is the trust domain of the certificates and must be a DNS name in lower case; or name one with --domain", o.Name)
	}
	if strings.ContainsFunc(o.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == '+' }) || len(o.Name) > 200 {
		return "", "", usagef("origin %q: use at most 200 visible ASCII characters without `+`", o.Name)
	}
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return o.Domain, strings.TrimSuffix(o.Name, "/") + "/" + hex.EncodeToString(b[:]), nil
}

// fillDirectory makes everything in temp, log.vkey last.
func fillDirectory(ctx context.Context, temp datadir.Dir, o createOptions, origin, domain string) error {
	skey, vkey, err := o.Succession.key(origin)
	if err != nil {
		return fmt.Errorf("making the log's key: %w", err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return fmt.Errorf("making the log's key: %w", err)
	}
	if err := datadir.WriteFile(temp.LogKey(), []byte(skey+"\n"), 0o600); err != nil {
		return err
	}
	if err := o.Succession.identities(temp, domain); err != nil {
		return err
	}
	if err := datadir.WriteFile(temp.Profile(), profileText(o.Dir, vkey), 0o644); err != nil {
		return err
	}
	engine, err := pebblestore.Open(pebblestore.Options{Dir: temp.Store()})
	if err != nil {
		return err
	}
	err = ledger.Create(ctx, ledger.CreateConfig{
		Store: engine, Signer: signer, VKey: vkey, Anchor: ledger.FileAnchor(o.Dir.Anchor()), PublicTiles: o.PublicTiles,
		Succeeds: o.Succession.predecessor(),
	})
	if err := errors.Join(err, engine.Close()); err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	return datadir.WriteFile(temp.LogVKey(), []byte(vkey+"\n"), 0o644)
}

// createIdentities makes the private CA and the clients' certificates.
func createIdentities(dir datadir.Dir, domain string) error {
	now := time.Now()
	ca, err := identity.NewAuthority(domain, now)
	if err != nil {
		return err
	}
	pair, err := ca.Pair()
	if err != nil {
		return err
	}
	if err := writePair(pair, dir.CACertificate(), dir.CAKey()); err != nil {
		return err
	}
	if err := datadir.WriteFile(dir.Bundle(), ca.Bundle(), 0o644); err != nil {
		return err
	}
	for _, name := range []string{producerName, operatorName} {
		pair, err := ca.IssueClient("spiffe://"+domain+"/"+name, nil, now)
		if err != nil {
			return err
		}
		certificate, key := dir.Client(name)
		if err := writePair(pair, certificate, key); err != nil {
			return err
		}
	}
	return nil
}

// profileText is the profile of the directory's producer. Its state lies beside
// the directory: a directory put back from a backup meets a client that
// remembers.
func profileText(dir datadir.Dir, vkey string) []byte {
	return fmt.Appendf(nil, `# How a client reaches this log: daybook --profile FILE, or $DAYBOOK_PROFILE.
# Paths are relative to this file.
addresses: addresses.json
ca: ca/bundle.pem
certificate: clients/%s.pem
key: clients/%s.key
vkey: %s
state: ../%s
`, producerName, producerName, vkey, filepath.Base(dir.State()))
}

// moveInto gives the new directory its name.
func moveInto(temp string, dir datadir.Dir) error {
	err := os.Rename(temp, string(dir))
	if errors.Is(err, syscall.EBUSY) {
		err = moveChildren(temp, dir)
	}
	if err != nil {
		return err
	}
	return datadir.SyncDir(filepath.Dir(string(dir)))
}

// moveChildren fills a mount point, log.vkey last: a directory without it is no
// log. After a crash it must be emptied by hand.
func moveChildren(temp string, dir datadir.Dir) error {
	entries, err := os.ReadDir(temp)
	if err != nil {
		return err
	}
	last := filepath.Base(dir.LogVKey())
	for _, e := range entries {
		if e.Name() != last {
			if err := copyTree(filepath.Join(temp, e.Name()), filepath.Join(string(dir), e.Name())); err != nil {
				return err
			}
		}
	}
	if err := copyTree(filepath.Join(temp, last), string(dir.LogVKey())); err != nil {
		return err
	}
	return datadir.SyncDir(string(dir))
}
