package index

import "fmt"

// Field is an indexed field, from 1. A field that usually narrows a search more
// comes before one that narrows it less. The numbers stand in keys: a new field
// takes a free one, or the version of the index is raised.
type Field uint8

// The indexed fields. The reserved ones are facts of a domain map: nothing is
// indexed under them as long as the log has none, and no search may name them.
const (
	EventID Field = iota + 1
	Correlation
	Run
	Grant
	Ticket
	Credential
	Resource
	Actor
	Approver
	Flow // reserved
	Pair
	Operation
	Purpose
	SourceOwner    // reserved
	TargetOwner    // reserved
	SourceFunction // reserved
	TargetFunction // reserved
	Source
	Target
	Producer
	SourceTier // reserved
	TargetTier // reserved
	AlertType
	Verdict
	Outcome
	Decision
	ActionClass
	SourceProof
	Late
	Kind

	fieldEnd
)

// shape says how the values of a field are kept.
type shape uint8

const (
	reserved shape = iota
	hashed         // ids, or what is made of other fields: postings only
	text           // postings, and each value in the dictionary
	number         // 1 to 255, its own hash
)

// MaxValue is the length of the longest value of any field, in bytes.
const MaxValue = 2048

// fieldInfo is what the index knows of a field.
type fieldInfo struct {
	name  string // as in requests
	shape shape
	max   int // bytes of a value
	slot  int // column among those of its shape, hashed and text together
}

const (
	numText    = 10
	numColumns = numText + 5
	numNumbers = 8
)

// fields describes each field, by its number. Text has the first columns.
var fields = [fieldEnd]fieldInfo{
	Source:    {"source", text, 63, 0},
	Target:    {"target", text, 63, 1},
	Actor:     {"actor", text, 512, 2},
	Operation: {"operation", text, 256, 3},
	Resource:  {"resource", text, MaxValue, 4},
	Producer:  {"producer", text, MaxValue, 5},
	Approver:  {"approver", text, 512, 6},
	Ticket:    {"ticket", text, 128, 7},
	Purpose:   {"purpose", text, 256, 8},
	Grant:     {"grant_id", text, 128, 9},

	EventID:     {"event_id", hashed, 64, numText + 0},
	Correlation: {"correlation_id", hashed, 64, numText + 1},
	Run:         {"run", hashed, 32, numText + 2},
	Credential:  {"credential", hashed, 32, numText + 3},
	Pair:        {"pair", hashed, 0, numText + 4},

	Kind:        {"kind", number, 0, 0},
	Verdict:     {"verdict", number, 0, 1},
	Outcome:     {"outcome", number, 0, 2},
	Decision:    {"decision", number, 0, 3},
	ActionClass: {"action_class", number, 0, 4},
	SourceProof: {"source_proof", number, 0, 5},
	AlertType:   {"alert_type", number, 0, 6},
	Late:        {"late", number, 0, 7},

	Flow:           {name: "flow"},
	SourceOwner:    {name: "source_owner"},
	TargetOwner:    {name: "target_owner"},
	SourceFunction: {name: "source_function"},
	TargetFunction: {name: "target_function"},
	SourceTier:     {name: "source_tier"},
	TargetTier:     {name: "target_tier"},
}

// textFields lists the fields of the dictionary by their columns.
var textFields = func() (list [numText]Field) {
	for f := range fields {
		if fields[f].shape == text {
			list[fields[f].slot] = Field(f)
		}
	}
	return list
}()

// String returns the field's name in requests, such as `actor`.
func (f Field) String() string {
	if f < fieldEnd && fields[f].name != "" {
		return fields[f].name
	}
	return fmt.Sprintf("field %d", uint8(f))
}

// Listed tells whether the field's values are in the dictionary: they can be
// searched by prefix and listed.
func (f Field) Listed() bool { return f < fieldEnd && fields[f].shape == text }

// ListedFields returns the names of the fields that are searched by prefix.
func ListedFields() []string {
	names := make([]string, numText)
	for i, f := range textFields {
		names[i] = f.String()
	}
	return names
}

// ParseField returns the field of a name; false where none has it.
func ParseField(name string) (Field, bool) {
	for f := range fields {
		if name != "" && fields[f].name == name {
			return Field(f), true
		}
	}
	return 0, false
}
