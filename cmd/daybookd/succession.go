package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// A succession is what a new log takes over from the one before it: nil of none.
type succession struct {
	Origin      string      // of the new log
	Old         datadir.Dir // whose identities go on; may be missing
	SKey, VKey  string      // of the new log
	Predecessor *daybookv1.Predecessor
}

// key returns the key of the new log, or makes one.
func (s *succession) key(origin string) (skey, vkey string, err error) {
	if s == nil {
		return note.GenerateKey(rand.Reader, origin)
	}
	return s.SKey, s.VKey, nil
}

// predecessor is what entry 0 says of the log before; nil: there is none.
func (s *succession) predecessor() *daybookv1.Predecessor {
	if s == nil {
		return nil
	}
	return s.Predecessor
}

// carried is what goes on from the old directory: a producer of the old log needs
// nothing but the new one's key.
var carried = []string{"ca", "clients", "issued", "identities", "config.yaml"}

// identities takes over the CA and what it issued, or makes new ones.
func (s *succession) identities(temp datadir.Dir, domain string) error {
	if s == nil {
		return createIdentities(temp, domain)
	}
	if _, err := os.Stat(s.Old.CAKey()); errors.Is(err, fs.ErrNotExist) {
		return createIdentities(temp, domain)
	}
	for _, name := range carried {
		from := filepath.Join(string(s.Old), name)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := copyTree(from, filepath.Join(string(temp), name)); err != nil {
			return fmt.Errorf("taking over %s: %w", from, err)
		}
	}
	return nil
}

// staged is where the key of a log lies that is not made yet: beside its directory.
func staged(dir datadir.Dir) datadir.Dir { return dir + ".succession" }

// stage makes the key of a new log, to be approved. Crash: there is none, or a key
// that signs nothing and may be removed.
func stage(dir datadir.Dir, origin string) (*succession, error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("making the new log's key: %w", err)
	}
	at := staged(dir)
	if err := datadir.WriteFile(at.LogKey(), []byte(skey+"\n"), 0o600); err != nil {
		return nil, err
	}
	return &succession{Origin: origin, SKey: skey, VKey: vkey}, datadir.WriteFile(at.LogVKey(), []byte(vkey+"\n"), 0o644)
}

// readStaged reads what stage made; nil: nothing.
func readStaged(dir datadir.Dir) (*succession, error) {
	at := staged(dir)
	exists, err := at.Exists()
	if err != nil || !exists {
		return nil, err
	}
	signer, vkey, err := keyring{at}.present()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(at.LogKey())
	if err != nil {
		return nil, err
	}
	return &succession{Origin: signer.Name(), SKey: strings.TrimSpace(string(b)), VKey: vkey}, nil
}
