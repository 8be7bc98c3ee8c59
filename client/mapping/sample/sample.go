// Package sample holds a small sample of real records for each mapping, as gzip
// JSON lines: NAME.jsonl.gz for the mapping NAME. README.md says where they are
// from, under which licence, and what was replaced in them.
package sample

import (
	"embed"
	"fmt"
)

//go:embed *.jsonl.gz
var files embed.FS

// File returns the name of the sample for a mapping, and its bytes: gzip JSON
// lines. The bytes are the caller's.
func File(mapping string) (name string, gzip []byte, err error) {
	name = mapping + ".jsonl.gz"
	gzip, err = files.ReadFile(name)
	if err != nil {
		return "", nil, fmt.Errorf("no sample for mapping %q: %w", mapping, err)
	}
	return name, gzip, nil
}
