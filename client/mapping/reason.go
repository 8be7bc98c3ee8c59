package mapping

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Code is a stable word for why a record was not mapped.
type Code string

// The codes. Scripts may rely on them.
const (
	// NotUTF8 is a record whose bytes are no UTF-8.
	NotUTF8 Code = "not-utf8"
	// NotJSON is a record that is no JSON object.
	NotJSON Code = "not-json"
	// TwiceNamed is an object that has a key twice, so that it can be read
	// in two ways.
	TwiceNamed Code = "twice-named"
	// TooLong is a record or an identifying text over its limit.
	TooLong Code = "too-long"
	// Missing is a record without a field that the mapping needs.
	Missing Code = "missing"
	// BadValue is a field with a value that the format does not have.
	BadValue Code = "bad-value"
	// Refused is an event that admission would refuse.
	Refused Code = "refused"
)

// Reason says why a record was not mapped. It implements error.
type Reason struct {
	// Code is the stable word.
	Code Code
	// Field is the record's field at fault, such as `eventTime`, at most 128
	// bytes; empty where it is the whole record.
	Field string
	// Detail says more, in words; may be empty.
	Detail string
}

// Error returns code, field and detail, as in `missing eventTime`.
func (r *Reason) Error() string {
	s := string(r.Code)
	if r.Field != "" {
		s += " " + r.Field
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

// reasonf makes a Reason.
func reasonf(code Code, field, format string, args ...any) *Reason {
	return &Reason{Code: code, Field: cut(field, 128), Detail: fmt.Sprintf(format, args...)}
}

// Decline returns what takes the record's number in its place: who has the file
// can find the record by its digest and its number.
func (m *Mapping) Decline(r Record, why *Reason) *daybookv1.Declined {
	original := m.original(r)
	return &daybookv1.Declined{
		Number:   r.Number,
		Sha256:   original.Sha256,
		Reason:   cut(why.Error(), 1024),
		Field:    cut(why.Field, 128),
		Original: original,
	}
}

// marshal gives the same bytes for the same message.
var marshal = proto.MarshalOptions{Deterministic: true}
