package domains

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Approved is an approval in the log, and its revocation. Only the revocation is
// filled in later, once; see [Judge].
type Approved struct {
	Index     uint64 // of the approval's entry
	LogTimeNS int64
	Body      *daybookv1.Approval // not to be modified

	Revocation uint64 // index of the revocation's entry, plus 1; 0: none
	RevokedNS  int64
	Revoked    *daybookv1.Revocation

	// of Body, nearer: these are looked at for every access on a flow that needs it
	from, until           int64 // 0: without end
	id, purpose, approver string
}

// pairKey names two domains; ids hold no slash.
func pairKey(from, to string) string { return from + "/" + to }

// approvalsOf are the approvals of a pair, by the name that they are for.
type approvalsOf struct {
	actors, flows map[string][]*Approved
}

// approvals are all approvals of a log, in its order. The writer alone adds to
// them, under mu; it reads without.
type approvals struct {
	mu    sync.RWMutex
	all   []*Approved
	pairs map[string]*approvalsOf // by pairKey
	at    map[uint64]*Approved    // by index
	byID  map[string]*Approved    // the newest of each id

	// What pairs gives for each flow of the map in force, by its place: one look
	// where pairs takes five.
	force *Map
	near  []*approvalsOf
}

// settle looks the flows of a map up that comes into force; nil: none is.
func (a *approvals) settle(m *Map) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.force, a.near = m, nil
	if m == nil {
		return
	}
	a.near = make([]*approvalsOf, len(m.flows))
	for _, from := range m.names {
		for _, flows := range from.flows {
			for _, f := range flows {
				a.near[f.at] = a.pairs[f.pair]
			}
		}
	}
}

// of returns the approvals of a flow's pair; nil: there are none.
func (a *approvals) of(m *Map, f *flow) *approvalsOf {
	if m == a.force {
		return a.near[f.at]
	}
	return a.pairs[f.pair]
}

func (a *approvals) add(index uint64, logTimeNS int64, body []byte) (*Approved, error) {
	m := new(daybookv1.Approval)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pairs == nil {
		a.pairs, a.at = map[string]*approvalsOf{}, map[uint64]*Approved{}
		a.byID = map[string]*Approved{}
	}
	added := &Approved{Index: index, LogTimeNS: logTimeNS, Body: m, from: m.NotBeforeNs, until: m.NotAfterNs,
		id: m.Id, purpose: m.Purpose, approver: m.Approver}
	a.all = append(a.all, added)
	a.at[index], a.byID[m.Id] = added, added
	a.file(added)
	return added, nil
}

// file puts an approval of a pair where an access looks for it.
func (a *approvals) file(added *Approved) {
	m := added.Body
	key := pairKey(m.From, m.To)
	of := a.pairs[key]
	if of == nil {
		of = &approvalsOf{map[string][]*Approved{}, map[string][]*Approved{}}
		a.pairs[key] = of
		if a.force != nil {
			a.bring(m, of)
		}
	}
	switch m.Subject {
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR:
		of.actors[m.Name] = append(of.actors[m.Name], added)
	case daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW:
		of.flows[m.Name] = append(of.flows[m.Name], added)
	}
}

// bring puts the first approvals of a pair beside its flows.
func (a *approvals) bring(m *daybookv1.Approval, of *approvalsOf) {
	from, to := a.force.domain(m.From), a.force.domain(m.To)
	if from == nil || to == nil {
		return
	}
	for _, f := range from.flows[to] {
		a.near[f.at] = of
	}
}

// each calls fn with the approvals of a flow, and of an actor on it under each of
// the actor's names.
func (a *approvals) each(m *Map, f *flow, actor []byte, fn func([]*Approved)) {
	of := a.of(m, f)
	if of == nil {
		return
	}
	if len(of.flows) > 0 {
		fn(of.flows[f.Id])
	}
	fn(of.actors[string(actor)])
	p := m.people[string(actor)]
	if p == nil {
		return
	}
	if p.Id != string(actor) {
		fn(of.actors[p.Id])
	}
	for _, identity := range p.Identities {
		if identity != string(actor) {
			fn(of.actors[identity])
		}
	}
}

