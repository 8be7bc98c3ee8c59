package client

import (
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

func TestHeartbeatInterval(t *testing.T) {
	const first, backfill = daybookv1.Provenance_PROVENANCE_FIRST_HAND, daybookv1.Provenance_PROVENANCE_BACKFILL
	for _, c := range []struct {
		name    string
		config  time.Duration
		options RunOptions
		limit   time.Duration
		want    time.Duration
	}{
		{"a third of the limit", 0, RunOptions{Provenance: first}, time.Minute, 20 * time.Second},
		{"no limit", 0, RunOptions{Provenance: first}, 0, 5 * time.Minute},
		{"configured", time.Second, RunOptions{Provenance: first}, time.Minute, time.Second},
		{"of the run", time.Second, RunOptions{Provenance: first, HeartbeatEvery: time.Hour}, time.Minute, time.Hour},
		{"too often", 0, RunOptions{Provenance: first, HeartbeatEvery: 1}, 0, leastHeartbeat},
		{"never", time.Second, RunOptions{Provenance: first, HeartbeatEvery: -1}, time.Minute, -1},
		{"backfill", 0, RunOptions{Provenance: backfill}, 0, -1},
	} {
		h := (&Client{config: Config{HeartbeatEvery: c.config}}).newHeart(&c.options)
		if got := h.interval(c.limit); got != c.want {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
		h.stop()
	}
}

// TestHeartbeatDue: nothing that is not settled is signed, and a run that may be
// silent says only what is new.
func TestHeartbeatDue(t *testing.T) {
	for name, c := range map[string]struct {
		st   runState
		want bool
	}{
		"limited":          {runState{RunState: RunState{Next: 1}, limit: time.Second}, true},
		"limited, told":    {runState{RunState: RunState{Next: 5}, limit: time.Second, beaten: 5}, true},
		"unlimited, empty": {runState{RunState: RunState{Next: 1}}, false},
		"unlimited, new":   {runState{RunState: RunState{Next: 5}, beaten: 4}, true},
		"unlimited, told":  {runState{RunState: RunState{Next: 5}, beaten: 5}, false},
		"unsettled":        {runState{RunState: RunState{Next: 5}, limit: time.Second, unsettled: true}, false},
		"ended":            {runState{RunState: RunState{Next: 5, Ended: true}, limit: time.Second}, false},
	} {
		if got := due(&c.st); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestProfileHeartbeats(t *testing.T) {
	p, err := ParseProfile([]byte("silence_limit: 60s\nheartbeat_every: 1m30s\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Config(); c.SilenceLimit != time.Minute || c.HeartbeatEvery != 90*time.Second {
		t.Errorf("limit %v, every %v", c.SilenceLimit, c.HeartbeatEvery)
	}
	if _, err := ParseProfile([]byte("silence_limit: soon\n")); err == nil {
		t.Error("a limit that is no duration was taken")
	}
}
