// Package witness has outside witnesses cosign the newest checkpoint of a log.
//
// A witness cosigns a checkpoint only after a proof that it continues the one that
// it cosigned before (c2sp.org/tlog-witness@v1.0.0): whoever holds a checkpoint
// with the cosignatures of a quorum knows that nobody was shown another history of
// that size. [Witnesses.Run] asks each witness of a policy for the newest head, at
// most once a second, and hands what it answers to the ledger, which attaches the
// lines that verify and nothing else. Appends never wait for a witness.
//
// What a witness answers is judged, never obeyed:
//
//	200, a line verifies          attached; other lines are dropped
//	200, a bad line of its key    nothing is attached, a failure
//	409 and a size up to ours     asked again with the proof from there
//	409 and a larger size, 422    a claim: reported; what the witness shows to everybody
//	                              is looked at, and if the log's own key signed
//	                              a contradiction the log shuts, with evidence
//	anything else, or nothing     a failure: asked again after a while that doubles
//	                              up to 5 minutes
//
// At its start the log waits for the quorum to cosign the size it opens with, for
// ever or for a while, see [Options].
package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Defaults of Options.
const (
	DefaultEvery     = time.Second
	DefaultHeartbeat = time.Hour
	DefaultTimeout   = 10 * time.Second
	DefaultStartWait = 10 * time.Second
	DefaultLostAfter = 10 * time.Minute
)

// Options is whom to ask for what. Log and Policy must be set; the zero value of
// every other field is a default.
type Options struct {
	Log       *ledger.Ledger
	Policy    *Policy       // the log's
	Every     time.Duration // at most once in it a witness is asked
	Heartbeat time.Duration // after it an idle head is cosigned again
	Timeout   time.Duration // of one request
	// Require has a log that awaits its witnesses stay shut until the quorum answered;
	// without it the log opens after StartWait, with an entry that says so, unless a
	// quorum of witnesses claims to know more entries than it has.
	Require   bool
	StartWait time.Duration
	// LostAfter is for how long the quorum may be missing until an entry says so.
	LostAfter time.Duration
	Transport http.RoundTripper // nil: one of its own
	Logger    *slog.Logger      // nil: discarded
}

// Witnesses asks the witnesses of a policy. Its methods are safe for concurrent use.
type Witnesses struct {
	o      Options
	client *http.Client
	sites  []*site
	plan   planner // owned by Run
	made   time.Time

	since time.Duration // since when the quorum is missing; owned by Run
	lost  bool          // an entry says that it is missing; owned by Run

	mu     sync.Mutex
	status map[string]*Status // by name in the policy; guarded by mu
}

// Status says how a witness stands.
type Status struct {
	Name     string // in the policy
	Key      string // name of its key
	URL      string // empty: it is never asked
	Size     uint64 // the newest that it cosigned since the start; 0: none
	Time     time.Time
	Failures uint64 // since the start
	Error    string // of the last request; empty: it cosigned
	ErrorAt  time.Time
	Claim    uint64 // it claims to know so many entries, more than the log; 0: it does not
	// Contradicts says that it claims to know another history than the log's: a larger
	// one, or one with another root.
	Contradicts bool
}

// New returns the witnesses of a policy; it asks nobody yet.
func New(o Options) (*Witnesses, error) {
	sites, err := sitesOf(o.Policy.Policy)
	if err != nil {
		return nil, err
	}
	o.Every, o.Heartbeat, o.Timeout = cmp.Or(o.Every, DefaultEvery), cmp.Or(o.Heartbeat, DefaultHeartbeat), cmp.Or(o.Timeout, DefaultTimeout)
	o.StartWait, o.LostAfter = cmp.Or(o.StartWait, DefaultStartWait), cmp.Or(o.LostAfter, DefaultLostAfter)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Witnesses{o: o, made: time.Now(), sites: sites, client: newClient(o), status: map[string]*Status{}}
	w.plan = planner{every: o.Every, heartbeat: o.Heartbeat, jitter: rand.Float64, sites: make([]siteState, len(sites))}
	for _, x := range o.Policy.Witnesses() {
		w.status[x.Name] = &Status{Name: x.Name, Key: x.Key, URL: x.URL}
	}
	w.recall()
	return w, nil
}

