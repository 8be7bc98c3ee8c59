package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
)

// readFile reads a whole file into buf, which it may grow; one of more than limit
// bytes is refused.
func readFile(fsys fs.FS, name string, buf []byte, limit int) ([]byte, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return buf, errors.New("missing")
	}
	if err != nil {
		return buf, err
	}
	defer f.Close()
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(16<<10, len(buf)))...)[:len(buf)]
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return buf, fmt.Errorf("over %d bytes", limit)
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// files looks for files that nothing proves.
func (c *check) files() error {
	return fs.WalkDir(c.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return &Fault{File: name, Err: err}
		case name == "." || name == checkpointFile:
			return nil
		case strings.HasPrefix(name, "."):
			c.r.Unread = append(c.r.Unread, name)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && (name == "tile" || strings.HasPrefix(name, "tile/")):
			return nil
		}
		return c.file(name, d)
	})
}

// file checks that a file is one of the log's.
func (c *check) file(name string, d fs.DirEntry) error {
	extra := func(why string) error {
		return &Fault{File: name, Err: fmt.Errorf("extra file: %s", why)}
	}
	t, err := verify.ParseTilePath(name)
	switch {
	case err != nil:
		return extra("nothing in a log has that name, and nothing proves it")
	case !d.Type().IsRegular():
		return extra("no regular file")
	case !t.Within(c.size):
		return extra(fmt.Sprintf("beyond the %d entries of the checkpoint: nothing proves it, and a mirror at work leaves it for a moment only", c.size))
	case t.Width == verify.TileWidthAt(t.Level, t.N, c.size):
		return nil
	}
	return c.beginning(t)
}

// beginning checks a partial tile of an earlier size against the wider one.
func (c *check) beginning(t verify.Tile) error {
	wide := t
	wide.Width = verify.TileWidthAt(t.Level, t.N, c.size)
	raw, err := c.tile(t, nil)
	if err != nil {
		return err
	}
	whole, err := c.tile(wide, nil)
	if err != nil {
		return err
	}
	if t.Entries {
		_, err = verify.ParseBundle(nil, raw, t.Width)
	}
	if err == nil && !bytes.HasPrefix(whole, raw) {
		err = errors.New("differs from " + verify.FormatTilePath(wide))
	}
	if err != nil {
		return &Fault{File: verify.FormatTilePath(t), Index: t.N << (8 * (t.Level + 1)), Known: true, Err: err}
	}
	return nil
}
