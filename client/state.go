package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files of a state directory, each a signed note.
const (
	// newestFile holds the largest checkpoint seen under the log's key.
	newestFile = "newest.checkpoint"
	// provenFile holds the newest one that was proven to extend all before it.
	// It differs from the newest only where the log was not asked in time.
	provenFile = "proven.checkpoint"
)

// replaceFile puts data under path: a new file, synced, renamed over the old
// one, and the directory synced. After a crash the path holds the old bytes or
// the new ones, never a mixture; a leftover temporary file is harmless.
func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	name := f.Name()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readState reads one note of the state directory; nil where there is none.
func readState(dir, name string) ([]byte, error) {
	text, err := readBounded(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading state: %w", err)
	}
	return text, nil
}
