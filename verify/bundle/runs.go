package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// A numbering gives the SHA-256 of bodies that are not in the bundle: those of
// the numbers [first, end) of a run, in order.
type numbering func(r *run, first, end uint64, take func(verify.Hash)) error

// A run is what is known of one run of which there are answers.
type run struct {
	id    runID
	hash  verify.Hash // id
	shown bool        // its numbers are in the bundle

	// Of a run whose numbers are shown:
	spki     []byte // the producer's key; nil: not known
	anchored bool   // running and next hold
	running  verify.Hash
	next     uint64 // number that is expected
	loose    uint64 // answers before it was anchored
	unseen   uint64 // numbers of which only the hash of the body is in the bundle
	fault    error  // the first thing that does not fit
	faultAt  uint64 // index of the entry that shows it

	report.Run
}

// runBook follows the runs of the answers.
type runBook struct {
	runs    map[string]*run // by producer || run id
	numbers numbering
	all     bool // of a whole log: every run is followed
	oneOffs uint64
	domains map[string]bool // of the producers of answers
}

func newRunBook(shown []runID, numbers numbering) *runBook {
	b := &runBook{runs: map[string]*run{}, numbers: numbers, domains: map[string]bool{}}
	for _, id := range shown {
		hash, _ := hex.DecodeString(id.Run) // parseAnswer has passed
		r := b.add(id.Producer, verify.Hash(hash))
		r.shown = true
	}
	return b
}

func (b *runBook) add(producer string, hash verify.Hash) *run {
	r := &run{id: runID{producer, hex.EncodeToString(hash[:])}, hash: hash, Run: report.Run{Producer: producer, Run: hash}}
	b.runs[producer+string(hash[:])] = r
	return r
}

// find returns the run of an entry; nil: it is not followed.
func (b *runBook) find(e *verify.Entry) *run {
	var key [2048 + 32]byte
	n := copy(key[:], e.Head.Producer)
	n += copy(key[n:], e.Head.Run[:])
	return b.runs[string(key[:n])]
}

// answer takes an answer before the entry is followed. It tells whether it is in
// a run.
func (b *runBook) answer(e *verify.Entry, ev *verify.EventFields) bool {
	if domain := producerDomain(e.Head.Producer); !b.domains[domain] {
		b.domains[domain] = true
	}
	if e.Place.Number == 1 && e.Head.Run == verify.OneOffRunID(e.Head.Producer, ev.EventID) {
		b.oneOffs++
		return false
	}
	r := b.find(e)
	if r == nil {
		r = b.add(strings.Clone(e.Head.Producer), e.Head.Run)
	}
	if r.Answers == 0 || e.Place.Number < r.First {
		r.First = e.Place.Number
	}
	r.Answers++
	r.Last = max(r.Last, e.Place.Number)
	if !r.anchored {
		r.loose++
	}
	return true
}

// follow moves the run of an entry over it. at is its place in the window of runs;
// inWindow tells whether it is in the window.
func (b *runBook) follow(e *verify.Entry, at place, inWindow bool) error {
	kind := e.Place.Kind
	if kind != daybookv1.Kind_KIND_ACCESS && !isRun(kind) {
		return nil
	}
	r := b.find(e)
	if inWindow && (kind == daybookv1.Kind_KIND_DECLINED || kind == daybookv1.Kind_KIND_GAP) {
		if r == nil { // an answer of it may follow
			r = b.add(strings.Clone(e.Head.Producer), e.Head.Run)
		}
		r.count(e)
	}
	if r == nil && b.all && kind == daybookv1.Kind_KIND_RUN_OPENED {
		r = b.add(strings.Clone(e.Head.Producer), e.Head.Run)
	}
	if r == nil {
		return nil
	}
	if r.shown = r.shown || b.all; !r.shown {
		return nil
	}
	opens := kind == daybookv1.Kind_KIND_RUN_OPENED || kind == daybookv1.Kind_KIND_RUN_RESUMED
	if r.fault != nil || at == after || at == before && !opens {
		return nil
	}
	return r.step(e, at == within, b.numbers)
}

// count counts what an entry in the window says of the run.
func (r *run) count(e *verify.Entry) {
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_DECLINED:
		r.Declined++
	case daybookv1.Kind_KIND_GAP:
		var m daybookv1.Gap
		if proto.Unmarshal(e.Body, &m) == nil && m.Last >= m.First {
			r.Gaps++
			r.Lost += m.Last - m.First + 1
		}
	}
}

// errMissing: the numbers of a bundle end too early. The check ends there.
var errMissing = errors.New("numbers are missing")

// step moves the run. What does not fit is kept in fault; an error is one of the
// numbers' source.
func (r *run) step(e *verify.Entry, inRuns bool, numbers numbering) error {
	fail := func(format string, args ...any) error {
		r.fault, r.faultAt = fmt.Errorf(format, args...), e.Place.Index
		return nil
	}
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_RUN_OPENED:
		m := new(daybookv1.RunOpened)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return fail("run opened: %w", err)
		}
		if r.Opened != nil || verify.Hash(m.Run) != r.hash {
			return fail("the run is opened twice, or under another id")
		}
		r.Opened = m
		if inRuns {
			r.anchored, r.running, r.next = true, verify.RunStart(r.Producer, r.hash), 1
		}
		return r.certificate(e, m.Certificate, fail)
	case daybookv1.Kind_KIND_RUN_RESUMED:
		var m daybookv1.RunResumed
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fail("run resumed: %w", err)
		}
		if r.anchored {
			if err := r.reach(m.Last, verify.Hash(m.Hash), numbers, fail); err != nil || r.fault != nil {
				return err
			}
		}
		return r.certificate(e, m.Certificate, fail)
	case daybookv1.Kind_KIND_RUN_HEARTBEAT:
		var m daybookv1.RunHeartbeat
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fail("heartbeat: %w", err)
		}
		return r.signed(m.Last, verify.Hash(m.Hash), verify.HeartbeatMessage(verify.Hash(m.Hash), m.Last, m.Epoch), m.Signature, numbers, fail)
	case daybookv1.Kind_KIND_RUN_ENDED:
		var m daybookv1.RunEnded
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fail("run ended: %w", err)
		}
		r.Ended = true
		return r.signed(m.Last, verify.Hash(m.Hash), verify.EndMessage(verify.Hash(m.Hash), m.Last, m.Epoch), m.Signature, numbers, fail)
	}
	return r.number(e, numbers, fail)
}

