package audit

import (
	"crypto/sha256"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An Entry is what the bytes of one entry tell by themselves, without the entries
// before it. It aliases those bytes, and may be used again.
type Entry struct {
	verify.Entry
	Event verify.EventFields // of an access, else zero
	Leaf  verify.Hash

	source, target string      // canonical domains of the event
	body           verify.Hash // SHA-256 of the body, where the entry takes a number
}

// Read reads the entry in b[1:]; b[0], which the caller must be able to spare while
// it runs, is put back. before is the entry before, or any other that was read
// without an error, or nil. After an error all but the leaf is undefined; it is
// verify.ErrNewer where the entry is of a later format.
func (e *Entry) Read(before *Entry, b []byte) error {
	e.Leaf = verify.HashLeafAfter(b)
	var head *verify.Entry
	if before != nil {
		head = &before.Entry
	}
	if err := e.ParseAfter(head, b[1:]); err != nil {
		return err
	}
	kind := e.Place.Kind
	if verify.TakesNumber(kind) {
		e.body = sha256.Sum256(e.Body)
	}
	if kind != daybookv1.Kind_KIND_ACCESS {
		e.Event = verify.EventFields{}
		return verify.CheckBody(kind, e.Body)
	}
	var err error
	if e.Event, err = verify.ParseEvent(e.Body); err != nil {
		return err
	}
	e.source = canonical(e.Event.SourceDomain, e.Place.Source)
	e.target = canonical(e.Event.TargetDomain, e.Place.Target)
	return nil
}

// canonical is verify.CanonicalDomain without its allocation where an entry was
// placed under the name as sent.
func canonical(name []byte, placed string) string {
	if string(name) == placed && plainID(placed) {
		return placed
	}
	return verify.CanonicalDomain(name)
}

// plainID tells whether a name is its own canonical id at sight.
func plainID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && (c != '.' || i == len(s)-1) {
			return false
		}
	}
	return len(s) > 0 && len(s) <= verify.MaxDomain
}
