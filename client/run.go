package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// RunOptions says what run to open or resume.
type RunOptions struct {
	// ID of the run; zero: OpenRun makes a random one, ResumeRun refuses.
	ID verify.Hash
	// Provenance of all its events; needed.
	Provenance daybookv1.Provenance
	// Import names the file, where the run is an import; not changed.
	Import *daybookv1.Import
	// PreviousRun is the producer's run before this one; zero: none.
	PreviousRun verify.Hash
	// PreviousLast is the last number of that run that the producer knows of.
	PreviousLast uint64
	// SilenceLimit is how long the run may have no entry before the ledger raises
	// an alert, one second to 31 days; 0: Config.SilenceLimit; negative: for ever.
	// OpenRun declares it for good; an import and a backfill never have one.
	SilenceLimit time.Duration
	// HeartbeatEvery is how often a heartbeat is sent by itself until the run
	// ends, is left, or the client is closed; 0: Config.HeartbeatEvery; negative:
	// never. See Run.Heartbeat.
	HeartbeatEvery time.Duration
	// OnHeartbeat is told of each heartbeat sent by itself, or of its failure; a
	// failed one is tried again soon, unless the run is over. Called from a
	// goroutine of the run, which sends no other until it returns. nil: nobody is
	// told.
	OnHeartbeat func(*Receipt, error)
}

// Run is one life of a producer: its items are numbered without holes. Safe for
// concurrent use; one call or stream works at a time, the others wait.
type Run struct {
	c          *Client
	conn       *grpc.ClientConn
	id         verify.Hash
	provenance daybookv1.Provenance
	opened     *Receipt
	turn       chan *runState // holds the state while nobody works
	heart      *heart
}

// RunState is where a run stands.
type RunState struct {
	// Epoch to append under.
	Epoch uint64
	// Next number.
	Next uint64
	// Hash is the running hash after Next-1.
	Hash verify.Hash
	// Ended: later appends are refused, repeats are answered.
	Ended bool
}

// runState is owned by whoever took it out of Run.turn.
type runState struct {
	RunState
	checker checker
	// unsettled: items were sent whose fate is open; the run is resumed before
	// other bytes take their numbers.
	unsettled bool
	// over is why the run takes nothing from us any more: it was taken over.
	over error
	// limit is the run's silence limit; 0: none.
	limit time.Duration
	// beaten is Next at the newest heartbeat; 0: none.
	beaten uint64
	// key signs for the run: that of the newest certificate the ledger knows of it;
	// nil: it is not known to be ours.
	key *identity
}

// OpenRun opens a run, or finds it as it stands if this producer opened it
// before: then Next is the first number that is not in the log. It presents the
// newest checkpoint and checks the proof that the log has grown from it.
func (c *Client) OpenRun(ctx context.Context, o RunOptions) (*Run, error) {
	if o.ID == (verify.Hash{}) {
		rand.Read(o.ID[:])
	}
	opened := &daybookv1.RunOpened{
		Run: o.ID[:], Provenance: o.Provenance, Software: c.config.Software, Import: o.Import,
		SilenceLimitNs: c.silenceLimit(&o),
	}
	if o.PreviousRun != (verify.Hash{}) {
		opened.PreviousRun, opened.PreviousLast = o.PreviousRun[:], o.PreviousLast
	}
	r := c.newRun(o)
	held := c.memory.presented()
	var a *apiv1.OpenRunResponse
	var from peer.Peer
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		a, err = r.service().OpenRun(ctx, &apiv1.OpenRunRequest{Opened: opened, Checkpoint: held.note}, grpc.Peer(&from))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening run: %w", c.withEvidence(ctx, err))
	}
	st := &runState{checker: c.newChecker()}
	err = r.begin(ctx, st, answerOfRun{a.State, a.Receipt, a.Body, a.Consistency, daybookv1.Kind_KIND_RUN_OPENED, identityOf(&from)}, held)
	if err != nil {
		return nil, fmt.Errorf("opening run: %w", err)
	}
	r.ready(st)
	return r, nil
}

// ResumeRun takes over a run after a restart: it raises the run's epoch, so that
// whoever held it before is refused from then on.
func (c *Client) ResumeRun(ctx context.Context, o RunOptions) (*Run, error) {
	if o.ID == (verify.Hash{}) {
		return nil, errors.New("resuming run: no run id is given")
	}
	r := c.newRun(o)
	st := &runState{checker: c.newChecker()}
	if err := r.resume(ctx, st); err != nil {
		return nil, fmt.Errorf("resuming run: %w", err)
	}
	r.ready(st)
	return r, nil
}

