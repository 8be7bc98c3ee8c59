package ledger

import (
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

const (
	// clockEvery is how often what the clock is known to be is logged (FINRA Rule
	// 4590), clockLook how often it is looked at: what changes is logged at once.
	clockEvery = time.Hour
	clockLook  = time.Minute
	// clockLimit is the largest offset of a clock that stamps what brokers do.
	clockLimit = 50 * time.Millisecond
	// clockMethod is the method of these entries.
	clockMethod = "ledger's clock"
)

// A ClockReading is what the operating system tells of its clock.
type ClockReading struct {
	Source        string // what disciplines the clock; empty: nothing does
	OffsetNS      int64  // estimated, from that source
	UncertaintyNS uint64 // largest error; 0: not known
	Unknown       string // why nothing is known, and then nothing else is set; empty: it is known
}

// code is within, beyond or unknown.
func (r *ClockReading) code() string {
	switch {
	case r.Unknown != "" || r.Source == "":
		return detect.ClockUnknown
	case r.OffsetNS > int64(clockLimit) || r.OffsetNS < -int64(clockLimit):
		return detect.ClockBeyond
	}
	return detect.ClockWithin
}

func (r *ClockReading) words() string {
	switch {
	case r.Unknown != "":
		return "not known: " + r.Unknown
	case r.Source == "":
		return "nothing disciplines the clock"
	}
	return "source " + r.Source + "; " + detect.ClockWords(r.OffsetNS, r.UncertaintyNS, 0) + "; the limit is " + clockLimit.String()
}

// A clockLog writes what is known of the ledger's clock: at each opening, each
// hour and when it changes. An entry of it also comes where an expected producer
// may be silent and nothing else is appended, so that the log time shows it. Owned
// by the goroutine that watches silence.
type clockLog struct {
	l       *Ledger
	begun   bool
	code    string        // of the newest entry
	written time.Duration // when it was given to the sequencer
	looked  time.Duration
	pending *work // nil: none
}

// tick looks at the clock where it is time to, and writes.
func (c *clockLog) tick() {
	if c.l.rests() != "" || c.pending != nil && !c.pending.ended() {
		return
	}
	now := c.l.clock.Mono()
	if c.l.readClock != nil && (!c.begun || now-c.looked >= clockLook) {
		c.begun, c.looked = true, now
		r := c.l.readClock()
		if r.code() != c.code || now-c.written >= clockEvery {
			c.write(&r, now)
			return
		}
	}
	due := c.l.expectDue.Load()
	if due == 0 || c.l.clock.Wall() <= due || c.l.Head().TimeNS > due || c.pending != nil && now-c.written < time.Second {
		return
	}
	r := ClockReading{Unknown: "nobody asks the system"}
	if c.l.readClock != nil {
		r = c.l.readClock()
	}
	c.write(&r, now)
}

func (c *clockLog) write(r *ClockReading, now time.Duration) {
	at := c.l.clock.Wall()
	w, err := c.l.pushOwn(ownEntry{kind: daybookv1.Kind_KIND_ACTIVITY, body: &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_CLOCK,
		Actor: c.l.origin, Method: clockMethod, Detail: clip(r.words(), 4096), Count: 1, FirstNs: at, LastNs: at, Code: r.code()}})
	if err != nil {
		return // the log is stopping
	}
	if r.code() == detect.ClockBeyond && c.code != detect.ClockBeyond {
		c.l.log.Warn("the clock is beyond its limit", "limit", clockLimit, "clock", r.words())
	}
	c.pending, c.code, c.written = w, r.code(), now
}

// ended tells whether the work is done, one way or the other.
func (w *work) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}