// newClient returns a client that keeps connections alive, follows nobody
// elsewhere, and reads no more than it must.
func newClient(o Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1,
			IdleConnTimeout: 2 * o.Timeout, TLSHandshakeTimeout: o.Timeout, MaxResponseHeaderBytes: maxHeader}
	}
	return &http.Client{Transport: transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// now is the monotonic time.
func (w *Witnesses) now() time.Duration { return time.Since(w.made) }

// recall takes the sizes that the witnesses confirmed from the newest witnessed
// checkpoint that the ledger kept. Where that is behind, their answers say so.
func (w *Witnesses) recall() {
	kept, err := w.o.Log.Witnessed()
	if err != nil {
		return
	}
	by, err := w.o.Policy.Cosigned(kept.Note)
	if err != nil {
		return
	}
	for _, s := range w.sites {
		for _, x := range s.witnesses {
			for _, c := range by {
				if c.Witness == x.Name {
					s.confirmed = max(s.confirmed, kept.Size)
				}
			}
		}
	}
}

// An answer is what a request of a site came to.
type answer struct {
	site   int
	quorum bool
	err    error
}

// Run asks until ctx ends.
func (w *Witnesses) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	defer w.client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer)
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := w.now()
	w.since = start
	for {
		published := w.o.Log.Published()
		now := w.now()
		ask, wake, fresh := w.plan.step(now, w.head())
		for _, i := range ask {
			head := w.plan.target
			asking.Go(func() {
				a := w.request(ctx, i, head)
				select {
				case answers <- a:
				case <-ctx.Done():
				}
			})
		}
		if w.start(now - start) {
			wake = min(wake, start+w.o.StartWait)
		}
		if !fresh {
			published = nil
		}
		timer.Reset(max(0, min(wake-now, w.o.LostAfter)))
		select {
		case a := <-answers:
			w.take(a)
		case <-published:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		w.watchQuorum(ctx, &asking)
	}
}

// head is what the witnesses are asked for: nothing while the log is shut for
// another reason than them.
func (w *Witnesses) head() ledger.Head {
	if w.o.Log.Shut() != "" && !w.o.Log.Awaits() {
		return ledger.Head{}
	}
	return w.o.Log.Head()
}

// take notes an answer.
func (w *Witnesses) take(a answer) {
	now := w.now()
	var refused *refusedError
	switch {
	case a.err == nil || errors.Is(a.err, errAhead):
		w.plan.answered(a.site, a.quorum)
	case errors.As(a.err, &refused):
		w.plan.failed(a.site, now, refused.after)
	default:
		w.plan.failed(a.site, now, 0)
	}
	if a.quorum {
		w.since = now
	}
}

// request asks a site for cosignatures of a head and hands them to the ledger.
func (w *Witnesses) request(ctx context.Context, i int, h ledger.Head) answer {
	s := w.sites[i]
	lines, err := w.ask(ctx, s, h)
	var by []verify.Cosigned
	quorum := false
	if err == nil {
		if by, quorum, err = w.o.Log.Cosign(h, lines); err == nil && len(by) == 0 {
			err = errors.New("its answer has no line of a witness of the policy")
		}
	}
	if err == nil {
		s.confirmed = h.Size
	}
	var claim *claimError
	if errors.As(err, &claim) {
		w.look(ctx, s)
	}
	if ctx.Err() == nil {
		w.note(s, h.Size, by, err)
	}
	return answer{i, quorum, err}
}

// look compares what the witnesses of a site show to everybody with the log: a
// claim is nothing, a checkpoint that the log's key signed is a proof.
func (w *Witnesses) look(ctx context.Context, s *site) {
	note, err := w.shown(ctx, s)
	if err != nil {
		return // it shows none: the claim stays one
	}
	var fork *ledger.ForkError
	if _, err := w.o.Log.PresentCheckpoint("witness "+s.name(), note); errors.As(err, &fork) {
		w.o.Logger.Error("a witness proves that the log is behind itself, or forked", "witness", s.name(), "reason", fork.Reason)
	}
}

