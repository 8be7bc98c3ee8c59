package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
)

// ownFolder holds what is not the copy.
const ownFolder = ".mirror"

// A dir is the directory of a copy.
type dir struct {
	root string
	lock *os.File
}

// openDir makes the directory and takes its lock, which ends with the process.
func openDir(root string) (*dir, error) {
	if _, err := os.Stat(filepath.Join(root, "log.key")); err == nil {
		return nil, fmt.Errorf("%s is the data directory of a log: mirror to another one", root)
	}
	d := &dir{root: root}
	if err := os.MkdirAll(d.own("staging"), 0o755); err != nil {
		return nil, err
	}
	var err error
	if d.lock, err = os.OpenFile(d.own("lock"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if err := lockFile(d.lock); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is mirrored to by another process: %w", root, err), d.lock.Close())
	}
	return d, nil
}

func (d *dir) close() error { return d.lock.Close() }

func (d *dir) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

func (d *dir) own(name string) string {
	return filepath.Join(d.root, ownFolder, filepath.FromSlash(name))
}

func (d *dir) stagedPath(t verify.Tile) string {
	return d.own("staging/" + verify.FormatTilePath(t))
}

// checkpoint returns the mirrored checkpoint; nil: there is none.
func (d *dir) checkpoint() ([]byte, error) {
	b, err := os.ReadFile(d.path(checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// tile reads a tile of the copy.
func (d *dir) tile(_ context.Context, t verify.Tile) ([]byte, error) {
	return os.ReadFile(d.path(verify.FormatTilePath(t)))
}

func (d *dir) staged(t verify.Tile) ([]byte, error) { return os.ReadFile(d.stagedPath(t)) }

// stage writes a file to the staging folder, synced. A crash leaves it out, or cut
// short under another name, or leaves one whose folder entry is lost: the next step
// checks what it finds as if it were fetched, and fetches the rest.
func (d *dir) stage(t verify.Tile, b []byte) error {
	path := d.stagedPath(t)
	err := writeSynced(path, b)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		err = writeSynced(path, b)
	}
	return err
}

// writeSynced writes a file whole: under another name first. The caller syncs its
// folder.
func writeSynced(path string, b []byte) error {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// publish moves the staged files of a size to their places, and syncs every folder
// that it touched. A crash leaves some moved: they are beyond the checkpoint, which
// is replaced later, and the next step fetches them again.
func (d *dir) publish(size uint64) error {
	staging := d.own("staging")
	touched := map[string]bool{}
	err := filepath.WalkDir(staging, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(staging, path)
		if err != nil {
			return err
		}
		t, err := verify.ParseTilePath(filepath.ToSlash(name))
		if err != nil || t.Width != verify.TileWidthAt(t.Level, t.N, size) {
			return os.Remove(path) // of a step that aimed at another size
		}
		to := d.path(verify.FormatTilePath(t))
		if err := d.makeFolders(filepath.Dir(to), touched); err != nil {
			return err
		}
		return os.Rename(path, to)
	})
	if err != nil {
		return err
	}
	for folder := range touched {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return removeFolders(staging)
}

// makeFolders makes a folder and notes it and all above it, down from the copy's
// own, as touched.
func (d *dir) makeFolders(folder string, touched map[string]bool) error {
	if touched[folder] {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for at := folder; !touched[at]; at = filepath.Dir(at) {
		touched[at] = true
		if at == filepath.Clean(d.root) {
			break
		}
	}
	return nil
}

// removeFolders empties a folder of the folders in it, which hold no files.
func removeFolders(root string) error {
	var folders []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != root {
			folders = append(folders, path)
		}
		return err
	})
	for _, path := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// replaceCheckpoint replaces the checkpoint, which all it covers was synced before.
// A crash leaves the old one, whose files are all there still, or the new one.
func (d *dir) replaceCheckpoint(note []byte) error {
	if err := writeSynced(d.path(checkpointFile), note); err != nil {
		return err
	}
	return syncFolder(d.root)
}

// keep writes a file of the mirror's own, synced. A crash leaves it out or whole.
func (d *dir) keep(name string, b []byte) error {
	path := d.own(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := writeSynced(path, b); err != nil {
		return err
	}
	return errors.Join(syncFolder(filepath.Dir(path)), syncFolder(d.own("")), syncFolder(d.root))
}

// saveEvidence keeps what proves a fork, and returns where.
func (d *dir) saveEvidence(notes map[string][]byte) (string, error) {
	var faults []error
	for name, note := range notes {
		faults = append(faults, d.keep("evidence/"+name, note))
	}
	return d.own("evidence"), errors.Join(faults...)
}

// sweep removes the partial tiles of an older size that wider ones have taken the
// place of. A crash leaves them: they are the beginnings of others, and no fault.
func (d *dir) sweep(old, size uint64) error {
	for level := uint(0); level < 8; level++ {
		n := old >> (8 * (level + 1))
		t := verify.Tile{Level: level, N: n, Width: verify.TileWidthAt(level, n, old)}
		if t.Width == 0 || t.Width == verify.TileWidthAt(level, n, size) {
			continue
		}
		for _, t.Entries = range []bool{false, true} {
			if t.Entries && level > 0 {
				continue
			}
			path := d.path(verify.FormatTilePath(t))
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if folder := filepath.Dir(path); strings.HasSuffix(folder, ".p") {
				_ = os.Remove(folder) // unless others are in it
			}
		}
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
