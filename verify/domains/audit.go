package domains

import (
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Check compares what the ledger said of the next entry with what follows from
// the entries before: rules version, map in force, and of an access, whose fields
// are ev, whether it is late, the ids of its domains under the map, and the
// verdict. So an auditor recomputes every verdict:
//
//	for each entry e, parsed, with the fields ev of an access:
//		grounds, err := j.Check(&e, &ev)   // err: the ledger judged wrongly
//		err = j.Apply(e.Place.Index, e.Head.LogTimeNS, e.Place.Kind, e.Body)
//
// The ids of domains before the first map are not compared.
func (j *Judge) Check(e *verify.Entry, ev *verify.EventFields) (Grounds, error) {
	head, place := &e.Head, &e.Place
	in := uint64(0)
	if j.version != nil {
		in = j.version.Index
	}
	switch {
	case head.RulesVersion == 0 || head.RulesVersion > RulesVersion:
		return Grounds{}, fmt.Errorf("rules version %d: %w", head.RulesVersion, verify.ErrNewer)
	case head.RulesVersion < j.rules:
		return Grounds{}, fmt.Errorf("rules version %d after %d", head.RulesVersion, j.rules)
	case head.MapIndex != in:
		return Grounds{}, fmt.Errorf("map index %d, not %d", head.MapIndex, in)
	}
	j.rules = head.RulesVersion
	if place.Kind != daybookv1.Kind_KIND_ACCESS {
		return Grounds{}, nil
	}
	if place.Side != ev.Side || place.Late != verify.Late(head.Provenance, ev.OccurredAtNS, head.LogTimeNS) {
		return Grounds{}, errors.New("side or late differs from the event")
	}
	if j.version != nil {
		source, _ := j.version.Resolve(ev.SourceDomain)
		target, _ := j.version.Resolve(ev.TargetDomain)
		if place.Source != source || place.Target != target {
			return Grounds{}, fmt.Errorf("stream %s -> %s, not %s -> %s", place.Source, place.Target, source, target)
		}
	}
	a := Access{Index: place.Index, Source: place.Source, Target: place.Target, Late: place.Late, Event: ev}
	verdict, grounds := j.Evaluate(head.RulesVersion, j.version, &a)
	if verdict != place.Verdict {
		return Grounds{}, fmt.Errorf("verdict %v, not %v", place.Verdict, verdict)
	}
	return grounds, nil
}
