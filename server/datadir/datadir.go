// Package datadir is the layout of a data directory: which file lies where, and
// how each is replaced without ever being half there.
//
//	DIR/store/            the log (ledger/store/pebblestore)
//	DIR/log.key           signer of checkpoints (c2sp signed-note), mode 0600
//	DIR/log.vkey          the log's present verifier key, one line; written last: a
//	                      directory without it is no data directory
//	DIR/keys/ID.key       a further signer of checkpoints, by its key id, mode 0600;
//	                      ID.vkey beside it is written last
//	DIR/ca/ca.pem         certificate of the private CA; ca.key beside it
//	DIR/ca/bundle.pem     what a client trusts
//	DIR/ca/domains/D.pem  certificate of a domain's own CA; D.key beside it
//	DIR/tls/NAME.pem      certificate of a listener; NAME.key beside it
//	DIR/clients/NAME.pem  certificate of a client; NAME.key beside it
//	DIR/issued/           what was issued to others: one file for each SPIFFE id
//	DIR/identities/       folders of identities that were issued to no other place
//	DIR/profile.yaml      how a client reaches this log
//	DIR/addresses.json    where the listeners are; replaced by each serve
//	DIR/config.yaml       optional (server/config)
//	DIR/ballast           takes room that is given back when the disk is full; may
//	                      be left out of backups, and removed at any time
//	DIR/exports/          examination files while they are made and sent; emptied by
//	                      each start
//	DIR/fork-evidence/    notes that prove a fork; a log with any stays shut
//	DIR.anchor            newest checkpoint note: beside DIR, so that a DIR put
//	                      back from a backup does not bring an older one along
//
// For example Dir("/srv/log").Anchor() is /srv/log.anchor.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Dir is the path of a data directory.
type Dir string

// Clean returns the absolute form of a path, so that DIR.anchor is beside DIR
// even where DIR is given as `.`.
func Clean(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", path, err)
	}
	if abs == filepath.Dir(abs) {
		return "", fmt.Errorf("data directory %s: is the root of the file system: name a directory of its own", path)
	}
	return Dir(abs), nil
}

func (d Dir) join(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// Store is the directory of the log's store.
func (d Dir) Store() string { return d.join("store") }

// LogKey is the file of the checkpoint signer.
func (d Dir) LogKey() string { return d.join("log.key") }

// LogVKey is the file of the verifier key.
func (d Dir) LogVKey() string { return d.join("log.vkey") }

// Keys is the directory of further keys of the log.
func (d Dir) Keys() string { return d.join("keys") }

// Key returns signer and verifier key of a further key of the log, by its key id,
// eight hex digits.
func (d Dir) Key(id string) (signer, verifier string) {
	return d.join("keys", id+".key"), d.join("keys", id+".vkey")
}

// CACertificate is the certificate of the private CA.
func (d Dir) CACertificate() string { return d.join("ca", "ca.pem") }

// CAKey is the key of the private CA.
func (d Dir) CAKey() string { return d.join("ca", "ca.key") }

// DomainCA returns certificate and key of a domain's own CA.
func (d Dir) DomainCA(domain string) (certificate, key string) {
	return d.join("ca", "domains", domain+".pem"), d.join("ca", "domains", domain+".key")
}

// DomainCAs returns the certificates of the domains' own CAs, by domain.
func (d Dir) DomainCAs() (map[string]string, error) {
	entries, err := os.ReadDir(d.join("ca", "domains"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the domains' CAs: %w", err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		if domain, ok := strings.CutSuffix(e.Name(), ".pem"); ok {
			all[domain], _ = d.DomainCA(domain)
		}
	}
	return all, nil
}

// Issued is the directory of what was issued to others.
func (d Dir) Issued() string { return d.join("issued") }

// Identity is the folder of an identity that was issued to no other place: one for
// each SPIFFE id, in which no `+` stands.
func (d Dir) Identity(id string) string {
	return d.join("identities", strings.ReplaceAll(strings.TrimPrefix(id, "spiffe://"), "/", "+"))
}

// Bundle is what clients trust.
func (d Dir) Bundle() string { return d.join("ca", "bundle.pem") }

// Listener returns certificate and key of a listener such as `ingest`.
func (d Dir) Listener(name string) (certificate, key string) {
	return d.join("tls", name+".pem"), d.join("tls", name+".key")
}

// Client returns certificate and key of a client such as `producer`.
func (d Dir) Client(name string) (certificate, key string) {
	return d.join("clients", name+".pem"), d.join("clients", name+".key")
}

// Profile is the profile of the directory's own producer.
func (d Dir) Profile() string { return d.join("profile.yaml") }

// Addresses is where serve says which addresses it got.
func (d Dir) Addresses() string { return d.join("addresses.json") }

// Config is the optional configuration.
func (d Dir) Config() string { return d.join("config.yaml") }

// Ballast is the file that takes room to be given back when the disk is full.
func (d Dir) Ballast() string { return d.join("ballast") }

// Exports is the directory of examination files while they are made and sent.
func (d Dir) Exports() string { return d.join("exports") }

// ForkEvidence is the directory of notes that prove a fork.
func (d Dir) ForkEvidence() string { return d.join("fork-evidence") }

// SealKeys is the directory of the keys under which openings of sealed values
// are kept; leave it out of backups of the log.
func (d Dir) SealKeys() string { return d.join("seal-keys") }

// Anchor is the file of the newest checkpoint, beside the directory.
func (d Dir) Anchor() string { return string(d) + ".anchor" }

// State is a directory, beside the data directory, in which the directory's own
// clients keep the newest checkpoint they saw: a DIR put back from a backup
// meets clients that remember.
func (d Dir) State() string { return string(d) + ".state" }

// Exists tells whether the directory holds a log that was made whole.
func (d Dir) Exists() (bool, error) {
	_, err := os.Stat(d.LogVKey())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Vacant tells whether a log may be made here: DIR is missing or empty.
func (d Dir) Vacant() (bool, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return len(entries) == 0, nil
}
