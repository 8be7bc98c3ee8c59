package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// CreateConfig is what a log is made with.
type CreateConfig struct {
	Store       store.Engine // empty
	Signer      note.Signer  // its name is the origin
	VKey        string
	Anchor      Anchor // nil: none
	PublicTiles bool   // for good: tiles are public, entries carry a blind
	Clock       Clock  // zero: the system's

	Succeeds *daybookv1.Predecessor // the log that this one continues; nil: none
}

// Create makes a log in an empty store: entry 0, origin opened. It refuses a
// store that holds anything. A crash leaves an empty store or the whole log of
// one entry.
func Create(_ context.Context, cfg CreateConfig) error { return create(cfg, domains.RulesVersion) }

// create makes a log whose entry 0 is of a rules version.
func create(cfg CreateConfig, rules uint32) error {
	if _, err := cfg.Store.Head(); err == nil {
		return fmt.Errorf("%w: it is not empty; a new log needs a new directory", ErrForeignStore)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if cfg.Clock.Wall == nil {
		cfg.Clock = SystemClock()
	}
	origin := cfg.Signer.Name()
	body, err := marshal(&daybookv1.OriginOpened{Origin: origin, Vkey: cfg.VKey, FormatVersion: FormatVersion,
		RulesVersion: rules, LatenessLimitNs: uint64(verify.LatenessLimit), PublicTiles: cfg.PublicTiles, Succeeds: cfg.Succeeds})
	if err != nil {
		return err
	}
	if err := verify.CheckBody(daybookv1.Kind_KIND_ORIGIN_OPENED, body); err != nil {
		return fmt.Errorf("origin %q: %w", origin, err)
	}
	if cfg.Succeeds != nil {
		if err := verify.CheckPredecessor(origin, cfg.Succeeds); err != nil {
			return err
		}
	}
	head := verify.BatchHead{FormatVersion: FormatVersion, LogTimeNS: cfg.Clock.Wall(), Producer: origin,
		KeyFingerprint: sha256.Sum256([]byte(cfg.VKey)), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND,
		Run: randomHash(), Epoch: 1, RulesVersion: rules}
	place := verify.EntryHead{Kind: daybookv1.Kind_KIND_ORIGIN_OPENED}
	if cfg.PublicTiles {
		place.Blind = newCohort(0, 0).blind()
	}
	raw := verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body)
	return writeOrigin(cfg, head.LogTimeNS, raw)
}

func writeOrigin(cfg CreateConfig, now int64, raw []byte) error {
	next := store.Head{Term: 1, Size: 1, Root: verify.HashLeaf(raw), TimeNS: now}
	batch := cfg.Store.NewBatch()
	if err := errors.Join(
		batch.Set([]byte{byte(store.Identity)}, identityRow(cfg.Signer.Name(), cfg.VKey, cfg.PublicTiles)),
		batch.Set(store.Growing.Key(0), frame.Encode(nil, [][]byte{raw})),
		batch.Set(store.Commits.Key(1), commitRow(next))); err != nil {
		return err
	}
	ticket, err := cfg.Store.Commit(store.Head{}, next, batch)
	if err == nil {
		err = ticket.Wait()
	}
	if err != nil {
		return fmt.Errorf("writing entry 0: %w", err)
	}
	if cfg.Anchor == nil {
		return nil
	}
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: cfg.Signer.Name(), Size: 1, Root: next.Root})
	signed, err := note.Sign(&note.Note{Text: text}, cfg.Signer)
	if err != nil {
		return err
	}
	return cfg.Anchor.Save(signed)
}

// identityRow: u32 format version, u8 public tiles, origin and vkey behind their
// u16 lengths.
func identityRow(origin, vkey string, public bool) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, FormatVersion), flag(public))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(origin))), origin...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(vkey))), vkey...)
}

// Identity says which log a store holds.
type Identity struct {
	Origin, VKey string
	PublicTiles  bool
}

// ReadIdentity returns the identity of the log in a store; ErrForeignStore where
// there is none, or one of a newer format.
func ReadIdentity(engine store.Engine) (Identity, error) {
	row, err := engine.Get([]byte{byte(store.Identity)})
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, fmt.Errorf("%w: no log was made in it; see `daybookd init`", ErrForeignStore)
	}
	if err != nil {
		return Identity{}, err
	}
	if len(row) < 5 {
		return Identity{}, fmt.Errorf("%w: its identity is damaged", ErrForeignStore)
	}
	if v := binary.BigEndian.Uint32(row); v != FormatVersion {
		return Identity{}, fmt.Errorf("%w: format version %d needs a newer program", ErrForeignStore, v)
	}
	origin, rest, ok := cutPart(row[5:])
	vkey, rest, ok2 := cutPart(rest)
	if !ok || !ok2 || len(rest) != 0 {
		return Identity{}, fmt.Errorf("%w: its identity is damaged", ErrForeignStore)
	}
	return Identity{string(origin), string(vkey), row[4] == 1}, nil
}

