package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// An admitted item has passed every check that needs no state. What it names
// aliases the producer's bytes, until the follower has taken its entry.
type admitted struct {
	kind           daybookv1.Kind
	body           []byte
	sum            verify.Hash // SHA-256 of body
	number, last   uint64      // last > number for a gap
	source, target string      // canonical domains of an access
	event          verify.EventFields
	openings       []Opening
}

// admit checks a batch in the caller's goroutine, and resolves its domains under
// v, the map in force; nil: none. The error names the first bad
// number.
func admit(producer Producer, first uint64, items []Item, v *domains.Version) ([]admitted, int64, error) {
	if len(items) == 0 {
		return nil, 0, &RefusedError{Number: first, Field: "items", Reason: "missing"}
	}
	if first == 0 {
		return nil, 0, &RefusedError{Field: "first_number", Reason: "missing: numbers start at 1"}
	}
	if len(items) > verify.MaxBatchItems {
		return nil, 0, ErrBatchTooLarge
	}
	domain := producerDomain(producer.ID)
	out := getItems(len(items))
	known := namesPool.Get().(names)
	defer namesPool.Put(known)
	size := int64(0)
	number := first
	for i := range items {
		size += int64(len(items[i].Body))
		if size > verify.MaxBatchBytes {
			return nil, 0, ErrBatchTooLarge
		}
		if err := out[i].admit(&items[i], number, domain, known, v); err != nil {
			return nil, 0, refuse(number, items[i].Body, err)
		}
		if out[i].last < number || out[i].last == ^uint64(0) {
			return nil, 0, refuse(number, items[i].Body, &verify.FieldError{Field: "last", Reason: "before its first number, or out of range"})
		}
		number = out[i].last + 1
	}
	return out, size, nil
}

// itemsPool holds *[]admitted, all zero.
var itemsPool = sync.Pool{New: func() any { return new([]admitted) }}

func getItems(n int) []admitted {
	items := *itemsPool.Get().(*[]admitted)
	if cap(items) < n {
		items = make([]admitted, n)
	}
	return items[:n]
}

// putItems takes back what nobody looks at any more.
func putItems(items []admitted) {
	clear(items)
	itemsPool.Put(&items)
}

// names holds the canonical ids of domain names that were met before, at most
// maxNames: domains are few, and events many.
type names map[string]string

const maxNames = 4096

// namesPool holds names.
var namesPool = sync.Pool{New: func() any { return names{} }}

// canonical is verify.CanonicalDomain.
func (n names) canonical(name []byte) string {
	if id, ok := n[string(name)]; ok {
		return id
	}
	if len(n) >= maxNames {
		clear(n)
	}
	id := verify.CanonicalDomain(name)
	n[string(name)] = id
	return id
}

// producerDomain is the source id of a producer's own entries: the trust domain
// of its SPIFFE id; for the ledger itself the host of its origin.
func producerDomain(id string) string {
	domain, err := verify.ProducerDomain(id)
	if err != nil {
		domain, _, _ = strings.Cut(id, "/")
	}
	return verify.CanonicalDomain([]byte(domain))
}

func (a *admitted) admit(item *Item, number uint64, domain string, known names, v *domains.Version) error {
	a.kind, a.body, a.number, a.last, a.openings = item.Kind, item.Body, number, number, item.Openings
	if a.kind == daybookv1.Kind_KIND_UNSPECIFIED {
		a.kind = daybookv1.Kind_KIND_ACCESS
	}
	if len(a.body) > verify.MaxBody {
		return &verify.FieldError{Field: "body", Limit: verify.MaxBody, Got: uint64(len(a.body)), Reason: "too long"}
	}
	a.sum = sha256.Sum256(a.body)
	switch a.kind {
	case daybookv1.Kind_KIND_ACCESS:
		return a.admitEvent(known, v)
	case daybookv1.Kind_KIND_DECLINED:
		a.source = domain
		return a.admitDeclined()
	case daybookv1.Kind_KIND_GAP:
		a.source = domain
		return a.admitGap()
	default:
		return &verify.FieldError{Field: "kind", Reason: "only access, declined or gap may be appended"}
	}
}

