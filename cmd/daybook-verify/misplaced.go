package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// zipMark begins a zip file, as an examination file is one.
const zipMark = "PK\x03\x04"

// misplaced says what a file or folder is that was given to the wrong verb, and
// which one takes it; empty: it is none that is known.
func misplaced(name string) string {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		return misplacedFolder(name)
	case strings.HasSuffix(name, ".tlog-proof"):
		return fmt.Sprintf("%s is a receipt: check it with daybook-verify receipt --policy FILE %s", name, name)
	}
	if isCase(name) {
		return fmt.Sprintf("%s is an examination file: check it with daybook-verify bundle --policy FILE %s", name, name)
	}
	return ""
}

// isCase tells whether a file begins as an examination file does, encrypted or not.
func isCase(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(zipMark))
	n, _ := f.ReadAt(head, 0) // a shorter file is none
	return encrypted(f) || string(head[:n]) == zipMark
}

// misplacedFolder is misplaced of a folder. What a data directory is called inside
// is package datadir's; pebble's own store has a marker of its manifest.
func misplacedFolder(name string) string {
	has := func(pattern string) bool {
		found, err := filepath.Glob(filepath.Join(glob(name), pattern))
		return err == nil && len(found) > 0
	}
	switch {
	case has("checkpoint") && has("tile"):
		return fmt.Sprintf("%s is a copy of a whole log: check it with daybook-verify log --policy FILE %s", name, name)
	case has("store") && has("log.vkey"):
		return dataDirectory(name, name)
	case has("marker.manifest.*"):
		return dataDirectory(name, filepath.Dir(filepath.Clean(name)))
	case has("*.tlog-proof"):
		return fmt.Sprintf("%s is a folder of receipts: check them with daybook-verify receipts --policy FILE %s", name, name)
	case has("*.zip") || has("*.zip.age"):
		return fmt.Sprintf("%s is a folder with examination files: name the files of one answer: daybook-verify bundle --policy FILE %s", name, filepath.Join(name, "CASE.zip"))
	}
	return ""
}

func dataDirectory(name, dir string) string {
	return fmt.Sprintf("%s is the data directory of a log, or its store, which only daybookd reads: check it where it is with daybookd fsck --data %s, "+
		"or copy the log out of a running server with daybookd mirror --from http://ADDRESS --data COPY --policy FILE --once, "+
		"and check the copy with daybook-verify log --policy FILE COPY", name, dir)
}

// glob is a name in which no character has a meaning of its own.
func glob(name string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(name)
}
