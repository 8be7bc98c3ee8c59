package access

import (
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Scope is what a caller may see of the log. The zero value is nothing.
type Scope struct {
	Whole   bool                // everything
	Domains map[string]struct{} // entries that touch one of these
	Own     string              // entries of this producer
	Governs string              // maps, approvals, and what this person did
}

// Touches tells whether a pair of domains is the caller's to see; target may be
// empty.
func (s Scope) Touches(source, target string) bool {
	if s.Whole {
		return true
	}
	_, a := s.Domains[source]
	_, b := s.Domains[target]
	return a || b
}

// structural are the kinds that tell of no crossing and that proofs lean on:
// whoever sees anything sees them.
func structural(k daybookv1.Kind) bool {
	switch k {
	case daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_CLOSE, daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION:
		return true
	}
	return false
}

// paired are the kinds whose entries stand under a pair of domains: accesses and
// what is said in their place, approvals and alerts by their pair, and a
// producer's runs by its domain.
func paired(k daybookv1.Kind) bool {
	switch k {
	case daybookv1.Kind_KIND_ACCESS, daybookv1.Kind_KIND_DECLINED, daybookv1.Kind_KIND_GAP,
		daybookv1.Kind_KIND_RUN_OPENED, daybookv1.Kind_KIND_RUN_RESUMED, daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_RUN_ENDED,
		daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION, daybookv1.Kind_KIND_ALERT:
		return true
	}
	return false
}

// Structural are the kinds that every reader sees, in order.
func Structural() []daybookv1.Kind {
	return []daybookv1.Kind{daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_CLOSE, daybookv1.Kind_KIND_KEY_ROTATION, daybookv1.Kind_KIND_SUCCESSION}
}

// Sees tells whether the caller may see an entry. Activity, domain maps and holds
// are for those alone who see everything.
func (s Scope) Sees(e *verify.Entry) bool {
	switch {
	case s.Whole || s.Owns(e):
		return true
	case s.Governs != "" && s.governs(e):
		return true
	case len(s.Domains) == 0:
		return false
	case structural(e.Place.Kind):
		return true
	}
	return paired(e.Place.Kind) && s.Touches(e.Place.Source, e.Place.Target)
}

// governs tells whether an entry is one by which a person who proposes and approves
// is shown that it is in the log.
func (s Scope) governs(e *verify.Entry) bool {
	switch k := e.Place.Kind; k {
	case daybookv1.Kind_KIND_PART, daybookv1.Kind_KIND_DOMAIN_MAP, daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION:
		return true
	case daybookv1.Kind_KIND_ACTIVITY:
		var a daybookv1.Activity
		return proto.Unmarshal(e.Body, &a) == nil && a.GetActor() == s.Governs
	default:
		return structural(k)
	}
}

// Owns tells whether an entry is the caller's own, as producer.
func (s Scope) Owns(e *verify.Entry) bool { return s.Own != "" && e.Head.Producer == s.Own }
