package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Limits of entries and appends.
const (
	MaxBody       = 61440   // bytes of a body
	MaxHeads      = 4000    // bytes of both heads with all tags and lengths of an entry
	MaxBatchItems = 4096    // items of one append
	MaxBatchBytes = 3 << 20 // bytes of one append's bodies
)

// FormatVersion is the version of the entry format that this package writes,
// and the newest it reads.
const FormatVersion = 1

// BatchHead is constant within an append (daybook.v1.BatchHead). The strings of
// a parsed head alias the input.
type BatchHead struct {
	FormatVersion  uint32
	LogTimeNS      int64  // time of the commit, UTC nanoseconds since the Unix epoch
	Producer       string // SPIFFE URI, or the origin for the ledger itself
	KeyFingerprint Hash   // SHA-256 of the producer's SPKI, or of the ledger's vkey
	Provenance     daybookv1.Provenance
	Run            Hash
	Epoch          uint64 // from 1
	MapIndex       uint64 // index of the domain map in force; 0: none
	RulesVersion   uint32
}

// EntryHead is what the ledger assigned to one entry (daybook.v1.EntryHead).
// The strings and Blind of a parsed head alias the input.
type EntryHead struct {
	Kind             daybookv1.Kind
	Index            uint64 // in the log, from 0
	Number           uint64 // in the run, from 1; 0 for kinds that take none
	Source           string // at most MaxDomain bytes; empty where the kind has none
	Target           string // as Source
	Side             daybookv1.Side
	Late             bool
	Position         uint64 // in the stream, from 0
	PreviousInStream uint64 // index + 1; 0: none
	PreviousInRun    uint64 // index + 1; 0: none
	Verdict          daybookv1.Verdict
	Blind            []byte // 16 random bytes, or none
}

// AppendTo appends the head's bytes. It does not allocate where dst has room.
func (h *BatchHead) AppendTo(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(h.FormatVersion))
	if h.LogTimeNS != 0 {
		dst = append(dst, 2<<3|wireFixed64)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(h.LogTimeNS))
	}
	dst = appendString(dst, 3, h.Producer)
	dst = appendBytes(dst, 4, h.KeyFingerprint[:])
	dst = appendVarint(dst, 5, uint64(h.Provenance))
	dst = appendBytes(dst, 6, h.Run[:])
	dst = appendVarint(dst, 7, h.Epoch)
	dst = appendVarint(dst, 8, h.MapIndex)
	return appendVarint(dst, 9, uint64(h.RulesVersion))
}

// AppendTo appends the head's bytes. It does not allocate where dst has room.
func (h *EntryHead) AppendTo(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(h.Kind))
	dst = appendVarint(dst, 2, h.Index)
	dst = appendVarint(dst, 3, h.Number)
	dst = appendString(dst, 4, h.Source)
	dst = appendString(dst, 5, h.Target)
	dst = appendVarint(dst, 6, uint64(h.Side))
	if h.Late {
		dst = appendVarint(dst, 7, 1)
	}
	dst = appendVarint(dst, 8, h.Position)
	dst = appendVarint(dst, 9, h.PreviousInStream)
	dst = appendVarint(dst, 10, h.PreviousInRun)
	dst = appendVarint(dst, 11, uint64(h.Verdict))
	return appendBytes(dst, 12, h.Blind)
}

// AppendEntry appends the bytes of an entry made of its three parts.
func AppendEntry(dst, head, place, body []byte) []byte {
	dst = appendBytes(dst, 1, head)
	dst = appendBytes(dst, 2, place)
	return appendBytes(dst, 3, body)
}

// appendVarint appends a field of number < 16 that is not zero.
func appendVarint(dst []byte, number byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(append(dst, number<<3|wireVarint), v)
}

// appendBytes appends a field of number < 16 that is not empty.
func appendBytes(dst []byte, number byte, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, number<<3|wireBytes), uint64(len(v)))
	return append(dst, v...)
}

// appendString is appendBytes of a string.
func appendString(dst []byte, number byte, v string) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, number<<3|wireBytes), uint64(len(v)))
	return append(dst, v...)
}

// Entry is a parsed entry; everything in it aliases the parsed bytes.
type Entry struct {
	Head       BatchHead
	Place      EntryHead
	HeadBytes  []byte // bytes of the batch head
	PlaceBytes []byte // bytes of the entry head
	Body       []byte // the message that Place.Kind names, as submitted; see CheckBody
}

