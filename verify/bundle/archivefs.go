package bundle

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// An archiveFS is the members under a prefix as a file system.
type archiveFS struct {
	z      *archive
	prefix string
	dirs   map[string][]fs.DirEntry // by path, "." for the root; ascending by name
}

func newArchiveFS(z *archive, prefix string) *archiveFS {
	a := &archiveFS{z: z, prefix: prefix, dirs: map[string][]fs.DirEntry{".": nil}}
	for _, f := range z.manifest.Files {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok {
			a.add(name, archiveInfo{name: path.Base(name), size: int64(f.Size)})
		}
	}
	for _, list := range a.dirs {
		slices.SortFunc(list, func(x, y fs.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	}
	return a
}

// add enters a name in its folder, and the folder in the one above.
func (a *archiveFS) add(name string, info archiveInfo) {
	dir := path.Dir(name)
	if _, ok := a.dirs[dir]; !ok {
		a.dirs[dir] = nil
		a.add(dir, archiveInfo{name: path.Base(dir), dir: true})
	}
	a.dirs[dir] = append(a.dirs[dir], fs.FileInfoToDirEntry(info))
}

// Open opens a member or a folder.
func (a *archiveFS) Open(name string) (fs.File, error) {
	if list, ok := a.dirs[name]; ok {
		return &archiveDir{archiveInfo{name: path.Base(name), dir: true}, list}, nil
	}
	if !a.z.has(a.prefix + name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	c := a.z.contents[a.prefix+name]
	return &archiveFile{archiveInfo{name: path.Base(name), size: c.size}, io.NewSectionReader(c.r, c.offset, c.size)}, nil
}

type archiveFile struct {
	info archiveInfo
	io.Reader
}

// Stat describes the file.
func (f *archiveFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing.
func (f *archiveFile) Close() error { return nil }

type archiveDir struct {
	info archiveInfo
	left []fs.DirEntry
}

// Stat describes the folder.
func (d *archiveDir) Stat() (fs.FileInfo, error) { return d.info, nil }

// Read refuses: it is a folder.
func (d *archiveDir) Read([]byte) (int, error) { return 0, fs.ErrInvalid }

// Close does nothing.
func (d *archiveDir) Close() error { return nil }

// ReadDir lists the folder.
func (d *archiveDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.left)
	} else if len(d.left) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.left))
	list := d.left[:n]
	d.left = d.left[n:]
	return list, nil
}

type archiveInfo struct {
	name string
	size int64
	dir  bool
}

// Name is the last part of the path.
func (i archiveInfo) Name() string { return i.name }

// Size is in bytes.
func (i archiveInfo) Size() int64 { return i.size }

// Mode tells folders from files.
func (i archiveInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// ModTime is not known.
func (i archiveInfo) ModTime() time.Time { return time.Time{} }

// IsDir tells whether it is a folder.
func (i archiveInfo) IsDir() bool { return i.dir }

// Sys is nil.
func (i archiveInfo) Sys() any { return nil }
