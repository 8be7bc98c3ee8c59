package verify

import (
	"fmt"
	"math/bits"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// EventFields is what admission, the index and the judgement need of an event.
// The slices alias the scanned bytes; nil where the field is absent or sealed.
type EventFields struct {
	EventID        []byte                  // 1-64 bytes
	OccurredAtNS   int64                   // UTC nanoseconds since the Unix epoch, never 0
	Side           daybookv1.Side          // where it was observed
	SourceDomain   []byte                  // as sent, 1-253 bytes
	TargetDomain   []byte                  // as sent, 1-253 bytes
	SourceProof    daybookv1.SourceProof   // how the source is known
	ActorID        []byte                  // up to 512 bytes
	ActionClass    daybookv1.ActionClass   //
	Operation      []byte                  // up to 256 bytes
	Decision       daybookv1.Decision      // never unspecified
	Outcome        daybookv1.OutcomeResult // never unspecified
	CorrelationID  []byte                  // up to 64 bytes
	RetentionClass []byte                  // up to 64 bytes
	GrantID        []byte                  // authorization.grant_id
	Approver       []byte                  // authorization.approver
	Ticket         []byte                  // authorization.ticket
	Purpose        []byte                  // authorization.purpose
	Resource       []byte                  // target.resource
	Credential     []byte                  // actor.credential.hmac_sha256, 32 bytes
	ClockSource    []byte                  // clock.source, up to 64 bytes
	ClockOffsetNS  int64                   // clock.offset_ns
	UncertaintyNS  uint64                  // clock.uncertainty_ns; 0: not known
	Sealed         int                     // number of sealed values
	UnknownBytes   int                     // bytes of unknown fields, at most MaxUnknown
}

// Slots of the scanner: where a captured value goes. Slot 0 takes what nobody
// reads. Heads and events use the same slots for different fields.
const (
	slotNone = iota
	slotKey
	slotKeyNumber
	slotAttributeValue

	slotEventID
	slotOccurredAt
	slotSide
	slotSourceDomain
	slotTargetDomain
	slotSourceProof
	slotActorID
	slotActionClass
	slotOperation
	slotDecision
	slotOutcome
	slotCorrelationID
	slotRetentionClass
	slotGrantID
	slotApprover
	slotTicket
	slotPurpose
	slotResource
	slotCredential
	slotClockSource
	slotClockOffset
	slotUncertainty

	slotCount
)

// slots names the captured fields. A head's field n is in slot headSlot+n.
var slots = func() map[protoreflect.FullName]uint8 {
	m := map[protoreflect.FullName]uint8{
		"daybook.v1.Attribute.key":    slotKey,
		"daybook.v1.Attribute.value":  slotAttributeValue,
		"daybook.v1.Sealed.field":     slotKeyNumber,
		"daybook.v1.CloseCount.value": slotKeyNumber,

		"daybook.v1.Event.event_id":                    slotEventID,
		"daybook.v1.Event.occurred_at_ns":              slotOccurredAt,
		"daybook.v1.Event.side":                        slotSide,
		"daybook.v1.Source.domain":                     slotSourceDomain,
		"daybook.v1.Source.proof":                      slotSourceProof,
		"daybook.v1.Target.domain":                     slotTargetDomain,
		"daybook.v1.Target.resource":                   slotResource,
		"daybook.v1.Actor.id":                          slotActorID,
		"daybook.v1.CredentialFingerprint.hmac_sha256": slotCredential,
		"daybook.v1.Clock.source":                      slotClockSource,
		"daybook.v1.Clock.offset_ns":                   slotClockOffset,
		"daybook.v1.Clock.uncertainty_ns":              slotUncertainty,
		"daybook.v1.Action.class":                      slotActionClass,
		"daybook.v1.Action.operation":                  slotOperation,
		"daybook.v1.Authorization.grant_id":            slotGrantID,
		"daybook.v1.Authorization.approver":            slotApprover,
		"daybook.v1.Authorization.ticket":              slotTicket,
		"daybook.v1.Authorization.purpose":             slotPurpose,
		"daybook.v1.Event.decision":                    slotDecision,
		"daybook.v1.Outcome.result":                    slotOutcome,
		"daybook.v1.Event.correlation_id":              slotCorrelationID,
		"daybook.v1.Event.retention_class":             slotRetentionClass,
	}
	for _, head := range []protoreflect.ProtoMessage{&daybookv1.BatchHead{}, &daybookv1.EntryHead{}} {
		fields := head.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			m[fields.Get(i).FullName()] = headSlot + uint8(fields.Get(i).Number())
		}
	}
	return m
}()