// Open recovers the log: it checks identity and clock, loads the snapshots,
// replays the entries after them, compares the root, raises the term durably,
// and decides whether the log may append.
//
// The log opens shut where its store is behind the anchor, the anchor is of
// another log, or evidence of a fork is kept: Ready says so. Reads then work;
// nothing is signed. With AwaitWitnesses it also opens shut until the quorum of
// witnesses has cosigned the size it opens with, or OpenUp is called.
func Open(_ context.Context, cfg Config) (*Ledger, error) {
	l, err := newLedger(&cfg)
	if err != nil {
		return nil, err
	}
	head, err := l.engine.Head()
	if err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	accepted := checkStart(l.clock, head.TimeNS, cfg.Dev)
	if accepted != nil && !cfg.AcceptClock {
		return nil, accepted
	}
	if err := errors.Join(l.recover(head), l.archive.load()); err != nil {
		return nil, err
	}
	if accepted != nil {
		l.opened = append(l.opened, activity(daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK_ACCEPTED, accepted.Error()))
	}
	if err := errors.Join(l.noteRules(head), l.checkAnchor(head)); err != nil {
		return nil, err
	}
	if err := l.raiseTerm(head); err != nil {
		return nil, err
	}
	if err := l.firstHead(); err != nil {
		return nil, err
	}
	l.await(cfg.AwaitWitnesses)
	return l, nil
}

// repeatLookups is how many batches of repeats are looked up at a time.
const repeatLookups = 4

func newLedger(cfg *Config) (*Ledger, error) {
	id, err := ReadIdentity(cfg.Store)
	if err != nil {
		return nil, err
	}
	if err := id.foreign(cfg.Signer.Name()); err != nil {
		return nil, err
	}
	if cfg.Clock.Wall == nil {
		cfg.Clock = SystemClock()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 64 << 20
	}
	w := watch(cfg)
	cfg.Store = w
	w.disk.look()
	l := &Ledger{engine: w, watched: w, clock: cfg.Clock, log: cfg.Logger, keyring: keyringOf(cfg), origin: id.Origin,
		anchor: cfg.Anchor, evidence: cfg.Evidence, vault: cfg.Vault, metrics: cfg.Metrics, software: cfg.Software, readClock: cfg.ReadClock,
		workers: defaultWorkers(cfg.Workers), publicTiles: id.PublicTiles, queue: newQueue(cfg.QueueBytes),
		submitted: make(chan *cohort, cfg.Store.InFlight()), tiles: newTiles(cfg.Store), frames: newFrameCache(cfg.Store),
		stopping: make(chan struct{}), openUp: make(chan struct{}), lookups: make(chan struct{}, repeatLookups), questions: make(chan *runQuestion),
		handover: handover{wanted: make(chan struct{}, 1)}}
	l.closes = &closer{l: l, steps: newCache[closeStep](stepBytes)}
	l.scrub = newScrub(l, cfg)
	l.archive = newArchive(l, cfg.Policy)
	l.verification.Store(&Verification{Period: cfg.VerifyPeriod})
	l.queue.drain.mono = l.clock.Mono
	return l, nil
}

// recover rebuilds what the sequencer and the follower own.
func (l *Ledger) recover(head store.Head) error {
	fol, err := l.recoverFollower(head)
	if err != nil {
		return err
	}
	l.follow = fol
	mine := newState(l.engine)
	for k, r := range fol.replay.state.runs {
		c := *r
		c.dirty = false
		mine.runs[k] = &c
	}
	for k, s := range fol.replay.state.streams {
		mine.streams[k] = &stream{count: s.count, previous: s.previous, twin: s}
	}
	for source, targets := range fol.replay.state.targets {
		for target := range targets {
			mine.note(source, target)
		}
	}
	l.seq = &sequencer{l: l, state: mine, head: head, tree: &integrator{tiles: l.tiles},
		time: timekeeper{clock: l.clock, last: head.TimeNS}, ownRun: randomHash(),
		batches: make(chan store.Batch, l.engine.InFlight()+1), live: map[string]map[verify.Hash]time.Duration{},
		oneOffs: map[verify.Hash]uint64{}, parked: map[verify.Hash][]*work{}}
	if err := l.seq.recoverAlerts(fol.replay.state); err != nil {
		return err
	}
	if err := l.recoverJudge(); err != nil {
		return err
	}
	id, err := ReadIdentity(l.engine)
	if err == nil {
		err = l.recoverSigning(id)
	}
	if err != nil {
		return err
	}
	l.seq.version = l.judge.InForce()
	l.seq.armAll()
	leaves, err := l.seq.resumeBundle(head.Size)
	if err != nil {
		return err
	}
	if err := l.seq.tree.resume(head.Size, leaves); err != nil {
		return fmt.Errorf("rebuilding the tree of %d: %w", head.Size, err)
	}
	front := l.seq.tree.frontier()
	if root := front.Root(); root != head.Root {
		return &FaultError{head.Size, fmt.Sprintf("entries give root %x, the head says %x", root, head.Root)}
	}
	return nil
}

