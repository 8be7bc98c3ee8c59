package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FileAnchor keeps the newest checkpoint note in a file beside the log's
// directory, so that a directory restored from an older copy is noticed.
type FileAnchor string

// Load implements Anchor.
func (path FileAnchor) Load() ([]byte, error) {
	b, err := os.ReadFile(string(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the anchor: %w", err)
	}
	return b, nil
}

// Save implements Anchor. A crash at any step leaves the old note or the new
// one, never half of one: the rename is atomic, and durable with the fsync of
// the directory. An old note only makes the check at open weaker by the commits
// of the last second.
func (path FileAnchor) Save(note []byte) error {
	if err := writeFileSync(string(path), note); err != nil {
		return fmt.Errorf("writing the anchor: %w", err)
	}
	return nil
}

// FileEvidence keeps proofs of a fork in a directory. A log with evidence opens
// shut until an operator has looked and moved it away.
type FileEvidence string

// Exists implements Evidence.
func (dir FileEvidence) Exists() (bool, error) {
	entries, err := os.ReadDir(string(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading fork evidence: %w", err)
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), ".tmp-") { // a crash left half of a save
			return true, nil
		}
	}
	return false, nil
}

// Save implements Evidence. A crash before it leaves the log without evidence:
// the same producer brings it again.
func (dir FileEvidence) Save(name string, note []byte) error {
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return fmt.Errorf("keeping fork evidence: %w", err)
	}
	if err := writeFileSync(filepath.Join(string(dir), name), note); err != nil {
		return fmt.Errorf("keeping fork evidence: %w", err)
	}
	return nil
}

// writeFileSync replaces path by temp, fsync, rename, fsync of the directory.
func writeFileSync(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if _, err = tmp.Write(data); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	if err = syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return tmp.Close()
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