func (a *approvals) revoke(index uint64, logTimeNS int64, body []byte) (*Approved, error) {
	m := new(daybookv1.Revocation)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	approved := a.at[m.Approval-1]
	switch {
	case m.Approval == 0 || approved == nil:
		return nil, fmt.Errorf("revocation of entry %d, which is no approval before it", m.Approval-1)
	case approved.Revocation != 0:
		return nil, fmt.Errorf("approval %d is revoked twice", approved.Index)
	case m.From != approved.Body.From || m.To != approved.Body.To:
		return nil, fmt.Errorf("revocation of approval %d is about another pair", approved.Index)
	}
	approved.Revocation, approved.RevokedNS, approved.Revoked = index+1, logTimeNS, m
	return approved, nil
}

// Approvals calls fn with a copy of each approval, newest first, until fn returns
// false. It is safe beside Apply; fn must not call the judge.
func (j *Judge) Approvals(fn func(Approved) bool) {
	j.approvals.mu.RLock()
	defer j.approvals.mu.RUnlock()
	for i := len(j.approvals.all) - 1; i >= 0; i-- {
		if !fn(*j.approvals.all[i]) {
			return
		}
	}
}

// Approval returns a copy of the approval at an index. It is safe beside Apply.
func (j *Judge) Approval(index uint64) (Approved, bool) {
	j.approvals.mu.RLock()
	defer j.approvals.mu.RUnlock()
	a := j.approvals.at[index]
	if a == nil {
		return Approved{}, false
	}
	return *a, true
}

// ApprovalByID returns a copy of the newest approval with that id. It is safe
// beside Apply.
func (j *Judge) ApprovalByID(id string) (Approved, bool) {
	j.approvals.mu.RLock()
	defer j.approvals.mu.RUnlock()
	a := j.approvals.byID[id]
	if a == nil {
		return Approved{}, false
	}
	return *a, true
}

// standing says what an approval is worth to an access. Lower is better.
type standing int

const (
	stands standing = iota
	standsSelf
	standsRevoked
	standsAfter
	standsNot
)

// verdicts of a flow that needs an approval, by the best standing.
var standingVerdicts = [...]daybookv1.Verdict{
	stands:        daybookv1.Verdict_VERDICT_AUTHORIZED,
	standsSelf:    daybookv1.Verdict_VERDICT_SELF_APPROVED,
	standsRevoked: daybookv1.Verdict_VERDICT_REVOKED,
	standsAfter:   daybookv1.Verdict_VERDICT_APPROVED_AFTER,
	standsNot:     daybookv1.Verdict_VERDICT_NOT_APPROVED,
}

// best returns the best approval of an access on a flow by an entry before it.
func (a *approvals) best(m *Map, f *flow, access *Access) (*Approved, standing) {
	var best *Approved
	standing := standsNot
	a.each(m, f, access.Event.ActorID, func(list []*Approved) {
		for _, approved := range list {
			if approved.Index >= access.Index {
				return
			}
			if s := approved.standing(m, access); s < standing {
				best, standing = approved, s
			}
		}
	})
	return best, standing
}

// covers tells whether the approval is for such an access, whenever it came.
func (a *Approved) covers(ev *verify.EventFields) bool {
	at := ev.OccurredAtNS
	return a.within(at) &&
		(a.purpose == "" || len(ev.Purpose) == 0 || a.purpose == string(ev.Purpose)) &&
		(len(ev.GrantID) == 0 || a.id == string(ev.GrantID))
}

// within tells whether the approval is valid at a time.
func (a *Approved) within(ns int64) bool {
	return ns >= a.from && (a.until == 0 || ns < a.until)
}

func (a *Approved) standing(m *Map, access *Access) standing {
	ev := access.Event
	if !a.covers(ev) {
		return standsNot
	}
	switch {
	case m.same(a.approver, ev.ActorID):
		return standsSelf
	case a.Revocation != 0 && a.Revocation <= access.Index && a.RevokedNS <= ev.OccurredAtNS:
		return standsRevoked
	case a.LogTimeNS > ev.OccurredAtNS:
		return standsAfter
	}
	return stands
}