// recoverFollower loads the snapshots and replays the entries after them.
func (l *Ledger) recoverFollower(head store.Head) (*follower, error) {
	x, err := index.Open(l.engine)
	if err != nil {
		return nil, fmt.Errorf("opening the index: %w", err)
	}
	l.index = x
	f, err := l.replayFollower(head, false)
	var unknown *unannouncedError
	if errors.As(err, &unknown) {
		// What was stored of its tables is lost: closes on demand are found in the
		// log, and the entries are gone over once more.
		f, err = l.replayFollower(head, true)
	}
	if err != nil {
		return nil, fmt.Errorf("replaying entries: %w", err)
	}
	if root := f.replay.frontier.Root(); root != head.Root {
		return nil, &FaultError{f.replay.frontier.Size, fmt.Sprintf("replayed entries give root %x, the head says %x", root, head.Root)}
	}
	return f, f.startCloses()
}

// replayFollower makes a follower at the head. The closes after its snapshot are
// those whose tables are stored, or with scan those in the log.
func (l *Ledger) replayFollower(head store.Head, scan bool) (*follower, error) {
	f := newFollower(l)
	if err := f.load(head); err != nil {
		return nil, err
	}
	if scan {
		refs, err := scanCloses(l.frames, f.replay.frontier.Size, head.Size)
		if err != nil {
			return nil, err
		}
		f.replay.closing.ahead = refs
		f.replay.closing.setNext()
	}
	return f, f.catchUp(head.Size)
}

// resumeBundle loads the entries of the incomplete last bundle and returns their
// leaf hashes.
func (q *sequencer) resumeBundle(size uint64) ([]verify.Hash, error) {
	var leaves []verify.Hash
	lo := store.Growing.Key(size - size%bundleWidth)
	hi := store.Growing.Key(size)
	err := q.l.engine.Scan(lo, hi, func(key, value []byte) error {
		entries, err := frame.Decode(value)
		if err != nil {
			return fmt.Errorf("frame %x: %w", key, err)
		}
		for _, e := range entries {
			q.bundle.payload = frame.AppendEntry(q.bundle.payload, e)
			leaves = append(leaves, verify.HashLeaf(e))
		}
		q.bundle.count += len(entries)
		q.bundle.keys = append(q.bundle.keys, append([]byte(nil), key...))
		return nil
	})
	return leaves, err
}

// raiseTerm makes the new term durable before anything is signed in it. A crash
// between leaves a term without a signature, which harms nothing.
func (l *Ledger) raiseTerm(head store.Head) error {
	if l.shut != "" {
		return nil
	}
	next := head
	next.Term++
	ticket, err := l.engine.Commit(head, next, nil)
	if err == nil {
		err = ticket.Wait()
	}
	if err != nil {
		return fmt.Errorf("raising the term: %w", err)
	}
	l.seq.head = next
	l.opened = append([]ownEntry{activity(daybookv1.ActivityType_ACTIVITY_TYPE_OPENED,
		fmt.Sprintf("term %d, %d entries", next.Term, next.Size))}, l.opened...)
	return nil
}

// firstHead publishes what the store holds.
func (l *Ledger) firstHead() error {
	h := l.seq.head
	first := &Head{Term: h.Term, Size: h.Size, Root: h.Root, TimeNS: h.TimeNS}
	if l.shut == "" {
		signed, err := l.sign(h.Size, h.Root)
		if err != nil {
			return err
		}
		first.Checkpoint = signed
	} else {
		l.log.Error("the log opens shut: it reads, but neither appends nor signs", "reason", l.shut)
	}
	l.head.Store(first)
	return nil
}
