// Package mirror keeps a verified second copy of a log.
//
// The copy is a plain directory of c2sp.org/tlog-tiles@v0.1.0, which any program
// reads: checkpoint, tile/<L>/<N>, tile/entries/<N>. Beside it .mirror holds what is
// not finished yet, and evidence.
//
//	m, err := mirror.Open(mirror.Config{From: "https://log.example:7405", Dir: "copy", Policy: policy})
//	defer m.Close()
//	step, err := m.Once(ctx)
//
// # A step
//
//  1. The source's checkpoint must satisfy the policy.
//  2. Its tiles at the right edge must give its root; every other tile must have the
//     hash that the tile above has of it. So no tile is used that is not proven.
//  3. The consistency proof from the mirrored checkpoint, made of these tiles, must
//     hold; or the source has rewritten its log: a [ForkError]. Both checkpoints are
//     kept in .mirror/evidence, and nothing is mirrored any more.
//  4. Each new entry bundle must hash into its tile. Bundles and tiles are written to
//     .mirror/staging and synced; a step that is cut short goes on from there.
//  5. Then they are moved to their places, their folders synced, and the checkpoint
//     replaced last: whatever the checkpoint covers is there.
//
// What the source has of the log before the mirrored checkpoint is not fetched
// again; whether the copy is still what it was, `daybook-verify log` says.
package mirror
