package ledger

import (
	"crypto/sha256"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A derived is what the bytes of one entry give by themselves, without the
// entries before it: the part of a replay that runs in parallel. Everything in
// it aliases those bytes.
type derived struct {
	entry  verify.Entry
	event  verify.EventFields // zero unless it is an access
	source string             // canonical domains of the event
	target string
	leaf   verify.Hash
	sum    verify.Hash // SHA-256 of the body, where the entry takes a number
}

// derive reads the entry in raw and its body. leaf is its leaf hash; before is an
// entry that may have the same batch head, or nil. On an error the rest is
// undefined.
func (d *derived) derive(before *verify.Entry, raw []byte, leaf verify.Hash) (err error) {
	if err = d.entry.ParseAfter(before, raw); err != nil {
		return err
	}
	kind, body := d.entry.Place.Kind, d.entry.Body
	if kind != daybookv1.Kind_KIND_ACCESS {
		d.event = verify.EventFields{}
		err = verify.CheckBody(kind, body)
	} else if d.event, err = verify.ParseEvent(body); err == nil {
		d.source = canonical(d.event.SourceDomain, d.entry.Place.Source)
		d.target = canonical(d.event.TargetDomain, d.entry.Place.Target)
	}
	if err != nil {
		return err
	}
	d.leaf = leaf
	if verify.TakesNumber(kind) {
		d.sum = sha256.Sum256(body)
	}
	return nil
}

// canonical is verify.CanonicalDomain without an allocation where the name is
// canonical and placed is the same.
func canonical(name []byte, placed string) string {
	if string(name) != placed || len(name) == 0 || len(name) > verify.MaxDomain || name[len(name)-1] == '.' {
		return verify.CanonicalDomain(name)
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return verify.CanonicalDomain(name)
		}
	}
	return placed
}