// ParseEntry reads the bytes of an entry: heads by the wire grammar and their
// limits, the body only by its length. The result aliases b, which must not
// change while it is in use. It does not allocate on success.
//
// The error is ErrNewer for what a later format may have, else a *FieldError or
// a *GrammarError.
func ParseEntry(b []byte) (Entry, error) {
	var e Entry
	if err := e.parse(b, nil); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// ParseAfter is ParseEntry into e, given the entry before, or any other that was
// parsed without an error: where the bytes of its batch head are the same, as
// they are within an append, they are not parsed again, and Head aliases those of
// before. After an error e is undefined. before may be nil, but not e.
func (e *Entry) ParseAfter(before *Entry, b []byte) error { return e.parse(b, before) }

func (e *Entry) parse(b []byte, before *Entry) error {
	parts := [3]*[]byte{&e.HeadBytes, &e.PlaceBytes, &e.Body}
	names := [3]string{"head", "place", "body"}
	pos := 0
	for i := range parts {
		if pos == len(b) {
			return &FieldError{Field: names[i], Reason: ReasonMissing}
		}
		if want := byte(i+1)<<3 | wireBytes; b[pos] != want {
			return entryTagError(b, pos, names[i])
		}
		n, at := uvarint(b, pos+1)
		if at < 0 {
			return badVarint(b, pos+1, names[i])
		}
		if n > uint64(len(b)-at) {
			return &GrammarError{Offset: pos + 1, Field: names[i], Reason: "length past the end"}
		}
		*parts[i] = b[at : at+int(n) : at+int(n)]
		pos = at + int(n)
	}
	if pos != len(b) {
		return entryTagError(b, pos, "")
	}
	if len(e.Body) == 0 {
		return &FieldError{Field: "body", Reason: ReasonMissing}
	}
	if len(e.Body) > MaxBody {
		return &FieldError{Field: "body", Limit: MaxBody, Got: uint64(len(e.Body)), Reason: ReasonTooLong}
	}
	if n := len(b) - len(e.Body); n > MaxHeads {
		return &FieldError{Field: "head", Limit: MaxHeads, Got: uint64(n), Reason: ReasonTooLong}
	}
	if before != nil && bytes.Equal(e.HeadBytes, before.HeadBytes) {
		e.Head = before.Head
	} else if err := e.Head.parse(e.HeadBytes); err != nil {
		return inField(err, "head")
	}
	if err := e.Place.parse(e.PlaceBytes); err != nil {
		return inField(err, "place")
	}
	return nil
}

// entryTagError says what is wrong with the tag at pos, where the part called
// name was expected, or the end.
func entryTagError(b []byte, pos int, name string) error {
	tag, next := uvarint(b, pos)
	if next < 0 {
		return badVarint(b, pos, name)
	}
	known := tag&7 == wireVarint || tag&7 == wireFixed64 || tag&7 == wireBytes || tag&7 == wireFixed32
	switch {
	case name != "":
		return &GrammarError{Offset: pos, Field: name, Reason: fmt.Sprintf("tag %d in its place", tag)}
	case known && tag>>3 > 3 && tag <= math.MaxUint32:
		return &newerError{field: fmt.Sprintf("%d", tag>>3), what: "unknown field"}
	}
	return &GrammarError{Offset: pos, Reason: "bytes after the body"}
}

// ParseBatchHead reads the bytes of a batch head; as ParseEntry.
func ParseBatchHead(b []byte) (BatchHead, error) {
	var h BatchHead
	err := h.parse(b)
	return h, err
}

// ParseEntryHead reads the bytes of an entry head; as ParseEntry.
func ParseEntryHead(b []byte) (EntryHead, error) {
	var h EntryHead
	err := h.parse(b)
	return h, err
}

func (h *BatchHead) parse(b []byte) error {
	s := scanner{in: b}
	err := s.message(batchHeadTable, 0, len(b), noSeal)
	n := &s.numbers
	if n[headSlot+1] > FormatVersion {
		return &newerError{field: "format_version", what: fmt.Sprintf("unknown value %d", n[headSlot+1])}
	}
	if err != nil {
		return err
	}
	*h = BatchHead{
		FormatVersion:  uint32(n[headSlot+1]),
		LogTimeNS:      int64(n[headSlot+2]),
		Producer:       alias(s.strings[headSlot+3]),
		KeyFingerprint: Hash(s.strings[headSlot+4]),
		Provenance:     daybookv1.Provenance(n[headSlot+5]),
		Run:            Hash(s.strings[headSlot+6]),
		Epoch:          n[headSlot+7],
		MapIndex:       n[headSlot+8],
		RulesVersion:   uint32(n[headSlot+9]),
	}
	return nil
}

func (h *EntryHead) parse(b []byte) error {
	s := scanner{in: b}
	if err := s.message(entryHeadTable, 0, len(b), noSeal); err != nil {
		return err
	}
	n := &s.numbers
	*h = EntryHead{
		Kind:             daybookv1.Kind(n[headSlot+1]),
		Index:            n[headSlot+2],
		Number:           n[headSlot+3],
		Source:           alias(s.strings[headSlot+4]),
		Target:           alias(s.strings[headSlot+5]),
		Side:             daybookv1.Side(n[headSlot+6]),
		Late:             n[headSlot+7] != 0,
		Position:         n[headSlot+8],
		PreviousInStream: n[headSlot+9],
		PreviousInRun:    n[headSlot+10],
		Verdict:          daybookv1.Verdict(n[headSlot+11]),
		Blind:            s.strings[headSlot+12],
	}
	return h.check()
}

// check refuses fields that the entry's kind does not have.
func (h *EntryHead) check() error {
	switch {
	case TakesNumber(h.Kind) && h.Number == 0:
		return &FieldError{Field: "number", Reason: ReasonMissing}
	case !TakesNumber(h.Kind) && h.Number != 0:
		return &FieldError{Field: "number", Got: h.Number, Reason: ReasonNotAllowed}
	case h.Kind == daybookv1.Kind_KIND_ACCESS:
		return nil
	case h.Side != 0:
		return &FieldError{Field: "side", Got: uint64(h.Side), Reason: ReasonNotAllowed}
	case h.Late:
		return &FieldError{Field: "late", Got: 1, Reason: ReasonNotAllowed}
	case h.Verdict != 0:
		return &FieldError{Field: "verdict", Got: uint64(h.Verdict), Reason: ReasonNotAllowed}
	}
	return nil
}

// TakesNumber reports whether an entry of that kind takes a number of its run:
// all but origin opened and the four kinds about a run.
func TakesNumber(k daybookv1.Kind) bool {
	switch k {
	case daybookv1.Kind_KIND_ORIGIN_OPENED, daybookv1.Kind_KIND_RUN_OPENED, daybookv1.Kind_KIND_RUN_RESUMED,
		daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_RUN_ENDED:
		return false
	}
	return true
}

// alias returns b as a string that shares its memory.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
