package ledger_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// BenchmarkHashAudit is the bound of every audit: it reads the frames of the log
// that BenchmarkFsck checks, hashes leaves and nodes, and compares tiles and root
// alone.
func BenchmarkHashAudit(b *testing.B) {
	g := auditLog(b)
	defer g.Close()
	bundles := int(g.L.Head().Size / 256)
	root, err := verify.RootAt(uint64(bundles)*256, g.L.Node)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		tops, err := hashBundles(g, bundles)
		if err != nil {
			b.Fatal(err)
		}
		var front verify.Frontier
		for i := range tops {
			front.AppendTree(8, tops[i])
		}
		if front.Root() != root {
			b.Fatalf("root %x, not %x", front.Root(), root)
		}
	}
	b.ReportMetric(float64(256*bundles)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(256*bundles)/float64(b.N), "ns/entry")
}

// hashBundles returns the top nodes of the bundles' trees, hashed on every core.
func hashBundles(g *ledgertest.Log, bundles int) ([]verify.Hash, error) {
	type bundle struct {
		n     int
		coded []byte
	}
	var group errgroup.Group
	work, free := make(chan *bundle, 8), make(chan *bundle, 16)
	for range cap(free) {
		free <- new(bundle)
	}
	group.Go(func() error {
		defer close(work)
		n := 0
		return g.Engine.Scan(store.Frames.Key(0), store.Frames.Key(uint64(bundles)*256), func(_, coded []byte) error {
			b := <-free
			b.n, b.coded = n, append(b.coded[:0], coded...)
			n++
			work <- b
			return nil
		})
	})
	tops := make([]verify.Hash, bundles)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() (failed error) {
			var dec frame.Decoder
			for b := range work {
				top, err := hashBundle(g, &dec, b.n, b.coded)
				if err != nil {
					failed = err
				}
				tops[b.n] = top
				free <- b
			}
			return failed
		})
	}
	return tops, group.Wait()
}

// hashBundle hashes one bundle and compares its leaves with the tile.
func hashBundle(g *ledgertest.Log, dec *frame.Decoder, n int, coded []byte) (top verify.Hash, err error) {
	entries, err := dec.DecodeAfter(coded)
	if err != nil || len(entries) != 256 {
		return top, fmt.Errorf("bundle %d: %d entries, %w", n, len(entries), err)
	}
	var nodes [256]verify.Hash
	tile := make([]byte, 0, 256*32)
	for i, e := range entries {
		nodes[i] = verify.HashLeafAfter(e)
		tile = append(tile, nodes[i][:]...)
	}
	stored, err := g.Engine.Get(store.TileKey(0, uint64(n)))
	if err != nil || !bytes.Equal(stored, tile) {
		return top, fmt.Errorf("tile 0/%d differs, %w", n, err)
	}
	for width := 128; width > 0; width /= 2 {
		for i := range width {
			nodes[i] = verify.HashNode(nodes[2*i], nodes[2*i+1])
		}
	}
	return nodes[0], nil
}
