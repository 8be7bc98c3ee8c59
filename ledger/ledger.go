package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// errClosing: the log takes nothing any more.
var errClosing = &ShutError{Reason: "the server is stopping: resend after its restart"}

// A Ledger is one log, open. All methods are safe for concurrent use.
type Ledger struct {
	engine      store.Engine // watched
	watched     *watched
	clock       Clock
	log         *slog.Logger
	keyring     func(vkey string) (note.Signer, error)
	origin      string
	anchor      Anchor
	evidence    Evidence
	vault       Vault
	metrics     Metrics
	software    string
	readClock   func() ClockReading // nil: nobody knows
	workers     int
	publicTiles bool

	queue     *queue
	submitted chan *cohort // sequencer to publisher, in order
	handover  handover     // publisher to follower
	tiles     *tiles
	frames    *frameCache
	index     *index.Index

	head      atomic.Pointer[Head]
	published notifier // of each new head
	followed  notifier // of each step of the follower
	position  atomic.Uint64
	streams   atomic.Int64
	runs      atomic.Int64
	saved     atomic.Uint64 // position of the newest snapshot
	closes    *closer

	stopping chan struct{} // closed when Run begins to end
	timers   sync.WaitGroup

	mu      sync.Mutex
	shut    string // why the log is shut; guarded by mu
	awaits  bool   // it is shut until the witnesses answered; guarded by mu
	clockAt string // why the clock is at fault; guarded by mu
	fatal   error  // the first failure of the engine; guarded by mu

	refusals refusals
	lookups  chan struct{} // held while repeats are read, so that they cannot starve appends

	seq    *sequencer    // owned by Run
	follow *follower     // owned by Run
	opened []ownEntry    // written first by Run, or once the log opens up
	openUp chan struct{} // closed where the log opens up after it awaited its witnesses

	silenceDue atomic.Int64      // log time at which silence must be looked for; 0: none is watched
	expectDue  atomic.Int64      // log time after which the follower must see an entry, to know of silence; 0: none is expected
	takesSince atomic.Int64      // log time before which no silence counts
	questions  chan *runQuestion // to the follower
	scrub      *scrub            // owned by Run

	judge    *domains.Judge                  // the sequencer's; others read approvals alone
	inForce  atomic.Pointer[domains.Version] // the domain map in force at the head; nil: none
	pastMaps struct {
		mu       sync.Mutex
		versions map[uint64]*domains.Version // at most keptVersions; guarded by mu
	}
	verification atomic.Pointer[Verification]
	archive      *archive

	signing atomic.Pointer[signing]           // of the newest head
	ended   atomic.Pointer[domains.Succeeded] // what ended the log; nil: it goes on
}

// Run sequences, publishes and follows until ctx ends; then it finishes what
// was accepted, snapshots, saves the anchor and returns. It returns an error
// where the store failed: what was in flight then has an unknown outcome, and
// the process should end. Call it once.
func (l *Ledger) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	awaits := l.Awaits()
	if !awaits {
		l.enqueueOpened()
	}
	l.follow.startAlerts()
	var tail errgroup.Group
	tail.Go(func() error { return l.follow.run(work) })
	tail.Go(func() error { return l.keepAnchor(work) })
	tail.Go(func() error { l.keepIndex(work); return nil })
	tail.Go(func() error { return l.closes.run(work) })
	tail.Go(func() error { return l.scrub.run(work) })
	tail.Go(func() error { l.watched.run(work); return nil })
	var front errgroup.Group
	front.Go(func() error { l.seq.loop(); close(l.submitted); return nil })
	front.Go(l.publish)
	refuse, endRefusals := context.WithCancel(work)
	defer endRefusals()
	var refusing sync.WaitGroup
	refusing.Go(func() { l.writeRefusals(refuse) })
	refusing.Go(func() { l.watchSilence(refuse) })
	refusing.Go(func() { l.archive.run(refuse) })
	if awaits {
		refusing.Go(func() { l.enqueueWhenOpen(refuse) })
	}
	select {
	case <-ctx.Done():
	case <-l.stopping:
	}
	l.stop()
	endRefusals()
	refusing.Wait()
	l.queue.close(errClosing)
	err := front.Wait()
	l.timers.Wait()
	stop()
	return errors.Join(l.failure(), err, tail.Wait())
}

// stop begins the end: once.
func (l *Ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.stopping:
	default:
		close(l.stopping)
	}
}

// fail ends the log after a failure of the engine.
func (l *Ledger) fail(err error) {
	l.mu.Lock()
	if l.fatal == nil {
		l.fatal = err
	}
	l.mu.Unlock()
	l.log.Error("the store failed: the log stops; everything acknowledged is durable", "error", err)
	l.queue.close(ErrOutcomeUnknown)
	l.stop()
}