func (a *admitted) admitEvent(known names, v *domains.Version) error {
	var err error
	if a.event, err = verify.ParseEvent(a.body); err != nil {
		return err
	}
	if v != nil {
		a.resolve(v)
	} else {
		a.source, a.target = known.canonical(a.event.SourceDomain), known.canonical(a.event.TargetDomain)
	}
	if a.event.Sealed == 0 && len(a.openings) == 0 {
		return nil
	}
	return a.checkOpenings()
}

// checkOpenings refuses openings that open nothing. A sealed value without an
// opening stays with the producer: that is allowed.
func (a *admitted) checkOpenings() error {
	var ev daybookv1.Event
	if err := proto.Unmarshal(a.body, &ev); err != nil {
		return &verify.FieldError{Field: "sealed", Reason: "event does not parse"}
	}
	sealed := map[uint32][]byte{}
	for _, s := range ev.Sealed {
		sealed[s.Field] = s.Commitment
	}
	for _, o := range a.openings {
		commitment, ok := sealed[o.Field]
		if !ok {
			return &verify.FieldError{Field: fmt.Sprintf("openings[%d]", o.Field), Reason: "opens a field that is not sealed, or twice"}
		}
		if len(o.Salt) != 32 {
			return &verify.FieldError{Field: fmt.Sprintf("openings[%d].salt", o.Field), Limit: 32, Got: uint64(len(o.Salt)), Reason: "not 32 bytes"}
		}
		if verify.SealCommitment(ev.EventId, o.Field, o.Salt, o.Value) != verify.Hash(commitment) {
			return &verify.FieldError{Field: fmt.Sprintf("openings[%d]", o.Field), Reason: "does not open its commitment"}
		}
		delete(sealed, o.Field)
	}
	return nil
}

func (a *admitted) admitDeclined() error {
	if err := verify.CheckBody(a.kind, a.body); err != nil {
		return err
	}
	var m daybookv1.Declined
	if err := proto.Unmarshal(a.body, &m); err != nil {
		return err
	}
	if m.Number != a.number {
		return &verify.FieldError{Field: "number", Reason: fmt.Sprintf("says %d under number %d", m.Number, a.number)}
	}
	return nil
}

func (a *admitted) admitGap() error {
	if err := verify.CheckBody(a.kind, a.body); err != nil {
		return err
	}
	var m daybookv1.Gap
	if err := proto.Unmarshal(a.body, &m); err != nil {
		return err
	}
	if m.First != a.number {
		return &verify.FieldError{Field: "first", Reason: fmt.Sprintf("says %d under number %d", m.First, a.number)}
	}
	a.last = m.Last
	return nil
}

// refuse makes the typed error, with a ready Declined for the producer.
func refuse(number uint64, body []byte, cause error) error {
	e := &RefusedError{Number: number, Reason: cause.Error(), Cause: cause}
	var speak *domains.SpeakError
	var field *verify.FieldError
	var grammar *verify.GrammarError
	switch {
	case errors.As(cause, &field):
		e.Field, e.Limit, e.Reason = field.Field, field.Limit, field.Reason
	case errors.As(cause, &grammar):
		e.Field, e.Reason = grammar.Field, grammar.Reason
	case errors.As(cause, &speak):
		e.Field, e.Code = "source.domain", speak.Code
	}
	sum := sha256.Sum256(body)
	declined, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Declined{
		Number: number, Sha256: sum[:], Reason: clip(cause.Error(), 1024), Field: clip(e.Field, 128)})
	if err == nil {
		e.Declined = declined
	}
	return e
}

// clip cuts s to n bytes; error texts are ASCII.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return toASCII(s)
}

func toASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 {
			b := []byte(s)
			for j := range b {
				if b[j] >= 0x80 || b[j] < 0x20 {
					b[j] = '?'
				}
			}
			return string(b)
		}
	}
	return s
}
