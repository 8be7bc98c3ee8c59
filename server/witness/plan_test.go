package witness

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
)

// A world is time, a log that grows, and sites that answer after a while.
type world struct {
	t      *testing.T
	random *rand.Rand
	plan   planner
	now    time.Duration
	size   uint64
	grows  time.Duration // how often; 0: never
	grown  time.Duration
	needs  int
	sites  []simulated
	signed map[uint64]map[int]bool // sites by size
	quorum time.Duration           // when the newest quorum came
	widest time.Duration           // the longest time between two quorums
	starts int
}

// simulated is a site of a world.
type simulated struct {
	takes time.Duration // an answer
	fails float64       // share of its answers
	began time.Duration // of the request in flight; -1: none
	last  time.Duration // begin of the last request
	done  time.Duration
	round uint64 // of the last request that it answered well
	size  uint64 // of the request in flight
}

func newWorld(t *testing.T, seed uint64, needs int, sites ...simulated) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 7)), size: 1, needs: needs, sites: sites, signed: map[uint64]map[int]bool{}}
	for i := range w.sites {
		w.sites[i].began, w.sites[i].last = -1, -time.Hour
	}
	w.plan = planner{every: time.Second, heartbeat: time.Hour, jitter: w.random.Float64, sites: make([]siteState, len(sites))}
	return w
}

// run lets the world go on until a time, from one moment at which something
// happens to the next.
func (w *world) run(until time.Duration) {
	for w.now < until {
		ask, wake, fresh := w.plan.step(w.now, ledger.Head{Size: w.size, Checkpoint: []byte("signed")})
		for _, i := range ask {
			w.begin(i)
		}
		if wake <= w.now {
			w.t.Fatalf("at %v: it wakes at %v", w.now, wake)
		}
		next := min(wake, until)
		for i := range w.sites {
			if w.sites[i].began >= 0 {
				next = min(next, w.sites[i].done)
			}
		}
		if w.grows > 0 && fresh {
			next = min(next, max(w.grown+w.grows, w.now+1))
		}
		w.now = next
		for w.grows > 0 && w.grown+w.grows <= w.now {
			w.grown += w.grows
			w.size += 1 + w.random.Uint64N(9)
		}
		for i := range w.sites {
			if s := &w.sites[i]; s.began >= 0 && s.done <= w.now {
				w.end(i)
			}
		}
	}
}

func (w *world) begin(i int) {
	s := &w.sites[i]
	switch {
	case s.began >= 0:
		w.t.Fatalf("at %v: site %d has a request in flight", w.now, i)
	case w.now-s.last < w.plan.every:
		w.t.Fatalf("at %v: site %d was asked at %v", w.now, i, s.last)
	case s.round >= w.plan.round:
		w.t.Fatalf("at %v: site %d answered in this round", w.now, i)
	}
	w.starts++
	s.began, s.last, s.size = w.now, w.now, w.plan.target.Size
	s.done = w.now + s.takes/2 + time.Duration(w.random.Int64N(int64(s.takes)+1))
}

func (w *world) end(i int) {
	s := &w.sites[i]
	s.began = -1
	if w.random.Float64() < s.fails {
		w.plan.failed(i, w.now, 0)
		return
	}
	by := w.signed[s.size]
	if by == nil {
		by = map[int]bool{}
		w.signed[s.size] = by
	}
	by[i] = true
	s.round = w.plan.sites[i].asked
	quorum := len(by) >= w.needs
	w.plan.answered(i, quorum)
	if quorum {
		w.widest = max(w.widest, w.now-w.quorum)
		w.quorum = w.now
	}
}

// TestPlan: while the log grows the quorum cosigns a new head again and again, as
// fast as the slowest site that it needs, whatever the others do.
func TestPlan(t *testing.T) {
	ms := time.Millisecond
	for _, tc := range []struct {
		name   string
		needs  int
		sites  []simulated
		widest time.Duration
	}{
		{"two fast ones", 2, []simulated{{takes: 50 * ms}, {takes: 80 * ms}}, 3 * time.Second},
		{"one of two hangs", 1, []simulated{{takes: 50 * ms}, {takes: 10 * time.Second}}, 3 * time.Second},
		{"one of three is dead", 2, []simulated{{takes: 50 * ms}, {takes: 60 * ms}, {takes: 10 * time.Second, fails: 1}}, 3 * time.Second},
		{"two slow ones, both needed", 2, []simulated{{takes: 5 * time.Second}, {takes: 4 * time.Second}}, 25 * time.Second},
		{"one slow, one fast, both needed", 2, []simulated{{takes: 5 * time.Second}, {takes: 4 * ms}}, 25 * time.Second},
		{"one that often fails is needed", 2, []simulated{{takes: 100 * ms, fails: 0.3}, {takes: 50 * ms}}, 2 * time.Minute},
	} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s/%d", tc.name, seed), func(t *testing.T) {
				w := newWorld(t, seed, tc.needs, append([]simulated(nil), tc.sites...)...)
				w.grows = time.Duration(1+w.random.Int64N(3000)) * ms
				w.run(10 * time.Minute)
				if w.widest = max(w.widest, w.now-w.quorum); w.widest > tc.widest+w.grows {
					t.Errorf("%v without a quorum", w.widest)
				}
			})
		}
	}
}

// TestPlanOfDead: who never answers is asked ever more seldom, and again.
func TestPlanOfDead(t *testing.T) {
	w := newWorld(t, 1, 1, simulated{takes: time.Millisecond, fails: 1})
	w.grows = time.Second
	w.run(24 * time.Hour)
	if w.starts < 24*12 || w.starts > 24*26+20 {
		t.Errorf("asked %d times in a day", w.starts)
	}
	w.sites[0].fails = 0
	w.run(w.now + 2*maxBackoff)
	if w.quorum == 0 {
		t.Error("not asked again")
	}
}

// TestPlanOfIdle: an idle head is asked for once in each heartbeat.
func TestPlanOfIdle(t *testing.T) {
	w := newWorld(t, 1, 2, simulated{takes: time.Millisecond}, simulated{takes: time.Second})
	w.run(24*time.Hour + time.Minute)
	if w.starts != 2*25 {
		t.Errorf("asked %d times in a day", w.starts)
	}
}

// TestPlanOfShut: without a head nobody is asked.
func TestPlanOfShut(t *testing.T) {
	p := planner{every: time.Second, heartbeat: time.Hour, sites: make([]siteState, 2)}
	if ask, wake, _ := p.step(0, ledger.Head{Size: 9}); len(ask) != 0 || wake <= 0 {
		t.Errorf("asks %v, wakes at %v", ask, wake)
	}
	ask, _, _ := p.step(5*time.Second, ledger.Head{Size: 9, Checkpoint: []byte("signed")})
	if len(ask) != 2 {
		t.Errorf("asks %v", ask)
	}
	p.answered(0, true)
	p.answered(1, true)
	if ask, _, _ := p.step(2*time.Hour, ledger.Head{}); len(ask) != 0 {
		t.Errorf("a log that was shut since asks %v", ask)
	}
}
