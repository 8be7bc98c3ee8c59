package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

const (
	markerName = "DAYBOOK"
	markerTemp = "DAYBOOK.tmp"
	lockName   = "LOCK"

	layout     = "2"
	stateNew   = "new"
	stateReady = "ready"
)

// loadNames are the files of loads that are not finished: of two at a time.
var loadNames = [2][2]string{{"daybook-load.sst", "daybook-load-upper.sst"}, {"daybook-load-2.sst", "daybook-load-2-upper.sst"}}

func formatMarker(state string) string {
	return "daybook store\nlayout " + layout + "\nstate " + state + "\n"
}

// parseMarker returns the state, new or ready.
func parseMarker(text string) (string, error) {
	lines := strings.Split(text, "\n")
	if lines[0] != "daybook store" || len(lines) < 2 || !strings.HasPrefix(lines[1], "layout ") {
		return "", fmt.Errorf("%w: its file %s is not ours", store.ErrForeign, markerName)
	}
	got := strings.TrimPrefix(lines[1], "layout ")
	if got == "1" {
		return "", fmt.Errorf("%w: it was made by a version before the first release, whose layout is not read any more", store.ErrForeign)
	}
	if got != layout {
		return "", fmt.Errorf("%w: layout %s, this version knows %s", store.ErrNewer, got, layout)
	}
	for _, state := range []string{stateNew, stateReady} {
		if text == formatMarker(state) {
			return state, nil
		}
	}
	return "", fmt.Errorf("%w: its file %s is garbled", store.ErrDamaged, markerName)
}

// readMarker returns the state of a directory: "" where it is missing or empty,
// new, or ready. It changes nothing.
func readMarker(fs vfs.FS, dir string) (string, error) {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("listing the store: %w", err)
	}
	for _, name := range names {
		if name != markerName {
			continue
		}
		text, err := readFile(fs, fs.PathJoin(dir, markerName))
		if err != nil {
			return "", fmt.Errorf("reading the store's marker: %w", err)
		}
		return parseMarker(string(text))
	}
	return "", checkEmpty(names)
}

// checkEmpty refuses a directory without marker that holds anything but what an
// interrupted creation leaves.
func checkEmpty(names []string) error {
	for _, name := range names {
		if name == lockName || name == markerTemp {
			continue
		}
		for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "CURRENT", "marker."} {
			if strings.HasPrefix(name, prefix) {
				return fmt.Errorf("%w: the directory holds a Pebble store of something else", store.ErrForeign)
			}
		}
	}
	for _, name := range names {
		if name != lockName && name != markerTemp {
			return fmt.Errorf("%w: the directory is not empty, it holds %s", store.ErrForeign, name)
		}
	}
	return nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	return b, errors.Join(err, f.Close())
}

// writeMarker replaces the marker. Crash: the old or the new one is there.
func writeMarker(fs vfs.FS, dir, state string) error {
	temp := fs.PathJoin(dir, markerTemp)
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(formatMarker(state)))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, markerName)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// makeDir creates dir with its parents. Crash: the directory is there or not.
func makeDir(fs vfs.FS, dir string) error {
	var parents []string
	for d := dir; ; {
		if _, err := fs.Stat(d); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		parent := fs.PathDir(d)
		parents = append(parents, parent)
		if parent == d {
			break
		}
		d = parent
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range parents {
		if err := syncDir(fs, p); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
