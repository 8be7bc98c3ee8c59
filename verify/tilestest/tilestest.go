// Package tilestest makes directories of tlog-tiles for tests.
package tilestest

import (
	"bytes"
	"encoding/binary"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/verify"
)

// Directory returns the log of these entries as a plain directory of
// c2sp.org/tlog-tiles, its checkpoint signed by signer under the signer's name. The
// entries may be anything: it is what an operator makes who wants another history.
func Directory(entries [][]byte, signer note.Signer) (fstest.MapFS, error) {
	dir := fstest.MapFS{}
	var level [][]byte
	var tree verify.Frontier
	for _, entry := range entries {
		leaf := verify.HashLeaf(entry)
		level = append(level, leaf[:])
		tree.Append(leaf)
	}
	for number := uint(0); len(level) > 0; number++ {
		var above [][]byte
		for n := 0; n*256 < len(level); n++ {
			some := level[n*256 : min(len(level), n*256+256)]
			tile := verify.Tile{Level: number, N: uint64(n), Width: len(some)}
			dir[verify.FormatTilePath(tile)] = &fstest.MapFile{Data: bytes.Join(some, nil)}
			if len(some) == 256 {
				root := verify.TileRoot(bytes.Join(some, nil))
				above = append(above, root[:])
			}
			if number == 0 {
				tile.Entries = true
				dir[verify.FormatTilePath(tile)] = &fstest.MapFile{Data: bundle(entries[n*256 : n*256+len(some)])}
			}
		}
		level = above
	}
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: signer.Name(), Size: tree.Size, Root: tree.Root()})
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	dir["checkpoint"] = &fstest.MapFile{Data: signed}
	return dir, err
}

func bundle(entries [][]byte) (b []byte) {
	for _, entry := range entries {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(entry))), entry...)
	}
	return b
}