// headSlot + n is the slot of a head's field n.
const headSlot = slotAttributeValue

// ParseEvent scans the bytes of an Event once: wire grammar, required fields,
// limits. It does not allocate on success, and its result aliases b.
//
// The error is a *FieldError, which names the field and the limit, or a
// *GrammarError. Unknown fields are kept and counted, see MaxUnknown.
func ParseEvent(b []byte) (EventFields, error) {
	if len(b) > MaxBody {
		return EventFields{}, &FieldError{Field: "body", Limit: MaxBody, Got: uint64(len(b)), Reason: ReasonTooLong}
	}
	s := scanner{in: b, event: true}
	if err := s.message(eventTable, 0, len(b), 0); err != nil {
		return EventFields{}, err
	}
	if s.seal.undecided || s.seal.count > 0 {
		if err := s.seal.check(); err != nil {
			return EventFields{}, err
		}
	}
	return EventFields{
		EventID:        s.strings[slotEventID],
		OccurredAtNS:   int64(s.numbers[slotOccurredAt]),
		Side:           daybookv1.Side(s.numbers[slotSide]),
		SourceDomain:   s.strings[slotSourceDomain],
		TargetDomain:   s.strings[slotTargetDomain],
		SourceProof:    daybookv1.SourceProof(s.numbers[slotSourceProof]),
		ActorID:        s.strings[slotActorID],
		ActionClass:    daybookv1.ActionClass(s.numbers[slotActionClass]),
		Operation:      s.strings[slotOperation],
		Decision:       daybookv1.Decision(s.numbers[slotDecision]),
		Outcome:        daybookv1.OutcomeResult(s.numbers[slotOutcome]),
		CorrelationID:  s.strings[slotCorrelationID],
		RetentionClass: s.strings[slotRetentionClass],
		GrantID:        s.strings[slotGrantID],
		Approver:       s.strings[slotApprover],
		Ticket:         s.strings[slotTicket],
		Purpose:        s.strings[slotPurpose],
		Resource:       s.strings[slotResource],
		Credential:     s.strings[slotCredential],
		ClockSource:    s.strings[slotClockSource],
		ClockOffsetNS:  zigzag(s.numbers[slotClockOffset]),
		UncertaintyNS:  s.numbers[slotUncertainty],
		Sealed:         int(s.seal.count),
		UnknownBytes:   s.unknown,
	}, nil
}

// LatenessLimit is how long after an access its report is in time.
const LatenessLimit = 300 * time.Second

// Late tells whether an access is late: it is no backfill, and occurred before
// UTC midnight of its own log time and over LatenessLimit before it. Both times
// are UTC nanoseconds.
func Late(p daybookv1.Provenance, occurred, logged int64) bool {
	midnight := logged - logged%int64(24*time.Hour)
	return p != daybookv1.Provenance_PROVENANCE_BACKFILL && occurred < midnight && logged-occurred > int64(LatenessLimit)
}

// zigzag is the number that a sint64 field holds.
func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// CheckBody checks the body of an entry of that kind: wire grammar, required
// fields and limits of the message the kind names. Unknown fields and values
// give ErrNewer, except in an event; so does an unknown kind.
func CheckBody(kind daybookv1.Kind, body []byte) error {
	if kind == daybookv1.Kind_KIND_ACCESS {
		_, err := ParseEvent(body)
		return err
	}
	m := bodyTables[kind]
	if m == nil {
		if kind == daybookv1.Kind_KIND_UNSPECIFIED {
			return &FieldError{Field: "kind", Reason: ReasonMissing}
		}
		return &newerError{field: "kind", what: fmt.Sprintf("unknown value %d", kind)}
	}
	if len(body) > MaxBody {
		return &FieldError{Field: "body", Limit: MaxBody, Got: uint64(len(body)), Reason: ReasonTooLong}
	}
	s := scanner{in: body}
	return s.message(m, 0, len(body), 0)
}

