//go:build linux

package ledger_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/daybook-ledger/daybook/client/synthetic"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
)

// rawFor is how long a yardstick is measured.
const rawFor = 700 * time.Millisecond

// A yardstick is what the disk or a bare engine did, right before the log was
// measured on the same disk.
type yardstick struct {
	rate float64       // entries per second
	p50  time.Duration // of one write
}

// storedEntries are n entries as a log stores them, before compression.
func storedEntries(b *testing.B, n int) [][]byte {
	g := ledgertest.Create(b, nil, filepath.Join(b.TempDir(), "sample"), ledgertest.Options{})
	defer g.Close()
	run := openBenchRun(b, g, "sample")
	batch := ledger.Batch{Run: run, Epoch: 1, First: 1, Items: items(synthetic.NewMaker(0), n)}
	if _, err := g.L.Append(b.Context(), ledgertest.Producer, batch); err != nil {
		b.Fatal(err)
	}
	var entries [][]byte
	size := g.L.Head().Size
	if err := g.L.Entries(b.Context(), size-uint64(n), size, func(_ uint64, raw []byte) error {
		entries = append(entries, slices.Clone(raw))
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return entries
}

// quietPebble drops what Pebble has to say; an error it cannot go on after ends
// the benchmark.
type quietPebble struct{}

func (quietPebble) Infof(string, ...any)              {}
func (quietPebble) Errorf(string, ...any)             {}
func (quietPebble) Fatalf(format string, args ...any) { panic(format) }

func rawPebble(b *testing.B) *pebble.DB {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{
		FormatMajorVersion: pebble.FormatTableFormatV6, Logger: quietPebble{},
		MemTableSize: 64 << 20, MemTableStopWritesThreshold: 3,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

// rawPipelined writes the entries to Pebble as one batch again and again, synced,
// one batch being prepared while the last is synced.
func rawPipelined(b *testing.B, entries [][]byte) yardstick {
	db := rawPebble(b)
	var flying *pebble.Batch
	land := func() {
		if flying == nil {
			return
		}
		if err := flying.SyncWait(); err != nil {
			b.Fatal(err)
		}
		if err := flying.Close(); err != nil {
			b.Fatal(err)
		}
	}
	next, began := uint64(0), time.Now()
	for time.Since(began) < rawFor {
		batch := db.NewBatchWithSize(len(entries) * 720)
		for _, e := range entries {
			if err := batch.Set(binary.BigEndian.AppendUint64(nil, next), e, nil); err != nil {
				b.Fatal(err)
			}
			next++
		}
		if err := db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
			b.Fatal(err)
		}
		land()
		flying = batch
	}
	land()
	return yardstick{rate: float64(next) / time.Since(began).Seconds()}
}

// rawCommitters lets goroutines each commit one entry at a time to Pebble, which
// gathers them.
func rawCommitters(b *testing.B, committers int, entry []byte) yardstick {
	db := rawPebble(b)
	took := make([][]time.Duration, committers)
	began := time.Now()
	var wg sync.WaitGroup
	for c := range committers {
		wg.Go(func() {
			for i := c; time.Since(began) < rawFor; i += committers {
				start := time.Now()
				if err := db.Set(binary.BigEndian.AppendUint64(nil, uint64(i)), entry, pebble.Sync); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	return yardstick{rate: float64(len(all)) / time.Since(began).Seconds(), p50: median(all)}
}

// rawSync appends 4 KiB to a file and waits for fdatasync, again and again.
func rawSync(b *testing.B) yardstick {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	block := make([]byte, 4096)
	for began := time.Now(); time.Since(began) < rawFor; {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return yardstick{p50: median(took)}
}

func median(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
