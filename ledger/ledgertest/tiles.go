package ledgertest

import (
	"testing/fstest"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
)

// Tiles returns the published log as a plain directory of c2sp.org/tlog-tiles, made
// with what the ledger gives out of it.
func Tiles(l *ledger.Ledger) (fstest.MapFS, error) {
	head := l.Head()
	dir := fstest.MapFS{"checkpoint": {Data: head.Checkpoint}}
	add := func(t verify.Tile) error {
		b, err := l.TileAt(nil, t)
		dir[verify.FormatTilePath(t)] = &fstest.MapFile{Data: b}
		return err
	}
	for level := uint(0); verify.TileWidthAt(level, 0, head.Size) > 0; level++ {
		for n := uint64(0); ; n++ {
			t := verify.Tile{Level: level, N: n, Width: verify.TileWidthAt(level, n, head.Size)}
			if t.Width == 0 {
				break
			}
			if err := add(t); err != nil {
				return nil, err
			}
			if t.Entries = true; level > 0 {
				continue
			}
			if err := add(t); err != nil {
				return nil, err
			}
		}
	}
	return dir, nil
}

// audit has the auditor's check, which shares no code with the ledger, derive the
// published log from its tiles. A log that is shut has no checkpoint to begin with.
func (g *Log) audit() {
	g.T.Helper()
	if g.L.Head().Checkpoint == nil {
		return
	}
	dir, err := Tiles(g.L)
	if err != nil {
		g.T.Fatal(err)
	}
	policy, err := verify.KeyPolicy(VKey)
	if err != nil {
		g.T.Fatal(err)
	}
	r, err := audit.Check(g.T.Context(), dir, audit.Options{Policy: policy})
	if err != nil || r.Fault != nil {
		g.T.Fatalf("the auditor's check: %v, %v", r.Fault, err)
	}
}
