package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A pastReader reads the entries that judgement follows from: approvals,
// revocations, and the documents of domain maps.
type pastReader struct {
	read func(index uint64) ([]byte, error)
}

// entry returns the entry at an index, which must be of that kind.
func (p pastReader) entry(index uint64, kind daybookv1.Kind) (*verify.Entry, error) {
	raw, err := p.read(index)
	if err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", index, err)
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, &FaultError{index, err.Error()}
	}
	if e.Place.Kind != kind {
		return nil, &FaultError{index, fmt.Sprintf("kind %v where the stream has %v", e.Place.Kind, kind)}
	}
	return &e, nil
}

// judge makes the judge that stands after the entries whose streams are given:
// the map in force, the parts since, every approval and revocation, and the keys.
func (p pastReader) judge(streams map[verify.StreamKey]*stream) (*domains.Judge, error) {
	newest := map[daybookv1.Kind][]uint64{}
	for key, st := range streams {
		if kind := daybookv1.Kind(key[0]); domains.Takes(kind) && st.previous > 0 {
			newest[kind] = append(newest[kind], st.previous-1)
		}
	}
	j := new(domains.Judge)
	var force *domains.Version
	var err error
	for _, at := range newest[daybookv1.Kind_KIND_DOMAIN_MAP] {
		if force, err = p.version(at); err != nil {
			return nil, err
		}
	}
	var taken []taken
	for _, kind := range pastKinds() {
		from := uint64(0)
		if kind == daybookv1.Kind_KIND_PART && force != nil {
			from = force.Index
		}
		for _, at := range newest[kind] {
			if taken, err = p.walk(taken, kind, at, from); err != nil {
				return nil, err
			}
		}
	}
	return j, applyTaken(j, taken, force)
}

// pastKinds are the kinds that [domains.Takes], but for the domain map itself.
func pastKinds() []daybookv1.Kind {
	return []daybookv1.Kind{daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION,
		daybookv1.Kind_KIND_PART, daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION}
}

// A taken is an entry that judgement follows from.
type taken struct {
	index   uint64
	logTime int64
	kind    daybookv1.Kind
	body    []byte
}

// walk follows a stream back from its entry at, down to from.
func (p pastReader) walk(out []taken, kind daybookv1.Kind, at, from uint64) ([]taken, error) {
	for at >= from {
		e, err := p.entry(at, kind)
		if err != nil {
			return nil, err
		}
		out = append(out, taken{at, e.Head.LogTimeNS, kind, slices.Clone(e.Body)})
		if e.Place.PreviousInStream == 0 {
			break
		}
		at = e.Place.PreviousInStream - 1
	}
	return out, nil
}

// applyTaken applies entries in the order of the log, with the map in force among
// them.
func applyTaken(j *domains.Judge, entries []taken, force *domains.Version) error {
	slices.SortFunc(entries, func(a, b taken) int { return cmp.Compare(a.index, b.index) })
	for _, e := range entries {
		if force != nil && e.index > force.Index {
			j.Restore(force)
			force = nil
		}
		if err := j.Apply(e.index, e.logTime, e.kind, e.body); err != nil {
			return &FaultError{e.index, err.Error()}
		}
	}
	if force != nil {
		j.Restore(force)
	}
	return nil
}

// version reads the version whose DomainMap entry is at an index.
func (p pastReader) version(index uint64) (*domains.Version, error) {
	e, err := p.entry(index, daybookv1.Kind_KIND_DOMAIN_MAP)
	if err != nil {
		return nil, err
	}
	m := new(daybookv1.DomainMap)
	if err := proto.Unmarshal(e.Body, m); err != nil {
		return nil, &FaultError{index, err.Error()}
	}
	document, err := p.document(m.FirstPart-1, m.Parts)
	if err != nil {
		return nil, err
	}
	compiled, err := domains.ParseDocument(document)
	if err != nil {
		return nil, &FaultError{index, err.Error()}
	}
	return &domains.Version{Map: compiled, Index: index, LogTimeNS: e.Head.LogTimeNS, Body: m}, nil
}

// document puts the parts of a document together.
func (p pastReader) document(first uint64, parts uint32) ([]byte, error) {
	var document []byte
	for i := range uint64(parts) {
		e, err := p.entry(first+i, daybookv1.Kind_KIND_PART)
		if err != nil {
			return nil, err
		}
		m := new(daybookv1.Part)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return nil, &FaultError{first + i, err.Error()}
		}
		document = append(document, m.Data...)
	}
	return document, nil
}

// past reads the ledger's own entries.
func (l *Ledger) past() pastReader { return pastReader{l.frames.entry} }

// recoverJudge rebuilds what the sequencer judges by.
func (l *Ledger) recoverJudge() error {
	j, err := l.past().judge(l.seq.state.streams)
	if err != nil {
		return fmt.Errorf("recovering the domain map and approvals: %w", err)
	}
	l.judge = j
	l.inForce.Store(j.InForce())
	return nil
}

