package bundle

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// take takes the next known entry.
func (p *pass) take(e *knownEntry) error {
	index := e.Place.Index
	if e.Head.LogTimeNS < p.ns {
		return errors.New("its log time is before that of an earlier entry")
	}
	p.ns = e.Head.LogTimeNS
	leaf := verify.HashLeaf(e.raw)
	p.saw(index, leaf)
	if index >= p.head.Cut {
		return p.takeClosing(e, leaf)
	}
	if err := p.tree.add(index, leaf); err != nil {
		return inMember(nameTree, err)
	}
	st := p.streams[verify.StreamKeyOf(&e.Place)]
	if st == nil {
		return errNoStream
	}
	at := p.window.of(st.kind, st.about, index, e.Head.LogTimeNS)
	if err := st.add(&e.Place, leaf, at); err != nil {
		return err
	}
	inWindow := p.window.of(daybookv1.Kind_KIND_ACCESS, false, index, e.Head.LogTimeNS) == within
	inRuns := p.window.ofRuns(index)
	if inWindow && inRuns != within && len(p.answer.Domains) > 0 {
		return fmt.Errorf("it is in the window, but not in that of runs, [%d, %d)", p.window.runsFirst, p.window.runsEnd)
	}
	if inWindow || st.about && inRuns == within {
		p.lowest, p.highest = min(p.lowest, index), max(p.highest, index+1)
	}
	if st.kind == daybookv1.Kind_KIND_ACCESS {
		return p.takeAccess(e, st, leaf, inWindow, inRuns)
	}
	if err := p.judged(e, nil, nil); err != nil {
		return err
	}
	if err := p.judge.Apply(index, e.Head.LogTimeNS, st.kind, e.Body); err != nil {
		return err
	}
	if err := p.runs.follow(&e.Entry, inRuns, inWindow); err != nil {
		return err
	}
	switch {
	case st.kind == daybookv1.Kind_KIND_GAP && inWindow:
		p.gaps++
	case st.kind == daybookv1.Kind_KIND_CLOSE:
		return p.takeClose(e, leaf, inWindow)
	case st.kind == daybookv1.Kind_KIND_ALERT && inWindow:
		return p.takeAlert(e)
	}
	return nil
}

// takeClosing takes the entry of the close whose tables are used: the last known
// one. The log's root at the cut is the one that it says.
func (p *pass) takeClosing(e *knownEntry, leaf verify.Hash) error {
	if e.Place.Index != p.head.CloseIndex {
		return fmt.Errorf("it is not below the cut %d", p.head.Cut)
	}
	if err := p.tree.skip(p.head.Cut); err != nil {
		return inMember(nameTree, err)
	}
	if p.tree.tree.Root() != verify.Hash(p.head.Close.Root) {
		return inMember(nameTree, fmt.Errorf("entries and hashes do not lead to the root at the cut %d: %w", p.head.Cut, verify.ErrProof))
	}
	if err := p.tree.add(e.Place.Index, leaf); err != nil {
		return inMember(nameTree, err)
	}
	previous := p.head.Close.PreviousClose
	if st := p.streams[verify.StreamKeyOf(&e.Place)]; st != nil && st.b == st.row.Count && previous != 0 && previous-1 < p.head.Cut && previous-1 != st.lastIndex {
		return fmt.Errorf("it follows close %d, the last below its cut is %d", previous-1, st.lastIndex)
	}
	return p.takeClose(e, leaf, true)
}

// takeClose takes a close.
func (p *pass) takeClose(e *knownEntry, leaf verify.Hash, reported bool) error {
	c, err := verify.CheckCloseEntry(&e.Entry)
	if err != nil {
		return err
	}
	if p.closeIn != nil && c.PreviousClose == p.closeAt+1 {
		if err := verify.CheckCloseChain(p.closeIn, p.closeAt, c); err != nil {
			return err
		}
	}
	p.closeIn, p.closeAt = c, e.Place.Index
	if !reported {
		return nil
	}
	p.summary.Closes++
	return toReport(p.out.LogClose(&report.Close{Entry: &e.Entry, Close: c, Leaf: leaf}))
}