func (c *Client) newRun(o RunOptions) *Run {
	conn := c.ingest[(c.next.Add(1)-1)%uint64(len(c.ingest))]
	return &Run{c: c, conn: conn, id: o.ID, provenance: o.Provenance, turn: make(chan *runState, 1), heart: c.newHeart(&o)}
}

func (c *Client) newChecker() checker {
	return checker{memory: c.memory, every: c.config.CheckEvery}
}

func (r *Run) service() apiv1.IngestServiceClient { return apiv1.NewIngestServiceClient(r.conn) }

// withEvidence completes a fork reported by the log.
func (c *Client) withEvidence(ctx context.Context, err error) error {
	var fork *ForkError
	if errors.As(err, &fork) && fork.Newer == nil {
		return c.forkEvidence(ctx, fork)
	}
	return err
}

// resume raises the epoch and takes over the state.
func (r *Run) resume(ctx context.Context, st *runState) error {
	held := r.c.memory.presented()
	var a *apiv1.ResumeRunResponse
	var from peer.Peer
	st.unsettled = true // until it is known which epoch the run has
	err := r.c.retry(ctx, func(ctx context.Context) (err error) {
		a, err = r.service().ResumeRun(ctx, &apiv1.ResumeRunRequest{Run: r.id[:], Checkpoint: held.note}, grpc.Peer(&from))
		return err
	})
	if err != nil {
		return r.c.withEvidence(ctx, err)
	}
	return r.begin(ctx, st, answerOfRun{a.State, a.Receipt, a.Body, a.Consistency, daybookv1.Kind_KIND_RUN_RESUMED, identityOf(&from)}, held)
}

// answerOfRun is the answer to opening or resuming a run.
type answerOfRun struct {
	state       *apiv1.RunState
	receipt     *apiv1.Receipt
	body        []byte
	consistency []byte
	kind        daybookv1.Kind
	id          *identity // with which it was asked; nil: not known
}

// identityOf is the identity with which a call was made.
func identityOf(p *peer.Peer) *identity {
	info, _ := p.AuthInfo.(identifiedInfo)
	return info.id
}

// rekey resumes the run where its key is not the client's any more, so that what
// is signed next is signed with the key that the ledger knows. Nothing is in
// flight.
func (r *Run) rekey(ctx context.Context, st *runState) error {
	r.c.ids.glance()
	if st.key != nil && st.key.sameKey(r.c.ids.current().leaf) {
		return nil
	}
	if err := r.resume(ctx, st); err != nil {
		return fmt.Errorf("resuming run under another key: %w", err)
	}
	if st.key == nil {
		return errors.New("resuming run under another key: the connection does not say whose it is")
	}
	return nil
}

// begin checks that answer and takes over the state.
func (r *Run) begin(ctx context.Context, st *runState, a answerOfRun, held signed) error {
	hash := a.state.GetHash()
	if len(hash) != len(st.Hash) || a.state.NextNumber == 0 || a.state.Epoch == 0 {
		return errors.New("the answer names no state of the run")
	}
	checkpoint, err := r.c.memory.check(a.receipt.GetCheckpoint())
	if err != nil {
		return err
	}
	if held.note != nil {
		if err := r.grown(held, checkpoint, a.consistency); err != nil {
			return err
		}
	}
	receipt, err := r.checkRunEntry(a)
	if err != nil {
		return err
	}
	certificate, err := runCertificate(a.kind, a.body)
	if err != nil {
		return &ReceiptError{Checkpoint: checkpoint.note, Err: err}
	}
	if err := r.checkState(st, a.state); err != nil {
		return &ReceiptError{First: a.state.NextNumber, Checkpoint: checkpoint.note, Err: err}
	}
	st.Epoch, st.Next, st.Ended, st.unsettled = a.state.Epoch, a.state.NextNumber, a.state.Ended, false
	st.limit = time.Duration(a.state.SilenceLimitNs)
	copy(st.Hash[:], hash)
	r.opened = receipt
	// A run that was opened by an earlier certificate signs with that one's key, or
	// with a later one's that the answer does not show.
	if st.key = a.id; a.id != nil && len(certificate) > 0 && !a.id.sameKey(certificate) {
		st.key = nil
	}
	return r.c.proveNow(ctx)
}

// runCertificate is the certificate in the body of a run opened or resumed entry;
// empty: there is none, for a resumed one's key has not changed.
func runCertificate(kind daybookv1.Kind, body []byte) ([]byte, error) {
	var m interface {
		proto.Message
		GetCertificate() []byte
	} = new(daybookv1.RunOpened)
	if kind == daybookv1.Kind_KIND_RUN_RESUMED {
		m = new(daybookv1.RunResumed)
	}
	err := proto.Unmarshal(body, m)
	return m.GetCertificate(), err
}