// noteRules leaves an entry where the newest entry was judged by older rules than
// the next one will be.
func (l *Ledger) noteRules(head store.Head) error {
	raw, err := l.frames.entry(head.Size - 1)
	if err != nil {
		return err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return &FaultError{head.Size - 1, err.Error()}
	}
	if e.Head.RulesVersion < domains.RulesVersion {
		l.opened = append(l.opened, activity(daybookv1.ActivityType_ACTIVITY_TYPE_RULES,
			fmt.Sprintf("rules version %d, after version %d", domains.RulesVersion, e.Head.RulesVersion)))
	}
	return nil
}

// keptVersions bounds the compiled maps of the past that are kept.
const keptVersions = 16

// MapAt returns the map in force for the entry at an index; nil: none was.
// ErrNotFound past the head.
func (l *Ledger) MapAt(index uint64) (*domains.Version, error) {
	if index >= l.Head().Size {
		return nil, ErrNotFound
	}
	raw, err := l.frames.entry(index)
	if err != nil {
		return nil, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, &FaultError{index, err.Error()}
	}
	return l.versionAt(e.Head.MapIndex)
}

// versionAt returns the version whose entry is at an index; nil for 0.
func (l *Ledger) versionAt(index uint64) (*domains.Version, error) {
	if index == 0 {
		return nil, nil
	}
	if v := l.inForce.Load(); v != nil && v.Index == index {
		return v, nil
	}
	l.pastMaps.mu.Lock()
	defer l.pastMaps.mu.Unlock()
	if v := l.pastMaps.versions[index]; v != nil {
		return v, nil
	}
	v, err := l.past().version(index)
	if err != nil {
		return nil, err
	}
	if len(l.pastMaps.versions) >= keptVersions || l.pastMaps.versions == nil {
		l.pastMaps.versions = map[uint64]*domains.Version{}
	}
	l.pastMaps.versions[index] = v
	return v, nil
}

// MapInForce returns the map in force; nil: none.
func (l *Ledger) MapInForce() *domains.Version { return l.inForce.Load() }

// MapVersions calls fn with each version that came into force, newest first,
// until fn returns false.
func (l *Ledger) MapVersions(fn func(*domains.Version) bool) error {
	v := l.inForce.Load()
	for v != nil && fn(v) {
		if v.Body.Previous == 0 {
			return nil
		}
		var err error
		if v, err = l.versionAt(v.Body.Previous - 1); err != nil {
			return err
		}
	}
	return nil
}

// Approvals calls fn with each approval that is published, newest first, until fn
// returns false.
func (l *Ledger) Approvals(fn func(domains.Approved) bool) {
	size := l.Head().Size
	l.judge.Approvals(func(a domains.Approved) bool {
		return a.Index >= size || fn(publishedPart(a, size))
	})
}

// published is what a reader may see of an approval: nothing before it is durable.
func published(a *domains.Approved, size uint64) *domains.Approved {
	if a == nil || a.Index >= size {
		return nil
	}
	seen := publishedPart(*a, size)
	return &seen
}

// publishedPart hides a revocation that is not durable yet.
func publishedPart(a domains.Approved, size uint64) domains.Approved {
	if a.Revocation > size {
		a.Revocation, a.RevokedNS, a.Revoked = 0, 0, nil
	}
	return a
}

// A Judgement says why an access has its verdict, and what came later.
type Judgement struct {
	Verdict  daybookv1.Verdict
	Flow     *daybookv1.Flow   // that declares it; nil: none
	Approval *domains.Approved // that it rests on; nil: none
	Later    *domains.Approved // the first after the access that would have covered it; nil: none
}

// Judgement judges an access again that stands in the log, by the map that was in
// force for it and the approvals before it.
func (l *Ledger) Judgement(e *verify.Entry, ev *verify.EventFields) (Judgement, error) {
	v, err := l.versionAt(e.Head.MapIndex)
	if err != nil {
		return Judgement{}, err
	}
	a := accessOf(&e.Place, ev)
	verdict, grounds := l.judge.Reevaluate(e.Head.RulesVersion, v, &a)
	size := l.Head().Size
	out := Judgement{Verdict: verdict, Flow: grounds.Flow, Approval: published(grounds.Approval, size)}
	if verdict != daybookv1.Verdict_VERDICT_AUTHORIZED {
		out.Later = published(l.judge.Later(v, grounds.Flow, &a), size)
	}
	return out, nil
}

// accessOf is what an access in the log is judged by.
func accessOf(place *verify.EntryHead, ev *verify.EventFields) domains.Access {
	return domains.Access{Index: place.Index, Source: place.Source, Target: place.Target, Late: place.Late, Event: ev}
}