// number takes an entry that has a number.
func (r *run) number(e *verify.Entry, numbers numbering, fail func(string, ...any) error) error {
	if !r.anchored {
		return nil
	}
	k := e.Place.Number
	if k < r.next {
		return fail("number %d comes after number %d", k, r.next-1)
	}
	if err := r.take(k, numbers); err != nil {
		return err
	}
	r.running, r.next = verify.RunNext(r.running, k, sha256.Sum256(e.Body)), k+1
	if e.Place.Kind != daybookv1.Kind_KIND_GAP {
		return nil
	}
	var m daybookv1.Gap
	if err := proto.Unmarshal(e.Body, &m); err != nil || m.First != k || m.Last < k || m.Last >= verify.MaxSize {
		return fail("gap %d to %d under number %d", m.First, m.Last, k)
	}
	r.next = m.Last + 1
	return nil
}

// take takes the numbers below end that are not in the bundle.
func (r *run) take(end uint64, numbers numbering) error {
	if end <= r.next {
		return nil
	}
	at := r.next
	r.unseen += end - r.next
	err := numbers(r, r.next, end, func(h verify.Hash) {
		r.running = verify.RunNext(r.running, at, h)
		at++
	})
	r.next = end
	return err
}

// reach moves the run to where an entry says that it is.
func (r *run) reach(last uint64, hash verify.Hash, numbers numbering, fail func(string, ...any) error) error {
	if last >= verify.MaxSize || last+1 < r.next {
		return fail("it says that number %d is the last, after number %d", last, r.next-1)
	}
	if err := r.take(last+1, numbers); err != nil {
		return err
	}
	if r.running != hash {
		return fail("its running hash up to number %d is not that of the numbers in the log: a number was left out, changed or put in", last)
	}
	return nil
}

// signed takes a heartbeat or an end.
func (r *run) signed(last uint64, hash verify.Hash, message, signature []byte, numbers numbering, fail func(string, ...any) error) error {
	if r.anchored {
		if err := r.reach(last, hash, numbers, fail); err != nil || r.fault != nil {
			return err
		}
	}
	if len(signature) == 0 || r.spki == nil {
		return nil
	}
	if err := verify.CheckRunSignature(r.spki, message, signature); err != nil {
		return fail("the producer's signature: %w", err)
	}
	if last >= verify.MaxSize {
		return fail("it says that number %d is the last", last)
	}
	if !r.anchored {
		r.anchored, r.running, r.next = true, hash, last+1
		return nil
	}
	r.Signed = last
	return nil
}

// certificate takes the certificate of an entry, which is of the key in its batch head.
func (r *run) certificate(e *verify.Entry, der []byte, fail func(string, ...any) error) error {
	if len(der) == 0 {
		return nil
	}
	spki, err := verify.ProducerSPKI(der, e.Head.KeyFingerprint)
	if err != nil {
		return fail("the producer's certificate: %w", err)
	}
	r.spki = slices.Clone(spki)
	return nil
}

// judge says whether every answer of the run lies between its anchor and a later
// signature that verified, and why not. A number of which there is only a hash may
// be that of an entry that the log never took in: then nothing is proved. The words
// are in the report.
func (r *run) judge() {
	switch {
	case r.fault != nil:
		r.Reason = fmt.Sprintf("entry %d: %v", r.faultAt, r.fault)
	case !r.shown:
		r.Reason = "its numbers are not in this file"
	case !r.anchored:
		r.Reason = "nothing that its producer signed is here"
	case r.loose > 0:
		r.Reason = fmt.Sprintf("%d answers come before the first number that its producer signed here", r.loose)
	case r.Signed < r.Last:
		r.Reason = fmt.Sprintf("its producer signed the numbers up to %d; the last answer has number %d", r.Signed, r.Last)
	case r.unseen > 0:
		r.Reason = fmt.Sprintf("of %d of its numbers only the hashes are here, which its producer signed: that the log has their entries is shown by a file of the whole log", r.unseen)
	default:
		r.Proved = true
	}
}

// finish returns the runs of the answers in order, judged.
func (b *runBook) finish() []*run {
	out := make([]*run, 0, len(b.runs))
	for _, r := range b.runs {
		if r.Answers > 0 || r.shown && !b.all {
			r.judge()
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *run) int { return a.id.compare(b.id) })
	return out
}

// readNumbers is the numbering of a bundle's numbers.bin.
func readNumbers(in *memberReader) numbering {
	return func(_ *run, first, end uint64, take func(verify.Hash)) error {
		var h verify.Hash
		for range end - first {
			if _, err := readFull(in, h[:]); err != nil {
				return &Fault{Member: in.name, Err: errMissing}
			}
			take(h)
		}
		return nil
	}
}
