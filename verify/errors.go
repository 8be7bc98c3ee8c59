package verify

import (
	"errors"
	"fmt"
)

// ErrNewer says that bytes are of a later format than this package knows: an
// unknown field or value in an entry's heads, an unknown kind. It is never a
// verdict of failure; match it with errors.Is.
var ErrNewer = errors.New("needs a newer verifier")

// FieldError refuses one field by name: it is missing, or outside its limits.
type FieldError struct {
	Field  string // path from the message, such as "actor.id"
	Limit  uint64 // the limit that was broken; 0 where the reason has none
	Got    uint64 // what was found: a length, a count or a value
	Reason string // stable lower-case words: see the Reason constants
}

// Reasons of a FieldError. Stable: scripts and Declined entries carry them.
const (
	ReasonMissing       = "missing"
	ReasonTooLong       = "too long"
	ReasonTooShort      = "too short"
	ReasonTooMany       = "too many"
	ReasonNotUTF8       = "not UTF-8"
	ReasonUnknownValue  = "unknown value"
	ReasonNotAscending  = "not ascending"
	ReasonNotAllowed    = "not allowed"
	ReasonSealedPresent = "sealed and present"
)

// Error names the field, the reason and, where there is one, the limit.
func (e *FieldError) Error() string {
	if e.Limit == 0 {
		if e.Reason == ReasonUnknownValue {
			return fmt.Sprintf("field %s: %s %d", e.Field, e.Reason, e.Got)
		}
		return fmt.Sprintf("field %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("field %s: %s: %d, limit %d", e.Field, e.Reason, e.Got, e.Limit)
}

// GrammarError refuses bytes that break the wire grammar: another encoding of
// the same message would be valid, or none would.
type GrammarError struct {
	Offset int    // byte offset in the message that was parsed
	Field  string // path of the field, or of the message around it; may be empty
	Reason string // lower-case words, such as "varint not minimal"
}

// Error names the place and the reason.
func (e *GrammarError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("byte %d, field %s: %s", e.Offset, e.Field, e.Reason)
}
