package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// RunStatus is how a run stands.
type RunStatus uint8

// The statuses. A silent run is open too.
const (
	RunAny RunStatus = iota
	RunOpen
	RunEnded
	RunSilent
)

// RunFilter selects runs; zero fields do not filter.
type RunFilter struct {
	Producer string // the ledger's own runs: only where this is the origin
	Prefix   string // of the run's id in lower-case hex
	Status   RunStatus
}

// A RunStatement is a heartbeat or an end as far as it says what the producer
// sent.
type RunStatement struct {
	Index  uint64      // of the entry
	Last   uint64      // number up to which it covers the run
	Signed bool        // by the producer
	Key    verify.Hash // SHA-256 of the SPKI that signed
}

// A RunReport is how one run stands. Its messages are the caller's.
type RunReport struct {
	Producer    string
	ID          verify.Hash
	Opened      *daybookv1.RunOpened
	OpenedIndex uint64
	OpenedNS    int64 // log time
	Epoch       uint64
	Last        uint64 // last number
	Declined    uint64 // numbers declined
	Gaps, Lost  uint64 // gap entries, and the numbers in them
	LastIndex   uint64 // newest entry
	LastNS      int64  // its log time
	Heartbeat   *RunStatement
	Signed      *RunStatement       // newest that the producer signed; nil: the run is not signed
	End         *daybookv1.RunEnded // nil: not ended
	Silent      bool                // past its silence limit now
}

// A RunPage is one page of runs.
type RunPage struct {
	Runs []RunReport
	// Next continues the list: give it as from. More says that there may be more.
	Next uint64
	More bool
}

// Runs returns the runs opened below size that match, newest first, at most
// limit, starting below the index from: size for the first page. How they stand
// is told as of now, never as of an older snapshot.
func (l *Ledger) Runs(ctx context.Context, f RunFilter, size, from uint64, limit int) (RunPage, error) {
	page := RunPage{Next: from}
	opened := ListFilter{Kind: daybookv1.Kind_KIND_RUN_OPENED}
	if f.Producer != "" {
		opened.Source = producerDomain(f.Producer)
	}
	for {
		list, err := l.List(ctx, opened, size, page.Next, max(limit, runsAtOnce))
		if err != nil {
			return RunPage{}, err
		}
		reports, err := l.report(ctx, f, list.Indexes)
		if err != nil {
			return RunPage{}, err
		}
		for i := range reports {
			if len(page.Runs) == limit {
				page.More = true
				return page, nil
			}
			page.Runs = append(page.Runs, reports[i])
			page.Next = reports[i].OpenedIndex
		}
		if !list.More {
			return page, nil
		}
		page.Next = list.Next
	}
}

// runsAtOnce is how many run opened entries are looked at together.
const runsAtOnce = 128

// report reports on the runs opened at some indexes, as far as they match.
func (l *Ledger) report(ctx context.Context, f RunFilter, indexes []uint64) ([]RunReport, error) {
	var reports []RunReport
	var keys []verify.Hash
	for _, at := range indexes {
		r, err := l.openedAt(at)
		if err != nil {
			return nil, err
		}
		if f.Producer == "" && r.Producer == l.origin || f.Producer != "" && r.Producer != f.Producer ||
			!strings.HasPrefix(hex.EncodeToString(r.ID[:]), f.Prefix) {
			continue
		}
		reports = append(reports, r)
		keys = append(keys, verify.RunStart(r.Producer, r.ID))
	}
	if len(keys) == 0 {
		return nil, nil
	}
	states, err := l.runStates(ctx, keys)
	if err != nil {
		return nil, err
	}
	kept := reports[:0]
	for i := range reports {
		if err := l.complete(&reports[i], states[keys[i]]); err != nil {
			return nil, err
		}
		if f.Status.of(&reports[i]) {
			kept = append(kept, reports[i])
		}
	}
	return kept, nil
}

// of tells whether a run has the status.
func (s RunStatus) of(r *RunReport) bool {
	switch s {
	case RunOpen:
		return r.End == nil
	case RunEnded:
		return r.End != nil
	case RunSilent:
		return r.Silent
	}
	return true
}

// openedAt reads a run opened entry.
func (l *Ledger) openedAt(at uint64) (RunReport, error) {
	e, err := l.parsed(at)
	if err != nil {
		return RunReport{}, err
	}
	m := new(daybookv1.RunOpened)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return RunReport{}, &FaultError{at, err.Error()}
	}
	return RunReport{Producer: strings.Clone(e.Head.Producer), ID: e.Head.Run, Opened: m, OpenedIndex: at, OpenedNS: e.Head.LogTimeNS}, nil
}

