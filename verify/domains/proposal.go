package domains

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A Proposal is a version of the domain map that is not in force. It must be
// approved by the approver of each flow that it adds, removes or changes, as the
// map in force names them and as it names them itself, and by the map's approver
// where anything else changes; its author is none of them, by whatever name the
// map in force or itself gives to one of them. An approval counts if it was valid
// when it was given, until it is revoked. A proposal ends when another version
// comes into force.
type Proposal struct {
	*Map
	SHA256    verify.Hash
	FirstPart uint64
	Parts     uint32
	LogTimeNS int64             // of the last part
	AuthorID  string            // person id of the author; the identity where it is nobody's
	Changes   func() []Change   // what it changes, computed by the first call; safe for concurrent use
	Needed    []string          // person ids, ascending
	Approved  map[string]uint64 // person id to index of the approval, plus 1

	old  *Map // in force when it was proposed; nil: none
	size int  // of the document, in bytes
}

// ErrUnchanged: the document says what the map in force says.
var ErrUnchanged = errors.New("the domain map in force says the same")

// ErrProposed: the same document is an open proposal.
var ErrProposed = errors.New("it is proposed already: it needs its approvals")

// ErrTooManyProposals: MaxProposals are open, a fourth of them of one author; or
// they have over MaxProposed bytes, half of them of one author.
var ErrTooManyProposals = fmt.Errorf("too many proposals are open: at most %d and %d MiB, %d and %d MiB of one author; they end when one of them comes into force",
	MaxProposals, MaxProposed>>20, MaxProposals/4, MaxProposed>>21)

// An AuthorError says that the author of a proposal would have to approve it.
type AuthorError struct{ Author string }

func (e *AuthorError) Error() string {
	return fmt.Sprintf("%s would have to approve what %s proposed: two different people are needed", e.Author, e.Author)
}

// Propose reads a document and says what it takes to bring it into force. It
// changes nothing: the document's parts do, when they are applied.
func (j *Judge) Propose(document []byte) (*Proposal, error) {
	m, err := ParseDocument(document)
	if err != nil {
		return nil, err
	}
	p := &Proposal{Map: m, SHA256: sha256.Sum256(document), Approved: map[string]uint64{}, size: len(document)}
	var oldDocument *daybookv1.MapDocument
	if j.version != nil {
		p.old, oldDocument = j.version.Map, j.version.Document()
	}
	p.Changes = sync.OnceValue(func() []Change { return Diff(oldDocument, m.Document()) })
	p.Needed = Needed(oldDocument, m.Document())
	author := m.Document().Author
	if p.AuthorID = p.PersonOf(author); p.AuthorID == "" {
		p.AuthorID = author
	}
	mine := slices.IndexFunc(p.Needed, func(person string) bool { return p.samePerson(author, person) })
	switch {
	case len(p.Needed) == 0:
		return nil, ErrUnchanged
	case mine >= 0:
		return nil, &AuthorError{p.Needed[mine]}
	case j.proposal(p.SHA256) != nil:
		return nil, ErrProposed
	}
	if err := j.hasRoom(p); err != nil {
		return nil, err
	}
	return p, nil
}

// hasRoom refuses one proposal too many: no author can fill the room of others.
func (j *Judge) hasRoom(p *Proposal) error {
	all, size, own, ownSize := len(j.proposals), p.size, 0, p.size
	for _, open := range j.proposals {
		size += open.size
		if open.Document().Author == p.Document().Author {
			own++
			ownSize += open.size
		}
	}
	if all >= MaxProposals || size > MaxProposed || own >= MaxProposals/4 || ownSize > MaxProposed/2 {
		return ErrTooManyProposals
	}
	return nil
}

// PersonOf returns the id of the person who has an identity; empty: nobody. Whom
// the map in force knows has the identities that it says, and no others: a
// proposal cannot give a name to somebody else.
func (p *Proposal) PersonOf(identity string) string {
	if p.old != nil {
		if person := p.old.people[identity]; person != nil {
			return person.Id
		}
	}
	person := p.people[identity]
	if person == nil || p.old != nil && p.old.people[person.Id] != nil {
		return ""
	}
	return person.Id
}

// samePerson tells whether two names are one person's, by the map in force or by
// the proposal: an author is not an approver under a name that only the proposal
// gives to one of them.
func (p *Proposal) samePerson(a, b string) bool {
	return p.Person(a) == p.Person(b) || p.old != nil && p.old.Person(a) == p.old.Person(b)
}

// counts tells whether an approval in the log counts towards the proposal, and
// for whom: somebody who must approve it, has not, and did not propose it.
func (p *Proposal) counts(a *Approved) (person string, ok bool) {
	person = p.PersonOf(a.Body.Approver)
	ok = person != "" && slices.Contains(p.Needed, person) && p.Approved[person] == 0 &&
		!p.samePerson(p.Document().Author, a.Body.Approver) && a.within(a.LogTimeNS)
	return person, ok
}

// Clone returns a copy that no approval changes any more.
func (p *Proposal) Clone() *Proposal {
	c := *p
	c.Approved = maps.Clone(p.Approved)
	return &c
}

// An ApproverError says why somebody cannot approve a proposal.
type ApproverError struct {
	Approver string
	Needed   []string // people whose approval is missing
	Reason   string
}

func (e *ApproverError) Error() string {
	return fmt.Sprintf("%s cannot approve it: %s; missing is the approval of %s", e.Approver, e.Reason, strings.Join(e.Needed, ", "))
}

// ErrNoProposal: no proposal with that digest is open.
var ErrNoProposal = errors.New("no such proposal is open: another version may have come into force since, propose it again")

// MayApprove says why an identity's approval would not count towards a proposal;
// nil: it would. *AuthorError, *ApproverError, ErrNoProposal.
func (j *Judge) MayApprove(sha256 verify.Hash, identity string) error {
	p := j.proposal(sha256)
	if p == nil {
		return ErrNoProposal
	}
	person := p.PersonOf(identity)
	switch {
	case p.samePerson(p.Document().Author, identity):
		return &AuthorError{identity}
	case person == "":
		return &ApproverError{identity, p.Missing(), "the domain map knows no person with that identity"}
	case !slices.Contains(p.Needed, person):
		return &ApproverError{identity, p.Missing(), "it is not " + person + " who approves what it changes"}
	case p.Approved[person] != 0:
		return &ApproverError{identity, p.Missing(), person + " has approved it already"}
	}
	return nil
}

// Missing returns the people who must approve and have not.
func (p *Proposal) Missing() []string {
	return slices.DeleteFunc(slices.Clone(p.Needed), func(person string) bool { return p.Approved[person] != 0 })
}

// entry returns the entry that brings the proposal into force.
func (p *Proposal) entry(old *Version) *daybookv1.DomainMap {
	m := &daybookv1.DomainMap{Sha256: p.SHA256[:], FirstPart: p.FirstPart + 1, Parts: p.Parts, Author: p.Document().Author}
	if old != nil {
		m.Previous = old.Index + 1
	}
	for _, at := range p.Approved {
		m.Approvals = append(m.Approvals, at)
	}
	slices.Sort(m.Approvals)
	return m
}
