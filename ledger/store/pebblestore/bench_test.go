package pebblestore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

const entrySize = 680

// randomEntries returns n entries that do not compress.
func randomEntries(n int) [][]byte {
	r := rand.NewChaCha8([32]byte{1})
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = make([]byte, entrySize)
		_, _ = r.Read(entries[i])
	}
	return entries
}

func onDisk(b *testing.B) pebblestore.Options {
	return pebblestore.Options{Dir: filepath.Join(b.TempDir(), "store"), Logger: quiet}
}

// reportRate says how many entries were made durable in a second.
func reportRate(b *testing.B, entries int) {
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkRawPebble is the yardstick: uncompressed entries at ascending keys of
// their own, n to a batch, written to Pebble directly, synced, one batch being
// prepared while the last is synced.
func BenchmarkRawPebble(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{
				FormatMajorVersion: pebble.FormatTableFormatV6, Logger: silent{},
				MemTableSize: 64 << 20, MemTableStopWritesThreshold: 3,
			})
			if err != nil {
				b.Fatal(err)
			}
			entries := randomEntries(n)
			var flying *pebble.Batch
			next := uint64(0)
			land := func() {
				if flying != nil {
					if err := flying.SyncWait(); err != nil {
						b.Fatal(err)
					}
					if err := flying.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
			var key [8]byte
			for b.Loop() {
				batch := db.NewBatchWithSize(n * (entrySize + 32))
				for _, e := range entries {
					binary.BigEndian.PutUint64(key[:], next)
					next++
					if err := batch.Set(key[:], e, nil); err != nil {
						b.Fatal(err)
					}
				}
				if err := db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
					b.Fatal(err)
				}
				land()
				flying = batch
			}
			land()
			reportRate(b, b.N*n)
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkCommit is the same through Commit.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s := mustOpen(b, onDisk(b))
			entries := randomEntries(n)
			batches := []store.Batch{s.NewBatch(), s.NewBatch(), s.NewBatch()}
			var flying []store.Ticket
			prev := store.Head{}
			var key []byte
			for i := 0; b.Loop(); i++ {
				batch := batches[i%len(batches)]
				for j, e := range entries {
					key = store.Frames.AppendKey(key[:0], prev.Size+uint64(j))
					if err := batch.Set(key, e); err != nil {
						b.Fatal(err)
					}
				}
				next := prev
				next.Size += uint64(n)
				ticket, err := s.Commit(prev, next, batch)
				if err != nil {
					b.Fatal(err)
				}
				prev = next
				if flying = append(flying, ticket); len(flying) == s.InFlight() {
					if err := flying[0].Wait(); err != nil {
						b.Fatal(err)
					}
					flying = append(flying[:0], flying[1:]...)
				}
			}
			for _, ticket := range flying {
				if err := ticket.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			reportRate(b, b.N*n)
			mustClose(b, s)
		})
	}
}

// BenchmarkLoneCommit waits for each commit of one entry.
func BenchmarkLoneCommit(b *testing.B) {
	s := mustOpen(b, onDisk(b))
	entry := randomEntries(1)[0]
	batch := s.NewBatch()
	prev := store.Head{}
	for b.Loop() {
		next := prev
		next.Size++
		if err := batch.Set(store.Frames.Key(prev.Size), entry); err != nil {
			b.Fatal(err)
		}
		ticket, err := s.Commit(prev, next, batch)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			b.Fatal(err)
		}
		prev = next
	}
	mustClose(b, s)
}

// BenchmarkRawPebbleCommitters lets 16 goroutines each commit one entry at a time
// to Pebble, which gathers them.
func BenchmarkRawPebbleCommitters(b *testing.B) {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: silent{}, MemTableSize: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	const committers = 16
	entry := randomEntries(1)[0]
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range committers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := c; i < b.N; i += committers {
				if err := db.Set(store.Frames.Key(uint64(i)), entry, pebble.Sync); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.StopTimer()
	reportRate(b, b.N)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
