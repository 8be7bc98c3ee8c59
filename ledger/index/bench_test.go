package index_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

func BenchmarkAdd(b *testing.B) {
	world := makeWorld(index.ChunkLen)
	entries := make([]verify.Entry, len(world))
	events := make([]verify.EventFields, len(world))
	for i, v := range world {
		entries[i], events[i] = v.entry()
	}
	e := openStore(b, vfs.NewMem())
	x := openIndex(b, e)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := x.Add(uint64(i), &entries[i%len(entries)], &events[i%len(events)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	if n := x.Position(); n > 0 {
		var size uint64
		lo, hi := store.Index.Range()
		if err := e.Scan(lo, hi, func(k, v []byte) error { size += uint64(len(k) + len(v)); return nil }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(size)/float64(n), "index-bytes/entry")
	}
}

func BenchmarkSearch(b *testing.B) {
	x := openIndex(b, openStore(b, vfs.NewMem()))
	world := makeWorld(16 * index.ChunkLen)
	fill(b, x, world, 0)
	v := world[1000]
	for name, terms := range map[string][]index.Term{
		"newest 100 of a pair": {index.PairTerm(v.source, v.target)},
		"event id":             {index.EventIDTerm([]byte(v.event))},
		"rare and common":      {index.ActorTerm([]byte(v.actor)), index.KindTerm(uint64(v.kind))},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				if err := x.Candidates(terms, 0, x.Size(), true, func(uint64) bool { n++; return n < 100 }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
