package witness

import (
	"time"

	"github.com/daybook-ledger/daybook/ledger"
)

// A planner says which sites to ask for which checkpoint, and when: a function of
// the times and answers it is told. One goroutine owns it.
//
// It goes round after round. All sites are asked for the checkpoint of the round,
// the newest head when it began: cosignatures of different sizes make no quorum. A
// round ends once the quorum has cosigned its checkpoint, or nobody works on it any
// more, and no sooner than a second after it began. A site that is slow does not
// hold up the others; when it is free it joins the round under way. So the quorum
// of sites that take a time t each cosigns a head at most 2t + 1 s old.
//
// Invariants:
//
//   - one-request: at most one request of a site is in flight, and at most one
//     begins in each period of `every`.
//   - one-answer: a site that answered is not asked again in the same round.
type planner struct {
	every     time.Duration // least time between two rounds, and two requests of a site
	heartbeat time.Duration // after it an unchanged head is asked for again
	jitter    func() float64
	sites     []siteState

	round     uint64 // 0: none yet
	target    ledger.Head
	began     time.Duration
	witnessed bool
}

// siteState is what the planner knows of a site.
type siteState struct {
	busy     bool
	asked    uint64 // round of the newest request
	answered uint64 // newest round that it answered well
	next     time.Duration
	failures int // one after the other
}

// maxBackoff is the longest pause after a failure; the first is `every`.
const maxBackoff = 5 * time.Minute

// step begins a round where one is due and returns the sites to ask now. wake is
// when to step again at the latest; fresh says that a new head calls for it, too.
func (p *planner) step(now time.Duration, head ledger.Head) (ask []int, wake time.Duration, fresh bool) {
	open := p.open(now)
	if head.Checkpoint != nil && open && (p.round == 0 || head.Size > p.target.Size || now-p.began >= p.heartbeat) {
		p.round++
		p.target, p.began, p.witnessed, open = head, now, false, false
	}
	if p.round == 0 {
		return nil, now + p.every, true
	}
	wake = p.began + p.heartbeat
	if p.began+p.every > now {
		wake = p.began + p.every
	}
	for i := range p.sites {
		s := &p.sites[i]
		switch {
		case s.busy || s.answered >= p.round:
		case now >= s.next:
			s.busy, s.asked, s.next = true, p.round, now+p.every
			ask = append(ask, i)
		default:
			wake = min(wake, s.next)
		}
	}
	return ask, max(wake, now+time.Millisecond), open
}

// open tells whether a round may begin.
func (p *planner) open(now time.Duration) bool {
	if p.round == 0 {
		return true
	}
	return now-p.began >= p.every && (p.witnessed || !p.working())
}

// working tells whether a site works on the checkpoint of the round.
func (p *planner) working() bool {
	for _, s := range p.sites {
		if s.busy && s.asked == p.round {
			return true
		}
	}
	return false
}

// answered notes that a site answered its request well: it needs no other one in
// that round.
func (p *planner) answered(i int, quorum bool) {
	s := &p.sites[i]
	s.busy, s.failures = false, 0
	s.answered = max(s.answered, s.asked)
	if quorum && s.asked == p.round {
		p.witnessed = true
	}
}

// failed notes that a request came to nothing: it is made again after a while that
// doubles, with half of it at random, or after what the site asked for.
func (p *planner) failed(i int, now, after time.Duration) {
	s := &p.sites[i]
	s.busy = false
	wait := min(p.every<<min(s.failures, 16), maxBackoff)
	wait = wait/2 + time.Duration(p.jitter()*float64(wait/2))
	s.failures++
	s.next = max(s.next, now+max(wait, after))
}
