// Package ledgertest re-derives the truth about a log from its stored bytes.
//
// A Log opens a real log on a file system of the caller's choice; Check reads
// every entry from the store, hashes it anew, builds the tree with another
// implementation than the ledger's, and compares leaves, roots, streams and
// runs:
//
//	log := ledgertest.Create(t, vfs.NewMem())
//	log.Append(run, 1, 10)
//	log.Check()
package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// The key of every test log: a seed of the letter d.
var (
	signerKey, VKey = testKey()
	// Producer is who appends where a test does not care.
	Producer = ledger.Producer{ID: "spiffe://web.test/gateway", KeyFingerprint: sha256.Sum256([]byte("key"))}
)

// started dates the events: the same for the same arguments, and in time.
var started = time.Now().UnixNano()

// Origin is the origin of every test log.
const Origin = "log.test/0000d0d0"

func testKey() (skey, vkey string) {
	seed := bytes.NewReader(bytes.Repeat([]byte("d"), 64))
	skey, vkey, err := note.GenerateKey(seed, Origin)
	if err != nil {
		panic("generating the test key: " + err.Error())
	}
	return skey, vkey
}

// MemAnchor is an anchor in memory.
type MemAnchor struct{ Note []byte }

// Load implements ledger.Anchor.
func (a *MemAnchor) Load() ([]byte, error) { return a.Note, nil }

// Save implements ledger.Anchor.
func (a *MemAnchor) Save(note []byte) error { a.Note = note; return nil }

// MemEvidence is evidence in memory, for concurrent use: a log keeps it from the
// goroutine that found the fork.
type MemEvidence struct {
	mu    sync.Mutex
	notes map[string][]byte
}

// Exists implements ledger.Evidence.
func (e *MemEvidence) Exists() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.notes) > 0, nil
}

// Save implements ledger.Evidence.
func (e *MemEvidence) Save(name string, note []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.notes == nil {
		e.notes = map[string][]byte{}
	}
	e.notes[name] = note
	return nil
}

// Note returns what was kept under a name, or nil.
func (e *MemEvidence) Note(name string) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.notes[name]
}

// Signer returns the signer of every test log.
func Signer() note.Signer {
	s, err := note.NewSigner(signerKey)
	if err != nil {
		panic("test signer: " + err.Error())
	}
	return s
}

// A Log is one open log under test.
type Log struct {
	T        testing.TB
	L        *ledger.Ledger
	Engine   *pebblestore.Store
	Anchor   *MemAnchor
	Evidence *MemEvidence
	FS       vfs.FS
	Dir      string

	cancel context.CancelFunc
	ended  chan error
}

// Options vary how a test log is made.
type Options struct {
	PublicTiles bool
	Workers     int
	Clock       ledger.Clock
	AcceptClock bool
	Anchor      *MemAnchor
	Evidence    *MemEvidence
	Vault       ledger.Vault
	Fatal       func(string)
	Production  bool // the engine has the buffers of production, for benchmarks
	Disk        func() (free, total uint64, err error)
	Policy      *verify.Policy // of witnesses
	Await       bool           // as ledger.Config's AwaitWitnesses
	ReadClock   func() ledger.ClockReading

	Keys         func(vkey string) (note.Signer, error) // as in ledger.Config
	VerifyPeriod time.Duration                          // as in ledger.Config
	VerifyRate   uint64
	Sleep        func(context.Context, time.Duration) error
	Wrap         func(store.Engine) store.Engine // what the ledger sees of the store; nil: itself
	Logger       *slog.Logger
}

