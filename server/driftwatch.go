package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// driftLook bounds how often the watch looks, and how long after a fault it
	// looks again.
	driftLook  = time.Hour
	driftRetry = 10 * time.Second
	// driftSettle is how long an alert that was raised is waited for at a time.
	driftSettle = 50 * time.Millisecond
	// driftBack bounds the activity entries that are looked through for a scan.
	driftBack = 100_000
	// maxMissed bounds the alerts of one look: more periods get one alert together.
	maxMissed = 31
)

// A driftWatch raises an alert for each period without a drift scan. What it
// knows it reads from the log, so that a restart neither forgets a period nor
// reports it twice. Used by one goroutine.
type driftWatch struct {
	log          *ledger.Ledger
	every, grace time.Duration
	now          func() time.Time
	logger       *slog.Logger

	seen uint64    // size of the log up to which scans were looked for
	mark driftMark // the newest scan, or what stands for one

	told, toldNS int64 // end of the newest period that was raised, and when that was
}

// A driftMark is an entry from which the next scan is awaited.
type driftMark struct {
	found  bool
	index  uint64
	timeNS int64
}

// run looks until ctx ends.
func (w *driftWatch) run(ctx context.Context) {
	for {
		wait, err := w.look(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			w.logger.Warn("looking for missed drift scans", "error", err)
			wait = driftRetry
		}
		timer := time.NewTimer(min(max(wait, time.Millisecond), driftLook))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look raises what is due, and says how long nothing is.
func (w *driftWatch) look(ctx context.Context) (time.Duration, error) {
	if ready, _ := w.log.Ready(); !ready {
		return driftRetry, nil
	}
	if err := w.findScan(ctx); err != nil {
		return 0, err
	}
	if !w.mark.found {
		if err := w.expect(ctx); err != nil {
			return 0, err
		}
	}
	from, err := w.lastMissed(ctx)
	if err != nil {
		return 0, err
	}
	now := w.now().UnixNano()
	if from < w.told && now < w.toldNS+int64(driftRetry) {
		return driftSettle, nil // what was raised is not in the log yet
	}
	missed, due := missedScans(max(from, w.mark.timeNS), now, w.every, w.grace)
	for _, p := range missed {
		w.log.Raise(&daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_SCAN_MISSED, Subject: "drift scan", PeriodStartNs: p.start, PeriodEndNs: p.end,
			Entries: []uint64{w.mark.index + 1},
			Detail:  fmt.Sprintf("no drift scan was recorded in %v, nor within %v after; the newest entry that tells of one is %d", time.Duration(p.end-p.start), w.grace, w.mark.index)})
	}
	if n := len(missed); n > 0 {
		w.told, w.toldNS = missed[n-1].end, now
	}
	return time.Duration(due - now), nil
}

// A span of time without a scan, UTC nanoseconds, half-open.
type scanPeriod struct{ start, end int64 }

// missedScans returns the periods after from that ended, with the grace, until
// now, and when the next one will have. More than maxMissed are one.
func missedScans(from, now int64, every, grace time.Duration) (missed []scanPeriod, due int64) {
	n := max(now-from-int64(grace), 0) / int64(every)
	end := from + n*int64(every)
	if n > maxMissed {
		missed = append(missed, scanPeriod{from, end})
	} else {
		for ; from < end; from += int64(every) {
			missed = append(missed, scanPeriod{from, from + int64(every)})
		}
	}
	return missed, end + int64(every) + int64(grace)
}

// findScan looks through the activity entries since the last look, newest first,
// for one of type DRIFT. Where they are too many, the oldest that was looked at
// stands for it: no scan came since then.
func (w *driftWatch) findScan(ctx context.Context) error {
	size := w.log.Head().Size
	from, oldest := size, driftMark{}
	for left := driftBack; left > 0; {
		page, err := w.log.List(ctx, ledger.ListFilter{Kind: daybookv1.Kind_KIND_ACTIVITY}, size, from, 1000)
		if err != nil {
			return err
		}
		for i, raw := range page.Entries {
			if page.Indexes[i] < w.seen {
				w.seen = size
				return nil
			}
			e, m, err := activityOf(raw)
			if err != nil {
				return fmt.Errorf("entry %d: %w", page.Indexes[i], err)
			}
			oldest = driftMark{true, page.Indexes[i], e.Head.LogTimeNS}
			if m.GetType() == daybookv1.ActivityType_ACTIVITY_TYPE_DRIFT {
				w.mark, w.seen = oldest, size
				return nil
			}
		}
		if left -= len(page.Entries); !page.More {
			w.seen = size
			return nil
		}
		from = page.Next
	}
	w.mark, w.seen = oldest, size
	return nil
}

func activityOf(raw []byte) (verify.Entry, *daybookv1.Activity, error) {
	e, err := verify.ParseEntry(raw)
	m := new(daybookv1.Activity)
	if err == nil {
		err = proto.Unmarshal(e.Body, m)
	}
	return e, m, err
}

// expect leaves an entry from which on scans are expected, in a log that has
// none. The entry is durable before the first alert that rests on it.
func (w *driftWatch) expect(ctx context.Context) error {
	at, err := w.log.Record(ctx, &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_DRIFT, Actor: w.log.Origin(), Method: "serve", Code: driftExpected, Count: 1,
		Detail: fmt.Sprintf("from here on a drift scan is expected every %v, with %v of grace", w.every, w.grace)})
	if err != nil {
		return err
	}
	return w.findScanAt(ctx, at)
}

// findScanAt takes the entry at an index as the mark.
func (w *driftWatch) findScanAt(ctx context.Context, at uint64) error {
	page, err := w.log.List(ctx, ledger.ListFilter{Kind: daybookv1.Kind_KIND_ACTIVITY}, at+1, at+1, 1)
	if err != nil {
		return err
	}
	if len(page.Entries) == 0 || page.Indexes[0] != at {
		return fmt.Errorf("entry %d is no activity entry", at)
	}
	e, _, err := activityOf(page.Entries[0])
	w.mark, w.seen = driftMark{true, at, e.Head.LogTimeNS}, at+1
	return err
}

// lastMissed returns the end of the newest period that has an alert; 0: none has.
func (w *driftWatch) lastMissed(ctx context.Context) (int64, error) {
	size := w.log.Head().Size
	page, err := w.log.List(ctx, ledger.ListFilter{Kind: daybookv1.Kind_KIND_ALERT, Where: []ledger.Match{
		{Field: index.AlertType, Number: uint64(daybookv1.AlertType_ALERT_TYPE_SCAN_MISSED)}}}, size, size, 1)
	if err != nil || len(page.Entries) == 0 {
		return 0, err
	}
	e, err := verify.ParseEntry(page.Entries[0])
	if err != nil {
		return 0, err
	}
	m := new(daybookv1.Alert)
	err = proto.Unmarshal(e.Body, m)
	return m.GetPeriodEndNs(), err
}

// watchDrift runs the watch where the configuration expects scans.
func (s *Server) watchDrift(ctx context.Context) {
	d := s.o.Config.Drift
	if d.Every == 0 {
		return
	}
	w := &driftWatch{log: s.o.Log, every: d.Every, grace: d.GraceOf(), now: s.o.Now, logger: s.o.Logger}
	w.run(ctx)
}
