package domains

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// MaxProposals bounds the proposals since the map in force.
const MaxProposals = 64

// MaxProposed bounds the documents of these proposals together, in bytes.
const MaxProposed = 64 << 20

// MaxPart is how many bytes of a document one Part holds; all but the last hold
// as many.
const MaxPart = 57344

// A Version is a domain map that came into force.
type Version struct {
	*Map
	Index     uint64 // of its DomainMap entry: in force for the entries after it
	LogTimeNS int64
	Body      *daybookv1.DomainMap // not to be modified
}

// A Judge is what judgement must know of the entries before an entry: the map in
// force, proposals, approvals, revocations, the log's keys and its successor. It is
// a function of the entries.
// One goroutine calls Apply; see each method for what may run beside it.
type Judge struct {
	approvals approvals
	version   *Version
	mu        sync.RWMutex // of proposals: Apply alone writes, under it, and reads without
	proposals []*Proposal  // since the map in force, oldest first; they and their approvals guarded by mu
	parts     parts
	ready     *daybookv1.DomainMap // must be the next of these entries
	rules     uint32               // of the entries that were checked
	reign     reign
}

// parts are the pieces of the document that is being read.
type parts struct {
	sha256 verify.Hash
	first  uint64
	next   uint64 // index of the next one
	count  uint32
	of     uint32
	data   []byte
}

// Takes tells whether judgement follows from entries of that kind.
func Takes(kind daybookv1.Kind) bool {
	switch kind {
	case daybookv1.Kind_KIND_PART, daybookv1.Kind_KIND_DOMAIN_MAP, daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION,
		daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION:
		return true
	}
	return false
}

// Apply takes the next entry that [Takes]; other kinds may be left out. The error
// says that the ledger could not have written it there.
func (j *Judge) Apply(index uint64, logTimeNS int64, kind daybookv1.Kind, body []byte) error {
	if !Takes(kind) {
		return nil
	}
	if (j.ready != nil) != (kind == daybookv1.Kind_KIND_DOMAIN_MAP) {
		return errors.New("a domain map comes into force with its last approval, and only then")
	}
	if j.parts.of != 0 && (kind != daybookv1.Kind_KIND_PART || index != j.parts.next) {
		return fmt.Errorf("part %d of %d of a document is missing", j.parts.count+1, j.parts.of)
	}
	switch kind {
	case daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION:
		return j.applyReign(index, logTimeNS, kind, body)
	case daybookv1.Kind_KIND_PART:
		return j.applyPart(index, logTimeNS, body)
	case daybookv1.Kind_KIND_DOMAIN_MAP:
		return j.applyMap(index, logTimeNS, body)
	case daybookv1.Kind_KIND_APPROVAL:
		approved, err := j.approvals.add(index, logTimeNS, body)
		if err != nil {
			return err
		}
		j.approveMap(approved)
		return nil
	default:
		revoked, err := j.approvals.revoke(index, logTimeNS, body)
		if err != nil {
			return err
		}
		j.revokeMap(revoked)
		return nil
	}
}

// InForce returns the map in force; nil: none.
func (j *Judge) InForce() *Version { return j.version }

// Ready returns the entry that must follow an approval: the last that a version
// needed. nil: none.
func (j *Judge) Ready() *daybookv1.DomainMap { return j.ready }

// Proposals returns copies of the proposals since the map in force, oldest first.
// It is safe beside Apply.
func (j *Judge) Proposals() []*Proposal {
	j.mu.RLock()
	defer j.mu.RUnlock()
	out := make([]*Proposal, len(j.proposals))
	for i, p := range j.proposals {
		out[i] = p.Clone()
	}
	return out
}

// SplitDocument returns the bodies of the parts of a document.
func SplitDocument(document []byte) []*daybookv1.Part {
	sum := sha256.Sum256(document)
	count := (len(document) + MaxPart - 1) / MaxPart
	out := make([]*daybookv1.Part, 0, count)
	for piece := range slices.Chunk(document, MaxPart) {
		out = append(out, &daybookv1.Part{Sha256: sum[:], Part: uint32(len(out) + 1), Parts: uint32(count), Data: piece})
	}
	return out
}

func (j *Judge) applyPart(index uint64, logTimeNS int64, body []byte) error {
	m := new(daybookv1.Part)
	if err := proto.Unmarshal(body, m); err != nil {
		return err
	}
	p := &j.parts
	if p.of == 0 {
		*p = parts{sha256: verify.Hash(m.Sha256), first: index, next: index, of: m.Parts}
	}
	if p.sha256 != verify.Hash(m.Sha256) || m.Parts != p.of || m.Part != p.count+1 {
		return fmt.Errorf("part %d of %d after part %d of %d", m.Part, m.Parts, p.count, p.of)
	}
	if len(p.data)+len(m.Data) > verify.MaxMapDocument || len(m.Data) != MaxPart && m.Part != m.Parts {
		return fmt.Errorf("part %d of %d has %d bytes", m.Part, m.Parts, len(m.Data))
	}
	p.data, p.count, p.next = append(p.data, m.Data...), p.count+1, index+1
	if p.count < p.of {
		return nil
	}
	done := *p
	*p = parts{}
	if sha256.Sum256(done.data) != done.sha256 {
		return errors.New("the parts are not the document that their digest names")
	}
	proposal, err := j.Propose(done.data)
	if err != nil {
		return err
	}
	proposal.FirstPart, proposal.Parts, proposal.LogTimeNS = done.first, done.of, logTimeNS
	j.mu.Lock()
	defer j.mu.Unlock()
	j.proposals = append(j.proposals, proposal)
	return nil
}

func (j *Judge) applyMap(index uint64, logTimeNS int64, body []byte) error {
	m := new(daybookv1.DomainMap)
	if err := proto.Unmarshal(body, m); err != nil {
		return err
	}
	if !proto.Equal(m, j.ready) {
		return errors.New("domain map differs from the proposal and its approvals")
	}
	p := j.proposal(verify.Hash(m.Sha256))
	j.version = &Version{Map: p.Map, Index: index, LogTimeNS: logTimeNS, Body: m}
	j.approvals.settle(p.Map)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.proposals, j.ready = nil, nil
	return nil
}

// Restore puts a version in force that was in force before the next entry, in
// place of what Apply took before: for whoever starts in the middle of a log that
// was checked up to there. Approvals are applied before.
func (j *Judge) Restore(v *Version) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.version, j.proposals, j.ready, j.parts = v, nil, nil, parts{}
	if v == nil {
		j.approvals.settle(nil)
		return
	}
	j.approvals.settle(v.Map)
}

// approveMap counts an approval of a proposal.
func (j *Judge) approveMap(a *Approved) {
	if a.Body.Subject != daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE || len(a.Body.Sha256) != 32 {
		return
	}
	p := j.proposal(verify.Hash(a.Body.Sha256))
	if p == nil {
		return
	}
	person, ok := p.counts(a)
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	p.Approved[person] = a.Index + 1
	if len(p.Approved) == len(p.Needed) {
		j.ready = p.entry(j.version)
	}
}

// revokeMap takes a revoked approval from the proposals that it counted towards.
// A version that is in force stays in force.
func (j *Judge) revokeMap(a *Approved) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.proposals {
		maps.DeleteFunc(p.Approved, func(_ string, at uint64) bool { return at == a.Index+1 })
	}
}

// proposal returns the proposal of a digest; nil: none since the map in force.
func (j *Judge) proposal(sha256 verify.Hash) *Proposal {
	for _, p := range j.proposals {
		if p.SHA256 == sha256 {
			return p
		}
	}
	return nil
}