// checkState compares the running hash that the ledger names with what we know:
// we would sign it. At the beginning of a run it is fixed, and where this Run
// has appended, it is what we computed. A run taken over from another process is
// believed.
func (r *Run) checkState(st *runState, a *apiv1.RunState) error {
	var known verify.Hash
	switch a.NextNumber {
	case 1:
		known = verify.RunStart(r.c.Producer(), r.id)
	case st.Next:
		known = st.Hash
	default:
		if a.NextNumber < st.Next {
			return &LostError{Expected: a.NextNumber, Acknowledged: st.Next}
		}
		return nil
	}
	if !bytes.Equal(a.Hash, known[:]) {
		return fmt.Errorf("running hash %x after number %d, ours is %x", a.Hash, a.NextNumber-1, known)
	}
	return nil
}

// grown checks the proof from the presented checkpoint to the answer's.
func (r *Run) grown(held, now signed, proof []byte) error {
	if now.Size < held.Size {
		r.c.memory.mu.Lock()
		defer r.c.memory.mu.Unlock()
		return r.c.memory.forked(&ForkError{
			Reason: fmt.Sprintf("it is at size %d, but signed size %d", now.Size, held.Size),
			Older:  now.note, Newer: held.note,
		})
	}
	return r.c.memory.extend(held, now, proof)
}

// checkRunEntry checks the receipt of the entry that opened or resumed the run:
// whole, whatever CheckEvery says. Its body is the ledger's, so its contents are
// checked too.
func (r *Run) checkRunEntry(a answerOfRun) (*Receipt, error) {
	if err := checkRunBody(a.kind, a.body, r.id); err != nil {
		return nil, &ReceiptError{Checkpoint: a.receipt.GetCheckpoint(), Err: err}
	}
	check := checker{memory: r.c.memory, every: 1}
	return check.check(&sent{
		producer: r.c.Producer(), run: r.id, provenance: r.provenance,
		items: []Item{{Kind: a.kind, Body: a.body}},
	}, fromMessage(a.receipt))
}

// checkRunBody checks that the body names our run.
func checkRunBody(kind daybookv1.Kind, body []byte, id verify.Hash) error {
	if err := verify.CheckBody(kind, body); err != nil {
		return err
	}
	var named interface {
		proto.Message
		GetRun() []byte
	} = new(daybookv1.RunOpened)
	if kind == daybookv1.Kind_KIND_RUN_RESUMED {
		named = new(daybookv1.RunResumed)
	}
	if err := proto.Unmarshal(body, named); err != nil {
		return err
	}
	if string(named.GetRun()) != string(id[:]) {
		return fmt.Errorf("the entry is about run %x, not %x", named.GetRun(), id)
	}
	return nil
}

// fromMessage makes a wireReceipt of a receipt that came as a message.
func fromMessage(m *apiv1.Receipt) *wireReceipt {
	w := &wireReceipt{checkpoint: m.GetCheckpoint()}
	for _, g := range m.GetGroups() {
		w.groups = append(w.groups, wireGroup{g.FirstIndex, g.BatchHead, g.EntryHeads, g.Proof, g.Repeat})
	}
	return w
}

// ID is the run's id.
func (r *Run) ID() verify.Hash { return r.id }

// Opened returns the receipt of the entry that opened or last resumed the run.
func (r *Run) Opened() *Receipt { return r.opened }

// State says where the run stands; it waits while a stream is at work.
func (r *Run) State(ctx context.Context) (RunState, error) {
	st, err := r.take(ctx)
	if err != nil {
		return RunState{}, err
	}
	defer r.give(st)
	return st.RunState, nil
}

// take waits for the state and owns it until give.
func (r *Run) take(ctx context.Context) (*runState, error) {
	r.c.ids.glance()
	select {
	case st := <-r.turn:
		return st, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// give hands the state back.
func (r *Run) give(st *runState) { r.turn <- st }

// settle resumes the run where items were sent whose fate is open, so that
// other bytes can never meet them under one number. A run that was taken over is
// not taken back.
func (r *Run) settle(ctx context.Context, st *runState) error {
	if st.over != nil {
		return st.over
	}
	if !st.unsettled {
		return nil
	}
	if err := r.resume(ctx, st); err != nil {
		return fmt.Errorf("resuming run: %w", err)
	}
	return nil
}

// took moves the state past items that were acknowledged, from number first on.
// Numbers below Next were in the state's hash already.
func (st *runState) took(items []Item, first uint64) {
	for i := range items {
		if first >= st.Next {
			st.Hash = verify.RunNext(st.Hash, first, sha256.Sum256(items[i].Body))
			st.Next = first + items[i].span()
		}
		first += items[i].span()
	}
}