func (l *Ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// publish waits for each commit's ticket, in order, then signs, swaps the head
// and wakes the waiters.
func (l *Ledger) publish() error {
	for c := range l.submitted {
		err := c.ticket.Wait()
		l.queue.resolved() // what waits is committed while this is signed
		if err != nil {
			l.fail(fmt.Errorf("commit at size %d: %w", c.next.Size, err))
			c.failAll(ErrOutcomeUnknown)
			continue
		}
		if l.metrics != nil {
			l.metrics.Committed(len(c.entries), c.bytes, l.clock.Mono()-c.submitted)
		}
		select {
		case l.seq.batches <- c.batch:
		default:
		}
		c.batch = nil
		l.announce(c)
	}
	return nil
}

func (l *Ledger) announce(c *cohort) {
	if len(c.entries) == 0 { // rows alone: the head is as it was
		for _, w := range c.works {
			close(w.done)
		}
		return
	}
	if c.signing != nil {
		l.signing.Store(c.signing)
	}
	if l.shutReason() == "" {
		signed, err := l.sign(c.next.Size, c.next.Root)
		if err != nil {
			l.fail(err)
			c.failAll(ErrOutcomeUnknown)
			return
		}
		c.checkpoint = signed
	}
	works, version, end := c.works, c.version, c.last
	l.handover.give(c)
	l.head.Store(&Head{Term: c.next.Term, Size: c.next.Size, Root: c.next.Root, TimeNS: c.next.TimeNS, Checkpoint: c.checkpoint})
	if version != nil {
		l.inForce.Store(version)
	}
	if end != nil {
		l.ended.Store(end)
	}
	l.published.notify()
	for _, w := range works {
		close(w.done)
	}
}

// sign signs a checkpoint of the log. The caller has made sure that the tree of
// that size is durable and that the log is not shut.
func (l *Ledger) sign(size uint64, root verify.Hash) ([]byte, error) {
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: l.origin, Size: size, Root: root})
	signed, err := note.Sign(&note.Note{Text: text}, l.signing.Load().signers...)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of size %d: %w", size, err)
	}
	return signed, nil
}

// keepAnchor saves the newest checkpoint at most 1 s after it changed, and last
// at the end. A crash leaves an anchor that is at most that much behind.
func (l *Ledger) keepAnchor(ctx context.Context) error {
	if l.anchor == nil {
		return nil
	}
	saved := uint64(0)
	save := func() {
		h := l.Head()
		if h.Checkpoint == nil || h.Size == saved {
			return
		}
		if err := l.anchor.Save(h.Checkpoint); err != nil {
			l.log.Error("the anchor was not saved: a restored copy might go unnoticed", "error", err)
			return
		}
		saved = h.Size
	}
	tick := time.NewTicker(anchorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			save()
			return nil
		case <-tick.C:
			save()
		}
	}
}

const anchorEvery = 500 * time.Millisecond

// Head is the newest published head.
func (l *Ledger) Head() Head { return *l.head.Load() }

// VKey is the log's present verifier key.
func (l *Ledger) VKey() string { return l.Keys().Current().VKey }

// Origin is the log's name.
func (l *Ledger) Origin() string { return l.origin }

// Ready says whether the log takes appends, and why not.
func (l *Ledger) Ready() (bool, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fatal != nil:
		return false, l.fatal.Error()
	case l.shut != "":
		return false, "shut: " + l.shut
	case l.clockAt != "":
		return false, l.clockAt
	}
	if err := l.succeeded(); err != nil {
		return false, err.Error()
	}
	reason := l.watched.ready()
	return reason == "", reason
}

func (l *Ledger) shutReason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut
}

// clockFault notes that no time can be given now.
func (l *Ledger) clockFault(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clockAt == "" {
		l.log.Error("no entry is taken until the clock is right", "error", err)
	}
	l.clockAt = err.Error()
}

// Status says how the log stands.
func (l *Ledger) Status() Status {
	h := l.Head()
	l.mu.Lock()
	shut, clock := l.shut, l.clockAt
	l.mu.Unlock()
	closed := CloseInfo{Close: new(daybookv1.Close)}
	if newest := l.closes.newest.Load(); newest != nil {
		closed = *newest
	}
	return Status{Head: h, CloseIndex: closed.Index, CloseEndNS: closed.Close.PeriodEndNs, ClosesOverdue: l.closesOverdue(),
		CloseTook: time.Duration(l.closes.took.Load()), Origin: l.origin, Shut: shut, FollowerLag: h.Size - min(h.Size, l.position.Load()),
		IndexLag: h.Size - min(h.Size, l.index.Position()),
		Streams:  int(l.streams.Load()), Runs: int(l.runs.Load()), QueueBytes: l.queue.waiting(), DiskBytes: l.engine.DiskBytes(),
		PublicTiles: l.publicTiles, ClockFault: clock != "", LatenessNS: int64(verify.LatenessLimit), VKey: l.VKey(),
		Verification: *l.verification.Load(), Disk: l.watched.status()}
}

func defaultWorkers(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// A notifier wakes everybody who waits for a change.
type notifier struct {
	mu sync.Mutex
	ch chan struct{} // closed at the next change; guarded by mu
}

// wait returns a channel that is closed at the next change. Take it before
// looking at what may change.
func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
