// Package question is what an examiner asks of a log.
package question

// A Question is what an examination file answers: which accesses, in which
// period. Exactly one scope is set: accesses (neither Streams, Range nor Log; From
// and To may both be empty, which means every access), Streams, Range or Log.
type Question struct {
	Format    string   `json:"format"`             // FormatName
	Case      string   `json:"case,omitempty"`     // case number; this and the next three at most 256 bytes, no control characters
	Item      string   `json:"item,omitempty"`     // number of the request's item
	AskedBy   string   `json:"asked_by,omitempty"` //
	Recipient string   `json:"recipient,omitempty"`
	From      Selector `json:"from,omitzero"`
	To        Selector `json:"to,omitzero"`
	Streams   []Stream `json:"streams,omitempty"` // ascending by key, no two the same
	Range     *Range   `json:"range,omitempty"`
	Log       bool     `json:"log,omitempty"`
	Period    *Period  `json:"period,omitempty"` // nil: everything below the cut
}

// FormatName is the format of a canonical question.
const FormatName = "daybook-question/v1"

// A Selector names domains: those for which all words that are set hold.
type Selector struct {
	Domain   string `json:"domain,omitempty"`   // id, alias or DNS name
	Tier     string `json:"tier,omitempty"`     // as map files say it: production, staging, test, development
	Function string `json:"function,omitempty"` //
	Owner    string `json:"owner,omitempty"`    //
}

// A Range is the entries [First, End) of the log.
type Range struct {
	First uint64 `json:"first"`
	End   uint64 `json:"end"`
}

// A Stream is one stream by name, as text `access,web,prod-db,target` or
// `access,web,prod-db,target,late`; see [ParseStream].
type Stream string

// A Period is a time window, and the clock by which people read it.
type Period struct {
	Text    string   `json:"text"`    // as it was asked: `2026-Q2`
	Zone    string   `json:"zone"`    // IANA name, such as America/New_York; UTC
	By      string   `json:"by"`      // ByLogged or ByOccurred
	Start   string   `json:"start"`   // RFC 3339 in UTC, to the second
	End     string   `json:"end"`     // exclusive
	Offsets []Offset `json:"offsets"` // of the zone, ascending; the first from year 1; never empty
}

// What a period bounds.
const (
	ByLogged   = "logged"   // the log time
	ByOccurred = "occurred" // the time of occurrence, as the producer states it
)

// An Offset is the offset of a zone to UTC from a time on.
type Offset struct {
	From    string `json:"from"`    // RFC 3339 in UTC, to the second
	Seconds int    `json:"seconds"` // east of UTC
	Name    string `json:"name"`    // such as EDT
}
