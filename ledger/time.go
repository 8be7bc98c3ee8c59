package ledger

import (
	"time"
)

const (
	// clockSlack is how far the wall clock may run ahead of what elapsed.
	clockSlack = time.Second
	// clockFault is the disagreement of wall and monotonic clock from which on
	// no entry is taken.
	clockFault = 10 * time.Second
	// clockBehind and clockAhead bound the wall clock at start against the last
	// entry's time.
	clockBehind = 10 * time.Second
	clockAhead  = 30 * 24 * time.Hour
)

// SystemClock is the machine's clock.
func SystemClock() Clock {
	start := time.Now()
	return Clock{
		Wall: func() int64 { return time.Now().UnixNano() },
		Mono: func() time.Duration { return time.Since(start) },
	}
}

// A timekeeper gives each commit its log time (permanent): expected = time of
// the first commit after open + monotonic time elapsed since; time = max(last,
// min(wall, expected + 1 s)). Owned by the sequencer.
//
// What the wall clock shows at that first commit is right by definition: open
// found it plausible, or the operator accepted it. From then on it must run as
// fast as the monotonic clock.
type timekeeper struct {
	clock   Clock
	last    int64 // time of the last commit
	started bool
	first   int64         // time of the first commit after open
	wall    int64         // wall clock at that commit
	mono    time.Duration // monotonic time of that commit
}

// next returns the time of the next commit, or ErrClock where the wall clock has
// stepped by over 10 s since the first one.
func (k *timekeeper) next() (int64, error) {
	wall, mono := k.read()
	if !k.started {
		k.started = true
		k.first, k.wall, k.mono = max(k.last, wall), wall, mono
		k.last = k.first
		return k.first, nil
	}
	elapsed := int64(mono - k.mono)
	if off := wall - k.wall - elapsed; off > int64(clockFault) || off < -int64(clockFault) {
		return 0, ErrClock
	}
	k.last = max(k.last, min(wall, k.first+elapsed+int64(clockSlack)))
	return k.last, nil
}

// read returns both clocks as of one moment: where the process was stopped for
// long between two readings, they are read again.
func (k *timekeeper) read() (wall int64, mono time.Duration) {
	for range 8 {
		before := k.clock.Mono()
		wall, mono = k.clock.Wall(), k.clock.Mono()
		if mono-before < clockSlack {
			break
		}
	}
	return wall, mono
}

// checkStart returns a *ClockError where the wall clock is implausible against
// the time of the last entry.
func checkStart(clock Clock, last int64, dev bool) error {
	wall := clock.Wall()
	if last == 0 || (wall >= last-int64(clockBehind) && (dev || wall <= last+int64(clockAhead))) {
		return nil
	}
	return &ClockError{Last: time.Unix(0, last), Wall: time.Unix(0, wall)}
}
