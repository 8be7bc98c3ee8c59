package bundle

import (
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// A Receipted is an entry that a receipt from elsewhere proves to be in the log.
type Receipted struct {
	Name  string       // of the receipt, for messages
	Index uint64       // of the entry
	Leaf  verify.Hash  // its leaf hash
	Entry verify.Entry // parsed; it may alias memory that is not changed
	// Checkpoint is the one that the receipt is under.
	Checkpoint verify.Checkpoint
}

// Reconciled counts what became of receipts.
type Reconciled struct {
	Inside  int      // the entry is in the file, byte for byte
	Outside int      // the question does not ask for the entry
	Wrong   []string // proofs that an entry was left out or changed, in words
}

// watch lets a pass note the leaves of receipted entries.
func watch(receipts []Receipted) map[uint64]*verify.Hash {
	if len(receipts) == 0 {
		return nil
	}
	of := make(map[uint64]*verify.Hash, len(receipts))
	for i := range receipts {
		of[receipts[i].Index] = nil
	}
	return of
}

// saw notes the leaf of a known entry.
func (p *pass) saw(index uint64, leaf verify.Hash) {
	if p.watched == nil {
		return
	}
	if _, ok := p.watched[index]; ok {
		p.watched[index] = &leaf
	}
}

// covers tells whether a receipted entry must be in a file: whether the question
// asks for its stream, and it is in the window.
func (p *pass) covers(r *Receipted) bool {
	place := &r.Entry.Place
	if p.question.Tiles() {
		return r.Index >= p.answer.First && r.Index < p.answer.End
	}
	key := verify.StreamKeyOf(place)
	if r.Index >= p.head.Cut || !p.scope.selects(key) {
		return false
	}
	about := isRun(place.Kind) && (p.scope.exact == nil || !p.scope.exact[key])
	return p.window.of(place.Kind, about, r.Index, r.Entry.Head.LogTimeNS) == within
}

// reconcile holds receipts against files that passed.
func (r *Result) reconcile(passes []*pass, receipts []Receipted) {
	if len(receipts) == 0 {
		return
	}
	r.Reconciled = &Reconciled{}
	for i := range receipts {
		wrong, inside := reconcileOne(passes, &receipts[i])
		switch {
		case wrong != "":
			r.Reconciled.Wrong = append(r.Reconciled.Wrong, fmt.Sprintf("receipt %s: %s", receipts[i].Name, wrong))
			if r.FirstBad == nil || receipts[i].Index < *r.FirstBad {
				r.FirstBad = &receipts[i].Index
			}
		case inside:
			r.Reconciled.Inside++
		default:
			r.Reconciled.Outside++
		}
	}
	if n := len(r.Reconciled.Wrong); n > 0 {
		r.Verdict = Failed
		r.Reason = fmt.Sprintf("%d of %d receipts prove that the log was thinned out or rewritten, the first: %s", n, len(receipts), r.Reconciled.Wrong[0])
	}
}

func reconcileOne(passes []*pass, r *Receipted) (wrong string, inside bool) {
	first := passes[0]
	if r.Checkpoint.Origin != first.answer.Origin {
		return "", false
	}
	for _, c := range knownCheckpoints(first.summary) {
		if c.Size == r.Checkpoint.Size && c.Root != r.Checkpoint.Root {
			return fmt.Sprintf("FORK: its checkpoint of size %d has another root than this file's", c.Size), false
		}
	}
	for _, p := range passes {
		leaf := p.watched[r.Index]
		switch {
		case leaf != nil && *leaf == r.Leaf:
			inside = true
		case leaf != nil:
			return fmt.Sprintf("entry %d is another one in this file", r.Index), false
		case p.covers(r):
			return fmt.Sprintf("entry %d is missing from this file, whose question asks for it", r.Index), false
		}
	}
	return "", inside
}
