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

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

// A keyring is the signing keys in a data directory: log.key, the log's first one,
// and those in keys/. Which of them signs, the log's entries say, not the files.
type keyring struct{ dir datadir.Dir }

// present returns the verifier key in log.vkey and its signer.
func (k keyring) present() (signer note.Signer, vkey string, err error) {
	b, err := os.ReadFile(k.dir.LogVKey())
	if err != nil {
		return nil, "", fmt.Errorf("reading the log's verifier key: %w", err)
	}
	vkey = strings.TrimSpace(string(b))
	signer, err = k.signer(vkey)
	return signer, vkey, err
}

// signer finds the signer of a verifier key; ledger.ErrNoKey where it is not in
// the directory.
func (k keyring) signer(vkey string) (note.Signer, error) {
	file, err := k.file(vkey)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the log's key: %w", err)
	}
	return note.NewSigner(strings.TrimSpace(string(b)))
}

// file finds the file of a key.
func (k keyring) file(vkey string) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", fmt.Errorf("the log's verifier key %q: %w", vkey, err)
	}
	own, _ := k.dir.Key(keyID(vkey))
	for _, file := range []string{own, k.dir.LogKey()} {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("reading the log's key: %w", err)
		}
		signer, err := note.NewSigner(strings.TrimSpace(string(b)))
		if err != nil {
			return "", fmt.Errorf("the log's key %s: %w", file, err)
		}
		if signer.Name() == verifier.Name() && signer.KeyHash() == verifier.KeyHash() {
			return file, nil
		}
	}
	return "", fmt.Errorf("%w: neither %s nor %s is the key of %s: put the right one back", ledger.ErrNoKey, own, k.dir.LogKey(), vkey)
}

// keyID is the key id of a vkey, eight hex digits.
func keyID(vkey string) string {
	name := verify.KeyName(vkey)
	return name[strings.LastIndexByte(name, '+')+1:]
}

// settle has log.vkey name the present key, and keeps the one before beside the
// others. Crash: log.vkey names the one before, which the log's next opening puts
// right; nothing is decided by it.
func (k keyring) settle(present string) error {
	b, err := os.ReadFile(k.dir.LogVKey())
	if err != nil {
		return fmt.Errorf("reading the log's verifier key: %w", err)
	}
	written := strings.TrimSpace(string(b))
	if written == present {
		return nil
	}
	_, verifier := k.dir.Key(keyID(written))
	if err := datadir.WriteFile(verifier, []byte(written+"\n"), 0o644); err != nil {
		return err
	}
	return datadir.WriteFile(k.dir.LogVKey(), []byte(present+"\n"), 0o644)
}

// make makes a key under an origin and returns its verifier key. Crash: a key
// without its .vkey lies there, which signs nothing and may be removed.
func (k keyring) make(origin string) (vkey string, err error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	key, verifier := k.dir.Key(keyID(vkey))
	if err := datadir.WriteFile(key, []byte(skey+"\n"), 0o600); err != nil {
		return "", err
	}
	return vkey, datadir.WriteFile(verifier, []byte(vkey+"\n"), 0o644)
}

// further returns the verifier keys in keys/, ascending.
func (k keyring) further() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(k.dir.Keys(), "*.vkey"))
	if err != nil {
		return nil, err
	}
	var vkeys []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a key of the log: %w", err)
		}
		vkeys = append(vkeys, strings.TrimSpace(string(b)))
	}
	return vkeys, nil
}

// all returns every verifier key whose signer is in the directory, the present
// one first.
func (k keyring) all() ([]string, error) {
	b, err := os.ReadFile(k.dir.LogVKey())
	if err != nil {
		return nil, fmt.Errorf("reading the log's verifier key: %w", err)
	}
	vkeys := []string{strings.TrimSpace(string(b))}
	further, err := k.further()
	for _, vkey := range further {
		if vkey != vkeys[0] {
			vkeys = append(vkeys, vkey)
		}
	}
	return vkeys, err
}

// destroy removes a key's signer; its verifier key stays. Crash: the signer is
// there yet, and signs nothing that anybody believes.
func (k keyring) destroy(vkey string) (file string, err error) {
	if file, err = k.file(vkey); err != nil {
		return "", err
	}
	if err := os.Remove(file); err != nil {
		return "", fmt.Errorf("removing a retired key: %w", err)
	}
	return file, datadir.SyncDir(filepath.Dir(file))
}
