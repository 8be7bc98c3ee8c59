// Package vault encrypts the openings of sealed values under keys in files.
//
// There is one AES-256 key for each retention class and month, in a directory
// outside of the store and of its backups; destroying the file is the erasure
// of every value under it. A sealed opening is
//
//	12-byte random nonce || AES-256-GCM(plain, context as additional data)
//
// and the key of class `trading` and month 2026-11 is the file
// `2026-11-<first 16 hex of SHA-256("trading")>.key`, 32 raw bytes.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// ErrDestroyed answers Open where the key is not there: the value was erased.
var ErrDestroyed = errors.New("the key of this class and month is destroyed")

// A Vault keeps keys in one directory. Safe for concurrent use.
type Vault struct {
	dir string

	mu    sync.Mutex
	aeads map[string]cipher.AEAD // by file name; guarded by mu
}

// Open returns the vault in a directory, which is made at the first key.
func Open(dir string) *Vault { return &Vault{dir: dir, aeads: map[string]cipher.AEAD{}} }

// Seal encrypts plain; context must be given again to open it. The key is made
// where it is missing, and is durable before anything under it is returned: a
// crash leaves a key without values, which harms nothing.
func (v *Vault) Seal(class, month string, plain, context []byte) ([]byte, error) {
	aead, err := v.aead(class, month, true)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, context), nil
}

// Open decrypts what Seal returned; ErrDestroyed where the key is gone.
func (v *Vault) Open(class, month string, sealed, context []byte) ([]byte, error) {
	aead, err := v.aead(class, month, false)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("sealed opening is cut short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], context)
}

func (v *Vault) aead(class, month string, create bool) (cipher.AEAD, error) {
	sum := sha256.Sum256([]byte(class))
	name := month + "-" + hex.EncodeToString(sum[:8]) + ".key"
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := v.aeads[name]; a != nil && create {
		return a, nil
	}
	key, err := os.ReadFile(filepath.Join(v.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, ErrDestroyed
		}
		key, err = v.newKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("key of openings: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of openings %s: %w", name, err)
	}
	a, err := cipher.NewGCM(block)
	if err == nil {
		v.aeads[name] = a
	}
	return a, err
}

// newKey makes a key file durably: written beside, synced, renamed, and the
// directory synced.
func (v *Vault) newKey(name string) ([]byte, error) {
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	rand.Read(key)
	tmp := filepath.Join(v.dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, filepath.Join(v.dir, name)); err != nil {
		return nil, err
	}
	d, err := os.Open(v.dir)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(d.Sync(), d.Close())
}
