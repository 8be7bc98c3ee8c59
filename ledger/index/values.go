package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Values are the indexed values of one entry. They alias what they were read
// from.
type Values struct {
	texts       [numText][]byte
	numbers     [numNumbers]uint8
	eventID     []byte
	correlation []byte
	credential  []byte
	run         *verify.Hash
	occurred    int64
}

// Read reads the values of an entry. ev may be nil, or zero, where the body is
// no event. It allocates for kinds that are rare only.
func (v *Values) Read(e *verify.Entry, ev *verify.EventFields) error {
	*v = Values{run: &e.Head.Run}
	v.text(Producer, bytesOf(e.Head.Producer))
	v.text(Source, bytesOf(e.Place.Source))
	v.text(Target, bytesOf(e.Place.Target))
	v.number(Kind, int32(e.Place.Kind))
	v.number(Verdict, int32(e.Place.Verdict))
	if e.Place.Late {
		v.number(Late, 1)
	}
	if ev != nil && e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		v.readEvent(ev)
	}
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ALERT, daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION:
		return v.readBody(e)
	}
	return nil
}

func (v *Values) readEvent(ev *verify.EventFields) {
	v.eventID, v.correlation, v.credential = ev.EventID, ev.CorrelationID, ev.Credential
	v.occurred = ev.OccurredAtNS
	v.text(Actor, ev.ActorID)
	v.text(Operation, ev.Operation)
	v.text(Resource, ev.Resource)
	v.text(Approver, ev.Approver)
	v.text(Ticket, ev.Ticket)
	v.text(Purpose, ev.Purpose)
	v.text(Grant, ev.GrantID)
	v.number(Outcome, int32(ev.Outcome))
	v.number(Decision, int32(ev.Decision))
	v.number(ActionClass, int32(ev.ActionClass))
	v.number(SourceProof, int32(ev.SourceProof))
}

// readBody reads what other kinds than accesses have.
func (v *Values) readBody(e *verify.Entry) error {
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ALERT:
		var m daybookv1.Alert
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fmt.Errorf("body of an alert: %w", err)
		}
		v.number(AlertType, int32(m.Type))
	case daybookv1.Kind_KIND_APPROVAL:
		var m daybookv1.Approval
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fmt.Errorf("body of an approval: %w", err)
		}
		v.text(Grant, []byte(m.Id))
		v.text(Approver, []byte(m.Approver))
		v.text(Ticket, []byte(m.Ticket))
		v.text(Purpose, []byte(m.Purpose))
		if m.Subject == daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR {
			v.text(Actor, []byte(m.Name))
		}
	case daybookv1.Kind_KIND_REVOCATION:
		var m daybookv1.Revocation
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return fmt.Errorf("body of a revocation: %w", err)
		}
		v.text(Approver, []byte(m.Revoker))
		v.text(Ticket, []byte(m.Ticket))
	}
	return nil
}

func (v *Values) text(f Field, b []byte)  { v.texts[fields[f].slot] = b }
func (v *Values) number(f Field, n int32) { v.numbers[fields[f].slot] = clamp(uint64(uint32(n))) }
func (v *Values) textOf(f Field) []byte   { return v.texts[fields[f].slot] }
func (v *Values) numberOf(f Field) uint8  { return v.numbers[fields[f].slot] }
func (v *Values) hasBytes(f Field) []byte {
	switch f {
	case EventID:
		return v.eventID
	case Correlation:
		return v.correlation
	case Credential:
		return v.credential
	case Run:
		return v.run[:]
	}
	return v.textOf(f)
}

// Match asks for the entries whose field has a value, any of several, or a value
// that begins with a prefix.
type Match struct {
	Field  Field
	Value  []byte   // of a text or an id
	Any    [][]byte // of a text, in place of Value: one of these, ascending; 1 to MaxAny
	Number uint64   // of an enum; 1 for late
	Prefix bool     // Value is the begin of the value
}

// MaxAny bounds the values of a match that asks for any of several.
const MaxAny = 4096

// Holds tells whether the entry satisfies a match.
func (v *Values) Holds(m *Match) bool {
	switch {
	case fields[m.Field].shape == number:
		return v.numberOf(m.Field) == clamp(m.Number)
	case m.Prefix:
		return bytes.HasPrefix(v.textOf(m.Field), m.Value)
	case m.Any != nil:
		_, found := slices.BinarySearchFunc(m.Any, v.textOf(m.Field), bytes.Compare)
		return found
	}
	return bytes.Equal(v.hasBytes(m.Field), m.Value)
}