// note keeps the outcome for the status.
func (w *Witnesses) note(s *site, size uint64, by []verify.Cosigned, err error) {
	if errors.Is(err, errAhead) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		for _, c := range by {
			if st := w.status[c.Witness]; st != nil && size >= st.Size {
				st.Size, st.Time, st.Error, st.Claim, st.Contradicts = size, time.Unix(c.Unix, 0), "", 0, false
			}
		}
	}
	for _, x := range s.witnesses {
		st := w.status[x.Name]
		missing := err
		if err == nil && st.Size < size {
			missing = errors.New("its answer has no line of this key")
		}
		if missing == nil {
			continue
		}
		var claim *claimError
		st.Claim, st.Contradicts = 0, errors.As(missing, &claim)
		if st.Contradicts {
			st.Claim = claim.size
			w.o.Logger.Error("a witness claims to know another history of this log: compare with it before more is appended", "witness", x.Name, "claim", missing)
		} else if st.Error == "" {
			w.o.Logger.Warn("a witness did not cosign", "witness", x.Name, "size", size, "error", missing)
		}
		st.Error, st.ErrorAt = clean([]byte(missing.Error())), time.Now()
		st.Failures++
	}
}

// Status says how each witness stands, in the order of the policy.
func (w *Witnesses) Status() []Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Status
	for _, x := range w.o.Policy.Witnesses() {
		out = append(out, *w.status[x.Name])
	}
	return out
}

// faults says what is wrong, and which witnesses contradict the log.
func (w *Witnesses) faults() (text string, claims map[string]bool) {
	claims = map[string]bool{}
	var list []string
	for _, s := range w.Status() {
		if s.Error != "" {
			list = append(list, s.Name+": "+s.Error)
		}
		if s.Contradicts {
			claims[s.Name] = true
		}
	}
	return cmp.Or(strings.Join(list, "; "), "nobody answered"), claims
}

// start opens a log that awaits its witnesses without them, once it has waited for
// long enough. It tells whether there is still something to wait for.
func (w *Witnesses) start(waited time.Duration) bool {
	if w.o.Require || !w.o.Log.Awaits() {
		return false
	}
	if waited < w.o.StartWait {
		return true
	}
	faults, claims := w.faults()
	if w.o.Policy.SatisfiedBy(claims) {
		return false // it stays shut: status and log say why
	}
	w.lost = true
	w.o.Log.OpenUp(fmt.Sprintf("no quorum of witnesses within %v: %s", w.o.StartWait, faults))
	return false
}

// watchQuorum leaves an entry when the quorum is missing for long, and when it is
// there again.
func (w *Witnesses) watchQuorum(ctx context.Context, writing *sync.WaitGroup) {
	missing := w.now() - w.since
	if w.plan.witnessed || w.o.Log.Shut() != "" {
		w.since = w.now()
		missing = 0
	}
	detail := ""
	switch {
	case !w.lost && missing >= w.o.LostAfter:
		faults, _ := w.faults()
		detail = fmt.Sprintf("the quorum of witnesses is missing for %v: %s", missing.Round(time.Second), faults)
	case w.lost && w.plan.witnessed:
		detail = fmt.Sprintf("the quorum of witnesses is there again, at size %d", w.plan.target.Size)
	default:
		return
	}
	w.lost = !w.lost
	w.o.Logger.Warn(detail)
	writing.Go(func() {
		m := &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_WITNESSED, Actor: w.o.Log.Origin(), Detail: detail[:min(len(detail), 4096)], Count: 1}
		if _, err := w.o.Log.Record(ctx, m); err != nil && ctx.Err() == nil {
			w.o.Logger.Error("an entry about the witnesses was not appended", "error", err)
		}
	})
}
