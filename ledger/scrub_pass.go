package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Verification says how the background verification stands. Times are UTC
// nanoseconds since the Unix epoch.
type Verification struct {
	Period   time.Duration // 0: it is off
	Running  bool          // a pass is under way
	Position uint64        // entries of it that are done
	Target   uint64        // entries that it checks
	BeganNS  int64         // when it began
	EndsNS   int64         // when it should end, at its present rate
	NextNS   int64         // when the next pass begins, where none is under way

	LastEndNS   int64  // when the last pass ended; 0: none has
	LastEntries uint64 // entries that it checked
	LastFaults  uint64 // faults that it found; 0: everything was as committed

	Faults   uint64 // found since the log was opened
	Bad      string // what is wrong, with its table; empty: nothing is known to be
	BadIndex uint64 // first bad index; only with Bad
}

// Codes of the entry of a pass.
const (
	verifiedOK    = "ok"
	verifiedFault = "fault"
)

// report publishes how the verification stands.
func (s *scrub) report() {
	r := s.row
	v := &Verification{Period: s.period, LastEndNS: r.last.end, LastEntries: r.last.entries, LastFaults: r.last.faults, Faults: s.faults}
	if r.standing.table != 0 {
		v.Bad, v.BadIndex = tableName(r.standing.table)+": "+r.standing.reason, r.standing.index
	}
	if r.target == 0 {
		v.NextNS = s.nextBegin()
	} else {
		v.Running, v.Position, v.Target, v.BeganNS = true, r.position, r.target, r.begin
		v.EndsNS = s.l.clock.Wall() + int64(float64(s.left())/s.rate()*float64(time.Second))
	}
	s.l.verification.Store(v)
}

// load reads where the last process left off, and finds what it wrote into the
// log after it saved that. Where the saved state does not hold together, the
// pass begins anew.
func (s *scrub) load() error {
	s.row = &passRow{}
	raw, err := s.l.engine.Get(passKey)
	if err == nil {
		if row, err := parsePassRow(raw); err == nil && row.size <= s.l.Head().Size {
			s.row = row
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		s.l.log.Error("the state of the background verification cannot be read: it begins anew", "error", err)
	}
	s.saved, s.due, s.savedAt = s.l.clock.Mono(), s.l.clock.Mono(), s.row.position
	if s.row.target == 0 {
		return s.dateFirst()
	}
	ended, err := s.catchUp()
	if err != nil || ended {
		return err
	}
	if s.audit, err = s.row.restore(s.l.engine); err != nil {
		s.l.log.Warn("the state of the background verification does not hold together: its pass begins anew", "error", err)
		return s.begin()
	}
	s.audit.hooks = s.closeHooks()
	if err := s.resumeCloses(); err != nil {
		s.l.log.Warn("the closes of the background verification do not hold together: its pass begins anew", "error", err)
		return s.begin()
	}
	s.unalerted = s.row.faults > 0
	return nil
}

// dateFirst has the first pass of a log wait for the log's own age.
func (s *scrub) dateFirst() error {
	if s.row.last.begin != 0 {
		return nil
	}
	raw, err := s.l.frames.entry(0)
	if err != nil {
		return nil // the first pass begins at once, and says so
	}
	if e, err := verify.ParseEntry(raw); err == nil {
		s.row.begin = e.Head.LogTimeNS
	}
	return nil
}

// catchUp looks through the entries after the saved row for those that a crash
// made the row forget: an alert is not written twice, nor the entry of a pass.
func (s *scrub) catchUp() (ended bool, err error) {
	row := s.row
	err = s.l.frames.scan(row.size, s.l.Head().Size, func(index uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Head.Producer != s.l.origin {
			return err
		}
		switch e.Place.Kind {
		case daybookv1.Kind_KIND_ALERT:
			var m daybookv1.Alert
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			if m.Type == daybookv1.AlertType_ALERT_TYPE_INTEGRITY && len(m.Id) == len(verify.Hash{}) {
				s.mark(verify.Hash(m.Id), e.Head.LogTimeNS)
			}
		case daybookv1.Kind_KIND_ACTIVITY:
			var m daybookv1.Activity
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_VERIFIED && m.FirstNs == row.begin {
				ended, row.last.end = true, m.LastNs
				s.learn(&m)
			}
		}
		return nil
	})
	if err != nil {
		s.l.log.Error("entries after the saved pass cannot be read", "error", err)
		return false, nil // the pass meets the same
	}
	if !ended {
		return false, nil
	}
	return true, s.ended(row.last.end)
}

// learn takes from the entry of a pass that it found what the row forgot.
func (s *scrub) learn(m *daybookv1.Activity) {
	if m.Code == verifiedFault && s.row.faults == 0 {
		s.row.faults = 1
		s.row.standing = badPlace{table: store.Frames, reason: clip(m.Detail, maxReason)}
	}
}

// finish ends the pass: it leaves the entry that says what came of it. The row is
// written after the entry is durable; a crash between is found out by catchUp.
func (s *scrub) finish(ctx context.Context) error {
	row := s.row
	end := s.l.clock.Wall()
	err := s.l.appendOwnEntry(ctx, ownEntry{kind: daybookv1.Kind_KIND_ACTIVITY, body: s.verified(end)})
	if err = s.unlessShut(ctx, err); err != nil || s.again {
		return err
	}
	s.l.log.Info("verified the whole log from disk", "entries", row.target, "faults", row.faults, "took", time.Duration(end-row.begin))
	return s.ended(end)
}

// verified is the entry of the pass.
func (s *scrub) verified(end int64) *daybookv1.Activity {
	row := s.row
	m := &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_VERIFIED, Actor: "unknown", Method: "background verification",
		Count: row.target, FirstNs: row.begin, LastNs: end, Code: verifiedOK}
	m.Detail = fmt.Sprintf("entries 0..%d re-derived from disk in %v", row.target-1, time.Duration(end-row.begin).Round(time.Millisecond))
	if row.faults > 0 {
		m.Code = verifiedFault
		m.Detail += fmt.Sprintf("; %d faults, the first bad index is %d, in %s: %s", row.faults, row.bad.index, tableName(row.bad.table), row.bad.reason)
	}
	if row.broken() {
		m.Detail += "; from it on leaves alone were compared, and not the index"
	} else {
		m.Detail += fmt.Sprintf("; root %x", s.audit.replay.frontier.Root())
	}
	m.Detail = clip(m.Detail, 4096)
	return m
}