// Occurred tells whether the entry is an access that occurred in [from, until),
// UTC nanoseconds; a bound of 0 is none, and without both every entry is in.
func (v *Values) Occurred(from, until int64) bool {
	if from == 0 && until == 0 {
		return true
	}
	return v.occurred != 0 && v.occurred >= from && (until == 0 || v.occurred < until)
}

// check refuses a match that no search can answer.
func (m *Match) check() error {
	if m.Field == 0 || m.Field >= fieldEnd {
		return &QueryError{m.Field, "it is not indexed"}
	}
	info := &fields[m.Field]
	switch {
	case info.shape == reserved:
		return &QueryError{m.Field, "it is no field of an entry: the domain map in force gives it"}
	case m.Field == Pair:
		return &QueryError{m.Field, "name source and target"}
	case info.shape != number && len(m.Value) > info.max:
		return &QueryError{m.Field, fmt.Sprintf("%d bytes, its longest value has %d", len(m.Value), info.max)}
	case m.Any != nil && (info.shape != text || m.Prefix || len(m.Any) == 0 || len(m.Any) > MaxAny):
		return &QueryError{m.Field, fmt.Sprintf("%d values: ask for 1 to %d of a text", len(m.Any), MaxAny)}
	case m.Any != nil && len(m.Any[0]) == 0:
		return &QueryError{m.Field, "an empty value is none"}
	case m.Prefix && info.shape != text:
		return &QueryError{m.Field, "it is searched by its whole value, not by a prefix"}
	case m.Prefix && len(m.Value) == 0:
		return &QueryError{m.Field, "an empty prefix narrows nothing: leave it out"}
	}
	return nil
}

// A QueryError says which part of a search cannot be answered, and why.
type QueryError struct {
	Field  Field
	Reason string
}

func (e *QueryError) Error() string { return fmt.Sprintf("%v: %s", e.Field, e.Reason) }

// Term asks for the entries whose field has a value of that hash. The term of an
// empty value asks for nothing in particular: every entry is its candidate.
type Term struct {
	Field Field
	Hash  uint32 // 24 bits; 0: an empty value
}

// EventIDTerm asks for an event id.
func EventIDTerm(id []byte) Term { return Term{EventID, hashBytes(id)} }

// RunTerm asks for a run: its numbered entries and those about it.
func RunTerm(run verify.Hash) Term { return Term{Run, hashDigest(run[:])} }

// PairTerm asks for a pair of domain ids, as they stand in entry heads.
func PairTerm(source, target string) Term {
	return Term{Pair, hashPair(xxhash.Sum64String(source), xxhash.Sum64String(target))}
}

// term returns the term of an exact match.
func (m *Match) term() Term {
	switch {
	case fields[m.Field].shape == number:
		return Term{m.Field, uint32(clamp(m.Number))}
	case m.Field == Run || m.Field == Credential:
		return Term{m.Field, hashDigest(m.Value)}
	}
	return Term{m.Field, hashBytes(m.Value)}
}

// anyOf returns the hashes of the values of a match that asks for any of several,
// ascending.
func (m *Match) anyOf() []listed {
	terms := make([]listed, len(m.Any))
	for i, value := range m.Any {
		terms[i].hash = hashBytes(value)
	}
	slices.SortFunc(terms, func(a, b listed) int { return cmp.Compare(a.hash, b.hash) })
	return slices.Compact(terms)
}

const hashBits = 24

// fold makes 24 bits of 64, never 0.
func fold(h uint64) uint32 {
	if f := uint32(h^h>>24^h>>48) & (1<<hashBits - 1); f != 0 {
		return f
	}
	return 1
}

func hashBytes(v []byte) uint32 {
	if len(v) == 0 {
		return 0
	}
	return fold(xxhash.Sum64(v))
}

// hashDigest is for values that are digests: their first bytes are a hash.
func hashDigest(v []byte) uint32 {
	if len(v) < 8 {
		return hashBytes(v)
	}
	return fold(binary.LittleEndian.Uint64(v))
}

// hashPair takes the hashes of source and target, and makes their order count.
func hashPair(source, target uint64) uint32 {
	source ^= source >> 33
	source *= 0xff51afd7ed558ccd
	return fold(source ^ source>>29 + target)
}

func clamp(n uint64) uint8 { return uint8(min(n, 255)) }

// bytesOf returns the bytes of a string, not to be modified.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