// takeAlert takes an alert in the window.
func (p *pass) takeAlert(e *knownEntry) error {
	m := new(daybookv1.Alert)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return err
	}
	if verify.AlertID(uint32(m.Type), m.Subject, m.PeriodStartNs, m.PeriodEndNs) != verify.Hash(m.Id) {
		p.differs(e.Place.Index, errors.New("the alert's id is not that of its type, subject and period"))
	}
	p.takeLoss(m)
	if int(m.Type) < len(p.alerts) {
		p.alerts[m.Type]++
	}
	return toReport(p.out.Alert(&report.Alert{Entry: &e.Entry, Alert: m}))
}

// takeAccess takes an access, which may be an answer.
func (p *pass) takeAccess(e *knownEntry, st *stream, leaf verify.Hash, inWindow bool, inRuns place) error {
	ev, err := verify.ParseEvent(e.Body)
	if err != nil {
		return err
	}
	var grounds domains.Grounds
	if err := p.judged(e, &ev, &grounds); err != nil {
		return err
	}
	answers := st.asked && inWindow && p.question.Occurred(ev.OccurredAtNS)
	inRun := false
	if answers {
		inRun = p.runs.answer(&e.Entry, &ev)
	}
	if err := p.runs.follow(&e.Entry, inRuns, inWindow); err != nil {
		return err
	}
	if !answers {
		return nil
	}
	return p.hand(e, &ev, leaf, grounds, inRun)
}

// hand hands an answer to the report.
func (p *pass) hand(e *knownEntry, ev *verify.EventFields, leaf verify.Hash, grounds domains.Grounds, inRun bool) error {
	p.event.Reset()
	if err := proto.Unmarshal(e.Body, &p.event); err != nil {
		return err
	}
	s := p.summary
	s.Answers++
	section := sectionOf(&e.Entry)
	s.Sections[section]++
	if int(e.Place.Verdict) < len(p.verdicts) {
		p.verdicts[e.Place.Verdict]++
	}
	if s.FirstNS == 0 {
		s.FirstNS = e.Head.LogTimeNS
	}
	s.LastNS = e.Head.LogTimeNS
	return toReport(p.out.Answer(&report.Answer{Entry: &e.Entry, Leaf: leaf, Fields: ev, Event: &p.event, Section: section,
		Map: p.judge.InForce(), Grounds: grounds, Number: s.Answers, RunKnown: inRun}))
}

// sectionOf returns the section of an answer.
func sectionOf(e *verify.Entry) report.Section {
	odd := func(id string) bool { return id == unmapped || id == overflow }
	switch {
	case odd(e.Place.Source) || odd(e.Place.Target):
		return report.SectionUnmapped
	case e.Place.Late:
		return report.SectionLate
	case e.Head.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL:
		return report.SectionBackfill
	case e.Head.Provenance == daybookv1.Provenance_PROVENANCE_SECOND_HAND:
		return report.SectionSecondHand
	}
	return report.SectionFirstHand
}

// judged recomputes what the ledger judged of an entry. A difference is kept, not
// returned: it fails a claim.
func (p *pass) judged(e *knownEntry, ev *verify.EventFields, grounds *domains.Grounds) error {
	if p.question.Range != nil {
		return nil // the maps and approvals before it are not known
	}
	g, err := p.judge.Check(&e.Entry, ev)
	if errors.Is(err, verify.ErrNewer) {
		return err
	}
	if err != nil {
		p.differs(e.Place.Index, err)
		return nil
	}
	if grounds != nil {
		*grounds = g
	}
	return nil
}

// differs keeps the first judgement that differs.
func (p *pass) differs(index uint64, err error) {
	if p.misjudged == nil {
		p.misjudged, p.wrongAt = err, index
	}
}