// MaxMapDocument is the largest domain map in bytes.
const MaxMapDocument = 16 << 20

// CheckMapDocument checks the bytes of a daybook.v1.MapDocument as CheckBody does
// a body. What its names refer to is verify/domains' to check.
func CheckMapDocument(document []byte) error {
	if len(document) > MaxMapDocument {
		return &FieldError{Field: "document", Limit: MaxMapDocument, Got: uint64(len(document)), Reason: ReasonTooLong}
	}
	s := scanner{in: document}
	return s.message(mapTable, 0, len(document), 0)
}

// sealState is what must be known at the end of an event to judge its sealed
// list: which fields were there, which required ones were not.
type sealState struct {
	undecided bool   // some required field was absent
	count     uint32 // sealed values
	// seen[0] and missing[0] are bits of the event's own fields, [n] those of
	// the message in its field n.
	seen, missing   [sealTops]uint64
	attributeValues uint64 // bit i: attribute i has a value
	attributes      uint32
	fields          [maxSealed]uint32 // sealed field numbers, ascending
}

const (
	sealTops  = 18
	maxSealed = 64
	// sealAttribute + i is the sealed number of attribute i's value.
	sealAttribute = 1500
)

func (l *sealState) note(top uint32, seen uint64) {
	l.seen[top] = seen
}

func (l *sealState) absent(top uint32, fields uint64) {
	l.undecided = true
	l.missing[top] = fields
}

// element notes the items-th attribute or sealed value.
func (l *sealState) element(order uint8, items uint32, value []byte, number uint64) {
	if order == orderKey {
		l.attributes = items
		if len(value) > 0 {
			l.attributeValues |= 1 << (items - 1)
		}
		return
	}
	l.count = items
	l.fields[items-1] = uint32(number)
}

// unsealable are the fields that the ledger reads to place or judge an entry,
// that a commitment is made of, or that are lists.
var unsealable = [...]uint32{1, 2, 3, 5, 6, 10, 11, 15, 16, 501, 601, 1101}

// check refuses sealed numbers that may not be sealed or whose field is
// present, and the first required field that is neither present nor sealed.
func (l *sealState) check() error {
	for i, field := range l.fields[:l.count] {
		name := fmt.Sprintf("sealed[%d].field", i)
		for _, no := range unsealable {
			if field == no {
				return &FieldError{Field: name, Got: uint64(field), Reason: ReasonNotAllowed}
			}
		}
		top, bit, present := field, field, false
		switch {
		case field >= sealAttribute && field < sealAttribute+maxSealed:
			n := field - sealAttribute
			if n >= l.attributes {
				return &FieldError{Field: name, Got: uint64(field), Reason: ReasonNotAllowed}
			}
			if l.attributeValues&(1<<n) != 0 {
				return &FieldError{Field: name, Got: uint64(field), Reason: ReasonSealedPresent}
			}
			continue
		case field >= 100:
			top, bit = field/100, field%100
		default:
			top = 0
		}
		if top < sealTops && bit < 64 {
			present = l.seen[top]&(1<<bit) != 0
			l.missing[top] &^= 1 << bit
		}
		if present {
			return &FieldError{Field: name, Got: uint64(field), Reason: ReasonSealedPresent}
		}
	}
	for top, fields := range l.missing {
		if fields == 0 {
			continue
		}
		bit := bits.TrailingZeros64(fields)
		m, prefix := eventTable, ""
		if top > 0 {
			m, prefix = eventTable.fields[top].sub, eventTable.fields[top].name+"."
		}
		return &FieldError{Field: prefix + m.fields[bit].name, Reason: ReasonMissing}
	}
	return nil
}