func (l *Ledger) parsed(at uint64) (verify.Entry, error) {
	raw, err := l.frames.entry(at)
	if err != nil {
		return verify.Entry{}, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return e, &FaultError{at, err.Error()}
	}
	return e, nil
}

// complete fills in how the run stands.
func (l *Ledger) complete(report *RunReport, r *run) error {
	report.Epoch, report.Last = r.epoch, r.last
	t := r.tells()
	report.Declined, report.Gaps, report.Lost = t.declined, t.gaps, t.lost
	report.LastIndex, report.LastNS = r.previous-1, r.time
	report.Heartbeat, report.Signed = t.heartbeat.report(), t.signed.report()
	if r.ended {
		e, err := l.parsed(report.LastIndex) // nothing comes after the end
		if err != nil {
			return err
		}
		report.End = new(daybookv1.RunEnded)
		if err := proto.Unmarshal(e.Body, report.End); err != nil {
			return &FaultError{report.LastIndex, err.Error()}
		}
		return nil
	}
	report.Silent = r.silence != 0 && l.clock.Wall()-max(r.time, l.takesSince.Load()) > r.silence
	return nil
}

func (s *statement) report() *RunStatement {
	if s.at == 0 {
		return nil
	}
	return &RunStatement{Index: s.at - 1, Last: s.last, Signed: s.key != (verify.Hash{}), Key: s.key}
}

// SignedWords says how far the run is signed by its producer.
func (r *RunReport) SignedWords() string {
	switch {
	case r.Signed == nil && r.Last == 0:
		return "not signed by its producer; it has no number yet"
	case r.Signed == nil:
		return fmt.Sprintf("not signed by its producer: numbers 1 to %d rest on the ledger's word", r.Last)
	case r.End != nil && len(r.End.Signature) > 0:
		return fmt.Sprintf("signed by its producer to the end, number %d", r.Last)
	case r.Signed.Last == r.Last:
		return fmt.Sprintf("signed by its producer up to number %d, its last", r.Last)
	}
	return fmt.Sprintf("signed by its producer up to number %d of %d", r.Signed.Last, r.Last)
}

// Resumes is how often the run was resumed: each is a restart of its producer,
// or a take-over.
func (r *RunReport) Resumes() uint64 { return r.Epoch - 1 }

// Events is how many numbers hold an event.
func (r *RunReport) Events() uint64 { return r.Last - r.Declined - r.Lost }

// SilenceLimit is how long the run may have no entry; 0: for ever.
func (r *RunReport) SilenceLimit() time.Duration { return time.Duration(r.Opened.SilenceLimitNs) }

// A runQuestion asks the follower for the runs that it has in memory, or for a pair.
type runQuestion struct {
	keys  []verify.Hash
	found map[verify.Hash]*run // copies; set before done is closed
	done  chan struct{}

	prefix []byte   // of the keys of a pair's streams
	pair   *pairNow // what they hold; nil: that is not asked; set before done is closed
}

// runStates returns copies of the runs: as the follower has them in memory, else
// as they were snapshotted, for what is not in memory has not changed since.
func (l *Ledger) runStates(ctx context.Context, keys []verify.Hash) (map[verify.Hash]*run, error) {
	ask := &runQuestion{keys: keys, found: map[verify.Hash]*run{}, done: make(chan struct{})}
	select {
	case l.questions <- ask:
		<-ask.done
	case <-l.stopping:
		return nil, errClosing
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for _, key := range keys {
		if ask.found[key] != nil {
			continue
		}
		raw, err := l.engine.Get(runKey(key))
		if errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("run %x was opened, but has no state", key)
		}
		if err != nil {
			return nil, err
		}
		if ask.found[key], err = parseRun(raw); err != nil {
			return nil, err
		}
	}
	return ask.found, nil
}

// answer answers a question between two steps.
func (f *follower) answer(ask *runQuestion) {
	for _, key := range ask.keys {
		if r := f.replay.state.runs[key]; r != nil {
			c := *r
			ask.found[key] = &c
		}
	}
	if ask.pair != nil {
		f.answerPair(ask.prefix, ask.pair)
	}
	close(ask.done)
}

// answerWaiting answers those who ask while the follower has more to take.
func (f *follower) answerWaiting() {
	for {
		select {
		case ask := <-f.l.questions:
			f.answer(ask)
		default:
			return
		}
	}
}

// stateOf is where a run stands.
func stateOf(r *run) runState {
	return runState{epoch: r.epoch, next: r.last + 1, hash: r.hash, ended: r.ended, opened: r.opened, silence: r.silence}
}
