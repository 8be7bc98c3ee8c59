package domains

import (
	"fmt"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// The stable codes of a [SpeakError].
const (
	// CodeMayNotSpeak: the access is not the producer's to report.
	CodeMayNotSpeak = "MAY_NOT_SPEAK"
	// CodeCollectorFirstHand: it would be in a second-hand run, or a backfill.
	CodeCollectorFirstHand = "COLLECTOR_FIRST_HAND"
)

// A SpeakError says that a producer may not report an access. The field at fault
// is source.domain.
type SpeakError struct {
	Producer       string // SPIFFE id
	Domain         string // domain of its trust domain; empty: the map has none
	Source, Target string // domain ids of the access
	Side           daybookv1.Side
	Provenance     daybookv1.Provenance // of its run
	Code           string               // CodeMayNotSpeak or CodeCollectorFirstHand
}

func (e *SpeakError) Error() string {
	what := fmt.Sprintf("%s may not report an access from %s to %s", e.Producer, e.Source, e.Target)
	if e.Code == CodeCollectorFirstHand {
		return what + " at first hand: it is a collector there, which opens its runs as second-hand or backfill; nothing of the batch was appended"
	}
	whose := "its trust domain is no domain of the map in force"
	if e.Domain != "" {
		whose = "its domain is " + e.Domain
	}
	at := map[daybookv1.Side]string{
		daybookv1.Side_SIDE_SOURCE: " as seen in the source", daybookv1.Side_SIDE_TARGET: " as seen in the target",
		daybookv1.Side_SIDE_GATEWAY: " as seen at a gateway", daybookv1.Side_SIDE_COLLECTOR: " as seen by a collector",
	}[e.Side]
	return what + at + ": " + whose + "; nothing of the batch was appended: report under an identity of that side, " +
		"or have this one declared in the domain map as a gateway or a collector of the source or the target, then send it again"
}

// MaySpeak tells whether a producer, a SPIFFE id, may report an access between
// two domain ids, as seen from a side, in a run of a provenance. In a domain
// speaks the producer whose trust domain names it, about its own side; a gateway
// of the source or the target speaks for its crossings; a collector of either
// speaks for every side, in runs that are not first-hand. A side that is not said
// may be any of these. Of what the map does not know speaks who is not in it
// either, and every gateway and collector: it is let in to be seen, as unmapped.
// The error is a [*SpeakError].
//
// It is pure, allocates nothing where it permits, and is called for every event.
func (m *Map) MaySpeak(producer, source, target string, side daybookv1.Side, p daybookv1.Provenance) error {
	return m.Speaker(producer).May(source, target, side, p)
}

// A Speaker is a producer as a map sees it: what MaySpeak looks up of it once.
type Speaker struct {
	m             *Map
	producer, own string
}

// Speaker returns a producer, a SPIFFE id, as the map sees it.
func (m *Map) Speaker(producer string) Speaker { return Speaker{m, producer, m.trustDomain(producer)} }

// May is [Map.MaySpeak] for this producer.
func (s Speaker) May(source, target string, side daybookv1.Side, p daybookv1.Provenance) error {
	m, producer, own := s.m, s.producer, s.own
	speaks, unsaid := own, side == daybookv1.Side_SIDE_UNSPECIFIED
	if own == "" {
		speaks = Unmapped
	}
	if speaks == source && (unsaid || side == daybookv1.Side_SIDE_SOURCE) || speaks == target && (unsaid || side == daybookv1.Side_SIDE_TARGET) {
		return nil
	}
	from, to := m.Domain(source), m.Domain(target)
	lost := from == nil && to == nil
	if side == daybookv1.Side_SIDE_GATEWAY || unsaid {
		if slices.Contains(from.GetGateways(), producer) || slices.Contains(to.GetGateways(), producer) || lost && m.gateways[producer] {
			return nil
		}
	}
	code := CodeMayNotSpeak
	if slices.Contains(from.GetCollectors(), producer) || slices.Contains(to.GetCollectors(), producer) || lost && m.collectors[producer] {
		if p == daybookv1.Provenance_PROVENANCE_SECOND_HAND || p == daybookv1.Provenance_PROVENANCE_BACKFILL {
			return nil
		}
		code = CodeCollectorFirstHand
	}
	return &SpeakError{Producer: producer, Domain: own, Source: source, Target: target, Side: side, Provenance: p, Code: code}
}

// trustDomain returns the id of the domain that a SPIFFE id's trust domain names;
// empty: none. Trust domains are in lower case.
func (m *Map) trustDomain(spiffe string) string {
	rest, ok := strings.CutPrefix(spiffe, "spiffe://")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, "/")
	if !ok || len(name) > verify.MaxDomain {
		return ""
	}
	var buf [verify.MaxDomain]byte // resolving it allocates nothing
	id, known := m.Resolve(buf[:copy(buf[:], name)])
	if !known {
		return ""
	}
	return id
}
