package ledger

import (
	"testing"
	"time"
)

// TestTimeAcrossAPause stops the process for a minute between the readings of the
// two clocks: that is no fault of either, and the time is the one after it.
func TestTimeAcrossAPause(t *testing.T) {
	now, paused := time.Duration(0), false
	k := timekeeper{clock: Clock{
		Mono: func() time.Duration { return now },
		Wall: func() int64 {
			was := now
			if paused {
				paused, now = false, now+time.Minute
			}
			return int64(time.Hour + was)
		},
	}}
	if got, err := k.next(); err != nil || got != int64(time.Hour) {
		t.Fatalf("first: %v, %v", time.Duration(got), err)
	}
	paused = true
	if got, err := k.next(); err != nil || got != int64(time.Hour+time.Minute) {
		t.Errorf("across the pause: %v, %v", time.Duration(got), err)
	}
}
