package server

import (
	"sync/atomic"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
)

// A DomainMap is a version of the domain map, as far as identities need it.
type DomainMap interface {
	// Resolve gives the id of the domain that has a name.
	Resolve(name []byte) (id string, ok bool)
	// Document is what was declared.
	Document() *daybookv1.MapDocument
}

// issuers are the CAs that the map in force lists, made ready once for each
// version. Safe for concurrent use.
type issuers struct {
	inForce func() DomainMap
	last    atomic.Pointer[issuersOf]
}

// issuersOf are the issuers of one version. Immutable.
type issuersOf struct {
	version DomainMap
	issuers *identity.Issuers
}

// get returns the issuers of the map that is in force now; nil: none is.
func (i *issuers) get() *identity.Issuers {
	version := i.inForce()
	if version == nil {
		return nil
	}
	last := i.last.Load()
	if last == nil || last.version != version {
		last = &issuersOf{version, identity.NewIssuers(version.Document(), version.Resolve)}
		i.last.Store(last)
	}
	return last.issuers
}