// compareSnapshots compares the follower's snapshots at the pass's end, as they
// were at its begin, with what the pass derived.
func (s *scrub) compareSnapshots() error {
	if s.row.snapshots == (verify.Hash{}) {
		return nil
	}
	digest, err := ownSnapshots(s.l.engine, s.audit.replay.frontier)
	if err != nil {
		return faultIn(store.Verification, s.row.target, "reading what the pass derived: %v", err)
	}
	if digest != s.row.snapshots {
		return faultIn(store.Streams, s.row.target, "snapshots of streams and runs at %d differ from the entries", s.row.target)
	}
	return nil
}

// ended closes the pass. A crash before the row is written leaves the pass to be
// closed again; one before the rows are deleted leaves them to the next begin.
func (s *scrub) ended(at int64) error {
	row := s.row
	row.last = passResult{begin: row.begin, end: at, entries: row.target, faults: row.faults}
	if row.faults == 0 {
		row.standing = badPlace{}
	}
	row.phase, row.indexed, row.listed = passEntries, 0, 0
	row.target, row.position, row.faults, row.bad, row.front, row.levels = 0, 0, 0, badPlace{}, nil, [8][]verify.Hash{}
	row.computes, row.drafts = false, nil
	s.audit, s.unalerted = nil, false
	if err := s.save(); err != nil {
		return err
	}
	return deletePass(s.l.engine)
}

// alert leaves an alert of the pass's first fault, at most one for each place,
// pass and UTC day, and waits until it is durable.
func (s *scrub) alert(ctx context.Context) error {
	bad := &s.row.bad
	const typ = daybookv1.AlertType_ALERT_TYPE_INTEGRITY
	id := verify.AlertID(uint32(typ), bad.subject(), 0, 0)
	now := s.l.clock.Wall()
	if !s.marked(id, now) {
		rests := min(bad.index, s.l.Head().Size-1)
		err := s.l.appendOwnEntry(ctx, ownEntry{kind: daybookv1.Kind_KIND_ALERT, body: &daybookv1.Alert{Id: id[:], Type: typ, DetectorVersion: 1,
			Subject: clip(bad.subject(), 2048), Entries: []uint64{rests + 1}, Detail: clip(bad.reason, 2048)}})
		if err = s.unlessShut(ctx, err); err != nil || s.again {
			return err
		}
		s.mark(id, now)
	}
	s.unalerted = false
	return s.save()
}

// unlessShut decides what an entry that was not appended means: a shut log takes
// none, and the program's log has said it; otherwise it is tried again later.
func (s *scrub) unlessShut(ctx context.Context, err error) error {
	var shut *ShutError
	s.again = err != nil && (!errors.As(err, &shut) || errors.Is(err, errClosing))
	if s.again {
		return s.sleep(ctx, scrubPoll)
	}
	return nil
}

const utcDay = int64(24 * time.Hour)

// fresh: an alert written at that time is not repeated at another, for it is of
// the same UTC day or of the pass under way.
func (s *scrub) fresh(at, now int64) bool { return at/utcDay == now/utcDay || at >= s.row.begin }

// mark notes that an alert was written, and forgets those that may be repeated.
func (s *scrub) mark(id verify.Hash, now int64) {
	kept := s.row.alerts[:0]
	for _, a := range s.row.alerts {
		if a.id != id && s.fresh(a.at, now) {
			kept = append(kept, a)
		}
	}
	s.row.alerts = append(kept, alertMark{id, now})
}

func (s *scrub) marked(id verify.Hash, now int64) bool {
	for _, a := range s.row.alerts {
		if a.id == id && s.fresh(a.at, now) {
			return true
		}
	}
	return false
}
