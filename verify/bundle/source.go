package bundle

import (
	"context"
	"io"

	"github.com/daybook-ledger/daybook/verify"
)

// A Source is a log at one archived checkpoint, of size N, as an exporter reads
// it. The close is the newest whose entry is below N; its cut is what "the cut"
// means here. Slices that are returned are the caller's. The errors are passed
// on; an error that wraps context's says that the call was given up.
//
// It is called by one goroutine. The order of calls is roughly ascending, so
// that a small cache serves it.
type Source interface {
	Log
	Table
	Streams
}

// Log is the log itself.
type Log interface {
	// Checkpoint returns the signed note, with all cosignatures that are archived.
	Checkpoint(ctx context.Context) (note []byte, err error)
	// Policy returns the log's own policy text as it stands.
	Policy(ctx context.Context) ([]byte, error)
	// Earlier calls yield for each archived checkpoint whose size is in [from, N),
	// ascending by size, one of each size.
	Earlier(ctx context.Context, from uint64, yield func(size uint64, note []byte) error) error
	// Entry returns the bytes of an entry below N.
	Entry(ctx context.Context, index uint64) ([]byte, error)
	// Node returns the hash of a complete subtree of the log's tree at size N, see
	// [verify.NodeFunc].
	Node(ctx context.Context, level uint, index uint64) (verify.Hash, error)
	// FirstAt returns the index of the first entry whose log time is at or after
	// ns, N where there is none.
	FirstAt(ctx context.Context, ns int64) (uint64, error)
	// Numbers calls yield with the SHA-256 of the body of each number in [first,
	// end) of a run, ascending. All of these numbers are accesses; for any other
	// that is met the SHA-256 of its body under its first number.
	Numbers(ctx context.Context, producer string, run verify.Hash, first, end uint64, yield func(verify.Hash) error) error
}

// Table is the table of streams of the close.
type Table interface {
	// Close returns the index of the close's entry; ok is false where no close is
	// below N.
	Close(ctx context.Context) (index uint64, ok bool, err error)
	// FindRow returns the index of the first row whose key is not below key, the
	// number of rows where there is none.
	FindRow(ctx context.Context, key []byte) (row uint64, err error)
	// Row returns a row.
	Row(ctx context.Context, row uint64) (verify.Row, error)
	// RowNode returns the hash of a complete subtree of the table's tree.
	RowNode(ctx context.Context, level uint, index uint64) (verify.Hash, error)
}

// Streams are the streams below the cut.
type Streams interface {
	// IndexAt returns the index of the entry at a position of a stream that is
	// below the stream's count at the cut.
	IndexAt(ctx context.Context, key verify.StreamKey, position uint64) (index uint64, err error)
	// PositionFrom returns the first position of a stream whose entry's index is at
	// or after index; the stream's count at the cut where there is none below it.
	PositionFrom(ctx context.Context, key verify.StreamKey, index uint64) (position uint64, err error)
	// StreamNode returns the hash of a complete subtree of the stream's tree over
	// positions below its count at the cut.
	StreamNode(ctx context.Context, key verify.StreamKey, level uint, index uint64) (verify.Hash, error)
}

// A Spool makes temporary files for an exporter, a dozen at most. Their total size
// is about that of the bundle; what is written to them is read back once or twice. They hold what is in
// the log: whoever makes them keeps others from reading them, and removes them
// when they are closed.
type Spool interface {
	Temp() (TempFile, error)
}

// A TempFile is written on at its end, and read anywhere before it.
type TempFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
}
