package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Options says which store to open and how.
type Options struct {
	// Dir is the store's directory. It is created where it is missing, unless
	// MustExist or ReadOnly is set.
	Dir string
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Logger takes what Pebble has to say; nil means slog.Default.
	Logger *slog.Logger
	// MustExist refuses a directory that is missing or empty.
	MustExist bool
	// ReadOnly opens an existing store without creating or changing anything.
	ReadOnly bool
	// CacheBytes is the size of the block cache; 0 means 64 MiB.
	CacheBytes int64
	// MemTableBytes is the size of one memtable, of which there are up to three; 0
	// means 64 MiB.
	MemTableBytes uint64
	// Ballast is dropped when a write finds the disk full, which is then tried
	// once more; nil: none.
	Ballast *Ballast
	// Fatal is called when the store must not go on in this process. It must not
	// return, nor end its goroutine, which holds locks of the database. nil
	// means: exit with status 1. A test may give one that blocks for ever.
	Fatal func(reason string)
}

// formatVersion is Pebble's format on disk: sync offsets in the write-ahead log,
// checksummed table footers. Raising it is a one-way migration.
const formatVersion = pebble.FormatTableFormatV6

const (
	defaultCache    = 64 << 20
	defaultMemTable = 64 << 20
	maxMemTables    = 3
	inFlight        = 2
)

func (o Options) validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("no directory"))
	}
	if o.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("cache of %d bytes", o.CacheBytes))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTable
	}
	if o.Fatal == nil {
		o.Fatal = func(string) { os.Exit(1) }
	}
	return o
}

// pebbleOptions are the engine's own settings, the same for each store. The
// caller adds the file system, the lock and the listeners.
func (o Options) pebbleOptions() *pebble.Options {
	p := &pebble.Options{
		FormatMajorVersion:          formatVersion,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: maxMemTables,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		MaxManifestFileSize:         16 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	// A flush writes large files. A compaction takes in neighbours up to 25 times
	// its target: with small targets it rewrites what overlaps, which is the head
	// and the snapshots, and not the frames and tiles beside them. Those stay where
	// the flush has put them, or sink as whole files, by a rename.
	for i := range p.TargetFileSizes {
		p.TargetFileSizes[i] = 1 << 20
	}
	p.TargetFileSizes[0] = 64 << 20
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	p.Experimental.SpanPolicyFunc = spanPolicy
	return p
}

// spanPolicy ends a span where a table ends, so that no file holds two tables,
// and tiles also where a level ends: only so do the files of append-only tables
// never overlap.
func spanPolicy(start []byte) (pebble.SpanPolicy, []byte, error) {
	if len(start) == 0 {
		return pebble.SpanPolicy{}, []byte{1}, nil
	}
	if start[0] == 0xff {
		return pebble.SpanPolicy{}, nil, nil
	}
	_, end := store.Table(start[0]).Range()
	if store.Table(start[0]) == store.Tiles && len(start) > 1 && start[1] < 0xff {
		end = []byte{start[0], start[1] + 1}
	}
	return pebble.SpanPolicy{DisableValueSeparationBySuffix: true}, end, nil
}

// logger passes Pebble's words to slog, and its last ones to Options.Fatal.
type logger struct {
	log   *slog.Logger
	fatal func(reason string)
}

// Infof implements pebble.Logger.
func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "say", oneLine(format, args))
}

// Errorf implements pebble.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "say", oneLine(format, args))
}

// Fatalf implements pebble.Logger. It does not return.
func (l logger) Fatalf(format string, args ...any) {
	l.fatal(oneLine(format, args))
}

func oneLine(format string, args []any) string {
	return strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " | ")
}
