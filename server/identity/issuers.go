package identity

import (
	"fmt"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Issuers are the CAs that a domain map binds its domains to. Immutable; nil binds
// none.
type Issuers struct {
	resolve func(name []byte) (id string, ok bool)
	owner   map[[32]byte]string // domain of each listed CA
	bound   map[string]bool     // domains that list a CA
}

// NewIssuers returns the issuers of a map. resolve gives the domain that has a
// name, such as a trust domain.
func NewIssuers(document *daybookv1.MapDocument, resolve func(name []byte) (id string, ok bool)) *Issuers {
	i := &Issuers{resolve: resolve, owner: map[[32]byte]string{}, bound: map[string]bool{}}
	for _, d := range document.GetDomains() {
		for _, sum := range d.GetIssuer().GetCaSha256() {
			if len(sum) == 32 {
				i.owner[[32]byte(sum)] = d.GetId()
				i.bound[d.GetId()] = true
			}
		}
	}
	return i
}

// Check returns a *RefusedError unless one of the peer's chains is its domain's
// own: it holds a CA that the domain lists, or, where the domain lists none, no CA
// that another one does.
func (i *Issuers) Check(p *Peer) error {
	if i == nil || len(i.owner) == 0 {
		return nil
	}
	domain, known := i.resolve([]byte(p.Domain))
	bound := known && i.bound[domain]
	if slices.ContainsFunc(p.Chains, func(chain [][32]byte) bool {
		for _, ca := range chain {
			switch owner, listed := i.owner[ca]; {
			case bound && listed && owner == domain:
				return true
			case !bound && listed:
				return false
			}
		}
		return !bound
	}) {
		return nil
	}
	text := "the CA of the certificate of " + p.ID + " is listed in the domain map as another domain's"
	if bound {
		text = fmt.Sprintf("the CA of the certificate of %s is none that the domain map lists for %s (issuer.cas): have one of those issue it, or have the map changed", p.ID, domain)
	}
	return &RefusedError{Reason: ReasonWrongCA, ID: p.ID, Known: true, Text: text}
}
