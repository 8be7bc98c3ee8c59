package detect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// ClockMethod is the method of the activity entries that log the clocks of
// producers.
const ClockMethod = "producer's clock"

// Codes of activity entries of a clock.
const (
	ClockWithin  = "within"
	ClockBeyond  = "beyond"
	ClockUnknown = "unknown"
)

// defaultClockLimit is the limit of a domain that states none (FINRA Rule 4590:
// one second), in nanoseconds.
const defaultClockLimit = uint64(time.Second)

// A producer is what is known of one on this day.
type producer struct {
	told      int  // alerts owed
	tooMany   bool // the log says that it keeps no more
	clockTold bool // that its clock is beyond its limit
	clock     clockLog
}

// A clockLog is what a producer's events told of its clock since the close
// before.
type clockLog struct {
	events      uint64 // that told something of it
	beyond      uint64 // events that show it beyond its limit
	first, last int64  // log times of those events
	firstAt     uint64 // index of the first excursion
	source      string // of the newest event that named one
	changes     uint64 // of source
	limit       int64
	offset      int64  // the worst, by size
	uncertainty uint64 // the worst
	ahead       int64  // by how much an event occurred after its log time, at worst
}

func (c *clockLog) heard() bool { return c.events > 0 }

// clockLimit is the limit of the clock of whoever appended an entry; 0: it is not
// judged.
func clockLimit(e *Entry) int64 {
	if e.Map == nil || e.Head.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL {
		return 0
	}
	limit := producerDomain(e.Map, e.Head.Producer).GetClockLimitNs()
	if limit == 0 {
		limit = defaultClockLimit
	}
	return int64(min(limit, 1<<62))
}

// readClock judges what an event tells of its producer's clock.
func (d *Detector) readClock(e *Entry) {
	limit := d.from.clockLimit
	if limit == 0 || d.from.producer == nil {
		return
	}
	ev := e.Event
	ahead := ev.OccurredAtNS - e.Head.LogTimeNS
	beyond := ahead > limit || ev.ClockOffsetNS > limit || ev.ClockOffsetNS < -limit || ev.UncertaintyNS > uint64(limit)
	if !beyond && ev.ClockSource == nil && ev.ClockOffsetNS == 0 && ev.UncertaintyNS == 0 {
		return
	}
	r := d.from.producer
	d.producers.touch(r)
	r.v.clock.add(e, limit, ahead, beyond)
	if !beyond || r.v.clockTold {
		return
	}
	r.v.clockTold = true
	d.raise(e, r.key, &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_CLOCK, Subject: r.key, Entries: rests(e.Place.Index),
		Detail: fmt.Sprintf("an event of it shows a clock beyond the %v that its domain permits: %s", span(limit), ClockWords(ev.ClockOffsetNS, ev.UncertaintyNS, ahead))})
}

// ClockWords says how well a clock is known, in ASCII: its offset and uncertainty
// in nanoseconds, 0 for an uncertainty that is not known, and by how much an event
// was ahead of its log time.
func ClockWords(offset int64, uncertainty uint64, ahead int64) string {
	words := []string{"offset " + span(offset), "uncertainty not known"}
	if uncertainty != 0 {
		words[1] = "uncertainty " + span(int64(min(uncertainty, 1<<62)))
	}
	if ahead > 0 {
		words = append(words, span(ahead)+" after its log time")
	}
	return strings.Join(words, ", ")
}

func (c *clockLog) add(e *Entry, limit, ahead int64, beyond bool) {
	ev := e.Event
	if c.events == 0 {
		*c = clockLog{first: e.Head.LogTimeNS}
	}
	c.events++
	c.last, c.limit = e.Head.LogTimeNS, limit
	if beyond {
		if c.beyond == 0 {
			c.firstAt = e.Place.Index
		}
		c.beyond++
	}
	if ev.ClockSource != nil && c.source != string(ev.ClockSource) {
		if c.source != "" {
			c.changes++
		}
		c.source = string(ev.ClockSource)
	}
	if magnitude(ev.ClockOffsetNS) > magnitude(c.offset) {
		c.offset = ev.ClockOffsetNS
	}
	c.uncertainty = max(c.uncertainty, ev.UncertaintyNS)
	c.ahead = max(c.ahead, ahead)
}

// span is a time span in ASCII.
func span(ns int64) string { return strings.ReplaceAll(time.Duration(ns).String(), "\u00b5", "u") }

// magnitude is the size of a number, also of the smallest.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// closeClocks makes the log owe the clock log of each producer.
func (d *Detector) closeClocks(e *Entry) {
	var names []string
	for name, r := range d.producers.rows {
		if r.v.clock.heard() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r := d.producers.get(name)
		d.owe(Owed{Activity: r.v.clock.activity(name), Index: e.Place.Index})
		r.v.clock = clockLog{}
		d.producers.touch(r)
	}
}

func (c *clockLog) activity(name string) *daybookv1.Activity {
	source := c.source
	if source == "" {
		source = "not named"
	}
	words := fmt.Sprintf("source %s; at worst %s", source, ClockWords(c.offset, c.uncertainty, c.ahead))
	if c.changes > 0 {
		words += fmt.Sprintf("; the source changed %d times", c.changes)
	}
	code := ClockWithin
	if c.beyond > 0 {
		code = ClockBeyond
		words += fmt.Sprintf("; %d events beyond the limit of %v, the first at index %d", c.beyond, span(c.limit), c.firstAt)
	} else {
		words += "; the limit is " + span(c.limit)
	}
	return &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK, Actor: clip(name, 2048), Method: ClockMethod,
		Detail: clip(words, 4096), Count: c.events, FirstNs: c.first, LastNs: c.last, Code: code}
}