// Create makes a log in an empty directory of fs and opens it.
func Create(t testing.TB, fs vfs.FS, dir string, o Options) *Log {
	t.Helper()
	if o.Anchor == nil {
		o.Anchor = &MemAnchor{}
	}
	engine, err := o.openStore(fs, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: Signer(), VKey: VKey, Anchor: o.Anchor, PublicTiles: o.PublicTiles, Clock: o.Clock}); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := Open(t, fs, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// OpenStore opens the embedded engine with small buffers.
func OpenStore(fs vfs.FS, dir string, fatal func(string)) (*pebblestore.Store, error) {
	if fatal == nil {
		fatal = func(reason string) { panic("store: " + reason) }
	}
	return pebblestore.Open(pebblestore.Options{Dir: dir, FS: fs, CacheBytes: 8 << 20, MemTableBytes: 4 << 20, Fatal: fatal, Logger: slog.New(slog.DiscardHandler)})
}

func (o Options) openStore(fs vfs.FS, dir string) (*pebblestore.Store, error) {
	if !o.Production {
		return OpenStore(fs, dir, o.Fatal)
	}
	return pebblestore.Open(pebblestore.Options{Dir: dir, FS: fs, Fatal: o.Fatal, Logger: slog.New(slog.DiscardHandler)})
}

// Open opens the log in a directory of fs and runs it until Close or Kill.
func Open(t testing.TB, fs vfs.FS, dir string, o Options) (*Log, error) {
	t.Helper()
	engine, err := o.openStore(fs, dir)
	if err != nil {
		return nil, err
	}
	if o.Evidence == nil {
		o.Evidence = &MemEvidence{}
	}
	cfg := ledger.Config{Store: engine, Vault: o.Vault, Signer: Signer(), VKey: VKey, Evidence: o.Evidence, Workers: o.Workers, Clock: o.Clock, ReadClock: o.ReadClock, AcceptClock: o.AcceptClock,
		VerifyPeriod: o.VerifyPeriod, VerifyRate: o.VerifyRate, Sleep: o.Sleep, Logger: o.Logger, Disk: o.Disk, Policy: o.Policy, AwaitWitnesses: o.Await, Keys: o.Keys}
	if o.Wrap != nil {
		cfg.Store = o.Wrap(engine)
	}
	if o.Anchor != nil {
		cfg.Anchor = o.Anchor
	}
	l, err := ledger.Open(t.Context(), cfg)
	if err != nil {
		return nil, fmt.Errorf("%w (closing: %v)", err, engine.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := &Log{T: t, L: l, Engine: engine, Anchor: o.Anchor, Evidence: o.Evidence, FS: fs, Dir: dir, cancel: cancel, ended: make(chan error, 1)}
	go func() { log.ended <- l.Run(ctx) }()
	return log, nil
}

// Stop ends the log and returns what Run returned; the store stays open.
func (g *Log) Stop() error {
	g.cancel()
	err := <-g.ended
	g.ended <- err
	return err
}

// Ended waits until the log has ended by itself, and returns what Run returned;
// the store stays open.
func (g *Log) Ended() error {
	err := <-g.ended
	g.ended <- err
	return err
}

// Close ends the log and the store cleanly.
func (g *Log) Close() {
	g.T.Helper()
	if err := g.Stop(); err != nil {
		g.T.Fatalf("run: %v", err)
	}
	if err := g.Engine.Close(); err != nil {
		g.T.Fatalf("closing the store: %v", err)
	}
}

// Run opens a run whose id is the SHA-256 of name.
func (g *Log) Run(name string) (verify.Hash, *ledger.RunAnswer) {
	g.T.Helper()
	id := verify.Hash(sha256.Sum256([]byte(name)))
	a, err := g.L.OpenRun(g.T.Context(), Producer, &daybookv1.RunOpened{Run: id[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}, nil)
	if err != nil {
		g.T.Fatalf("opening run %s: %v", name, err)
	}
	return id, a
}

// Batch is n events of a run from a number on, the same for the same arguments.
func Batch(run verify.Hash, epoch, first uint64, n int) ledger.Batch {
	b := ledger.Batch{Run: run, Epoch: epoch, First: first}
	for i := range n {
		b.Items = append(b.Items, ledger.Item{Body: Event(run, first+uint64(i))})
	}
	return b
}

// Event is the event of one number of a run.
func Event(run verify.Hash, number uint64) []byte {
	decision := daybookv1.Decision_DECISION_ALLOWED
	if number%7 == 0 {
		decision = daybookv1.Decision_DECISION_DENIED
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId:      fmt.Appendf(nil, "%x-%d", run[:4], number),
		OccurredAtNs: started + int64(number),
		Side:         daybookv1.Side_SIDE_SOURCE,
		Source:       &daybookv1.Source{Domain: fmt.Sprintf("web-%d", number%3)},
		Target:       &daybookv1.Target{Domain: fmt.Sprintf("db-%d", number%5), Resource: "accounts"},
		Actor:        &daybookv1.Actor{Id: "alice"},
		Action:       &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision:     decision,
		Outcome:      &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		panic("marshalling a test event: " + err.Error())
	}
	return body
}

// CheckReceipt checks a receipt of the batch as a producer would.
func (g *Log) CheckReceipt(b ledger.Batch, r *ledger.Receipt) {
	g.T.Helper()
	if err := CheckReceipt(b, r); err != nil {
		g.T.Fatal(err)
	}
}

// CheckReceipt checks a receipt of a batch from bytes alone.
func CheckReceipt(b ledger.Batch, r *ledger.Receipt) error {
	policy, err := verify.KeyPolicy(VKey)
	if err != nil {
		return err
	}
	c, err := policy.OpenCheckpoint(r.Checkpoint)
	if err != nil {
		return err
	}
	n := 0
	for _, group := range r.Groups {
		leaves := make([]verify.Hash, len(group.EntryHeads))
		for i, head := range group.EntryHeads {
			if n == len(b.Items) {
				return fmt.Errorf("receipt has more entries than the batch's %d", n)
			}
			place, err := verify.ParseEntryHead(head)
			if err != nil {
				return err
			}
			if place.Number != b.First+uint64(n) || place.Index != group.FirstIndex+uint64(i) {
				return fmt.Errorf("item %d is number %d at %d", n, place.Number, place.Index)
			}
			leaves[i] = verify.HashLeaf(verify.AppendEntry(nil, group.BatchHead, head, b.Items[n].Body))
			n++
		}
		if err := verify.CheckRange(group.FirstIndex, c.Size, leaves, group.Proof, c.Root); err != nil {
			return err
		}
	}
	if n != len(b.Items) {
		return fmt.Errorf("receipt has %d entries, the batch %d", n, len(b.Items))
	}
	return nil
}

// Check re-derives the published log.
func (g *Log) Check() {
	g.T.Helper()
	if err := Check(g.Engine, g.L.Head().Size, g.L.Head().Root, g.L.Entries); err != nil {
		g.T.Fatal(err)
	}
	r, err := g.L.Fsck(g.T.Context(), nil)
	if err != nil || !r.OK {
		g.T.Fatalf("fsck: %+v, %v", r, err)
	}
	g.audit()
}

// Check builds the tree of the entries with transparency-dev/merkle and
// compares root, stream positions and run numbers.
func Check(_ store.Engine, size uint64, root verify.Hash, entries func(context.Context, uint64, uint64, func(uint64, []byte) error) error) error {
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	positions, numbers := map[string]uint64{}, map[string]uint64{}
	err := entries(context.Background(), 0, size, func(i uint64, raw []byte) error {
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(raw), nil); err != nil {
			return err
		}
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil {
			return err
		}
		key := fmt.Sprint(e.Place.Kind, e.Place.Source, "|", e.Place.Target, "|", e.Place.Side, e.Place.Late)
		if e.Place.Index != i || e.Place.Position != positions[key] {
			return fmt.Errorf("entry %d says index %d, position %d in stream %s, not %d", i, e.Place.Index, e.Place.Position, key, positions[key])
		}
		positions[key]++
		run := fmt.Sprintf("%s %x", e.Head.Producer, e.Head.Run)
		if n := e.Place.Number; n != 0 {
			if n != numbers[run]+1 {
				return fmt.Errorf("entry %d has number %d after %d of run %s", i, n, numbers[run], run)
			}
			numbers[run] = n
			if e.Place.Kind == daybookv1.Kind_KIND_GAP {
				var gap daybookv1.Gap
				if err := proto.Unmarshal(e.Body, &gap); err != nil {
					return err
				}
				numbers[run] = gap.Last
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	got, err := tree.GetRootHash(nil)
	if err != nil {
		return err
	}
	if verify.Hash(got) != root {
		return fmt.Errorf("entries give root %x at size %d, the head says %x", got, size, root)
	}
	return CheckCloses(size, entries)
}
