package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// event makes the bytes of an event that nobody else makes.
func event(id string) ([]byte, error) {
	return proto.Marshal(&daybookv1.Event{
		EventId:      []byte(id),
		OccurredAtNs: time.Now().UnixNano(),
		Side:         daybookv1.Side_SIDE_TARGET,
		Source:       &daybookv1.Source{Domain: "web", Address: "192.0.2.7"},
		Target:       &daybookv1.Target{Domain: "prod-db", Service: "orders"},
		Actor:        &daybookv1.Actor{Id: "svc-checkout", Type: daybookv1.ActorType_ACTOR_TYPE_SERVICE},
		Action:       &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "select"},
		Decision:     daybookv1.Decision_DECISION_ALLOWED,
		Outcome:      &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
}

// kept is what a producer keeps of one event: files, as an auditor gets them.
type kept struct {
	run    verify.Hash
	number uint64
	event  string
	index  uint64
	proof  []byte // .tlog-proof
	entry  []byte // .entry
	note   []byte // the checkpoint inside proof
}

// load is a number of producers that append until they are told to stop, each
// in a run of its own, and keep a receipt of everything acknowledged.
type load struct {
	t    *testing.T
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	grew    chan struct{}          // closed and replaced when kept grows; guarded by mu
	kept    []kept                 // guarded by mu
	perRun  map[verify.Hash]uint64 // events acknowledged in each run; guarded by mu
	reasons []error                // why producers gave up; guarded by mu
	budget  int                    // producers pause at so many receipts; guarded by mu
	raised  chan struct{}          // closed and replaced when budget grows; guarded by mu
}

// ahead is how many receipts the producers go on for beyond what the test waits
// for: enough that a kill meets them at work, few enough to be kept in memory.
const ahead = 2000

// room waits until the producers may go on.
func (l *load) room(ctx context.Context) error {
	for {
		l.mu.Lock()
		free, raised := len(l.kept) < l.budget, l.raised
		l.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// startLoad starts producers with the identity of a profile. Each has a client,
// and a memory of the newest checkpoint, of its own.
func startLoad(t *testing.T, profilePath string, producers int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, stop: cancel, grew: make(chan struct{}), raised: make(chan struct{}), budget: ahead, perRun: map[verify.Hash]uint64{}}
	t.Cleanup(l.end)
	for p := range producers {
		config := loadProfile(t, profilePath).Config()
		config.State = filepath.Join(t.TempDir(), "state")
		c, err := client.Dial(config)
		if err != nil {
			t.Fatal(err)
		}
		l.done.Go(func() {
			defer c.Close()
			if err := l.produce(ctx, c, p); err != nil && ctx.Err() == nil {
				l.mu.Lock()
				l.reasons = append(l.reasons, fmt.Errorf("producer %d: %w", p, err))
				l.mu.Unlock()
			}
		})
	}
	return l
}

// produce appends batches of one to twenty events until ctx ends: every other
// producer one batch at a time, the others over a stream with several in flight.
func (l *load) produce(ctx context.Context, c *client.Client, producer int) error {
	run, err := c.OpenRun(ctx, client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if err != nil {
		return err
	}
	sent := 0
	next := func() (items []client.Item, ids []string, err error) {
		if err := l.room(ctx); err != nil {
			return nil, nil, err
		}
		for range 1 + rand.IntN(20) {
			sent++
			id := fmt.Sprintf("p%d-%d", producer, sent)
			body, err := event(id)
			if err != nil {
				return nil, nil, err
			}
			ids = append(ids, id)
			items = append(items, client.Event(body))
		}
		return items, ids, nil
	}
	if producer%2 == 1 {
		return l.stream(ctx, run, next)
	}
	for {
		items, ids, err := next()
		if err != nil {
			return err
		}
		receipt, err := run.Append(ctx, items...)
		if err != nil {
			return err
		}
		if err := l.keep(run.ID(), receipt, ids); err != nil {
			return err
		}
	}
}

// stream appends what next makes with several batches in flight.
func (l *load) stream(ctx context.Context, run *client.Run, next func() ([]client.Item, []string, error)) error {
	type sent struct {
		pending *client.Pending
		ids     []string
	}
	return run.Stream(ctx, client.StreamOptions{Batch: 20, InFlight: 4}, func(ctx context.Context, s *client.Stream) error {
		var open []sent
		for {
			items, ids, err := next()
			if err != nil {
				return err
			}
			pending, err := s.Submit(ctx, items...)
			if err != nil {
				return err
			}
			open = append(open, sent{pending, ids})
			if len(open) < 8 {
				continue
			}
			receipt, err := open[0].pending.Wait(ctx)
			if err != nil {
				return err
			}
			if err := l.keep(run.ID(), receipt, open[0].ids); err != nil {
				return err
			}
			open = open[1:]
		}
	})
}

// keep puts the receipt of each event away.
func (l *load) keep(run verify.Hash, receipt *client.Receipt, ids []string) error {
	var more []kept
	for i := range receipt.Len() {
		proof, entry, err := receipt.Files(i)
		if err != nil {
			return err
		}
		more = append(more, kept{
			run: run, number: receipt.Number(i), event: ids[i], index: receipt.Index(i),
			proof: proof, entry: entry, note: receipt.Checkpoint(),
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, more...)
	l.perRun[run] += uint64(len(more))
	close(l.grew)
	l.grew = make(chan struct{})
	return nil
}

// allow lets the producers go on to so many receipts.
func (l *load) allow(receipts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if receipts > l.budget {
		l.budget = receipts
		close(l.raised)
		l.raised = make(chan struct{})
	}
}

// await returns what is kept once it is n more than now.
func (l *load) await(n int) []kept {
	l.t.Helper()
	deadline := time.After(patience)
	for want := -1; ; {
		l.mu.Lock()
		have, grew, reasons := l.kept, l.grew, l.reasons
		l.mu.Unlock()
		if len(reasons) > 0 {
			l.t.Fatalf("producers gave up: %v", errors.Join(reasons...))
		}
		if want < 0 {
			want = len(have) + n
			l.allow(want + ahead)
		}
		if len(have) >= want {
			return have
		}
		select {
		case <-grew:
		case <-deadline:
			l.t.Fatalf("no %d more receipts", n)
		}
	}
}

// end stops the producers and waits for them.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// auditor holds what was checked, so that each check adds to the one before.
type auditor struct {
	t       *testing.T
	last    verify.Checkpoint // the newest checkpoint that all sizes were held against
	checked int               // receipts [0, checked) are a prefix of last's tree
}

// audit checks the receipts that came since the last audit, each from its files
// alone, that the log now continues each of their checkpoints and the one that
// was newest at the last audit, and that it still has the very same entries.
func (a *auditor) audit(r *reader, receipts []kept) {
	a.t.Helper()
	now := r.checkpoint()
	if a.last.Size > 0 {
		if err := r.extends(a.last, now); err != nil {
			a.t.Fatalf("the log does not continue what it was: %v", err)
		}
	}
	seen := map[uint64]bool{}
	for _, k := range receipts[a.checked:] {
		if _, err := verify.CheckReceipt(r.policy, k.proof, k.entry); err != nil {
			a.t.Fatalf("receipt of %s at index %d: %v", k.event, k.index, err)
		}
		c := r.open(k.note)
		if seen[c.Size] {
			continue
		}
		seen[c.Size] = true
		if err := r.extends(c, now); err != nil {
			a.t.Fatalf("receipt of %s at index %d: %v", k.event, k.index, err)
		}
	}
	a.last, a.checked = now, len(receipts)
}

// auditWhole reads the whole log and checks that every receipt's entry stands
// at its index, that no event stands twice, and that the numbers of each run are
// 1, 2, 3, ... without holes.
func auditWhole(t *testing.T, r *reader, receipts []kept) {
	t.Helper()
	entries, _ := r.all()
	for _, k := range receipts {
		if k.index >= uint64(len(entries)) || !bytes.Equal(entries[k.index], k.entry) {
			t.Errorf("%s: the log has other bytes at index %d than its receipt", k.event, k.index)
		}
	}
	type runKey struct {
		producer string
		run      verify.Hash
	}
	next := map[runKey]uint64{}
	places := map[string]int{}
	for i, b := range entries {
		e, err := verify.ParseEntry(b)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if !verify.TakesNumber(e.Place.Kind) {
			continue
		}
		key := runKey{e.Head.Producer, e.Head.Run}
		if next[key]++; e.Place.Number != next[key] {
			t.Errorf("entry %d: number %d of run %x where %d is next", i, e.Place.Number, e.Head.Run[:4], next[key])
			next[key] = e.Place.Number
		}
		if e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
			continue
		}
		event, err := verify.ParseEvent(e.Body)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if before, twice := places[string(event.EventID)]; twice {
			t.Errorf("event %s stands at index %d and %d", event.EventID, before, i)
		}
		places[string(event.EventID)] = i
	}
	for _, k := range receipts {
		if k.number > next[runKey{producerOf(t, k.entry), k.run}] {
			t.Errorf("%s: number %d is past the end of its run", k.event, k.number)
		}
	}
}

func producerOf(t *testing.T, entry []byte) string {
	t.Helper()
	e, err := verify.ParseEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	return e.Head.Producer
}
