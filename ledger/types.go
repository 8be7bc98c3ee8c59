package ledger

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Config is what a log is opened with. The zero value of every field but
// Store, Signer and VKey is a sane default.
type Config struct {
	// Store holds the log; owned by the caller, who closes it after Run.
	Store store.Engine
	// Signer signs checkpoints: Ed25519, named by the origin.
	Signer note.Signer
	// VKey is the signer's verifier key.
	VKey string
	// Policy names the witnesses and their quorum; nil: the log has no witnesses. Its
	// keys of logs are not looked at.
	Policy *verify.Policy
	// AwaitWitnesses opens the log shut until the quorum of the Policy cosigned the
	// size it opens with: a store restored from an older copy then stays shut.
	AwaitWitnesses bool
	// Keys finds the signer of another key, by its verifier key: where the log's key
	// was rotated, or is to be. It is called at open and when a key is rotated.
	// ErrNoKey where it has none. nil: there is only Signer.
	Keys func(vkey string) (note.Signer, error)
	// Anchor keeps the newest checkpoint outside of the store; nil: none, for
	// tests only.
	Anchor Anchor
	// Evidence keeps proofs of a fork; a log with evidence opens shut. Nil:
	// none.
	Evidence Evidence
	// Vault encrypts openings of sealed values; nil: openings are checked and
	// refused to be kept.
	Vault Vault
	// Clock gives wall and monotonic time; zero: the system's.
	Clock Clock
	// AcceptClock opens in spite of an implausible wall clock, and leaves an
	// entry.
	AcceptClock bool
	// Dev permits a pause of over 30 days between entries.
	Dev bool
	// Logger receives what an operator should know; nil: discarded.
	Logger *slog.Logger
	// QueueBytes bounds what waits to be sequenced; 0: 64 MiB. One producer
	// takes at most an eighth.
	QueueBytes int64
	// Workers hash and compress in parallel; 0: GOMAXPROCS.
	Workers int
	// Software names the program in the ledger's own runs.
	Software string
	// Metrics observes commits; nil: nobody does.
	Metrics Metrics
	// ReadClock tells how well the wall clock is known; it is called each minute and
	// must not block. nil: nothing is logged of the clock.
	ReadClock func() ClockReading
	// VerifyPeriod is within what time the whole log is read from disk and
	// derived anew in the background, again and again; 0: never.
	VerifyPeriod time.Duration
	// VerifyRate is how many entries a second that takes at least, however long
	// the period; 0: 4,096, about one hundredth of a core.
	VerifyRate uint64
	// Sleep is how the background verification waits: for d, or until ctx ends,
	// whose cause it then returns. Nil: by a timer. A test moves Clock in it.
	Sleep func(ctx context.Context, d time.Duration) error
	// Disk measures the file system of the store, in bytes; it is called from
	// several goroutines, each second and after each 64 MiB written. nil: appends
	// never stop for want of room.
	Disk func() (free, total uint64, err error)
	// DiskLowBytes is the mark of free bytes below which appends stop; 0: 5 % of
	// the file system or 2 GiB, the smaller, at least 256 MiB where that is not
	// over a quarter of it, and at most 64 MiB with Dev; negative: none.
	DiskLowBytes int64
}

// Metrics observes the log. Its methods are called from the ledger's own
// goroutines and must not block.
type Metrics interface {
	// Committed: one commit of so many entries and bytes took d from submission
	// to durability.
	Committed(entries, bytes int, d time.Duration)
}

// Clock gives the time. Both functions are safe for concurrent use.
type Clock struct {
	Wall func() int64         // UTC nanoseconds since the Unix epoch
	Mono func() time.Duration // elapsed since any fixed moment, never steps
}

// Anchor keeps the newest checkpoint note outside of the store, so that a
// store restored from an older copy is noticed.
type Anchor interface {
	// Load returns the note; nil without error where there is none.
	Load() ([]byte, error)
	// Save replaces it durably.
	Save(note []byte) error
}

// Evidence keeps what proves a fork.
type Evidence interface {
	// Exists says whether anything is kept.
	Exists() (bool, error)
	// Save keeps one note durably under a name such as `presented`.
	Save(name string, note []byte) error
}

// Vault encrypts openings under keys that are kept outside of the store, one
// for each retention class and month.
type Vault interface {
	Seal(class string, month string, plain, context []byte) ([]byte, error)
	Open(class string, month string, sealed, context []byte) ([]byte, error)
}

// Producer is who appends, from its certificate.
type Producer struct {
	ID             string      // SPIFFE URI
	Certificate    []byte      // DER of the leaf; not modified
	KeyFingerprint verify.Hash // SHA-256 of its SPKI
}

// Opening opens one sealed value.
type Opening struct {
	Field uint32
	Salt  []byte
	Value []byte
}

// Item is one event, or what stands in its place. The ledger keeps Body beyond
// the append: whoever has given it away must not modify it any more.
type Item struct {
	Kind     daybookv1.Kind // ACCESS, DECLINED or GAP; 0: ACCESS
	Body     []byte
	Openings []Opening
}

// Batch is one append: items of consecutive numbers of one run.
type Batch struct {
	Run   verify.Hash
	Epoch uint64
	First uint64 // number of the first item
	Items []Item
}

// Receipt proves that entries are in the log.
type Receipt struct {
	Groups     []ReceiptGroup
	Checkpoint []byte // signed note; shared, not to be modified
	Size       uint64
}

// ReceiptGroup proves entries [FirstIndex, FirstIndex+len(EntryHeads)).
type ReceiptGroup struct {
	FirstIndex uint64
	BatchHead  []byte
	EntryHeads [][]byte
	Proof      []verify.Hash
	Repeat     bool // in the log before this call
}

// RunAnswer says where a run stands.
type RunAnswer struct {
	Epoch, Next uint64
	Hash        verify.Hash
	Ended       bool
	SilenceNS   int64 // the run's silence limit; 0: none
	Receipt     *Receipt
	Body        []byte        // body of the entry that Receipt proves
	Consistency []verify.Hash // from the presented checkpoint to Receipt's
}

// Head is what the log has published.
type Head struct {
	Term, Size uint64
	Root       verify.Hash
	TimeNS     int64
	Checkpoint []byte // signed note; nil while the log is shut
}

// Status says how the log stands.
type Status struct {
	Head        Head
	Origin      string
	Shut        string // why the log is shut; empty: open
	FollowerLag uint64 // entries not yet verified from disk
	IndexLag    uint64 // entries that searches look through in memory or on disk, not in tables of the index
	Streams     int
	Runs        int
	QueueBytes  int64
	DiskBytes   uint64
	PublicTiles bool
	ClockFault  bool
	LatenessNS  int64
	VKey        string
	// CloseIndex and CloseEndNS tell of the newest close: its index and the end of
	// its period; 0 where there is none. ClosesOverdue counts the days that ended
	// over 10 s ago and have no close.
	CloseIndex    uint64
	CloseEndNS    int64
	ClosesOverdue int
	// CloseTook is how long the follower made and stored the newest close's tables.
	CloseTook time.Duration

	Verification Verification // in the background
	Disk         DiskStatus
}
